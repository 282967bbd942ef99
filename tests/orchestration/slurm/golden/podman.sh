#!/bin/bash
# Podman: rootless, no daemon. Files that the container writes belong to whoever submitted the job.
podman image exists sha256:abababababababababababababababababababababababababababababababab || podman load --quiet --input /shared/images/unet.tar || exit 125
podman rm --force --ignore reseed-c38610d1eecfa1780cf95031b240c05d >/dev/null 2>&1   # left on this node by a start that was killed
trap : TERM                                             # podman passes it on; this shell stays to clean up
podman run --name reseed-c38610d1eecfa1780cf95031b240c05d \
  --label org.reseed.job=c0ffee0000000000000000000000000000000000000000000000000000000000 --label org.reseed.slurm=4711_3 \
  --network none --cap-drop all --security-opt no-new-privileges --read-only --init --log-driver none \
  --userns keep-id \
  --user 1234:567 --workdir /tmp --tmpfs /tmp:rw,nosuid,nodev,mode=1777,size=4g \
  --cpus 8 --memory 32768m --memory-swap 32768m --shm-size 16384m \
  --pids-limit 512 --ulimit nofile=4096:4096 --ulimit core=0:0 \
  --device nvidia.com/gpu=2 \
  --device nvidia.com/gpu=3 \
  '--annotation=lab=prostate study' \
  --env OMP_NUM_THREADS=8 \
  --env OPENBLAS_NUM_THREADS=8 \
  --env MKL_NUM_THREADS=8 \
  --env NUMEXPR_NUM_THREADS=8 \
  --env ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=8 \
  --env PYTHONHASHSEED=0 \
  --env PYTHONUNBUFFERED=1 \
  --env CUBLAS_WORKSPACE_CONFIG=:4096:8 \
  --env SM_MODEL_DIR=/opt/ml/model \
  --env SM_OUTPUT_DATA_DIR=/opt/ml/output/data \
  --env SM_NUM_CPUS=8 \
  --env SM_NUM_GPUS=2 \
  --env RESEED_SEED_WEIGHTS=0 \
  --env RESEED_MEMBER=1 \
  --env SM_CHANNEL_PREPROCESSED=/opt/ml/input/data/preprocessed \
  --mount type=bind,source=/shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/checkpoints,target=/opt/ml/checkpoints \
  --mount type=bind,source=/shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/attempts/2/config,target=/opt/ml/input/config,readonly \
  --mount type=bind,source=/shared/studies/prostate/jobs/1111111111111111111111111111111111111111111111111111111111111111/output,target=/opt/ml/input/data/preprocessed,readonly \
  --mount type=bind,source=/shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/attempts/2/output/model,target=/opt/ml/model \
  sha256:abababababababababababababababababababababababababababababababab train
code=$?
if [ "$(podman inspect --format '{{.State.OOMKilled}}' reseed-c38610d1eecfa1780cf95031b240c05d 2>/dev/null)" = true ]; then
  : >/shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/attempts/2/out_of_memory
fi
podman rm --force --ignore reseed-c38610d1eecfa1780cf95031b240c05d >/dev/null 2>&1
exit $code
