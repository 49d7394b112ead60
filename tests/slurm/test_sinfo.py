"""``hpcjobs sinfo`` and ``scontrol show node|partition`` beside Slurm's own, on a cluster that changes."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from hpcjobs.cli.slurm.node_json import NODE_UNKNOWN, PARTITION_UNKNOWN
from hpcjobs.cli.slurm.scontrol_nodes import LEFT_OUT
from hpcjobs.cli.slurm.sinfo_fields import FIELDS

from .conftest import Stack

DRIVER = """
import contextlib, importlib, io, json, os, sys
module, calls = json.loads(sys.argv[1])
call, told = importlib.import_module(module).call, []
for words in calls:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = call(words, os.environ)
        except SystemExit as error:
            code = error.code
    told.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(told))
"""
"""Many calls of ours in one process: they must fall into one state of the cluster."""

NATIVE = """
import json, subprocess, sys
program, calls = json.loads(sys.argv[1])
done = [subprocess.run([program, *words], capture_output=True, text=True) for words in calls]
print(json.dumps([[one.returncode, one.stdout, one.stderr] for one in done]))
"""

LETTERS = sorted({field.letter for field in FIELDS if field.letter})
NAMES = [field.name for field in FIELDS]

FORMS: list[list[str]] = [
    [],
    ["-l"],
    ["-N"],
    ["-N", "-l"],
    ["-s"],
    ["-s", "-l"],
    ["-R"],
    ["-R", "-l"],
    ["-R", "-o", "%P|%N|%t|%E"],
    ["-R", "-t", "idle,mix,alloc", "-o", "%P|%N|%t|%f"],
    ["-e"],
    ["-a"],
    ["--hide"],
    ["-h"],
    ["-h", "-N"],
    ["-d"],
    ["-r"],
    ["-e", "-o", "%c %z %m %d %w %O %e %v %N"],
    ["-e", "-O", "port,nodelist"],
    ["-p", "gpu"],
    ["-p", "debug,gpu"],
    ["-p", "nope"],
    ["-n", "c1"],
    ["-n", "c[2-3],c9"],
    ["-n", "c9"],
    ["-n", "c9", "-o", "%P|%u|%U|%H|%E|%c|%O|%e|%t|%G|%f|%v|%B|%n|%o|%i|%C|%F"],
    ["-n", "c9", "-O", "partition,port,statecomplete,comment,gresused,allocmem"],
    ["-N", "-n", "c1"],
    ["-t", "idle"],
    ["-t", "mixed,alloc"],
    ["-t", "drain"],
    ["-t", "drained"],
    ["-t", "draining"],
    ["-t", "mix&drain"],
    ["-t", "~idle"],
    ["-t", "!drain+!mix"],
    ["-t", "all"],
    ["-t", "down,resv,plnd,comp,maint,fail"],
    ["-N", "-t", "idle", "-o", "%N %t"],
    ["-o", "%all"],
    ["-O", "all"],
    ["-o", "%P|%a|%l|%D|%t|%N"],
    ["-o", "%20P|%.5a|%3l|%.1D|%6t|%.4N|%.2P|%2R"],
    ["-o", "before %P then %N after"],
    ["-o", "%N %q %t"],
    ["-o", "nothing"],
    ["-o", "%5N%%%t%"],
    ["-h", "-o", "%t %D"],
    ["-h", "-o", "%D"],
    ["-h", "-o", "%C"],
    ["-h", "-N", "-o", "%n %C"],
    ["-O", "nodehost:5,nodeaddr:.4,nodelist:.4,statelong:.12"],
    ["-O", "NodeList:30|,Partition:,foo,StateComplete:>"],
    ["-O", "gresused:40,gres:30,nodelist"],
    ["-O", "gresused:.8,nodelist:0"],
    ["--noconvert", "-o", "%c %m %N"],
    ["-M", "slurm2605"],
    ["-M", "slurm2605", "-o", "%V %N"],
    ["-M", "slurm2605", "-h", "-O", "cluster,nodelist"],
    ["--local"],
    ["--federation"],
    ["extra", "words", "-h", "-o", "%N"],
    *[["-S", letter, "-o", "%P %t %N"] for letter in "aAbcdDEfFghHlmMnNoOepPrRsStTuUwXYZz"],
    ["-S", "-P,t", "-o", "%P %t %N"],
    ["-S", "#P,-N", "-o", "%P %t %N"],
    ["-S", "+N,-P", "-N"],
    ["-S", "-N", "-N", "-o", "%N %n %t"],
    ["-S", "-n", "-o", "%n %t %P"],
    ["-S", "-l,N", "-o", "%l %N"],
]  # fmt: skip

WRONG: list[list[str]] = [
    ["-Q"],
    ["--nope"],
    ["--clusters"],
    ["-t"],
    ["-t", "foo"],
    ["-i", "0"],
    ["-i", "x"],
    ["-n", "c[1"],
    ["-a", "-p", "gpu"],
    ["-l", "-o", "%N"],
    ["--helpstate"],
    ["--helpformat"],
    ["--helpFormat"],
]

SHOWN: list[list[str]] = [
    ["show", "node"],
    ["show", "nodes"],
    ["show", "node", "c2"],
    ["show", "node", "c[1-2],c4"],
    ["show", "node", "c1,c9"],
    ["-o", "show", "node"],
    ["-d", "show", "node", "c1"],
    ["-d", "-o", "show", "node", "c1"],
    ["show", "partition"],
    ["show", "partitions"],
    ["show", "partition", "debug"],
    ["show", "partition", "nope"],
    ["-o", "show", "partition"],
    ["-a", "show", "partition"],
]

Told = list[tuple[int, str, str]]


class Pair(NamedTuple):
    """A call, ours and Slurm's."""

    words: list[str]
    ours: Any
    native: Any


def called(stack: Stack, driver: str, program: str, calls: Sequence[Sequence[str]], **variables: str) -> Told:
    argument = shlex.quote(json.dumps([program, calls]))
    code, out, err = stack.typed(f"python3 -c {shlex.quote(driver)} {argument}", **variables)
    assert code == 0, err
    return [tuple(one) for one in json.loads(out)]


def undated(words: Sequence[str], told: Any) -> Any:
    """Without what two calls cannot have in common: the second at which they were made."""
    code, out, err = told
    if {"-l", "-Nl", "-v"} & set(words) and "-o" not in words:
        out = out.partition("\n")[2]
    return code, out, err


def unordered(words: Sequence[str], told: Any) -> Any:
    """Slurm gathers partitions in threads: the order of lines of one node is left to chance."""
    code, out, err = told
    return (code, sorted(out.splitlines()), err) if "-N" in words or "-S" in words else told


def differing(
    stack: Stack, module: str, program: str, calls: Sequence[list[str]], tries: int = 12,
    alike: Callable[[Sequence[str], Any], Any] = undated, **variables: str,
) -> list[Pair]:  # fmt: skip
    """The calls that never printed what Slurm's own printed just before or just after it."""
    left = list(calls)
    pairs: list[Pair] = []
    for _ in range(tries):
        before = called(stack, NATIVE, program, left, **variables)
        time.sleep(1.3)  # ours may be as old as the listing before
        ours = called(stack, DRIVER, module, left, **variables)
        after = called(stack, NATIVE, program, left, **variables)
        pairs = [
            Pair(words, mine, alike(words, native))
            for words, was, told, native in zip(left, before, ours, after, strict=True)
            for mine in [alike(words, told)]
            if mine not in (alike(words, was), alike(words, native))
        ]
        left = [pair.words for pair in pairs]
        if not left:
            return []
    return pairs


def check(pairs: Sequence[Pair]) -> None:
    """Show what differs, in full."""
    if pairs:
        pytest.fail("\n".join(f"{pair.words}\nours:   {pair.ours}\nSlurm's: {pair.native}" for pair in pairs))


def sinfo_differs(stack: Stack, calls: Sequence[list[str]], **more: Any) -> list[Pair]:
    def alike(words: Sequence[str], told: Any) -> Any:
        return unordered(words, undated(words, told))

    return differing(stack, "hpcjobs.cli.slurm.sinfo", "sinfo", calls, alike=alike, **more)


@pytest.fixture(scope="module")
def busy(new: Stack) -> Iterator[Stack]:
    """The cluster with a small job of alice's and a node that is full."""
    numbers = []
    for options in ("-n3 --gpus=1 --mem=100M", "-N1 -n64 --mem=1000M"):
        code, out, err = new.typed(
            f"sbatch --parsable -J sinfo-test -t 10 -p gpu -o /dev/null {options} --wrap 'sleep 600'"
        )
        assert code == 0, err
        numbers.append(out.strip())
    try:
        for _ in range(100):
            states = new.run("slurmctld", f"squeue -h -o %T -j {','.join(numbers)}").split()
            if states == ["RUNNING"] * 2:
                break
            time.sleep(0.3)
        assert "RUNNING" in states
        # What waits for a whole node keeps others' jobs waiting, where others use the cluster too.
        new.run("slurmctld", f"scancel --state=PENDING {' '.join(numbers)}")
        yield new
    finally:
        new.run("slurmctld", f"scancel {' '.join(numbers)}")


def test_every_letter_prints_what_sinfo_prints(busy):
    calls = [["-o", f"%{letter}"] for letter in LETTERS]
    calls += [["-N", "-o", f"%N %{letter}"] for letter in LETTERS]
    calls += [["-o", f"%30{letter}|%.3{letter}|"] for letter in LETTERS]
    check(sinfo_differs(busy, calls))


def test_every_name_prints_what_sinfo_prints(busy):
    calls = [["-O", f"{name}"] for name in NAMES] + [["-O", f"nodelist,{name}:30,{name}:.5|"] for name in NAMES]
    check(sinfo_differs(busy, calls))


def test_what_is_printed_is_all_that_sinfo_knows(new):
    (told,) = called(new, NATIVE, "sinfo", [["--helpFormat"]])
    assert set(told[1].split()) == set(NAMES) - {"Share"}
    (told,) = called(new, NATIVE, "sinfo", [["--helpformat"]])
    assert {letter.strip("%") for letter in told[1].split()} == set(LETTERS)


def test_every_form_prints_what_sinfo_prints(busy):
    check(sinfo_differs(busy, FORMS))


@pytest.mark.parametrize(
    "variables",
    [
        {"SINFO_FORMAT": "%n %T %P"},
        {"SINFO_PARTITION": "debug"},
        {"SINFO_SORT": "-P,N"},
        {"SINFO_ALL": "1"},
        {"SINFO_ALL": "1", "SINFO_PARTITION": "debug"},
        {"SINFO_FEDERATION": "1", "SINFO_LOCAL": "1"},
        {"SLURM_CLUSTERS": "slurm2605"},
        {"SLURM_TIME_FORMAT": "%d.%m. %H:%M"},
        {"SLURM_TIME_FORMAT": "relative"},
    ],
)
def test_variables_mean_what_they_mean_to_sinfo(busy, variables):
    calls = [[], ["-N"], ["-s"], ["-p", "gpu"], ["-a"], ["-S", "N", "-o", "%N"], ["-R"]]
    check(sinfo_differs(busy, calls, **variables))


@pytest.mark.parametrize("form", ["relative", "standard", "%H h", "%s", ""])
def test_the_times_of_nodes_have_the_style_that_was_asked_for(new, form):
    words = "show node c1 | grep -o 'BootTime=.*'"
    native, ours = (new.typed(f"{name}scontrol {words}", SLURM_TIME_FORMAT=form) for name in ("", "hpcjobs "))
    assert ours == native
    assert "SlurmdStartTime=" in ours[1]


@pytest.mark.parametrize("program", ["squeue", "sinfo", "scontrol show job"])
@pytest.mark.parametrize("version", ["v0.0.99", "", "junk"])
def test_a_version_of_json_that_is_not_there_is_refused_in_slurms_words(new, program, version):
    native, ours = (new.typed(f"{name}{program} --json={version}") for name in ("", "hpcjobs "))
    assert (ours[0], ours[2]) == (native[0], native[2])


def test_wrong_words_get_sinfos_answers(new):
    check(sinfo_differs(new, WRONG, tries=2))


def test_a_cluster_that_is_not_there_is_refused_as_sinfo_refuses_it(new):
    ((ours, out, err),) = called(new, DRIVER, "hpcjobs.cli.slurm.sinfo", [["-M", "nowhere"]])
    ((native, _, _),) = called(new, NATIVE, "sinfo", [["-M", "nowhere"]])
    assert (ours, out) == (native, "")
    assert "No cluster 'nowhere' known" in err


def test_a_drained_node_looks_drained_as_soon_as_it_is_listed(busy):
    drain = 'scontrol update nodename=c4 state=drain reason="sinfo-test two words"'
    calls = [
        [], ["-N"], ["-R"], ["-R", "-l"], ["-R", "-o", "%E|%u|%U|%H|%N|%t"], ["-s"], ["-l"], ["-t", "drain"],
        ["-t", "drained,draining"], ["-t", "mix&drain"], ["-t", "~drain"], ["-o", "%t %T %C %F %A %N"],
        ["-O", "statecomplete:30,reason:30,user,userlong,timestamp,nodelist"], ["-S", "-E", "-o", "%E %P %N"],
        ["-S", "t", "-o", "%t %P %N"], ["-S", "H,u", "-o", "%u %P %N"], ["-e"],
    ]  # fmt: skip
    try:
        busy.run("slurmctld", drain)
        left = sinfo_differs(busy, calls, tries=2)
        (shown,) = called(busy, NATIVE, "sinfo", [["-h", "-n", "c4", "-o", "%t"]])
        shows = differing(busy, "hpcjobs.cli.slurm.scontrol", "scontrol", [["show", "node", "c4"]], tries=1)
    finally:
        busy.run("slurmctld", "scontrol update nodename=c4 state=resume")
    check([*left, *shows])
    assert shown[1].split()[0] in ("drain", "drng")


def test_scontrol_shows_nodes_and_partitions_line_by_line_as_slurms_own(busy):
    check(differing(busy, "hpcjobs.cli.slurm.scontrol", "scontrol", SHOWN))


def keys_of(text: str) -> set[str]:
    return {word.partition("=")[0] for word in text.split() if "=" in word}


def test_what_scontrol_prints_of_nodes_and_partitions_and_we_do_not_is_told_with_its_reason(new):
    for what in ("node", "partition"):
        calls = [["-d", "show", what]]
        ((_, ours, _),) = called(new, DRIVER, "hpcjobs.cli.slurm.scontrol", calls)
        ((_, native, _),) = called(new, NATIVE, "scontrol", calls)
        assert keys_of(native) - keys_of(ours) <= LEFT_OUT.keys()


def flat(document: Any, path: str = "") -> dict[str, Any]:
    """Every value of a document by its path; of lists by place."""
    if isinstance(document, dict) and document and not {"set", "infinite"} <= document.keys():
        parts = ((f"{path}/{key}".lstrip("/"), value) for key, value in document.items())
        return {name: value for key, inside in parts for name, value in flat(inside, key).items()}
    return {path: document}


@pytest.mark.parametrize(
    ("module", "program", "words", "key", "unknown"),
    [
        ("sinfo", "sinfo", ["--json"], "sinfo", PARTITION_UNKNOWN),
        ("sinfo", "sinfo", ["--json", "-N", "-o", "%N %n %o %t"], "sinfo", PARTITION_UNKNOWN),
        ("sinfo", "sinfo", ["--json=v0.0.45", "-p", "debug", "-n", "c9"], "sinfo", PARTITION_UNKNOWN),
        ("scontrol", "scontrol", ["show", "node", "--json"], "nodes", NODE_UNKNOWN),
        ("scontrol", "scontrol", ["show", "node", "c2", "--json"], "nodes", NODE_UNKNOWN),
        ("scontrol", "scontrol", ["show", "partition", "--json"], "partitions", PARTITION_UNKNOWN),
    ],
)
def test_json_has_slurms_keys_and_values_but_for_what_is_told_to_be_unknown(busy, module, program, words, key, unknown):
    def alike(_: Sequence[str], told: Any) -> Any:
        code, out, err = told
        items = [flat(item) for item in json.loads(out)[key]]
        # Partitions are gathered in threads there.
        items.sort(key=lambda item: (item.get("partition/name", ""), str(item.get("nodes/nodes", item.get("name")))))
        return (
            code,
            [{name: item[name] for name in item if not any(map(name.endswith, unknown))} for item in items],
            err,
        )

    check(differing(busy, f"hpcjobs.cli.slurm.{module}", program, [words], alike=alike))


def test_the_rest_of_a_document_is_as_slurms_too(new):
    ((_, ours, _),) = called(new, DRIVER, "hpcjobs.cli.slurm.sinfo", [["--json"]])
    ((_, native, _),) = called(new, NATIVE, "sinfo", [["--json"]])
    mine, slurms = json.loads(ours), json.loads(native)
    assert mine.keys() == slurms.keys()
    assert (mine["errors"], mine["warnings"]) == ([], [])
    told, known = flat(slurms["meta"]), flat(mine["meta"])
    assert told.keys() == known.keys()
    ours_alone = {"slurm/version/micro", "slurm/release"}  # the series is known, not which release of it
    assert {name for name in told if told[name] != known[name]} <= ours_alone


def test_sinfo_is_a_command_and_a_name_of_a_link(new):
    code, ours, err = new.typed("hpcjobs sinfo -h -o %D")
    assert (code, err) == (0, "")
    link = "d=$(mktemp -d); ln -s $(command -v hpcjobs) $d/sinfo; $d/sinfo -h -o %D"
    assert new.typed(link)[:2] == (0, ours)


def test_what_cannot_be_answered_is_refused(new):
    for words in ("-T", "-F", "--yaml", "--json=v0.0.42"):
        code, out, err = new.typed(f"hpcjobs sinfo {words}")
        assert (code, out) == (1, ""), words
        assert err.startswith("sinfo: error: ")
