"""The process that plugins run in, by itself: what one call breaks is put right for the others, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
import pytest

from hpcjobs.hooks.frames import Judged
from hpcjobs.hooks.process import HookFailed, PluginProcess
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.spec import JobSpec
from hpcjobs.plugin import Context, Discovery
from hpcjobs.settings import PluginSettings
from tests.unit.plugged import install, judging

pytestmark = pytest.mark.thorough

SCRIPT = "#!/bin/sh\n"
VIEW = msgspec.msgpack.encode(ClusterView("big", 0.0, {}, {}, {}))
NAMER = judging("namer", 'replace(spec, name="named")')
TOUCHY = """
    def admit(spec, context):
        with open("FILE", "a") as file:
            file.write("asked\\n")
        does = {"hang": lambda: time.sleep(60), "die": lambda: os._exit(3), "fork": fork, "twin": twin,
                "nap": lambda: time.sleep(0.5)}
        does.get(spec.name, lambda: None)()
        return spec
    def fork():
        if os.fork() == 0:
            time.sleep(60)
        os._exit(3)
    def twin():
        if os.fork() == 0:
            raise ValueError("I am the child")
    def remember(cluster, state):
        with open("FILE") as file:
            text = file.read()
        if text == "bad":
            raise ValueError("I do not take it")
        if text == "kill":
            os._exit(3)
    def discover(cluster, state, now):
        import subprocess
        child = subprocess.Popen(["sleep", "60"])
        with open("FILE", "w") as file:
            file.write(str(child.pid))
        child.wait()
    PLUGIN = Plugin(name="touchy", api=1, hooks=[Admit(admit), Discover(discover, 60.0, remember)])
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    return path


@pytest.fixture
def site(tmp_path, file, monkeypatch):
    folder = tmp_path / "site"
    install(folder, "namer", NAMER)
    install(folder, "touchy", TOUCHY.replace("FILE", str(file)))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    return folder


@pytest.fixture
async def process(site):
    made = PluginProcess([PluginSettings("namer"), PluginSettings("touchy")])
    assert [one.fault for one in await made.start()] == ["", ""]
    yield made
    await made.close()


def admit(process, plugin, name="any", timeout_s=5.0):
    asked, context = JobSpec(SCRIPT, name=name), Context("alice", "big", 0.0)
    args = {"spec": msgspec.msgpack.encode(asked), "context": msgspec.msgpack.encode(context)}
    return process.ask("admit", {"plugin": plugin, **args}, Judged, timeout_s)


async def named(process):
    said = await admit(process, "namer")
    return said.spec is not None and said.spec.name == "named"


def gone(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def soon(condition, timeout_s=5.0):
    give_up = time.monotonic() + timeout_s
    while True:
        if condition() or time.monotonic() > give_up:
            return condition()
        await asyncio.sleep(0.02)


async def test_what_it_shall_know_is_told_again_where_another_call_took_the_process_with_it(process):
    dying = asyncio.create_task(admit(process, "touchy", "die"))
    await asyncio.sleep(0)
    await process.know("view", {"cluster": "big", "view": VIEW}, "big")
    with pytest.raises(HookFailed, match="died during admit"):
        await dying
    assert await named(process)


@pytest.mark.parametrize("now", ["bad", "kill"])
async def test_what_a_plugin_does_not_take_any_more_keeps_nothing_from_the_others(process, file, now):
    await process.know("remember", {"plugin": "touchy", "cluster": "big", "state": b"x"}, "touchy", "big")
    os.kill(process._process.pid, signal.SIGKILL)
    file.write_text(now)
    assert await named(process)
    assert await named(process)
    os.kill(process._process.pid, signal.SIGKILL)
    starts = process.starts
    assert await named(process)
    assert process.starts == starts + 1, "it was forgotten"


async def test_where_no_process_can_be_started_nobody_is_to_blame(process, monkeypatch):
    os.kill(process._process.pid, signal.SIGKILL)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/no/such/python")
        with pytest.raises(HookFailed, match="no process can be started") as failed:
            await named(process)
    assert failed.value.blameless
    assert await named(process)


async def test_a_call_that_hung_is_not_asked_again_whoever_comes_while_it_is_ended(process, file, monkeypatch):
    kill = process._channel._kill

    async def slowly(pid):
        await asyncio.sleep(0.4)
        await kill(pid)

    monkeypatch.setattr(process._channel, "_kill", slowly)
    hanging = asyncio.create_task(admit(process, "touchy", "hang", 0.3))
    await asyncio.sleep(0.5)
    assert await named(process)
    with pytest.raises(HookFailed, match=r"did not answer admit within 0\.3 s"):
        await hanging
    assert file.read_text() == "asked\n"


async def test_a_call_is_answered_however_many_before_it_take_the_process_with_them(process):
    dying = [asyncio.create_task(admit(process, "touchy", "die")) for _ in range(6)]
    await asyncio.sleep(0)
    assert await named(process)
    died = await asyncio.gather(*dying, return_exceptions=True)
    assert [(type(error), error.blameless) for error in died] == [(HookFailed, False)] * 6
    assert process.starts >= 2 * 6, "each took two with it"


async def test_a_call_that_was_begun_while_a_late_one_was_ended_is_not_the_late_one(process, file, monkeypatch):
    channel = process._channel
    kill = channel._kill

    async def when_both_have_begun(pid):
        assert await soon(lambda: file.read_text() == "asked\n" * 2)
        await kill(pid)

    monkeypatch.setattr(channel, "_kill", when_both_have_begun)
    both = await asyncio.gather(admit(process, "touchy", "nap", 0.1), admit(process, "touchy", "nap"))
    assert both == [Judged()] * 2
    assert file.read_text() == "asked\n" * 3, "the second was ended in it, and asked again"


async def test_new_code_on_disk_is_not_run_before_it_is_reloaded(process, site):
    install(site, "namer", NAMER.replace('"named"', '"new"'))
    with pytest.raises(HookFailed, match="died"):
        await admit(process, "touchy", "die")
    with pytest.raises(HookFailed, match="its code has changed on disk: reload the plugins"):
        await named(process)
    assert (await admit(process, "touchy")) == Judged(), "others go on"
    install(site, "namer", NAMER)
    with pytest.raises(HookFailed, match="died"):
        await admit(process, "touchy", "die")
    assert await named(process), "the old code is there again"


async def test_a_second_process_of_a_generation_runs_the_code_of_the_first_or_none(process, site):
    brought = [msgspec.structs.replace(one) for one in process._first.values()]
    for body, runs in [(NAMER, True), (NAMER.replace('"named"', '"new"'), False)]:
        install(site, "namer", body)
        second = PluginProcess([PluginSettings("namer")], brought)
        try:
            if runs:
                assert await named(second)
            else:
                with pytest.raises(HookFailed, match="its code has changed on disk"):
                    await named(second)
        finally:
            await second.close()


async def test_what_a_hook_has_started_ends_with_its_process(process, file):
    args = {"plugin": "touchy", "cluster": "big", "state": None, "now": 0.0}
    with pytest.raises(HookFailed, match="did not answer discover"):
        await process.ask("discover", args, Discovery | None, 1.0)
    assert await soon(lambda: gone(int(file.read_text())))


async def test_a_process_that_left_a_child_behind_is_known_to_be_dead_and_the_child_ends_with_it(process):
    with pytest.raises(HookFailed, match="it "):
        await admit(process, "touchy", "fork", 0.5)
    assert await named(process)


async def test_a_child_that_a_hook_has_left_running_answers_nobody(process):
    said = [await admit(process, "touchy", "twin") for _ in range(3)]
    assert said == [Judged()] * 3
    assert await named(process)


async def test_an_ended_process_is_not_made_again(process):
    await process.close()
    with pytest.raises(HookFailed, match="is gone"):
        await named(process)
    with pytest.raises(HookFailed, match="is gone"):
        await process.know("view", {"cluster": "big", "view": VIEW}, "big")
    assert process.starts == 1


HANGING = """
import asyncio, sys, msgspec
from tests.api.test_plugin_process import PluginProcess, PluginSettings, admit
async def main():
    process = PluginProcess([PluginSettings("touchy")])
    await process.start()
    print(process._process.pid, flush=True)
    await admit(process, "touchy", "hang", 60.0)
asyncio.run(main())
"""


async def test_a_hook_that_hangs_does_not_outlive_a_killed_service(site, file):
    root = Path(__file__).parents[2]
    variables = {**os.environ, "PYTHONPATH": f"{root}:{os.environ['PYTHONPATH']}"}
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGING, stdout=asyncio.subprocess.PIPE, env=variables
    )
    assert service.stdout is not None
    worker = int(await service.stdout.readline())
    try:
        assert await soon(lambda: file.read_text() == "asked\n")
        service.kill()
        await service.wait()
        assert await soon(lambda: gone(worker))
    finally:
        if not gone(worker):
            os.kill(worker, signal.SIGKILL)
