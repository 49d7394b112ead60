"""Containers in the words of Enroot, and what its shell makes of them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs.containers.script import FOLDER, NOT_HANDED_ON, run_script
from hpcjobs.model.container import Container, Devices, Launch, Mount, Where
from hpcjobs_plugins.containers.common import steers
from hpcjobs_plugins.containers.enroot import KEPT, PLUGIN, RC, START
from tests.unit.containers import ASCEND, IMAGES, NVIDIA, SITE, WORK, asked, fields, secret, some, unasked, value

SQSH = "/images/train.sqsh"
BEGIN = ("sh", "-c", START, "enroot", RC)
OPTIONS = "none:x-create=auto,rbind"
HOME_WORDS = ("--mount", f"/home/alice:/home/alice:{OPTIONS}")
AS_IT_IS = {"ENROOT_MOUNT_HOME": "y", "ENROOT_REMAP_ROOT": "n", "ENROOT_ROOTFS_WRITABLE": "n"}


class TestEnrootConforms(PluginConformance):
    plugin = PLUGIN


def test_a_bare_image_has_home_and_the_jobs_folder():
    assert asked(PLUGIN, SQSH) == Launch(
        "enroot",
        SQSH,
        workdir=WORK,
        before=(*BEGIN, *HOME_WORDS),
        where=(Where(WORK, ("--mount", f"{WORK}:{WORK}:{OPTIONS}")),),
        after=(SQSH, "exec", WORK, "may", "--"),
        environment=AS_IT_IS | {"NVIDIA_VISIBLE_DEVICES": "void"},
        env_flag="--env",
    )


def test_all_of_it_at_once():
    said = asked(
        PLUGIN,
        SQSH,
        NVIDIA,
        (SITE,),
        mounts=(Mount("/data/sets", "/sets", read_only=True), Mount("/opt/site/more"), Mount("/a,b", "/there")),
        env={"TOKEN": "s3cret", "PATH": "/opt/bin", "LD_PRELOAD": "/opt/lib/x.so"},
        workdir="/opt/app",
        home=False,
        writable=True,
        root=True,
        entrypoint=True,
        extra_args=("--ipc",),
    )
    assert said == Launch(
        "enroot",
        SQSH,
        workdir="/opt/app",
        before=(
            *BEGIN,
            "--mount", f"/data/sets:/sets:{OPTIONS},ro",
            "--mount", f"/a,b:/there:{OPTIONS}",
            "--mount", f"/home/alice/.hpcjobs/scripts:/home/alice/.hpcjobs/scripts:{OPTIONS},ro",
            "--ipc",
        ),
        where=(
            Where("/opt/site", ("--mount", f"/opt/site:/opt/site:{OPTIONS},ro")),
            Where(WORK, ("--mount", f"{WORK}:{WORK}:{OPTIONS}")),
            Where("/", ("--mount", f"/opt/site/more:/opt/site/more:{OPTIONS}")),
        ),
        after=(SQSH, "run", "/opt/app", "must", "PATH", "LD_PRELOAD", "--"),
        environment={
            "ENROOT_MOUNT_HOME": "n",
            "ENROOT_REMAP_ROOT": "y",
            "ENROOT_ROOTFS_WRITABLE": "y",
            "NVIDIA_VISIBLE_DEVICES": "void",
            "NVIDIA_DRIVER_CAPABILITIES": "all",
            "ENROOT_RESTRICT_DEV": "n",
            "TOKEN": "s3cret",
            "HPCJOBS_INSIDE_PATH": "/opt/bin",
            "HPCJOBS_INSIDE_LD_PRELOAD": "/opt/lib/x.so",
        },
        copied={"NVIDIA_VISIBLE_DEVICES": "CUDA_VISIBLE_DEVICES"},
        env_flag="--env",
    )  # fmt: skip


def test_folders_of_a_driver_are_mounted_where_a_node_has_them():
    said = asked(PLUGIN, SQSH, ASCEND)
    assert said.where[-1] == Where("/usr/local/dcmi", ("--mount", f"/usr/local/dcmi:/usr/local/dcmi:{OPTIONS}"))
    assert said.copied == {"ASCEND_VISIBLE_DEVICES": "ASCEND_RT_VISIBLE_DEVICES"}
    assert said.environment == AS_IT_IS | {"NVIDIA_VISIBLE_DEVICES": "void", "ENROOT_RESTRICT_DEV": "n"}


def test_a_container_without_accelerators_is_not_given_a_driver_because_its_image_says_so():
    assert asked(PLUGIN, SQSH, NVIDIA, devices=False) == asked(PLUGIN, SQSH)
    assert asked(PLUGIN, SQSH).environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_what_the_job_says_of_its_devices_counts():
    said = asked(PLUGIN, SQSH, NVIDIA, env={"NVIDIA_VISIBLE_DEVICES": "0", "NVIDIA_DRIVER_CAPABILITIES": "utility"})
    assert said.copied == {}
    assert said.environment["NVIDIA_VISIBLE_DEVICES"] == "0"
    assert said.environment["NVIDIA_DRIVER_CAPABILITIES"] == "utility"


@pytest.mark.parametrize("kind", sorted(IMAGES.keys() - {"sqsh"}))
def test_an_image_that_it_cannot_start_is_refused(kind):
    (said,) = asked(PLUGIN, IMAGES[kind])
    assert said.field == "container.image"
    assert ("pyxis" if kind in ("docker", "oras", "library") else "Apptainer") in said.detail


@pytest.mark.parametrize(
    ("image", "more", "refused"),
    [
        (SQSH, {"name": "kept", "save": "/b.sqsh"}, ["container.name", "container.save"]),
        (SQSH, {"env": {"LINES": "a\nb"}}, ["container.env"]),
        (SQSH, {"env": {"QUOTED": "'a' "}}, ["container.env"]),
        (SQSH, {"env": {"ENROOT_RESTRICT_DEV": "y"}}, ["container.env"]),
        (
            SQSH,
            {"mounts": (Mount("/a"), Mount("/b c"), Mount("/d", "/e:f"))},
            ["container.mounts.1", "container.mounts.2"],
        ),
        (SQSH, {"site": (Mount("/a\\b"),)}, ["container.mounts"]),
        ("/it's.sqsh", {}, ["container.image"]),
        ("docker://ghcr.io/a:1", {"authfile": "/a.json"}, ["container.image", "container.credential"]),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(image, more, refused):
    assert fields(asked(PLUGIN, image, **more)) == refused


def test_a_variable_may_be_empty_and_have_quotes_within():
    env = {"EMPTY": "", "SAID": 'it\'s "so"', "QUOTE": '"', "ODD": " a = $HOME `b` \\ "}
    assert {name: asked(PLUGIN, SQSH, env=env).environment[name] for name in env} == env


def test_every_variable_that_is_not_handed_on_is_set_by_the_shell_inside():
    assert all(steers(name) for name in NOT_HANDED_ON)
    assert f"/{FOLDER}/enroot-" in KEPT


def read(spec):
    """A mount as Enroot reads it (src/runtime.sh, bin/enroot-mount.c)."""
    source, there, kind, options = spec.split(":")
    assert not re.search(r"\s", spec)
    assert (kind, options.removesuffix(",ro")) == ("none", "x-create=auto,rbind")
    return source, there, options.endswith(",ro")


@given(some, st.sampled_from([Devices(), NVIDIA, ASCEND]))
def test_whatever_is_asked_for_is_said_or_refused(more, devices):
    said = asked(PLUGIN, SQSH, devices, (SITE,), **more)
    if not isinstance(said, Launch):
        assert not unasked(said, more)
        return
    assert secret(said) == []
    for name, told in more.get("env", {}).items():
        assert said.environment[f"HPCJOBS_INSIDE_{name}" if name in said.after[4:-1] else name] == told
    everywhere = {read(spec) for spec in value(said.before, "--mount")}
    perhaps = {(one.path, read(spec)) for one in said.where for spec in value(one.words, "--mount")}
    everywhere |= {mount for path, mount in perhaps if path == "/"}
    for mount in more.get("mounts", ()):
        told = (mount.source, mount.there, mount.read_only)
        assert ((mount.source, told) in perhaps) if mount.optional else (told in everywhere)


ENROOT = """\
#!/bin/bash
[ "$1 $2" = "start --rc" ] || exit 90
rc=$3 named=() ; shift 3
while [ "${1#--}" != "$1" ]; do
  [ "$1" != --env ] || named+=("$2=${!2}")
  echo "$1 $2" >>"$HOME/said"
  shift 2
done
echo "image $1" >>"$HOME/said"
shift
exec env -i "${named[@]}" SHELL_OF_IMAGE sh "$rc" "$@"
"""
"""What Enroot does with its words: it hands on what is named, and lets a shell of the image run the script."""


class Node:
    """A home, and an Enroot that tells what it was given; ``/etc/rc`` of its images is a file of ours."""

    def __init__(self, folder, shell):
        self.home, self.bin, self.rc = folder / "home", folder / "bin", folder / "rc"
        for made in (self.home, self.bin, folder / "work", folder / "image"):
            made.mkdir()
        (self.bin / "enroot").write_text(ENROOT.replace("SHELL_OF_IMAGE sh", shell))
        (self.bin / "enroot").chmod(0o755)

    def run(self, launch, *words, **environment):
        """The run script as the house makes it, with a program behind it; in the image is nothing but /etc/rc."""
        script = run_script(launch).replace("/etc/rc", str(self.rc))
        told = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.home), "SLURM_JOB_ID": "7", **environment}
        return subprocess.run(["sh", "-c", script, "run", *words], env=told, capture_output=True, text=True, timeout=30)

    @property
    def kept(self):
        return sorted((self.home / FOLDER).iterdir())


SHELLS = [shell for shell in ("dash", "bash", "bash --posix", "busybox sh") if shutil.which(shell.split()[0])]


@pytest.fixture(params=SHELLS)
def node(tmp_path, request):
    return Node(tmp_path, request.param)


def image(node, entrypoint=""):
    """An /etc/rc as Enroot makes it of a Docker image (src/docker.sh)."""
    folder = node.rc.parent / "image"
    node.rc.write_text(
        f'# a label\n\nmkdir -p "{folder}" 2> /dev/null\ncd "{folder}" && unset OLDPWD || exit 1\n\n'
        f'if [ $# -gt 0 ]; then\n    exec {entrypoint} "$@"\nelse\n    exec {entrypoint} sh\nfi\n'
    )
    return folder


def launched(work, **more):
    launch = Launch("enroot", SQSH, workdir=str(work))
    return PLUGIN.hooks[0].run(launch, Container(SQSH, **more), (Mount(str(work), optional=True),), Devices())


TOLD = 'printf "%s|" "$PWD" "$@" "$TOKEN" "$PATH" "${HPCJOBS_INSIDE_PATH-unset}"; exit 7'


def test_the_program_starts_in_the_jobs_folder_with_its_words_and_variables(node):
    image(node, "false")
    work, words = node.rc.parent / "work", ("/bin/sh", "-c", TOLD, "it", "a b", "")
    ended = node.run(launched(work, env={"PATH": "/usr/bin:/opt/it's", "TOKEN": "s3cret"}), *words, FROM_JOB="1")
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, f"{work}|a b||s3cret|/usr/bin:/opt/it's|unset|", "")
    said = (node.home / "said").read_text().splitlines()
    assert said[0] == f"--mount {work}:{work}:{OPTIONS}"
    assert {"--env TOKEN", "--env FROM_JOB", "--env HPCJOBS_INSIDE_PATH"} <= set(said)
    assert "--env PATH" not in said
    assert said[-1] == f"image {SQSH}"


def test_the_entry_point_gets_the_program_in_the_jobs_folder(node):
    image(node, "/usr/bin/env ENTERED=yes")
    work = node.rc.parent / "work"
    launch = launched(work, entrypoint=True, env={"PATH": "/bin"})
    ended = node.run(launch, "/bin/sh", "-c", 'echo "$PWD $ENTERED $PATH"')
    assert (ended.stdout, ended.stderr) == (f"{work} yes /bin\n", "")


@pytest.mark.parametrize("entrypoint", [True, False])
def test_where_the_jobs_folder_is_not_there_it_starts_where_the_image_says(node, entrypoint):
    folder = image(node)
    ended = node.run(launched("/no/such/folder", entrypoint=entrypoint), "/bin/pwd")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{folder}\n", "")


@pytest.mark.parametrize("entrypoint", [True, False])
def test_where_the_folder_that_was_asked_for_is_not_there_it_does_not_start(node, entrypoint):
    image(node)
    ended = node.run(launched("/work", workdir="/no/such/folder", entrypoint=entrypoint), "/bin/echo", "started")
    assert ended.returncode != 0
    assert "started" not in ended.stdout
    assert "/no/such/folder" in ended.stderr


def test_an_image_without_a_script_of_its_own_runs_the_program(node):
    work = node.rc.parent / "work"
    for entrypoint in (True, False):
        ended = node.run(launched(work, entrypoint=entrypoint), "/bin/pwd")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{work}\n", "")
    assert node.run(launched("/no/such/folder"), "/bin/echo", "a").stdout == "a\n"


def test_the_shell_inside_is_kept_once_for_its_user_alone(node):
    work = node.rc.parent / "work"
    for _ in range(2):
        assert node.run(launched(work), "/bin/true").returncode == 0
    (kept,) = node.kept
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert kept.read_text() == RC.replace("/etc/rc", str(node.rc)) + "\n"


def test_a_home_that_cannot_be_written_is_said_before_anything_starts(node):
    (node.home / ".hpcjobs").write_text("in the way")
    ended = node.run(launched("/work"), "/bin/echo", "started")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr


def test_no_secret_is_among_the_words_that_are_run(node):
    said = launched("/work", env={"TOKEN": "s3cret", "PATH": "/s3cret"})
    assert "s3cret" not in shlex.join([*said.before, *said.after])
