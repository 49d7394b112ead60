#!/bin/bash
#SBATCH --job-name=ring-allreduce
#SBATCH --partition=gpu
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --time=10
# 32 ranks on 4 nodes, one a GPU, add up vectors over TCP by ring all-reduce, as data-parallel training does with
# gradients (Patarasu & Yuan, "Bandwidth optimal all-reduce algorithms", 2009): N-1 steps reduce, N-1 steps gather.
# Every rank checks every element of the result against the closed form; one wrong element fails the job.
set -euo pipefail
export ROUNDS=${1:-5}
echo "job $SLURM_JOB_ID: $SLURM_NTASKS ranks on $SLURM_JOB_NODELIST"
srun --kill-on-bad-exit=1 python3 -u - <<'PYTHON'
import array, os, socket, subprocess, sys, threading, time

rank, size = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
per_node, job = size // int(os.environ["SLURM_NNODES"]), int(os.environ["SLURM_JOB_ID"])
gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
gpu = gpus[int(os.environ["SLURM_LOCALID"]) % len(gpus)]
if not gpu:
    sys.exit(f"rank {rank}: no GPU was given to this job")
hosts = subprocess.check_output(["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]], text=True).split()
port = lambda r: 20000 + (job * 131 + r) % 20000  # one of its own for every rank

listener = socket.create_server(("", port(rank)))
right = (rank + 1) % size
deadline = time.monotonic() + 60
while True:
    try:
        out = socket.create_connection((hosts[right // per_node], port(right)), timeout=60)
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.1)
into, _ = listener.accept()

def receive(count):
    data = bytearray()
    while len(data) < count:
        piece = into.recv(count - len(data))
        if not piece:
            sys.exit(f"rank {rank}: the ring broke")
        data += piece
    return array.array("d", bytes(data))

def exchange(send, count):
    sender = threading.Thread(target=out.sendall, args=(send.tobytes(),))
    sender.start()
    got = receive(count * 8)
    sender.join()
    return got

chunk = 64
for round_ in range(int(os.environ["ROUNDS"])):
    vector = array.array("d", ((rank + 1) * (i + 1) + round_ for i in range(chunk * size)))
    part = lambda n: slice((n % size) * chunk, (n % size + 1) * chunk)
    for step in range(size - 1):  # reduce-scatter
        got = exchange(vector[part(rank - step)], chunk)
        here = part(rank - step - 1)
        vector[here] = array.array("d", (a + b for a, b in zip(vector[here], got)))
    for step in range(size - 1):  # all-gather
        vector[part(rank - step)] = exchange(vector[part(rank + 1 - step)], chunk)
    wrong = sum(v != size * (size + 1) // 2 * (i + 1) + size * round_ for i, v in enumerate(vector))
    if wrong:
        sys.exit(f"rank {rank}: round {round_}: {wrong} of {len(vector)} elements are wrong")
    if rank % per_node == 0:
        print(f"round {round_}: rank {rank:2} on {socket.gethostname()} GPU {gpu}: "
              f"{len(vector)} elements summed over {size} ranks, all correct", flush=True)
    time.sleep(0.5)
PYTHON
echo "OK: $SLURM_NTASKS ranks on $SLURM_NNODES nodes with $((SLURM_NNODES * SLURM_GPUS_ON_NODE)) GPUs agree on every element"
