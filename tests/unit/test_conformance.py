"""The tests that authors of plugins import: what they let pass, and what not."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from hpcjobs.conformance import IMAGES, WRAPPED, faults_of
from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Devices, Launch, Where
from hpcjobs.model.image import Kind, parse_image
from hpcjobs.model.placement import Placement
from hpcjobs.model.report import Column, Ready, Table
from hpcjobs.plugin import Admit, Configure, Hook, Observe, Place, Plugin, Report, Wrap

WHATEVER = "a report is a table whatever usage answers"
SAME = "the same question has the same answer"
ASKS = "its reports ask what can be asked"


def failed(*hooks: Hook) -> dict[str, str]:
    """Which tests fail beside that of the entry point, and why."""
    found = dict(faults_of(Plugin("here", 1, hooks), {}))
    found.pop("an entry point of its name leads to it")
    return {test: fault for test, fault in found.items() if fault}


def test_a_plugin_that_keeps_all_of_it_passes():
    assert not failed(
        Admit(lambda spec, context: Refusal("name", "No names.") if spec.name else spec),
        Place(lambda spec, view: Placement(nodes=("n1",)) if spec.parallel else None),
        Configure(lambda inventory: {"a.conf": ""}),
        Observe(lambda event: None),
    )


def test_a_plugin_may_be_against_placing_a_job():
    assert not failed(Place(lambda spec, view: Refusal("parallel", "Too large.") if spec.parallel else None))


@pytest.mark.parametrize(
    ("hook", "test", "fault"),
    [
        (Admit(lambda spec, context: []), "jobs of every shape are judged", "without a refusal"),
        (Admit(lambda spec, context: 1 / 0), "jobs of every shape are judged", "ZeroDivisionError"),  # type: ignore[arg-type, return-value]
        (Admit(lambda spec, context: Refusal("", "")), "jobs of every shape are judged", "says nothing"),
        (Place(lambda spec, view: 7), "a placement names nodes that are there", "returned 7"),  # type: ignore[arg-type, return-value]
        (Place(lambda spec, view: Placement(nodes=("x",))), "a placement names nodes that are there", "not there"),
        (Place(lambda spec, view: Placement(nodes=())), "a placement names nodes that are there", "on no node"),
        (Place(lambda spec, view: Refusal("", "")), "a placement names nodes that are there", "says nothing"),
        (Observe(lambda event: open("/dev/null").close()), "hooks do no io", "observe does I/O: open"),
        (Configure(lambda inventory: {"../a": ""}), "configuration is text by file name", "../a"),
    ],
)  # fmt: skip
def test_what_a_plugin_must_not_do_is_said(hook: Hook, test: str, fault: str):
    assert fault in failed(hook)[test]


READY = Ready("own", "Own", "What it tells.", ("gpu",), ("gpu_hours", "gpu_busy"))
COLUMN = Column("n", "n", "", "How many.")


def reporting(run: Callable[[str, Table], object], report: Ready = READY) -> Report:
    return Report(run, (report,))  # type: ignore[arg-type]


def told(answer: Table, columns: tuple[Column, ...], *rows: tuple[object, ...]) -> Table:
    return msgspec.structs.replace(answer, columns=columns, rows=rows, total=None)


def test_a_plugin_that_reports_passes():
    assert not failed(reporting(lambda name, answer: answer))
    assert not failed(reporting(lambda name, answer: told(answer, (COLUMN,), (len(answer.rows),))))


@pytest.mark.parametrize(
    ("hook", "test", "fault"),
    [
        (reporting(lambda name, answer: answer.rows), WHATEVER, "report returned"),
        (reporting(lambda name, answer: told(answer, (COLUMN,), (1, 2))), WHATEVER, "not 1 cells"),
        (reporting(lambda name, answer: told(answer, (Column("n", "n"),), (1,))), WHATEVER, "says not what it is"),
        (reporting(lambda name, answer: told(answer, (COLUMN,), (1 / len(answer.rows),))), WHATEVER, "ZeroDivision"),
        (reporting(lambda name, answer: told(answer, (COLUMN,), (random.random(),))), SAME, "two reports own"),
        (reporting(lambda name, answer: open("/dev/null").close() or answer), "hooks do no io", "report does I/O"),
        (reporting(lambda name, answer: answer, msgspec.structs.replace(READY, by=("joy",))), ASKS, "joy"),
    ],
)  # fmt: skip
def test_what_a_report_must_not_be_is_said(hook: Report, test: str, fault: str):
    assert fault in failed(hook)[test]


STARTED = "a container is started or refused"
KEPT = "what a container asks for is never left out"
WORDS = "no value of a variable is a word"
HOME = "a container without its home does not have it"
GIVEN = "what a runtime is given stays as it is"
replace = msgspec.structs.replace
BARE = Container("")


def boxed(launch, container, mounts, devices):
    """A runtime that can do all but two things, and says so."""
    if against := [field for field in ("save", "entrypoint") if getattr(container, field)]:
        return [Refusal(f"container.{field}", "It cannot be had.") for field in against]
    flags = [f"--{field}={getattr(container, field)}" for field in ("writable", "root", "name")]
    binds = {mount: ("--mount", f"{mount.source}:{mount.there}:{mount.read_only}") for mount in mounts}
    there = [word for mount in mounts if not mount.optional for word in binds[mount]]
    where = [Where(mount.source, binds[mount]) for mount in mounts if mount.optional]
    where += [Where(path, ("--mount", path)) for path in (*devices.files, *devices.mounts)]
    flags += [f"--asks={launch.authfile}"]
    before = ("box", *flags, "--cd", launch.workdir, *there, *container.extra_args)
    environment = {f"BOX_{name}": value for name, value in container.env.items()}
    return replace(launch, before=before, where=tuple(where), after=(launch.image,), environment=environment)


def box(change: Callable[..., object]) -> Wrap:
    """The same with something about it: what it says to what the change makes of its launch."""

    def wrap(launch, container, mounts, devices):
        said = boxed(launch, container, mounts, devices)
        return change(said, container) if isinstance(said, Launch) else said

    return Wrap(wrap, "enroot")


def deaf(**left_out: object) -> Wrap:
    """The same, which does not hear of some fields of a container."""
    return Wrap(lambda launch, container, *rest: boxed(launch, replace(container, **left_out), *rest), "pyxis")


def anonymous(launch, *rest):
    """The same, which asks registries as nobody."""
    said = boxed(replace(launch, authfile=""), *rest)
    return replace(said, authfile=launch.authfile) if isinstance(said, Launch) else said


def mounting(**change: object) -> Wrap:
    return Wrap(lambda a, b, mounts, d: boxed(a, b, [replace(one, **change) for one in mounts], d), "oci")


def with_words(*words: str) -> Callable[[Launch, Container], Launch]:
    return lambda said, _: replace(said, before=(*said.before, *words))


def test_a_runtime_that_starts_what_it_can_and_refuses_what_it_cannot_passes():
    assert not failed(Wrap(boxed, "apptainer"))
    assert not failed(Wrap(boxed, "pyxis"))


def test_containers_that_runtimes_are_tried_with_have_every_field_and_are_such_as_the_house_asks_about():
    tried = [one.container for one in WRAPPED]
    for field in Container.__struct_fields__:
        assert any(getattr(one, field) != getattr(BARE, field) for one in tried), field
    assert [parse_image(image).text for image in IMAGES] == list(IMAGES)
    assert {parse_image(image).kind for image in IMAGES} == set(get_args(Kind))


def test_the_runtime_of_the_page_passes():
    page = (Path(__file__).parents[2] / "docs" / "PLUGINS.md").read_text()
    (code,) = re.findall(r"^```python\n(CANNOT = .*?)^```$", page, re.MULTILINE | re.DOTALL)
    there = {"msgspec": msgspec, "Refusal": Refusal, "Where": Where, "Wrap": Wrap, "Plugin": Plugin}
    exec(code, there)
    assert not failed(*there["PLUGIN"].hooks)


@pytest.mark.parametrize(
    ("hook", "test", "fault"),
    [
        (Wrap(lambda *_: None, "oci"), STARTED, "wrap returned None"),
        (Wrap(lambda *_: [], "oci"), STARTED, "without a refusal"),
        (Wrap(lambda *_: "box run", "oci"), STARTED, "wrap returned 'box run'"),
        (Wrap(lambda *_: 1 / 0, "oci"), STARTED, "ZeroDivisionError"),
        (Wrap(lambda *_: Refusal("container.image", ""), "oci"), STARTED, "says nothing"),
        (Wrap(lambda *_: Refusal("image", "Not that one."), "oci"), STARTED, "'image' is refused, which is no field"),
        (Wrap(lambda *_: Refusal("container.image", "Never."), "oci"), STARTED, "it starts none"),
        (Wrap(lambda launch, *_: launch, "oci"), STARTED, "its launch has no words"),
        (box(lambda said, _: replace(said, scope="script")), STARTED, "its launch has 'script' as scope"),
        (box(lambda said, _: replace(said, runtime="oci")), STARTED, "its launch has 'oci' as runtime"),
        (box(lambda said, _: replace(said, workdir="/")), STARTED, "its launch has '/' as workdir"),
        (box(lambda said, _: replace(said, before=list(said.before))), STARTED, "does not survive being sent"),
        (box(with_words("a\nb")), STARTED, "not printable"),
        (box(lambda said, _: with_words(str(random.random()))(said, _)), SAME, "two launches for one container"),
        *((deaf(**{field: getattr(BARE, field)}), KEPT, f"container.{field} is left out in silence")
          for field in ("writable", "root", "entrypoint", "name", "save", "extra_args", "env")),
        (box(lambda said, _: replace(said, before=("box",))), KEPT, "container.writable is left out"),
        (box(lambda said, _: replace(said, before=tuple(word for word in said.before if word != said.workdir))), KEPT,
         "container.workdir is left out"),
        (box(lambda said, _: replace(said, authfile="")), STARTED, "its launch has '' as authfile"),
        (Wrap(anonymous, "apptainer"), KEPT, "container.credential is left out"),
        (mounting(read_only=False), KEPT, "container.mounts is left out"),
        (mounting(optional=False), KEPT, "container.mounts is left out"),
        (mounting(target=""), KEPT, "container.mounts is left out"),
        (Wrap(lambda a, b, mounts, d: boxed(a, b, mounts[:2], d), "oci"), KEPT, "container.mounts is left out"),
        (Wrap(lambda a, b, mounts, _: boxed(a, b, mounts, Devices()), "oci"), KEPT, "container.devices is left out"),
        (box(with_words("--mount", "/home/alice:/home/alice")), HOME, "container.home is false"),
        (box(lambda said, container: with_words(*map("=".join, container.env.items()))(said, container)), WORDS,
         "everybody can see the value of API_KEY"),
        (box(lambda said, container: container.env.clear() or said), GIVEN, "it changes what it is given"),
        (box(lambda said, _: open("/dev/null").close() or said), "hooks do no io", "wrap does I/O: open"),
    ],
)  # fmt: skip
def test_what_a_runtime_must_not_do_is_said(hook: Wrap, test: str, fault: str):
    assert fault in failed(hook)[test]
