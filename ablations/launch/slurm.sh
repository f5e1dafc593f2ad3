#!/usr/bin/env bash
#SBATCH --job-name=attnbench
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120

# A Ray cluster inside one Slurm allocation, and a sweep on it:
#
#   sbatch ablations/launch/slurm.sh overview --store /shared/runs/overview
#
# What follows the script's name goes to `attnbench sweep`. The store must lie where all nodes see
# it. For GPUs add `--gpus-per-node=4` after sbatch and `--gpus-per-trial 1` at the end. A job that
# is preempted, or reaches its time limit, saves checkpoints, is queued again, and goes on.

set -euo pipefail

ATTNBENCH=${ATTNBENCH:-.venv/bin/attnbench}
RAY=${RAY:-.venv/bin/ray}
for command in "$ATTNBENCH" "$RAY"; do
    if ! command -v "$command" >/dev/null; then
        echo "slurm.sh: no $command here; run 'make environment', or set ATTNBENCH and RAY" >&2
        exit 2
    fi
done

# Others share this network: only who knows the token may run code on the cluster.
RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
export RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0

# (awk reads to the end: with `head`, scontrol could die of a closed pipe, and the job with it.)
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | awk 'NR == 1')
# Many systems give their own name a loopback address, which no other node could reach.
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" \
    sh -c 'hostname --ip-address; hostname --all-ip-addresses' |
    tr ' ' '\n' | awk '/^[0-9.]+$/ && !/^127\./ && !found {found = 1; print}')
if [ -z "$address" ]; then
    echo "slurm.sh: $head has no address that other nodes could reach" >&2
    exit 2
fi
port=$((20000 + SLURM_JOB_ID % 10000))
scratch=${TMPDIR:-/tmp}/ab$SLURM_JOB_ID
shape=(--num-cpus "${SLURM_CPUS_PER_TASK:-1}" --num-gpus "${SLURM_GPUS_ON_NODE:-0}"
    --disable-usage-stats --block)

# shellcheck disable=SC2317 # called by the trap
end_cluster() {
    # Ends the steps, and with them every process of the cluster.
    kill "${steps[@]}" 2>/dev/null || true
    wait "${steps[@]}" 2>/dev/null || true
}
steps=()
trap end_cluster EXIT

srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
    "$RAY" start --head --node-ip-address="$address" --port="$port" \
    --include-dashboard=false --temp-dir="$scratch" "${shape[@]}" >/dev/null &
steps+=($!)

if ((SLURM_JOB_NUM_NODES > 1)); then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) \
        --exclude="$head" --overlap "$RAY" start --address="$address:$port" "${shape[@]}" \
        >/dev/null &
    steps+=($!)
fi

for ((attempt = 0; attempt < 60; attempt++)); do
    "$RAY" health-check --address "$address:$port" >/dev/null 2>&1 && break
    sleep 2
done

"$ATTNBENCH" sweep --address "$address:$port" "$@" &
driver=$!
trap 'kill -TERM "$driver" 2>/dev/null || true' TERM
status=0
while true; do
    status=0
    wait "$driver" || status=$?
    kill -0 "$driver" 2>/dev/null || break # a signal ended the waiting, not the driver
done

if ((status == 143)); then
    echo "slurm.sh: stopped in time, queued again"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
