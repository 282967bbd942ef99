#!/usr/bin/env bash
# Builds the evaluation container and runs it as a platform does: no network, a read-only root, not root.
#   ./do_test_run.sh                   on the test cases in evaluation/test
#   ./do_test_run.sh MY_TEST_FOLDER    on input/ and ground_truth/ of a folder of your own
# The result is output/metrics.json in that folder.
set -euo pipefail

SCRIPT_DIR=$( cd -- "$( dirname -- "${BASH_SOURCE[0]}" )" &> /dev/null && pwd )
DOCKER_IMAGE_TAG="${DOCKER_IMAGE_TAG:-reseed/evaluation}"
TEST_DIR=$( cd -- "${1:-$SCRIPT_DIR/test}" && pwd )

if [ -z "${SKIP_BUILD:-}" ]; then
  "$SCRIPT_DIR/do_build.sh" "$DOCKER_IMAGE_TAG"
fi

mkdir -p "$TEST_DIR/output"
rm -f "$TEST_DIR/output/metrics.json"
chmod 777 "$TEST_DIR/output"   # the container's user is not you

docker run --rm \
  --platform=linux/amd64 \
  --network none \
  --cap-drop ALL \
  --security-opt no-new-privileges \
  --read-only \
  --init \
  --memory 4g --memory-swap 4g --shm-size 2g \
  --pids-limit 512 \
  --ulimit nofile=4096:4096 \
  --tmpfs /tmp:rw,nosuid,nodev,mode=1777,size=4g \
  ${RESEED_TASK:+--env RESEED_TASK="$RESEED_TASK"} \
  --volume "$TEST_DIR/input:/input:ro" \
  --volume "$TEST_DIR/ground_truth:/opt/ml/input/data/ground_truth:ro" \
  --volume "$TEST_DIR/output:/output" \
  "$DOCKER_IMAGE_TAG"

echo "wrote $TEST_DIR/output/metrics.json"
