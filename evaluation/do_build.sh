#!/usr/bin/env bash
# Builds the evaluation container. The first argument is its tag, by default reseed/evaluation.
# Behind a proxy with certificates of its own: CA_BUNDLE=/path/to/ca-bundle.crt ./do_build.sh
set -euo pipefail

SCRIPT_DIR=$( cd -- "$( dirname -- "${BASH_SOURCE[0]}" )" &> /dev/null && pwd )
DOCKER_IMAGE_TAG="${1:-reseed/evaluation}"

options=()
if [ -n "${CA_BUNDLE:-}" ]; then
  options+=(--network host --secret "id=ca,src=$CA_BUNDLE")
fi
if compgen -G "$SCRIPT_DIR/../wheelhouse/*.whl" > /dev/null; then
  options+=(--build-context "wheelhouse=$SCRIPT_DIR/../wheelhouse")
fi

docker build "${options[@]}" \
  --platform=linux/amd64 \
  --target evaluation \
  --tag "$DOCKER_IMAGE_TAG" \
  "$SCRIPT_DIR/.."
