#!/bin/bash
#SBATCH --job-name=ddp --time=10 --nodes=4 --ntasks-per-node=1
#SBATCH --requeue --open-mode=append --signal=B:USR1@120
# ddp.py on four nodes (README.md): hpcjobs submit --recover --checkpoints "$PWD/checkpoints" ddp.sh
# STEPS is how far it trains, EVERY the steps between checkpoints, PAUSE seconds added to each step.
export MASTER_ADDR MASTER_PORT
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + (SLURM_JOB_ID * 10 + ${SLURM_RESTART_COUNT:-0}) % 10000)) # not that of a run which is not gone yet
export TORCH_CPP_LOG_LEVEL=ERROR
exec hpcjobs run --checkpoints "${HPCJOBS_CHECKPOINTS:-$PWD/checkpoints}" --hand-on none -- \
  srun --kill-on-bad-exit=1 python ddp.py --steps "${STEPS:-500}" --every "${EVERY:-50}" --pause "${PAUSE:-0}"
