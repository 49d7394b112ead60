"""Data-parallel training on CPUs (gloo), one process a node or more: ddp.sh starts it, with srun alone.

Each batch is made from the number of its step, and a checkpoint holds all that the next step depends on, so the losses
are the same to the last bit whatever was interrupted. Under torchrun it runs as well, which sets RANK and WORLD_SIZE.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from hpcjobs.injob import report  # from injob import report, where only that folder is mounted


def agreed(flag: bool) -> bool:
    """Whether any rank says so: all of them must save at the same step."""
    told = torch.tensor(int(flag))
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told)


def batch(step: int, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(step * 1009 + rank)
    x = torch.randn(64, 16, generator=dice)
    return x, torch.sin(x).sum(1, keepdim=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--every", type=int, default=50, help="steps between checkpoints")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds added to each step")
    asked = parser.parse_args()

    for torchs, slurms in (("RANK", "SLURM_PROCID"), ("WORLD_SIZE", "SLURM_NTASKS")):
        os.environ.setdefault(torchs, os.environ.get(slurms, ""))
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))  # so long a rank waits for one that is gone
    rank = dist.get_rank()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = DistributedDataParallel(
        torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)),
        find_unused_parameters=True,  # else buckets change after the first step, and with them the order of sums
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses: list[float] = []
    start = report.resume_from()  # the same on all ranks: their agent's variable
    if start:
        saved = torch.load(start / "state.pt", weights_only=True)
        model.module.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        losses = saved["losses"]

    near = False
    while len(losses) < asked.steps and not near:
        x, y = batch(len(losses), rank)
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(asked.pause)
        dist.all_reduce(mean := loss.detach() / dist.get_world_size())
        losses.append(float(mean))
        step = len(losses)
        near = agreed(report.ending())
        if rank == 0:
            report.step(step, losses[-1])
            sys.stdout.write(f"step {step} loss {losses[-1]:.9g}\n")  # nine digits tell a float32 from all others
            sys.stdout.flush()
            if step % asked.every == 0 or near or step == asked.steps:
                with report.saving(step) as folder:
                    state = {"model": model.module.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}
                    torch.save(state, folder / "state.pt")
    dist.barrier()  # nobody ends before rank 0 has saved
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
