"""Containers in the words of Apptainer."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.container import Container, Devices, Launch, Mount, Where
from hpcjobs_plugins.containers.apptainer import PLUGIN
from tests.unit.containers import ASCEND, HOME, IMAGES, NVIDIA, SITE, WORK, asked, fields, secret, some, unasked, value

HOME_WORDS = ("--mount", "type=bind,src=/home/alice,dst=/home/alice")
PLAIN = ("apptainer", "exec", "--no-eval", "--no-mount", "cwd")
AT_WORK = (Where(WORK, ("--mount", f"type=bind,src={WORK},dst={WORK}")), Where(WORK, ("--pwd", WORK)))


class TestApptainerConforms(PluginConformance):
    plugin = PLUGIN


def test_a_bare_image_has_home_and_the_jobs_folder():
    assert asked(PLUGIN, IMAGES["docker"]) == Launch(
        "apptainer",
        IMAGES["docker"],
        workdir=WORK,
        before=(*PLAIN, *HOME_WORDS),
        where=AT_WORK,
        after=("docker://ghcr.io/lab/train:1",),
    )


def test_all_of_it_at_once():
    said = asked(
        PLUGIN,
        "/images/train.sif",
        NVIDIA,
        (SITE, Mount("/opt/site/etc", "/etc/site")),
        mounts=(Mount("/data/sets", "/sets", read_only=True), Mount("/opt/site/more"), Mount('/a,b:c "d"', "/there")),
        env={"TOKEN": "s3cret $HOME", "PATH": "/opt/bin:/bin"},
        workdir="/opt/app",
        home=False,
        writable=True,
        root=True,
        entrypoint=True,
        extra_args=("--ipc",),
    )
    assert said == Launch(
        "apptainer",
        "/images/train.sif",
        workdir="/opt/app",
        before=(
            "apptainer", "run", "--no-eval", "--no-mount", "home,cwd", "--nv", "--writable-tmpfs", "--fakeroot",
            "--mount", "type=bind,src=/data/sets,dst=/sets,ro",
            "--mount", 'type=bind,"src=/a,b:c ""d""",dst=/there',
            "--mount", "type=bind,src=/opt/site/etc,dst=/etc/site",
            "--mount", "type=bind,src=/home/alice/.hpcjobs/scripts,dst=/home/alice/.hpcjobs/scripts,ro",
            "--pwd", "/opt/app", "--ipc",
        ),
        where=(
            Where("/opt/site", ("--mount", "type=bind,src=/opt/site,dst=/opt/site,ro")),
            Where(WORK, ("--mount", f"type=bind,src={WORK},dst={WORK}")),
            Where("/", ("--mount", "type=bind,src=/opt/site/more,dst=/opt/site/more")),
        ),
        after=("/images/train.sif",),
        environment={
            "APPTAINER_CONTAIN": "0",
            "APPTAINER_CONTAINALL": "0",
            "APPTAINERENV_TOKEN": "s3cret $HOME",
            "APPTAINERENV_PATH": "/opt/bin:/bin",
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("image", "given_as"),
    [
        *((text, text) for text in IMAGES.values()),
        (f"docker://ghcr.io/lab/train:1@sha256:{'0a' * 32}", f"docker://ghcr.io/lab/train@sha256:{'0a' * 32}"),
        ("docker-archive:/images/two.tar:lab/train:1", "docker-archive:/images/two.tar:lab/train:1"),
    ],
)
def test_every_form_of_an_image_is_read(image, given_as):
    assert asked(PLUGIN, image).after == (given_as,)


def test_a_registry_without_https_is_said_to_be_one():
    assert "--no-https" in asked(PLUGIN, "docker://registry:5000/a:1", insecure=True).before
    assert "--no-https" not in asked(PLUGIN, "/images/a.sif", insecure=True).before


@pytest.mark.parametrize("kind", sorted(IMAGES))
def test_who_asks_a_registry_is_said_by_a_file_where_one_is_asked(kind):
    path = "/home/alice/.hpcjobs/credentials/hub.json"
    said = asked(PLUGIN, IMAGES[kind], authfile=path, credential="hub")
    assert value(said.before, "--authfile") == ([path] if kind in ("docker", "oras") else [])
    assert "--authfile" not in asked(PLUGIN, IMAGES[kind]).before


def test_the_program_starts_in_the_jobs_folder_where_home_has_it():
    wrap, launch = PLUGIN.hooks[0].run, Launch("apptainer", "/a.sif", workdir="/home/alice/run")
    said = wrap(launch, Container("/a.sif"), (HOME,), Devices())
    assert said.before == (*PLAIN, *HOME_WORDS, "--pwd", "/home/alice/run")
    assert wrap(launch, Container("/a.sif"), (), Devices()).before == PLAIN


def test_accelerators_bring_their_flags_and_what_a_node_has_of_their_folders():
    said = asked(PLUGIN, "/a.sif", ASCEND)
    folder = Where("/usr/local/dcmi", ("--mount", "type=bind,src=/usr/local/dcmi,dst=/usr/local/dcmi"))
    assert said.where == (AT_WORK[0], folder, AT_WORK[1])
    assert said.environment == {"APPTAINER_CONTAIN": "0", "APPTAINER_CONTAINALL": "0"}
    assert not any("/dev/" in word for word in said.before)
    assert asked(PLUGIN, "/a.sif", NVIDIA, devices=False) == asked(PLUGIN, "/a.sif")


def test_a_folder_of_the_driver_that_the_job_mounts_is_mounted_once():
    said = asked(PLUGIN, "/a.sif", ASCEND, mounts=(Mount("/usr/local/dcmi", read_only=True),))
    assert sum("dcmi" in word for word in (*said.before, *(w for one in said.where for w in one.words))) == 1


@pytest.mark.parametrize(
    ("image", "more", "refused"),
    [
        ("/a.sif", {"name": "kept", "save": "/b.sif"}, ["container.name", "container.save"]),
        ("/a.sqsh", {"entrypoint": True}, ["container.entrypoint"]),
        ("/a.sif", {"env": {"HOME": "/", "APPTAINER_NAME": "a", "GOOD": "b"}}, ["container.env"]),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(image, more, refused):
    assert fields(asked(PLUGIN, image, **more)) == refused


def test_a_refusal_names_variables_and_no_values():
    (said,) = asked(PLUGIN, "/a.sif", env={"HOME": "/s3cret", "UID": "7"})
    assert said.detail.startswith("HOME, UID are Apptainer's own")
    assert "s3cret" not in said.detail


def read(spec):
    """A mount as Apptainer's parser of --mount reads it (pkg/runtime/engine/apptainer/config/mount.go)."""
    (row,) = csv.reader([spec], strict=True)
    told = dict(field.partition("=")[::2] for field in row)
    assert told.keys() <= {"type", "src", "dst", "ro"}
    return told["src"], told["dst"], "ro" in told


@given(some, st.sampled_from(["/a.sif", "/a.sqsh", "docker://a:1"]), st.sampled_from([Devices(), NVIDIA, ASCEND]))
def test_whatever_is_asked_for_is_said_or_refused(more, image, devices):
    said = asked(PLUGIN, image, devices, (SITE,), **more)
    if not isinstance(said, Launch):
        assert not unasked(said, more)
        return
    assert secret(said) == []
    assert {said.environment[f"APPTAINERENV_{name}"] for name in more.get("env", {})} == {*more.get("env", {}).values()}
    everywhere = {read(spec) for spec in value(said.before, "--mount")}
    perhaps = {(one.path, read(spec)) for one in said.where for spec in value(one.words, "--mount")}
    everywhere |= {mount for path, mount in perhaps if path == "/"}
    for mount in more.get("mounts", ()):
        told = (mount.source, mount.there, mount.read_only)
        assert ((mount.source, told) in perhaps) if mount.optional else (told in everywhere)
