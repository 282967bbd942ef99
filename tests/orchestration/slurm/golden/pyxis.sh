#!/bin/bash
# Pyxis: Slurm's own step starts the container (enroot) and shows it the GPUs of the job. The network is
# not cut off: this is for programs that are trusted.
exec srun --nodes=1 --ntasks=1 --cpus-per-task=8 --kill-on-bad-exit=1 \
  --container-image=/shared/images/unet.sqsh --container-readonly --no-container-mount-home \
  --no-container-entrypoint --container-workdir=/tmp \
  '--annotation=lab=prostate study' \
  --container-mounts=/shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/checkpoints:/opt/ml/checkpoints,/shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/attempts/2/config:/opt/ml/input/config:ro,/shared/studies/prostate/jobs/1111111111111111111111111111111111111111111111111111111111111111/output:/opt/ml/input/data/preprocessed:ro,/shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/attempts/2/output/model:/opt/ml/model \
  /usr/bin/env \
  OMP_NUM_THREADS=8 \
  OPENBLAS_NUM_THREADS=8 \
  MKL_NUM_THREADS=8 \
  NUMEXPR_NUM_THREADS=8 \
  ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=8 \
  PYTHONHASHSEED=0 \
  PYTHONUNBUFFERED=1 \
  CUBLAS_WORKSPACE_CONFIG=:4096:8 \
  SM_MODEL_DIR=/opt/ml/model \
  SM_OUTPUT_DATA_DIR=/opt/ml/output/data \
  SM_NUM_CPUS=8 \
  SM_NUM_GPUS=2 \
  RESEED_SEED_WEIGHTS=0 \
  RESEED_MEMBER=1 \
  SM_CHANNEL_PREPROCESSED=/opt/ml/input/data/preprocessed \
  train
