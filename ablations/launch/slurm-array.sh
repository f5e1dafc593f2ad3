#!/usr/bin/env bash
#SBATCH --job-name=attnbench
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120

# A sweep by the tasks of an array job, which need no network between them:
#
#   sbatch --array=1-8 ablations/launch/slurm-array.sh overview --store /shared/runs/overview
#
# What follows the script's name goes to `attnbench sweep`. Tasks claim cells in the store, which must
# lie where all nodes see it. For GPUs add `--gpus-per-task=1` after sbatch. A task that is preempted,
# or reaches its time limit, saves a checkpoint, is queued again, and goes on.

set -euo pipefail

ATTNBENCH=${ATTNBENCH:-.venv/bin/attnbench}
if ! command -v "$ATTNBENCH" >/dev/null; then
    echo "slurm-array.sh: no $ATTNBENCH here; run 'make environment', or set ATTNBENCH" >&2
    exit 2
fi

"$ATTNBENCH" sweep --no-ray --cpus-per-trial "${SLURM_CPUS_PER_TASK:-1}" "$@" &
driver=$!
trap 'kill -TERM "$driver" 2>/dev/null || true' TERM
status=0
while true; do
    status=0
    wait "$driver" || status=$?
    kill -0 "$driver" 2>/dev/null || break # a signal ended the waiting, not the driver
done

if ((status == 143)); then
    echo "slurm-array.sh: stopped in time, queued again"
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$status"
