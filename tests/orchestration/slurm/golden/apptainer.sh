#!/bin/bash
# Apptainer: the image is a .sif file, read-only. Memory and cores are limited by Slurm's control groups.
work=$(mktemp -d) || exit 125   # /tmp of the container; by itself it would get 64 MiB of memory
trap : TERM                     # the program gets it too; this shell stays to clean up
apptainer exec --containall --cleanenv --no-eval --net --network none --workdir "$work" --pwd /tmp \
  --nv \
  '--annotation=lab=prostate study' \
  --bind /shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/checkpoints:/opt/ml/checkpoints \
  --bind /shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/attempts/2/config:/opt/ml/input/config:ro \
  --bind /shared/studies/prostate/jobs/1111111111111111111111111111111111111111111111111111111111111111/output:/opt/ml/input/data/preprocessed:ro \
  --bind /shared/studies/prostate/jobs/c0ffee0000000000000000000000000000000000000000000000000000000000/attempts/2/output/model:/opt/ml/model \
  /shared/images/unet.sif \
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
  CUDA_VISIBLE_DEVICES=0,1 \
  train
code=$?
rm -rf "$work"
exit $code
