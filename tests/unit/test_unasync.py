"""The synchronous client is what scripts/unasync makes of the asynchronous one."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from hpcjobs.client import AsyncClient, AsyncFiles, AsyncWebhooks, Client, Files, Webhooks
from hpcjobs.client.fields import ChangesFields, ComponentFields, ResourcesFields, SpecFields
from hpcjobs.model.order import Changes
from hpcjobs.model.spec import Component, JobSpec, Resources

ROOT = Path(__file__).parents[2]


def test_what_is_made_is_in_step_with_what_it_is_made_of():
    done = subprocess.run(
        [sys.executable, "scripts/unasync", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("sync", "other"), [(Client, AsyncClient), (Files, AsyncFiles), (Webhooks, AsyncWebhooks)])
def test_both_have_the_same_methods_with_the_same_parameters(sync, other):
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: [*inspect.signature(method).parameters] for name, method in found if not name.startswith("_")}

    assert methods(sync) == {name.replace("aclose", "close"): said for name, said in methods(other).items()}
    assert not any(inspect.iscoroutinefunction(method) for _, method in inspect.getmembers(sync))


@pytest.mark.parametrize(
    ("fields", "struct"),
    [(SpecFields, JobSpec), (ResourcesFields, Resources), (ComponentFields, Component), (ChangesFields, Changes)],
)
def test_what_can_be_given_by_name_is_every_field(fields, struct):
    worked_out = {"launch"}  # at admission
    assert tuple(fields.__annotations__) == tuple(name for name in struct.__struct_fields__ if name not in worked_out)


TYPED = """
from hpcjobs.client import AsyncClient, Client
from hpcjobs.model.job import State

def sync(client: Client) -> None:
    reveal_type(client.submit(script="x", resources={"nodes": 2}, requeue="expedite"))
    reveal_type(client.jobs(state=[State.RUNNING]))
    reveal_type(client.files("big").read("/a"))
    client.submit(script=1)
    client.submit(nodes=2)
    client.submit(script="x", resources={"nodez": 2})
    client.jobs(state="RUNNING", since="now")
    client.update("7", nice="5")

async def other(client: AsyncClient) -> None:
    reveal_type(await client.submit(script="x"))
    async for event in client.events(after=4):
        reveal_type(event)
"""


@pytest.mark.thorough
def test_types_are_known_and_mistakes_are_found(tmp_path):
    (tmp_path / "typed.py").write_text(TYPED)
    command = [Path(sys.executable).with_name("mypy"), "--strict", "--no-error-summary", "--hide-error-codes"]
    done = subprocess.run([*command, tmp_path / "typed.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    said = [line.partition(".py:")[2] for line in done.stdout.splitlines()]
    revealed = [line.split('"')[1] for line in said if "Revealed" in line]
    assert revealed == [
        "hpcjobs.model.job.Job",
        "typing.Generator[hpcjobs.model.job.Job, None, None]",
        "bytes",
        "hpcjobs.model.job.Job",
        "hpcjobs.model.event.Event",
    ], done.stdout
    assert sorted({int(line.split(":")[0]) for line in said if "error" in line}) == [9, 10, 11, 12, 13], done.stdout
