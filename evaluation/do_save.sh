#!/usr/bin/env bash
# Saves what a platform is given: the image, and the ground truth of a folder, each as a .tar.gz.
#   ./do_save.sh                       with the ground truth of evaluation/test
#   ./do_save.sh MY_GROUND_TRUTH       with your own
set -euo pipefail

SCRIPT_DIR=$( cd -- "$( dirname -- "${BASH_SOURCE[0]}" )" &> /dev/null && pwd )
DOCKER_IMAGE_TAG="${DOCKER_IMAGE_TAG:-reseed/evaluation}"
GROUND_TRUTH=$( cd -- "${1:-$SCRIPT_DIR/test/ground_truth}" && pwd )
OUT="${OUT:-$PWD}"

if [ -z "${SKIP_BUILD:-}" ]; then
  "$SCRIPT_DIR/do_build.sh" "$DOCKER_IMAGE_TAG"
fi

image_file="$OUT/evaluation_$(date +%Y%m%d_%H%M%S).tar.gz"
docker save "$DOCKER_IMAGE_TAG" | gzip -c > "$image_file.part"
mv "$image_file.part" "$image_file"
tar -czf "$OUT/ground_truth.tar.gz.part" -C "$GROUND_TRUTH" .
mv "$OUT/ground_truth.tar.gz.part" "$OUT/ground_truth.tar.gz"
echo "wrote $image_file"
echo "wrote $OUT/ground_truth.tar.gz"
