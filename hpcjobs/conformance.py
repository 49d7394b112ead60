"""What every plugin must keep, as tests that its author imports (docs/PLUGINS.md).

::

    from hpcjobs.conformance import PluginConformance

    class TestNight(PluginConformance):
        plugin = PLUGIN
        settings = {"from_hour": 22}

``hpcjobs plugins check NAME`` does the same without pytest.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import entry_points
from typing import Any, ClassVar, Final, NamedTuple, get_args

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.container import Container, Devices, Launch, Mount, RuntimeAsked, Scope
from hpcjobs.model.container import fault_of as fault_of_launch
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness, Suspect
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import Fate, JobRecord, State
from hpcjobs.model.partition import Partition
from hpcjobs.model.placement import Placement, fault_of
from hpcjobs.model.recovery import Decision, Ended, Retry, Tried
from hpcjobs.model.report import Table, misshapen
from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.model.steering import Action, jobs_of, nodes_of, unmeant
from hpcjobs.plugin import ENTRY_POINTS, HOOKS, PLUGIN_API, Context, Hook, Inventory, Plugin, Recover, Report, Wrap

NOW: Final = 1_796_000_000.25
HELLO: Final = "#!/bin/sh\nsrun hostname\n"
SPECS: Final = (
    JobSpec(HELLO),
    JobSpec(HELLO, name="Zoë's \N{SNOWMAN}", comment="a 'quoted' \"word\"", environment={"EMPTY": "", "A": "b=c"}),
    JobSpec(HELLO, resources=Resources(nodes=4, gpus_per_node="a100:8", ntasks_per_node=8, wall_s=172_800)),
    JobSpec(HELLO, resources=Resources(gpus="a100:2,h100:2", gres="shard:3", mem_per_node_bytes=0)),
    JobSpec(HELLO, partition="gpu,debug", account="vision", qos="normal", array="0-99%4", begin="now+1hour", nice=100),
    JobSpec(HELLO, hold=True, requeue=True, dependency="afterok:123", deadline="2026-12-24T16:00"),
    JobSpec(HELLO, resources=Resources(nodes=1), het=(Component(Resources(nodes=2, gpus=2), partition="gpu"),)),
    JobSpec(HELLO, name="x" * 200, args=("-n", "", "$HOME"), parallel="tp=4,pp=2,dp=2"),
)
"""Jobs of every shape: small, large, arrays, heterogeneous, with texts that are not English."""


def _ended(kind: FailureClass, fate: Fate, progress: int | None) -> Ended:
    diagnosis = Diagnosis(
        failure=kind, sure=Sureness.WEAK, suspects=(Suspect("n1"), Suspect("")), sentence="It failed."
    )
    return Ended(fate=fate, diagnosis=diagnosis, at=NOW, progress=progress, nodes=4, nodes_min=2)


ENDED: Final = tuple(
    (_ended(kind, fate, progress), tried)
    for kind in FailureClass
    for fate in Fate
    for progress in (None, 7)
    for tried in ((), (Tried(at=NOW - 60.0, kind=kind, progress=progress, nodes=("n2",)),))
)
"""Runs that ended, by kind and fate, with what was tried before."""


def _node(name: str, *, busy: bool) -> Node:
    cpus, gpus = (64, 8) if busy else (0, 0)
    state = "ALLOCATED" if busy else "IDLE"
    return Node(name, state, True, 64, cpus, 2**38, 0, {"a100": 8}, {"a100": gpus}, ("gpu",), ())


_NODES: Final = {f"n{number}": _node(f"n{number}", busy=number % 3 == 0) for number in range(1, 9)}
VIEW: Final = ClusterView("alpha", NOW, {}, _NODES, {"gpu": Partition(name="gpu")})
_TRAIN: Final = JobRecord(
    slurm_job_id=1, user="alice", account="vision", partition="gpu", state=State.PENDING, raw_state="PENDING",
    name="train", nodes=2, cpus=128, gpus={"a100": 16}, wall_s=86_400, submit_time=int(NOW) - 600,
    eligible_time=int(NOW) - 600, reason="Resources", priority=1000,
)  # fmt: skip
_SHAPES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"user": "bob", "nodes": 64, "gpus": {"a100": 512}},
    {"state": State.HELD, "reason": "JobHeldUser", "priority": 0},
    {"state": State.RUNNING, "raw_state": "RUNNING", "node_list": "n[3,6]", "start_time": int(NOW) - 300},
    {"nodes": 1, "gpus": {}, "cpus": 1, "wall_s": None, "user": "carol"},
    {"array_job_id": 6, "array_task": "0-9%2", "nodes": 1, "gpus": {"a100": 8}},
)
_JOBS: Final = {
    number: msgspec.structs.replace(_TRAIN, slurm_job_id=number, **facts) for number, facts in enumerate(_SHAPES, 1)
}
_HINTS: Final = {
    1: Hints(gang="pair", gang_size=2),
    2: Hints(gang="pair", gang_size=2, urgent=True),
    4: Hints(nodes_min=1, nodes_max=8, preemptible=True),
    5: Hints(datasets=("imagenet",), pinned=True),
}
_DOWN: Final = msgspec.structs.replace(_NODES["n1"], raw_state="DOWN*", usable=False, reason="Not responding")
TICKED: Final = (
    VIEW,
    msgspec.structs.replace(VIEW, jobs=_JOBS, hints=_HINTS),
    msgspec.structs.replace(VIEW, jobs=_JOBS, hints=_HINTS, nodes={**_NODES, "n1": _DOWN}),
    ClusterView("alpha", NOW, {}, {}),
)
"""Clusters that policies are asked about: idle, with a queue, with a node that is down, with nothing at all."""
EVENTS: Final = tuple(Event(number, NOW, kind, "alpha", data={"state": "RUNNING"}) for number, kind in
    enumerate(EventKind, 1))  # fmt: skip


class Contained(NamedTuple):
    """A container, as a runtime is asked about it."""

    launch: Launch
    container: Container
    mounts: tuple[Mount, ...]
    devices: Devices


_HOME: Final = "/home/alice"
_NO_DEVICES: Final = Devices()


def _contained(container: Container, needs: Devices = _NO_DEVICES, authfile: str = "") -> Contained:
    """A container as the house asks about it: with what it has of the host beside its own mounts."""
    own = Mount(_HOME) if container.home else Mount(f"{_HOME}/.hpcjobs/scripts", read_only=True)
    _, _, digest = container.image.partition("@")
    workdir = container.workdir or "/scratch/alice"
    launch = Launch("apptainer", container.image, digest, container.scope, workdir, authfile=authfile)
    return Contained(launch, container, (own, Mount("/scratch"), *container.mounts), needs)


_DOCKER: Final = "docker://registry:5000/a/b:1"
_AUTHFILE: Final = f"{_HOME}/.hpcjobs/credentials/registry.json"
IMAGES: Final = (
    _DOCKER, f"{_DOCKER}@sha256:{'0a' * 32}", f"docker://registry.example.org/train@sha256:{'b1' * 32}",
    "docker://docker.io/library/debian:sid", "oras://registry:5000/a/b:1", "library://lab/vision/train:1",
    "docker-archive:/scratch/b.tar:b:1", "oci-archive:/scratch/b.tar", "oci:/scratch/layout", "/scratch/x.sif",
    "/scratch/x.sqsh", "/scratch/root", "/scratch/Zoë's images/x $HOME.sif",
)  # fmt: skip
"""Every form of an image, of a registry and of a file, as ``hpcjobs.model.image.parse_image`` writes it."""
_ASKED: Final = tuple(image for image in IMAGES if image.startswith(("docker:", "oras:")))
_BARE: Final = tuple(Container(image, scope=scope) for image in IMAGES for scope in get_args(Scope))
_NEEDS: Final = (
    Devices(("nvidia",), ("--nv",), {"NVIDIA_VISIBLE_DEVICES": "CUDA_VISIBLE_DEVICES"}, ("/dev/nvidiactl",), (),
        ("nvidia.com/gpu",)),
    Devices(("ascend",), (), {"ASCEND_VISIBLE_DEVICES": "ASCEND_RT_VISIBLE_DEVICES"}, ("/dev/davinci_manager",),
        ("/usr/local/dcmi", "/usr/local/bin/npu-smi"), ("huawei.com/npu",)),
    Devices(("alveo",), files=("/dev/dri",)),
)  # fmt: skip
_ENV: Final = {"API_KEY": "xK9-of-alice", "EMPTY": "", "LINES": "one = 1\ntwo = '2'", "ODD": "$HOME `id` \\"}
_MOUNTS: Final = (
    Mount("/data"),
    Mount("/data/sets", "/sets", read_only=True),
    Mount("/opt/site", optional=True),
    Mount("/etc/site.conf", "/etc/site.conf", read_only=True, optional=True),
    Mount("/data/with space, comma:colon", "/there"),
)
_MORE: Final[tuple[dict[str, Any], ...]] = (
    {"writable": True}, {"root": True}, {"entrypoint": True}, {"home": False}, {"name": "kept"},
    {"save": "/scratch/alice/kept"}, {"extra_args": ("--flag",)}, {"env": _ENV}, {"workdir": "/opt/app"},
    {"mounts": (Mount("/data"),)},
)  # fmt: skip
WRAPPED: Final = (
    *map(_contained, _BARE),
    *(_contained(Container(_DOCKER, runtime=runtime)) for runtime in get_args(RuntimeAsked) if runtime != "none"),
    *(_contained(Container(image, mounts=_MOUNTS, env=_ENV, workdir="/opt/app"), _NEEDS[0]) for image in IMAGES),
    *(_contained(Container(image, mounts=(mount,))) for image in IMAGES for mount in _MOUNTS),
    *(_contained(Container(image, **more)) for image in IMAGES for more in _MORE),
    *(_contained(Container(image), needs) for image in IMAGES for needs in _NEEDS),
    _contained(Container("/scratch/x.sif", home=False, writable=True, root=True, entrypoint=True, devices=False)),
    _contained(Container(_DOCKER, pull="always", writable=True, name="a", save="/scratch/a")),
    *(_contained(Container(image, credential="registry"), authfile=_AUTHFILE) for image in _ASKED),
    _contained(Container(_DOCKER, pull="never", scope="tasks", mpi="pmix", extra_args=("--flag", "-x", "a b"))),
)
"""Containers that runtimes are asked about: every image, and every field of a container."""


def _less_and_more() -> Iterator[tuple[str, Contained, Contained]]:
    """What containers may ask for, without and with it: who answers both alike leaves it out."""
    plain = Mount("/data")
    others = [msgspec.structs.replace(plain, **more) for more in ({"target": "/b"}, {"read_only": True},
        {"optional": True})]  # fmt: skip
    for bare in _BARE:
        for more in _MORE:
            yield next(iter(more)), _contained(bare), _contained(msgspec.structs.replace(bare, **more))
        mounted = [msgspec.structs.replace(bare, mounts=(mount,)) for mount in (plain, *others)]
        yield from (("mounts", _contained(mounted[0]), _contained(other)) for other in mounted[1:])
        yield from (("devices", _contained(bare), _contained(bare, needs)) for needs in _NEEDS)
    for image in _ASKED:
        named = Container(image, credential="registry")
        yield "credential", _contained(named), _contained(named, authfile=_AUTHFILE)


_FORBIDDEN: Final = ("open", "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.spawn", "sqlite3.",
    "os.remove", "os.rename", "os.mkdir", "time.sleep")  # fmt: skip
"""Audit events (docs.python.org, audit_events) of what a hook must not do."""


def _see(holds: object, words: str) -> None:
    """An assertion that also holds where Python is told to leave them out."""
    if not holds:
        raise AssertionError(words)


_watched: list[list[str]] = []


def _watch(event: str, _arguments: object) -> None:
    if _watched and event.startswith(_FORBIDDEN):
        _watched[-1].append(event)


@contextmanager
def _without_io(what: str) -> Iterator[None]:
    """See that nothing is opened, connected or started meanwhile."""
    if not _HOOKED:
        sys.addaudithook(_watch)
        _HOOKED.append(True)
    _watched.append([])
    try:
        yield
    finally:
        seen = _watched.pop()
    _see(not seen, f"{what} does I/O: {', '.join(sorted(set(seen)))}. Only a discovery may.")


_HOOKED: Final[list[bool]] = []


def _said_against(said: object, hook: str) -> list[Refusal]:
    """The refusals that a hook answered with, where it did not answer with what it is for."""
    _see(isinstance(said, Refusal | Sequence), f"{hook} returned {said!r:.200}")
    refusals: Sequence[Any] = said if isinstance(said, Sequence) else [said]
    _see(refusals, f"{hook} is against it without a refusal")
    for one in refusals:
        _see(isinstance(one, Refusal), f"{hook} returned {said!r:.200}")
        _see(one.detail, "a refusal says nothing")
    return list(refusals)


def _words_of(launch: Launch) -> list[str]:
    """All of a launch that whoever lists processes can see."""
    where = [word for one in launch.where for word in (one.path, *one.words)]
    return [launch.image, *launch.before, *where, *launch.after, launch.env_flag, *launch.srun]


class PluginConformance:
    """The tests. Give ``plugin``, and ``settings`` where it has some.

    Attributes:
        plugin: The plugin.
        settings: What an admin would give it.
    """

    plugin: ClassVar[Plugin]
    settings: ClassVar[Mapping[str, Any]] = {}

    def _hooks(self, settings: Mapping[str, Any] | None = None) -> dict[str, Hook]:
        plugin = self.plugin
        if not callable(plugin.hooks):
            return {hook.kind: hook for hook in plugin.hooks}
        said = dict(self.settings if settings is None else settings)
        own = msgspec.convert(said, plugin.settings) if plugin.settings else said
        return {hook.kind: hook for hook in plugin.hooks(own)}

    def _admitted(self, spec: JobSpec) -> tuple[JobSpec | None, Any]:
        run: Callable[..., Any] = self._hooks()["admit"].run
        said = run(spec, Context("alice", "alpha", NOW))
        return (said if isinstance(said, JobSpec) else None), said

    def _reported(self) -> list[tuple[str, Table]]:
        """Each of its reports with each answer that it is tried with."""
        hook = self._hooks().get(Report.kind)
        if not isinstance(hook, Report):
            return []
        from hpcjobs.reports.tried import answers  # loads slowly, and few plugins report

        return [(one.name, answer) for one in hook.reports for answer in answers(one)]

    def _for_it(self, tried: Iterable[Contained] = WRAPPED) -> list[Contained]:
        """Containers for the runtime that it is for; nobody else has their structs."""
        hook = self._hooks().get(Wrap.kind)
        if not isinstance(hook, Wrap):
            return []
        by = "enroot" if hook.runtime == "pyxis" else hook.runtime
        found = []
        for one in tried:
            launch, container, mounts, devices = deepcopy(one)
            if container.runtime != "auto":
                container = msgspec.structs.replace(container, runtime=by)
            found.append(Contained(msgspec.structs.replace(launch, runtime=hook.runtime), container, mounts, devices))
        return found

    def _wrapped(self, asked: Contained) -> object:
        run: Callable[..., object] = self._hooks()[Wrap.kind].run
        return run(*asked)

    def test_it_is_a_plugin_of_this_interface(self) -> None:
        """Name, version of the interface, hooks of known kinds."""
        _see(isinstance(self.plugin, Plugin), "plugin must be a Plugin")
        _see(self.plugin.api == PLUGIN_API, f"it is written for interface {self.plugin.api}, this is {PLUGIN_API}")
        hooks = self._hooks()
        _see(hooks, "it has no hooks")
        _see(set(hooks) <= set(HOOKS), "it has hooks of other kinds")

    def test_an_entry_point_of_its_name_leads_to_it(self) -> None:
        """As the service finds it."""
        points = entry_points(group=ENTRY_POINTS, name=self.plugin.name)
        _see(points, f"no entry point {self.plugin.name!r} in the group {ENTRY_POINTS}: is it installed?")
        _see(all(point.load() is self.plugin for point in points), "the entry point leads to something else")

    def test_settings_that_it_does_not_know_are_refused(self) -> None:
        """A misspelt setting must not be taken for a default in silence."""
        if self.plugin.settings is None:
            return
        try:
            self._hooks({**self.settings, "no_such_setting_": 1})
        except (ValueError, TypeError):
            return
        raise AssertionError("an unknown setting is taken in silence: forbid_unknown_fields=True in its struct")

    def test_jobs_of_every_shape_are_judged(self) -> None:
        """Never an exception, always a job or refusals, which survive being sent."""
        if "admit" not in self._hooks():
            return
        for spec in SPECS:
            passed, said = self._admitted(spec)
            if passed is not None:
                again = msgspec.json.decode(msgspec.json.encode(passed), type=JobSpec)
                _see(again == passed, "a job does not survive being sent")
                continue
            _said_against(said, "admit")

    def test_an_admitted_job_that_is_judged_again_stays_as_it_is(self) -> None:
        """Jobs are sent again, and looked at by --test-only first."""
        if "admit" not in self._hooks():
            return
        for spec in SPECS:
            passed, _ = self._admitted(spec)
            if passed is not None:
                _see(self._admitted(passed)[1] == passed, f"judged again it becomes another: {passed}")

    def test_the_same_question_has_the_same_answer(self) -> None:
        """Hooks look at what they are given, not at clocks or dice."""
        if "admit" in self._hooks():
            for spec in SPECS:
                _see(self._admitted(spec)[1] == self._admitted(spec)[1], "two answers to one question")
        if "place" in self._hooks():
            run: Callable[..., Any] = self._hooks()["place"].run
            for spec in SPECS:
                _see(run(spec, VIEW) == run(spec, VIEW), "two placements for one question")
        for name, answer in self._reported():
            _see(self._report(name, answer) == self._report(name, answer), f"two reports {name} of one answer")
        for asked in self._for_it():
            _see(self._wrapped(asked) == self._wrapped(asked), f"two launches for one container: {asked.container}")

    def test_a_placement_names_nodes_that_are_there(self) -> None:
        """Of the cluster that it was asked about."""
        if "place" not in self._hooks():
            return
        run: Callable[..., Any] = self._hooks()["place"].run
        for spec in SPECS:
            said = run(spec, VIEW)
            _see(said is None or isinstance(said, Placement | Refusal), f"place returned {said!r:.200}")
            if isinstance(said, Refusal):
                _see(said.detail, "a refusal says nothing")
            elif said is not None:
                fault = fault_of(said, VIEW.nodes.keys())
                _see(not fault, f"its placement {fault}")

    def test_configuration_is_text_by_file_name(self) -> None:
        """Plain names, no paths."""
        if "configure" not in self._hooks():
            return
        run: Callable[..., Any] = self._hooks()["configure"].run
        for name, text in run(Inventory("alpha", VIEW.nodes, VIEW.partitions)).items():
            _see(isinstance(text, str), f"{name} is no text")
            _see(name, "a file without a name")
            _see("/" not in name, f"{name!r} is a path")

    def _report(self, name: str, answer: Table) -> object:
        run: Callable[..., object] = self._hooks()[Report.kind].run
        return run(name, answer)

    def test_its_reports_ask_what_can_be_asked(self) -> None:
        """With names, titles and measures that there are."""
        hook = self._hooks().get(Report.kind)
        if isinstance(hook, Report):
            from hpcjobs.reports.own import fault_of as fault_of_reports

            fault = fault_of_reports(hook.reports)
            _see(not fault, f"it {fault}")

    def test_a_report_is_a_table_whatever_usage_answers(self) -> None:
        """Of nothing at all, of slices, of GPUs whose kind nobody knows; its columns say what they are."""
        for name, answer in self._reported():
            said = self._report(name, answer)
            _see(isinstance(said, Table), f"report returned {said!r:.200}")
            table: Table = msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Table)
            _see(table == said, "a report does not survive being sent")
            _see(not misshapen(table), f"report {name} {misshapen(table)}")
            for column in table.columns:
                _see(column.title and column.definition, f"column {column.name} of {name} says not what it is")

    def test_events_of_every_kind_are_taken(self) -> None:
        """Also of kinds that came after the plugin was written."""
        if "observe" in self._hooks():
            run: Callable[..., Any] = self._hooks()["observe"].run
            for event in EVENTS:
                run(event)

    def test_a_policy_names_jobs_and_nodes_that_are_there(self) -> None:
        """Of the cluster that it was asked about, and each action survives being sent, with its reason."""
        if "tick" not in self._hooks():
            return
        run: Callable[..., Any] = self._hooks()["tick"].run
        for view in TICKED:
            for action in run(view, NOW):
                _see(isinstance(action, Action), f"tick returned {action!r:.200}")
                again: Action = msgspec.msgpack.decode(msgspec.msgpack.encode(action), type=Action)
                _see(again == action, "an action does not survive being sent")
                _see(not unmeant(action), f"{action!r:.200} cannot be meant: {unmeant(action)}")
                _see(action.why, f"no reason is given for {action!r:.200}")
                _see(jobs_of(action) <= set(view.jobs), f"it names jobs that are not there: {action!r:.200}")
                _see(nodes_of(action) <= set(view.nodes), f"it names nodes that are not there: {action!r:.200}")

    def test_a_policy_answers_the_same_twice(self) -> None:
        """What it knows it reads from the view: another tick of the same moment wants the same."""
        if "tick" in self._hooks():
            run: Callable[..., Any] = self._hooks()["tick"].run
            for view in TICKED:
                _see(list(run(view, NOW)) == list(run(view, NOW)), "two answers to one question")

    def test_a_run_that_ended_is_decided(self) -> None:
        """Whatever ended it: a decision that survives being sent, or nothing; what completed is not started again."""
        if Recover.kind not in self._hooks():
            return
        run: Callable[..., Any] = self._hooks()[Recover.kind].run
        for ended, tried in ENDED:
            said = run(ended, tried)
            _see(said is None or isinstance(said, Decision), f"recover returned {said!r:.200}")
            again: Decision | None = msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Decision | None)
            _see(again == said, "a decision does not survive being sent")
            _see(said is None or said.why, "a decision without a reason")
            _see(not isinstance(said, Retry) or said.at >= ended.at, "it is to start before it ended")
            _see(ended.fate is not Fate.COMPLETED or not isinstance(said, Retry), "what completed is started again")
            _see(said == run(ended, tried), "two answers to one question")

    def test_no_job_is_started_for_ever(self) -> None:
        """Each failure a thousand times over, without that the job comes on."""
        if Recover.kind not in self._hooks():
            return
        run: Callable[..., Any] = self._hooks()[Recover.kind].run
        for ended, _ in ENDED:
            often = tuple(
                Tried(at=ended.at - 60.0 * number, kind=ended.diagnosis.failure, progress=ended.progress)
                for number in range(1000, 0, -1)
            )
            kind = ended.diagnosis.failure
            _see(not isinstance(run(ended, often), Retry), f"{kind} is tried more than a thousand times")

    def test_a_container_is_started_or_refused(self) -> None:
        """Whatever it asks for: a launch that can be meant and survives being sent, or what of it cannot be."""
        started = 0
        for asked in self._for_it():
            said = self._wrapped(asked)
            if not isinstance(said, Launch):
                for one in _said_against(said, Wrap.kind):
                    told = f"{one.field!r} is refused, which is no field of a container, as container.image"
                    _see(one.field.startswith("container."), told)
                continue
            again: Launch = msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Launch)
            _see(again == said, "a launch does not survive being sent")
            fault = fault_of_launch(said, asked.launch)
            _see(not fault, f"its launch {fault}")
            started += 1
        _see(started or Wrap.kind not in self._hooks(), "it starts none of the containers that it is tried with")

    def test_what_a_container_asks_for_is_never_left_out(self) -> None:
        """What a runtime cannot do is refused: a job that goes on without it does something else than it says."""
        if Wrap.kind not in self._hooks():
            return
        for field, *pair in _less_and_more():
            less, more = self._for_it(pair)
            was, said = self._wrapped(less), self._wrapped(more)
            if isinstance(was, Launch) and isinstance(said, Launch):
                same = msgspec.structs.replace(said, workdir=was.workdir, authfile=was.authfile) == was
                _see(not same, f"container.{field} is left out in silence: {more.container}")

    def test_a_container_without_its_home_does_not_have_it(self) -> None:
        """Some runtimes bring it by themselves."""
        for asked in self._for_it([_contained(Container(image, home=False)) for image in IMAGES]):
            said = self._wrapped(asked)
            words = _words_of(said) if isinstance(said, Launch) else []
            named = [word for word in words if _HOME in re.split("[:,=]", word)]
            _see(not named, f"container.home is false, and {named} is said")

    def test_no_value_of_a_variable_is_a_word(self) -> None:
        """Everybody on a node can list the words of its processes: values belong into the environment."""
        for asked in self._for_it():
            said = self._wrapped(asked)
            for name, value in asked.container.env.items():
                seen = isinstance(said, Launch) and value and any(value in word for word in _words_of(said))
                _see(not seen, f"everybody can see the value of {name} among the words")

    def test_what_a_runtime_is_given_stays_as_it_is(self) -> None:
        """Others are given the same."""
        for asked in self._for_it():
            given = deepcopy(asked)
            self._wrapped(asked)
            _see(asked == given, f"it changes what it is given: {given.container}")

    def test_hooks_do_no_io(self) -> None:
        """Everybody's submission waits for them. The first call may load modules, the second is watched."""
        hooks = self._hooks()
        asked: dict[str, Sequence[tuple[object, ...]]] = {
            "admit": [(spec, Context("alice", "alpha", NOW)) for spec in SPECS],
            "place": [(spec, VIEW) for spec in SPECS],
            "configure": [(Inventory("alpha", VIEW.nodes, VIEW.partitions),)],
            "observe": [(event,) for event in EVENTS],
            "tick": [(view, NOW) for view in TICKED],
            "report": self._reported(),
            "recover": ENDED,
            "wrap": self._for_it(),
        }
        for kind, arguments in asked.items():
            if kind in hooks:
                run: Callable[..., Any] = hooks[kind].run
                for one in arguments:
                    run(*one)
                with _without_io(kind):
                    for one in arguments:
                        run(*one)


def faults_of(plugin: Plugin, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Do the tests.

    Args:
        plugin: Of whom.
        settings: What an admin would give it.

    Yields:
        Each test in words, and what is wrong, or ``""``.
    """
    tests = type("Tests", (PluginConformance,), {"plugin": plugin, "settings": settings})()
    for name in dir(PluginConformance):
        if name.startswith("test_"):
            try:
                getattr(tests, name)()
            except Exception as error:  # noqa: BLE001  whatever a plugin does is a fault of it
                fault = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            else:
                fault = ""
            yield name.removeprefix("test_").replace("_", " "), fault
