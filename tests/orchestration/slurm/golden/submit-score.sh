#!/bin/bash
#SBATCH --job-name=prostate-score-4e5f6071
#SBATCH --array=0-0
#SBATCH --output=/shared/studies/prostate/slurm/prostate-score-4e5f6071/%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=768M
#SBATCH --time=65

exec /shared/venv/bin/python -m reseed.orchestration.slurm.step /shared/studies/prostate/slurm/prostate-score-4e5f6071
