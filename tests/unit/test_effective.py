"""What sbatch makes of a request before it sends it (each case seen in sbatch's own job record)."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.model.spec import Resources
from hpcjobs.sbatch.effective import effective, tres_per_task


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        (Resources(extra_node_info="2:4:1"), {"sockets_per_node": 2, "cores_per_socket": 4, "threads_per_core": 1,
         "ntasks": 8}),
        (Resources(extra_node_info="*:4"), {"cores_per_socket": 4, "ntasks": 4}),
        (Resources(extra_node_info="1:2", nodes=2), {"sockets_per_node": 1, "cores_per_socket": 2, "ntasks": 4}),
        (Resources(extra_node_info="2:4:1", ntasks=3), {"sockets_per_node": 2, "cores_per_socket": 4,
         "threads_per_core": 1}),
        (Resources(extra_node_info="2", nodes=1, nodes_max=2), {"sockets_per_node": 2}),
        (Resources(extra_node_info="2", ntasks_per_node=2), {"sockets_per_node": 2}),
        (Resources(threads_per_core=1), {}),
        (Resources(threads_per_core=1, nodes=2), {"ntasks": 2}),
        (Resources(cores_per_socket=2, threads_per_core=2, nodes=2, nodes_max=2), {"ntasks": 8}),
        (Resources(threads_per_core=1, nodes=1, nodes_max=2), {}),
        (Resources(threads_per_core=1, node_counts="2,3"), {}),
        (Resources(sockets_per_node=2, nodelist="c[1-2],c1"), {"ntasks": 4}),
        (Resources(sockets_per_node=2, nodelist="c[1-2]", nodes=1), {"ntasks": 2}),
        (Resources(hint="memory_bound", nodelist="c1"), {"threads_per_core": 1, "cores_per_socket": 1, "ntasks": 1}),
        (Resources(hint="multithread", nodelist="c1"), {"ntasks_per_core": 0xFFFF}),
        (Resources(hint="compute_bound"), {"threads_per_core": 1}),
        (Resources(hint="memory_bound"), {"threads_per_core": 1, "cores_per_socket": 1}),
        (Resources(hint="multithread"), {"ntasks_per_core": 0xFFFF}),
        (Resources(hint="compute_bound", threads_per_core=2), {"hint": None}),
        (Resources(hint="memory_bound", cores_per_socket=3), {"hint": None}),
        (Resources(hint="compute_bound", ntasks_per_core=1), {"hint": None}),
        (Resources(tres_per_task="cpu=3,gres/gpu=1"), {"cpus_per_task": 3}),
        (Resources(nodes=4, ntasks=2), {"nodes": 2, "nodes_max": None}),
        (Resources(nodes=2, ntasks=4), {}),
    ],
)  # fmt: skip
def test_what_follows_from_what_was_asked_for_is_worked_out(asked, changed):
    assert effective(asked) == msgspec.structs.replace(asked, **changed)


@pytest.mark.parametrize(
    ("asked", "per_task", "bind"),
    [
        (Resources(), None, None),
        (Resources(cpus_per_task=2, gpus_per_task="1"), "cpu=2,gres/gpu=1", "gres/gpu:per_task:1"),
        (Resources(gpus_per_task="a100:1,h100:1"), "gres/gpu:h100=1,gres/gpu:a100=1", "gres/gpu:per_task:2"),
        (Resources(tres_per_task="cpu=3", gpus_per_task="2"), "gres/gpu=2,cpu=3", "gres/gpu:per_task:2"),
        (Resources(tres_per_task="gres/gpu=1", cpus_per_task=2), "cpu=2,gres/gpu=1", "gres/gpu:per_task:1"),
        (Resources(tres_per_task="cpu:2,gres/gpu:a100:1"), "cpu:2,gres/gpu:a100:1", "gres/gpu:per_task:1"),
        (Resources(gpus_per_task="1", gpu_bind="closest"), "gres/gpu=1", "gres/gpu:closest"),
        (Resources(gpus_per_task="1", tres_bind="gres/gpu:none"), "gres/gpu=1", "gres/gpu:none"),
        (Resources(tres_bind="gres/gpu:closest", gpu_bind="single:1"), None, "gres/gpu:single:1"),
    ],
)
def test_what_a_task_needs_is_one_list_and_its_gpus_are_bound_to_it(asked, per_task, bind):
    assert tres_per_task(effective(asked)) == (per_task, bind)
