"""What lets a container have the accelerators of its job."""

from __future__ import annotations

import pytest

from hpcjobs.containers.devices import asked_of, devices_of
from hpcjobs.model.container import Devices
from hpcjobs.model.spec import Component, JobSpec, Resources


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        (Resources(), set()),
        (Resources(gpus=8), {("gpu", "")}),
        (Resources(gpus_per_node="a100:4"), {("gpu", "a100")}),
        (Resources(gpus_per_task="a100:1,h100:1"), {("gpu", "a100"), ("gpu", "h100")}),
        (Resources(gres="gpu:a100:2,shard:4"), {("gpu", "a100"), ("shard", "")}),
        (Resources(gres="gres/npu:ascend910b3:8"), {("npu", "ascend910b3")}),
        (Resources(gres="gpu"), {("gpu", "")}),
        (Resources(gres="gpu:0"), set()),
        (Resources(tres_per_task="cpu=2,gres/gpu:a100=1"), {("gpu", "a100"), ("cpu", "")}),
        (Resources(tres_per_task="gres:gpu:a100:1"), {("gpu", "a100")}),
    ],
)
def test_what_is_asked_for_is_read_out_of_every_option(resources, asked):
    assert asked_of(JobSpec("#!/bin/sh\n", resources=resources)) == asked


def test_components_of_a_job_count_as_well():
    spec = JobSpec("#!/bin/sh\n", resources=Resources(gpus=1), het=(Component(Resources(gres="npu:1")),))
    assert asked_of(spec) == {("gpu", ""), ("npu", "")}


def test_a_type_says_its_family_and_what_that_needs():
    devices = devices_of({("gpu", "a100")}, set())
    assert devices.families == ("nvidia",)
    assert devices.apptainer == ("--nv",)
    assert devices.visible == {"NVIDIA_VISIBLE_DEVICES": "CUDA_VISIBLE_DEVICES"}
    assert "/dev/nvidiactl" in devices.files
    assert devices_of({("gpu", "mi300x")}, set()).apptainer == ("--rocm",)


def test_a_slice_is_of_its_accelerators_family():
    assert devices_of({("gpu", "a100_1g.5gb")}, set()).families == ("nvidia",)
    assert devices_of({("gpu", "1g.5gb")}, set()).families == ("nvidia",)
    assert devices_of({("gpu", "mi300x_cpx")}, set()).families == ("amd",)


def test_without_a_type_it_is_that_of_the_nodes():
    there = {("gpu", "h100"), ("gpu", "mi300x"), ("npu", "ascend910b3")}
    assert devices_of({("gpu", "")}, there).families == ("nvidia", "amd")
    ascend = devices_of({("npu", "")}, there)
    assert ascend.families == ("ascend",)
    assert "/dev/davinci_manager" in ascend.files
    assert "/usr/local/Ascend/driver/lib64" in ascend.mounts


def test_where_nodes_tell_no_type_it_is_what_the_site_says_and_else_nothing():
    assert devices_of({("gpu", "")}, {("gpu", "")}, ("amd",)).families == ("amd",)
    assert devices_of({("gpu", "")}, {("gpu", "")}) == Devices()


def test_what_no_family_has_needs_nothing():
    assert devices_of({("cpu", ""), ("craynetwork", ""), ("gpu", "unheard_of")}, set()) == Devices()
