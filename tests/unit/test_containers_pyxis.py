"""Containers in the options that pyxis adds to srun."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.container import Container, Devices, Launch, Mount
from hpcjobs_plugins.containers.pyxis import PLUGIN
from tests.unit.containers import ASCEND, IMAGES, NVIDIA, SITE, WORK, asked, fields, secret, some, unasked

VOID = {"NVIDIA_VISIBLE_DEVICES": "void"}
NO = ("--no-container-remap-root", "--no-container-entrypoint", "--container-readonly")


class TestPyxisConforms(PluginConformance):
    plugin = PLUGIN


def test_a_bare_image_has_home_and_the_jobs_folder():
    assert asked(PLUGIN, IMAGES["docker"]) == Launch(
        "pyxis",
        IMAGES["docker"],
        workdir=WORK,
        environment=VOID,
        srun=(
            "--container-image=ghcr.io#lab/train:1",
            f"--container-mounts=/home/alice:/home/alice,{WORK}:{WORK}",
            f"--container-workdir={WORK}",
            "--container-mount-home",
            *NO,
        ),
    )


def test_all_of_it_at_once():
    said = asked(
        PLUGIN,
        "/images/train.sqsh",
        NVIDIA,
        (SITE, Mount("/opt/lib/x")),
        mounts=(Mount("/data/sets", "/sets", read_only=True), Mount("/opt/lib")),
        env={"TOKEN": "s3cret", "LANG": "C.UTF-8"},
        workdir="/opt/app",
        home=False,
        writable=True,
        root=True,
        entrypoint=True,
        name="kept",
        save="/scratch/kept.sqsh",
        extra_args=("--container-entrypoint-log",),
    )
    assert said == Launch(
        "pyxis",
        "/images/train.sqsh",
        workdir="/opt/app",
        environment={
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "all",
            "ENROOT_RESTRICT_DEV": "n",
            "TOKEN": "s3cret",
            "LANG": "C.UTF-8",
        },
        srun=(
            "--container-image=/images/train.sqsh",
            "--container-mounts=/data/sets:/sets:ro,/opt/lib:/opt/lib,/opt/lib/x:/opt/lib/x,"
            "/home/alice/.hpcjobs/scripts:/home/alice/.hpcjobs/scripts:ro",
            "--container-workdir=/opt/app",
            "--container-name=kept",
            "--container-save=/scratch/kept.sqsh",
            "--no-container-mount-home",
            "--container-remap-root",
            "--container-entrypoint",
            "--container-writable",
            "--container-env=TOKEN,LANG",
            "--container-entrypoint-log",
        ),
    )


def test_a_digest_is_said_as_every_enroot_reads_it():
    said = asked(PLUGIN, f"docker://ghcr.io/lab/train:1@sha256:{'0a' * 32}")
    assert said.srun[0] == f"--container-image=ghcr.io#lab/train:sha256:{'0a' * 32}"


def test_without_a_folder_of_the_jobs_it_starts_where_the_image_says():
    said = PLUGIN.hooks[0].run(Launch("pyxis", "docker://docker.io/library/a:1"), Container("a:1"), (), Devices())
    assert said.srun == ("--container-image=registry-1.docker.io#library/a:1", "--container-mount-home", *NO)


def test_what_the_site_would_mount_where_it_is_there_is_left_out():
    assert asked(PLUGIN, "/a.sqsh", site=(SITE,)) == asked(PLUGIN, "/a.sqsh")


def test_accelerators_of_others_are_named_by_their_variable():
    amd = Devices(("amd",), ("--rocm",), {"AMD_VISIBLE_DEVICES": "ROCR_VISIBLE_DEVICES"}, ("/dev/kfd",))
    said = asked(PLUGIN, "/a.sqsh", amd)
    assert said.copied == {"AMD_VISIBLE_DEVICES": "ROCR_VISIBLE_DEVICES"}
    assert said.environment == VOID | {"ENROOT_RESTRICT_DEV": "n"}
    assert asked(PLUGIN, "/a.sqsh", amd, env={"AMD_VISIBLE_DEVICES": "0"}).copied == {}
    assert asked(PLUGIN, "/a.sqsh", amd, devices=False) == asked(PLUGIN, "/a.sqsh")


@pytest.mark.parametrize("kind", sorted(IMAGES.keys() - {"docker", "sqsh"}))
def test_an_image_that_it_cannot_start_is_refused(kind):
    assert fields(asked(PLUGIN, IMAGES[kind])) == ["container.image"]


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"insecure": True, "image": "docker://registry:5000/a:1"}, ["container.image"]),
        ({"authfile": "/a.json", "image": "docker://ghcr.io/a:1"}, ["container.credential"]),
        ({"needs": ASCEND}, ["container.devices"]),
        ({"mounts": (Mount("/a"), Mount("/b", optional=True))}, ["container.mounts.1"]),
        ({"mounts": (Mount("/a"), Mount("/b:c"), Mount("/d", "/e,f"))}, ["container.mounts.1", "container.mounts.2"]),
        ({"mounts": (Mount("/a b"),)}, ["container.mounts.0"]),
        ({"mounts": (Mount("/$(id)"),)}, ["container.mounts.0"]),
        ({"site": (Mount("/a:b"),)}, ["container.mounts"]),
        ({"env": {"LINES": "a\nb"}}, ["container.env"]),
        ({"env": {"QUOTED": '"a"'}}, ["container.env"]),
        ({"env": {"EMPTY": ""}}, ["container.env"]),
        ({"env": {"PATH": "/opt/bin"}}, ["container.env"]),
        ({"env": {"SLURM_EXPORT_ENV": "NONE"}}, ["container.env"]),
        ({"env": {"ENROOT_RESTRICT_DEV": "y"}}, ["container.env"]),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(more, refused):
    image = more.pop("image", "/a.sqsh")
    assert fields(asked(PLUGIN, image, **more)) == refused


def test_a_refusal_names_variables_and_no_values():
    said = asked(PLUGIN, "/a.sqsh", env={"PATH": "/s3cret", "LINES": "s3cret\n"})
    assert [one.detail.split(" cannot")[0] for one in said] == ["LINES", "PATH"]
    assert not any("s3cret" in one.detail for one in said)


def test_a_jobs_folder_that_cannot_be_said_is_refused():
    launch = Launch("pyxis", "/a.sqsh", workdir="/scratch/a:b")
    (said,) = PLUGIN.hooks[0].run(launch, Container("/a.sqsh"), (Mount("/scratch/a:b", optional=True),), Devices())
    assert (said.field, "/scratch/a:b" in said.detail) == ("container.mounts", True)


def read(option):
    """Mounts as pyxis reads them (args.c)."""
    for entry in option.removeprefix("--container-mounts=").split(","):
        source, there, *flags = entry.split(":")
        yield source, there, flags == ["ro"]


@given(some, st.sampled_from(["/a.sqsh", "docker://a:1"]), st.sampled_from([Devices(), NVIDIA]))
def test_whatever_is_asked_for_is_said_or_refused(more, image, devices):
    said = asked(PLUGIN, image, devices, (SITE,), **more)
    if not isinstance(said, Launch):
        assert not unasked(said, more)
        return
    assert secret(said) == []
    assert more.get("env", {}).items() <= said.environment.items()
    named = [word for word in said.srun if word.startswith("--container-env=")]
    assert named == ([f"--container-env={','.join(more['env'])}"] if more.get("env") else [])
    mounted = {mount for option in said.srun if option.startswith("--container-mounts=") for mount in read(option)}
    assert {(mount.source, mount.there, mount.read_only) for mount in more.get("mounts", ())} <= mounted
    assert not any(mount.optional for mount in more.get("mounts", ()))
