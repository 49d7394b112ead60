"""A data-parallel training (examples/checkpoint) that loses a node has the losses of one that does not."""

from __future__ import annotations

from tests.slurm import training
from tests.slurm.conftest import Stack
from tests.slurm.steered import in_use, until

STEPS = 40
EVERY = 5


def test_a_training_that_loses_a_node_goes_on_and_has_the_same_losses_to_the_last_bit(new: Stack, name: str) -> None:
    training.install(new)
    folder = f"/scratch/{name}"
    new.run("login", f"install -d -o alice {folder}")
    with in_use(new) as use:
        use(checkpoint={})
        whole = training.train(new, folder, "whole", nodes=2, STEPS=STEPS, EVERY=EVERY)
        cut = training.train(new, folder, "cut", nodes=2, STEPS=STEPS, EVERY=EVERY, PAUSE=0.3)
        until(new, lambda: training.reached(new, folder, "cut"), lambda step: step > EVERY)
        lost = new.job(cut["id"])["node_list"]
        node = new.run("slurmctld", f"scontrol show hostnames {lost} | tail -n 1").strip()
        container = new.container(node)
        container.kill()
        new.run("slurmctld", f"scontrol update nodename={node} state=down reason=test")
        container.start()
        new.run("slurmctld", f"scontrol update nodename={node} state=resume")
        ended = new.wait(cut["id"], lambda job: job["fate"] == "COMPLETED")
        assert ended["restarts"] == 1
        new.finished(whole["id"])
        losses = training.curve(new, folder, "whole")
        assert len(losses) == STEPS
        assert training.curve(new, folder, "cut") == losses
        assert all(len(values) == 1 for values in training.said(new, folder, "cut").values())
    new.run("login", f"rm -rf {folder}")
