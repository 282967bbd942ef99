#!/bin/bash
#SBATCH --job-name=prostate-train-0a1b2c3d
#SBATCH --array=0-39%8
#SBATCH --output=/shared/studies/prostate/slurm/prostate-train-0a1b2c3d/%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:TERM@300
#SBATCH --dependency=afterany:4709:4710
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=33280M
#SBATCH --time=1440
#SBATCH --gres=gpu:a100:2
#SBATCH --partition=gpu
#SBATCH --account=radiology
#SBATCH --qos=long
#SBATCH --exclude=node7
#SBATCH --mail-type=FAIL

module load apptainer
exec /shared/venv/bin/python -m reseed.orchestration.slurm.step /shared/studies/prostate/slurm/prostate-train-0a1b2c3d
