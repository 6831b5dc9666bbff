#!/usr/bin/env bash
# A study on many machines as a Slurm job array: every task is one run of the same command that joins the same study.
# Submit from the repository: sbatch docs/slurm-array.sh
#SBATCH --job-name=offramp
#SBATCH --array=0-15
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=offramp-%A_%a.log
set -euo pipefail

study="${STUDY:-cifar10-small}"
# A journal on a file system that all machines mount; or postgresql://user@host/name, or grpc://host:port.
storage="${STORAGE:-journal:///$PWD/runs/$study.log}"
data="${DATA:-cifar10}"
task="${SLURM_ARRAY_TASK_ID:-0}"

export OMP_NUM_THREADS=1
export OFFRAMP_CACHE="${OFFRAMP_CACHE:-$PWD/runs/cache}" # one pre-training for all tasks

mkdir -p runs
# Two minutes before the end Slurm sends SIGTERM (to the batch shell, hence B above: after `exec` that is the program):
# trials in progress are put aside and taken up by other tasks.
exec .venv/bin/python -m study.run --preset cifar10-small --study-name "$study" --data "$data" \
  --storage "$storage" --out "runs/$study-$task" --trials "${TRIALS:-480}" --workers "${SLURM_CPUS_PER_TASK:-2}"
