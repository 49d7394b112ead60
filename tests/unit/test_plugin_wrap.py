"""Plugins that run containers: asked in real processes, refused, at fault, switched off."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager

import msgspec
import pytest

from hpcjobs.errors import PluginFailed, Refusal, Refused
from hpcjobs.hooks.asking import Asking
from hpcjobs.hooks.generation import AtWork
from hpcjobs.model.container import Container, Devices, Launch, Mount, Where, fault_of
from hpcjobs.settings import PluginSettings
from tests.unit.plugged import install

IMAGE = "docker://registry:5000/vision/train:1"
ASKED = Launch("apptainer", IMAGE, f"sha256:{'0a' * 32}", "tasks", "/scratch/alice")
CONTAINER = Container(IMAGE, scope="tasks", env={"API_KEY": "xK9"})
MOUNTS = (Mount("/home/alice"), Mount("/data", "/sets", read_only=True))
NVIDIA = Devices(("nvidia",), ("--nv",))
SAYS = (
    "replace(launch, before=('run', *devices.apptainer, *(mount.there for mount in mounts)), environment=container.env)"
)


def running(name, says=SAYS, runtime="apptainer"):
    """A plugin that answers by an expression of what it is given."""
    return f"""
        def wrap(launch, container, mounts, devices):
            return {says}
        PLUGIN = Plugin(name={name!r}, api=1, hooks=[Wrap(wrap, {runtime!r})])
    """


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    return folder


@pytest.fixture
def at_work(site):
    """Generations of plugins that are given by name and body."""

    @asynccontextmanager
    async def made(*plugins, required=True):
        for name, body in plugins:
            install(site, name, body)
        at_work = AtWork([PluginSettings(name, required=required) for name, _ in plugins])
        await at_work.load()
        try:
            yield at_work
        finally:
            await at_work.close()

    return made


@pytest.fixture
def asking(store):
    return Asking(store)


def ask(asking, at_work, launch=ASKED, container=CONTAINER, now=1.0):
    return asking.wrap(at_work, launch, container, MOUNTS, NVIDIA, now)


async def refused(asking, at_work, launch=ASKED, container=CONTAINER):
    with pytest.raises(Refused) as error:
        await ask(asking, at_work, launch, container)
    return list(error.value.refusals)


async def failed(asking, at_work):
    with pytest.raises(PluginFailed) as error:
        await ask(asking, at_work)
    return error.value


async def test_the_first_plugin_that_is_for_the_runtime_says_the_words_and_no_other_is_asked(asking, at_work):
    plugins = [
        ("boxes", running("boxes", "1 / 0", "enroot")),
        ("first", running("first")),
        ("second", running("second", "1 / 0")),
    ]
    async with at_work(*plugins) as generation:
        assert asking.runtimes(generation) == {"apptainer", "enroot"}
        assert await ask(asking, generation) == msgspec.structs.replace(
            ASKED, before=("run", "--nv", "/home/alice", "/sets"), environment={"API_KEY": "xK9"}
        )
        assert [entry.budget.failures for entry in generation.entries] == [0, 0, 0]


async def test_what_a_plugin_is_against_is_refused_and_is_no_fault_of_it(asking, at_work):
    one = Refusal("container.writable", "Not here.")
    several = [one, Refusal("container.root", "Not that either.", "no-root")]
    says = f"{several!r} if container.root else {one!r}"
    async with at_work(("boxes", running("boxes", says))) as generation:
        assert await refused(asking, generation) == [one]
        assert await refused(asking, generation, container=Container(IMAGE, root=True)) == several
        assert generation.entries[0].budget.failures == 0


async def test_a_runtime_that_no_plugin_is_for_is_refused_with_those_that_there_are(asking, at_work):
    async with at_work() as generation:
        assert asking.runtimes(generation) == frozenset()
        (refusal,) = await refused(asking, generation)
        assert (refusal.field, refusal.code) == ("container.runtime", "no-runtime")
        assert refusal.detail == "No plugin here runs containers by apptainer: what they know is nothing."
    async with at_work(("boxes", running("boxes", runtime="enroot"))) as generation:
        (refusal,) = await refused(asking, generation)
        assert refusal.detail == "No plugin here runs containers by apptainer: what they know is enroot."


@pytest.mark.parametrize("required", [True, False])
async def test_no_job_goes_without_its_container_where_the_plugin_fails_and_is_switched_off(asking, at_work, required):
    plugins = [("boxes", running("boxes", "1 / 0")), ("second", running("second"))]
    async with at_work(*plugins, required=required) as generation:
        for _ in range(5):
            error = await failed(asking, generation)
            assert error.detail.startswith("Plugin boxes could not put the job in its container: it failed;")
        assert "ZeroDivisionError" in generation.entries[0].broken
        assert "Plugin boxes is switched off" in (await failed(asking, generation)).detail
        assert asking.runtimes(generation) == {"apptainer"}


async def test_while_a_plugin_could_not_be_loaded_nobody_says_that_there_is_none_for_a_runtime(asking, at_work):
    plugins = [("lost", "import no_such_module"), ("boxes", running("boxes", runtime="enroot"))]
    async with at_work(*plugins, required=False) as generation:
        error = await failed(asking, generation)
        assert (error.transient, "lost could not be loaded" in error.detail) == (True, True)
        launch = msgspec.structs.replace(ASKED, runtime="enroot")
        assert (await ask(asking, generation, launch)).before, "what is known is asked"


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("replace(launch, before=('run',), scope='script')", "its launch has 'script' as scope"),
        ("replace(launch, before=('run',), runtime='podman')", "its answer is none"),
        ("replace(launch, before='run')", "its answer is none"),
        ("replace(launch, before=('a\\nb',))", "its launch has a word in before that is not printable"),
        ("launch", "its launch has no words"),
        ("None", "wrap must return a Launch, a Refusal or several, and returned None"),
        ("[]", "wrap must return a Launch, a Refusal or several, and returned []"),
        ("'run'", "wrap must return a Launch, a Refusal or several, and returned 'run'"),
        ("[launch]", "wrap must return a Launch, a Refusal or several, and returned [Launch"),
        ("Refusal(3, 4)", "its answer is none"),
        ("time.sleep(60)", "did not answer wrap within"),
        ("os._exit(3)", "died during wrap"),
    ],
)
async def test_what_cannot_be_meant_is_the_plugins_fault_and_not_the_users(asking, at_work, site, says, words):
    async with at_work(("boxes", running("boxes", says))) as generation:
        generation.entries[0].setting = msgspec.structs.replace(generation.entries[0].setting, timeout_s=0.5)
        await failed(asking, generation)
        assert words in generation.entries[0].last_failure
        assert generation.entries[0].budget.failures == 1


@pytest.mark.parametrize(("own", "field"), [("", "workdir"), ("/opt/a\nb", "container.workdir")])
async def test_a_directory_that_no_word_can_carry_is_the_users_fault_and_not_the_plugins(asking, at_work, own, field):
    says = "replace(launch, before=('run', '--pwd', launch.workdir))"
    async with at_work(("boxes", running("boxes", says))) as generation:
        launch = msgspec.structs.replace(ASKED, workdir=own or "/scratch/a\nb")
        (refusal,) = await refused(asking, generation, launch, Container(IMAGE, workdir=own))
        assert (refusal.field, "not all of its characters are printable" in refusal.detail) == (field, True)
        assert generation.entries[0].budget.failures == 0


@pytest.mark.parametrize(
    ("hook", "fault"),
    [
        ("Wrap(lambda launch, container, mounts, devices: launch, 'podman')",
         "boxes.wrap is for the runtime 'podman'; there are apptainer, enroot, pyxis, oci."),
        ("Wrap(lambda launch, container, mounts, devices: launch, ['oci'])", "boxes.wrap is for the runtime ['oci']"),
        ("Wrap(lambda launch, container: launch, 'oci')", "boxes.wrap cannot be called with 4 arguments"),
    ],
)  # fmt: skip
async def test_a_plugin_that_cannot_be_meant_is_not_loaded(asking, at_work, hook, fault):
    body = f"PLUGIN = Plugin(name='boxes', api=1, hooks=[{hook}])"
    async with at_work(("boxes", body)) as generation:
        assert fault in generation.entries[0].broken
        assert asking.runtimes(generation) == frozenset()


def test_a_launch_with_words_of_a_runtime_or_of_srun_can_be_meant():
    environment = {"APPTAINERENV_TEXT": "two\nlines", "_b2": ""}
    where = (Where("/opt/a b", ("--bind", "/opt/a b")),)
    copied = {"NVIDIA_VISIBLE_DEVICES": "CUDA_VISIBLE_DEVICES"}
    full = msgspec.structs.replace(
        ASKED, image="a.sif", before=("run", ""), where=where, after=("Zoë's",), environment=environment, copied=copied,
        env_flag="-e", srun=("--mpi=pmix",),
    )  # fmt: skip
    assert not fault_of(full, ASKED)
    assert not fault_of(msgspec.structs.replace(ASKED, srun=("--container=a",), environment=environment), ASKED)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"runtime": "oci"}, "has 'oci' as runtime: 'apptainer' was asked for"),
        ({"digest": ""}, "has '' as digest"),
        ({"scope": "steps"}, "has 'steps' as scope"),
        ({"workdir": ""}, "has '' as workdir"),
        ({"before": ()}, "has no words"),
        ({"before": (), "srun": ("--container=a",), "after": ("a.sif",)}, "has words behind those of a runtime"),
        ({"before": (), "srun": ("--container=a",), "env_flag": "-e"}, "has words behind those of a runtime"),
        ({"before": ("run\0",)}, "has a word in before that is not printable"),
        ({"after": ("a\u2028b",)}, "has a word in after that is not printable"),
        ({"srun": ("\ud800",)}, "has a word in srun that is not printable"),
        ({"env_flag": "-e\n"}, "has a word in env_flag that is not printable"),
        ({"image": "a\nb"}, "has a word in image that is not printable"),
        ({"where": (Where("/a", ("\n",)),)}, "has a word in where that is not printable"),
        ({"where": (Where("a", ("--bind",)),)}, "asks for 'a', which is no absolute path"),
        ({"environment": {"A B": ""}}, "has a variable that no shell can have: 'A B'"),
        ({"environment": {"A\n": ""}}, "has a variable that no shell can have"),
        ({"environment": {"": ""}}, "has a variable that no shell can have: ''"),
        ({"environment": {"A": "\0"}}, "has a NUL character in A"),
        ({"copied": {"1A": "A"}}, "has a variable that no shell can have: '1A'"),
        ({"copied": {"A": "$(id)"}}, "has a variable that no shell can have: '$(id)'"),
    ],
)
def test_a_launch_that_nobody_can_have_meant_says_why(more, fault):
    assert fault_of(msgspec.structs.replace(ASKED, **{"before": ("run",), **more}), ASKED).startswith(fault)
