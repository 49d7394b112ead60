from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.slurmconf.saying import folded
from hpcjobs_plugins.topology.checks import Settings as Allowed
from hpcjobs_plugins.topology.commands import COMMANDS, options
from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.gathering import Reader
from hpcjobs_plugins.topology.saved import read_site, write_site
from hpcjobs_plugins.topology.settings import Shape as OfSlurm
from hpcjobs_plugins.topology.twin import Shape, fat_tree
from hpcjobs_plugins.topology.twin_tables import as_table

from .fabric_edits import Bench
from .fabrics import real
from .topology_runs import SMALL, fails, ibnetdiscover, on_terminal, process, put, run, saved

# --- show, diff -----------------------------------------------------------------------------------------------------


def test_a_site_is_shown_as_a_tree_with_or_without_box_characters(tmp_path):
    site = saved(tmp_path)
    done = run("show", site)
    assert done.stdout.splitlines()[:3] == [
        "ib0: infiniband, 16 hosts, 6 switches on 2 tiers, 16 cables between them",
        "└─ spine[01-02]: 2 switches of tier 2",
        "   ├─ leaf01: n[0001-0004] (4), 4 cables at 200 Gbit/s, 4 cables up at 200 Gbit/s",
    ]
    assert run("show", site, "--ascii").stdout.isascii()
    brief = run("show", site, "--brief").stdout.splitlines()
    assert brief[2].startswith("   └─ leaf[01-04] (4 leaves): n[0001-0016] (16), 16 cables")
    child = process("show", site, PYTHONIOENCODING="ascii")
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert out == run("show", site, "--ascii").stdout


def test_a_site_is_shown_as_a_table_of_switches_and_as_a_picture(tmp_path):
    site = saved(tmp_path)
    rows = [line.split("\t") for line in run("show", site, "--table").stdout.splitlines()]
    assert rows[0] == ["FABRIC", "SWITCH", "TIER", "HOSTS", "UP", "RATIO", "PORTS", "GUID"]
    assert rows[1][:7] == ["ib0", "leaf01", "1", "4", "4", "1.00", "8/8"]
    assert len(rows) == 7
    done = run("show", site, "--svg", tmp_path / "site.svg")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"hpcjobs: drawn in {tmp_path / 'site.svg'}\n")
    assert (tmp_path / "site.svg").read_text() == run("show", site, "--svg", "-").stdout
    assert "leaf03" in (tmp_path / "site.svg").read_text()
    assert "say one" in run("show", site, "--svg", "-", "--json").stderr


def test_one_fabric_of_several_is_shown(tmp_path):
    site = saved(tmp_path, Shape(hosts=4, hosts_per_leaf=4, rails=2, rail_optimised=True))
    assert run("show", site).stdout.count("infiniband") == 2
    assert run("show", site, "--fabric", "ib1").stdout.startswith("ib1: infiniband, 4 hosts, 1 switch")
    fails(run("show", site, "--fabric", "ib9"), "there is no fabric ib9, but ib0, ib1")


def edited(tmp_path):
    """A site and what it is when a cable is pulled and a host moved."""
    before = saved(tmp_path)
    bench = Bench(read_site(before.read_bytes(), ""))
    bench.unplug(bench.between("leaf01", "spine01")[0])
    bench.move_host("n0007", 0, "leaf01", 40)
    (tmp_path / "after.json").write_bytes(write_site(bench.site(tiers=True)))
    return before, tmp_path / "after.json"


def test_a_comparison_names_what_changed_and_its_exit_code_says_whether_anything_did(tmp_path):
    before, after = edited(tmp_path)
    done = run("diff", before, after)
    assert done.exit_code == 1
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [(row[0], row[1]) for row in rows[1:]] == [("node-moved", "n0007"), ("cable-gone", "leaf01:5 - spine01:1")]
    assert rows[0] == ["CODE", "SUBJECT", "WAS", "NOW", "WHAT"]
    assert done.stderr == "hpcjobs: 2 changes\n"
    same = run("diff", before, before)
    assert (same.exit_code, same.stdout, same.stderr) == (0, "", "hpcjobs: no change\n")
    document = json.loads(run("diff", before, after, "--json").stdout)
    assert [one["code"] for one in document["changes"]] == ["node-moved", "cable-gone"]


def test_a_saved_site_is_compared_with_what_is_there_now(tmp_path):
    before, after = edited(tmp_path)
    now = f"ibnetdiscover:{tmp_path / 'fabric.txt'}"
    assert run("diff", before, now).exit_code == 0
    assert run("diff", before, "--from", now).exit_code == 0
    assert run("diff", after, "--from", now).exit_code == 1
    assert run("diff", now, before).exit_code == 0
    assert "NEW is there already" in run("diff", before, after, "--from", now).stderr
    assert "say what is to be read" in run("diff", before).stderr
    named = run("diff", before, now, "--storage", "n0016")
    assert "node-role\tn0016\tcompute\tstorage" in named.stdout


# --- check ----------------------------------------------------------------------------------------------------------


def test_a_check_says_what_is_wrong_and_its_exit_code_how_bad_it_is(tmp_path):
    before, after = edited(tmp_path)
    good = run("check", before)
    assert (good.exit_code, good.stdout, good.stderr) == (0, "", "hpcjobs: nothing is wrong\n")
    assert run("check", before, "--strict").exit_code == 0
    bad = run("check", after)
    assert bad.exit_code == 0
    rows = [line.split("\t") for line in bad.stdout.splitlines()]
    assert rows[0] == ["SEVERITY", "FABRIC", "CODE", "SUBJECT", "WHAT"]
    assert ["warning", "ib0", "cable-missing", "leaf01"] in [row[:4] for row in rows]
    assert run("check", after, "--strict").exit_code == 1
    assert run("check", after, "--strict", "--ignore", "cable-missing").exit_code == 0
    tight = run("check", before, "--strict", "--oversubscription", "0.5")
    assert (tight.exit_code, "tier-oversubscribed" in tight.stdout) == (1, True)
    document = json.loads(run("check", after, "--json").stdout)
    assert document["counts"]["warning"] == len(document["findings"]) == len(rows) - 1


def test_a_code_that_is_none_is_not_ignored(tmp_path):
    done = run("check", saved(tmp_path), "--ignore", "cable-mising")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--ignore cable-mising: there is no such code; there is cable-missing" in done.stderr


def test_a_check_holds_the_nodes_of_slurm_against_the_fabric(tmp_path):
    done = run("check", saved(tmp_path), "--nodes", "n[0001-0020]", "--strict")
    assert done.exit_code == 1
    assert "node-without-fabric" in done.stdout
    assert "n[0017-0020]" in done.stdout


def test_a_check_with_an_error_exits_2(tmp_path):
    site = fat_tree(SMALL)
    bench = Bench(site)
    bench.rename_host("n0001", "spine01")
    (tmp_path / "x.json").write_bytes(write_site(bench.site()))
    done = run("check", tmp_path / "x.json")
    assert done.exit_code == 2
    assert done.stdout.splitlines()[1].startswith("error\t-\tname-twice\tspine01")


GOOD = "SwitchName=s1 Nodes=c[1-2]\nSwitchName=s2 Nodes=c[3-4]\nSwitchName=r Switches=s[1-2]\n"
CYCLE = GOOD + "SwitchName=q Switches=r,p\nSwitchName=p Switches=q\n"
YAML = "- topology: a\n  tree:\n    switches:\n      - switch: s1\n        nodes: c[1-2]\n        children: s1\n"


@pytest.mark.parametrize("name", ["topology.conf", "topology.conf.new", "of-the-lab"])
def test_a_file_for_slurm_is_judged_with_line_numbers_whatever_it_is_called(tmp_path, name):
    path = tmp_path / name
    path.write_text(GOOD)
    good = run("check", path)
    assert (good.exit_code, good.stdout) == (0, ""), good.stderr
    path.write_text(CYCLE)
    bad = run("check", path)
    assert bad.exit_code == 2
    rows = [line.split("\t") for line in bad.stdout.splitlines()]
    assert rows[0] == ["FILE", "LINE", "SLURM", "CODE", "SUBJECT", "WHAT"]
    assert [str(path), "4", "dies", "cycle", "q"] in [row[:5] for row in rows]


@pytest.mark.parametrize("name", ["topology.yaml", "x.yml", "of-the-lab"])
def test_a_topology_yaml_is_judged_as_well(tmp_path, name):
    (tmp_path / name).write_text(YAML)
    document = json.loads(run("check", tmp_path / name, "--json").stdout)
    assert document["file"] == str(tmp_path / name)
    assert ("nodes-and-switches", 4) in {(one["code"], one["line"]) for one in document["findings"]}


def test_what_slurm_warns_of_is_a_warning_and_its_release_counts(tmp_path):
    path = tmp_path / "topology.conf"
    path.write_text("BlockName=b1 Nodes=c[1-4]\nBlockName=b2 Nodes=c[5-6]\nBlockSizes=4,8\n")
    assert run("check", path, "--release", "24.11").exit_code == 2
    assert run("check", path, "--release", "26.05.5").exit_code == 0
    path.write_text(GOOD)
    warned = run("check", path, "--nodes", "c[1-5]")
    assert (warned.exit_code, "node-nowhere" in warned.stdout) == (0, True)
    assert run("check", path, "--nodes", "c[1-5]", "--strict").exit_code == 1
    assert run("check", path, "--nodes", "c[1-5]", "--strict", "--ignore", "node-nowhere").exit_code == 0
    assert "is no release of Slurm" in run("check", path, "--release", "new").stderr


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("topology.conf", b"SwitchName=s1 Nodes=c1\n\xff\n", "topology.conf:2: this is no text"),
        ("topology.yaml", b"- topology: [a\n", "topology.yaml:2: this is no YAML"),
        ("topology.yaml", b"", "topology.yaml: the file says nothing"),
    ],
)
def test_a_file_for_slurm_that_cannot_be_read_is_an_error_with_its_name_and_line(tmp_path, name, data, complaint):
    (tmp_path / name).write_bytes(data)
    fails(run("check", tmp_path / name), f"{tmp_path}/{complaint}")


# --- translate ------------------------------------------------------------------------------------------------------


def test_a_site_is_printed_as_slurm_reads_it(tmp_path):
    site = saved(tmp_path)
    conf = run("translate", site, "--form", "conf", "--slurm-conf-part", "--param", "RoutePart", "--tree-width", "9")
    assert conf.stdout.splitlines()[1:] == [
        "SwitchName=leaf01 Nodes=n[0001-0004]",
        "SwitchName=leaf02 Nodes=n[0005-0008]",
        "SwitchName=leaf03 Nodes=n[0009-0012]",
        "SwitchName=leaf04 Nodes=n[0013-0016]",
        "SwitchName=ib0 Switches=leaf[01-04]",
        "",
        "# slurm.conf: what belongs to the topology",
        "TopologyPlugin=topology/tree",
        "TopologyParam=RoutePart",
        "TreeWidth=9",
    ]
    assert run("translate", site).stdout.splitlines()[2] == "- topology: default"
    assert run("translate", site, "--release", "24.11").stdout.splitlines()[1].startswith("SwitchName=")
    assert "spine01 Switches=" in run("translate", site, "--form", "conf", "--shape", "physical").stdout
    blocks = run("translate", site, "--shape", "leaf-block", "--base", "2", "--form", "conf").stdout
    assert "BlockSizes=2,8" in blocks


@pytest.mark.parametrize("form", ["conf", "yaml"])
@pytest.mark.parametrize("shape", ["tree", "physical", "leaf-block", "block"])
def test_what_is_printed_passes_the_check(tmp_path, shape, form):
    put(tmp_path)
    sources = [f"ibnetdiscover:{tmp_path / 'fabric.txt'}", f"nvlink:{tmp_path / 'nvlink.txt'}"]
    done = run("translate", *sources, "--shape", shape, "--form", form)
    assert done.exit_code == 0, done.stderr
    checked = run("check", "-", "--nodes", "n[0001-0016]", stdin=done.stdout)
    assert (checked.exit_code, checked.stdout) == (0, ""), checked.stderr


def test_files_are_written_to_a_folder(tmp_path):
    done = run("translate", saved(tmp_path), "--slurm-conf-part", "-o", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (0, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"topology.yaml", "slurm.conf.topology"}
    assert (tmp_path / "out" / "topology.yaml").read_text() == run("translate", tmp_path / "site.json").stdout


def test_what_is_odd_about_a_translation_is_told_on_stderr(tmp_path):
    site = saved(tmp_path)
    done = run("translate", site, "--nodes", "n[0001-0014,0099]")
    assert done.exit_code == 0
    assert "note: n[0015-0016] on ib0: not among Slurm's nodes" in done.stderr
    assert "warning: n0099 of slurm.conf are in no switch (node-nowhere: slurmctld warns)" in done.stderr


def test_what_slurmctld_would_die_of_is_not_printed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(as_table(fat_tree(SMALL)))
    # Nothing that the engines make is deadly; a form that the release does not read is at least told.
    done = run("translate", f"table:{path}", "--form", "yaml", "--release", "24.11")
    assert "Slurm 24.11 does not read topology.yaml (form-too-new" in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--shape", "block"], "there are no domains"),
        (["--nodes", "x[1-3]"], "no host of the fabrics is a node of Slurm"),
        (["--fabric", "ib7"], "there is no fabric ib7, but ib0"),
        (["--param", "RouteWest"], "TopologyParam has no option RouteWest"),
        (["--tree-width", "70000"], "TreeWidth is a number from 1 to 65533"),
    ],
)
def test_what_cannot_be_translated_is_one_sentence(tmp_path, words, complaint):
    fails(run("translate", saved(tmp_path), *words), complaint)


def test_a_base_size_is_of_blocks(tmp_path):
    assert "--base is of blocks" in run("translate", saved(tmp_path), "--base", "4").stderr


@pytest.mark.parametrize("by", ["options", "settings"])
def test_two_fabrics_have_a_common_root_and_the_rest_of_the_nodes_a_switch_where_that_is_wanted(tmp_path, by):
    for prefix, seed in (("n", 1), ("m", 2)):
        (tmp_path / f"{prefix}.txt").write_text(
            ibnetdiscover(Shape(hosts=4, hosts_per_leaf=2, spines=1, prefix=prefix, seed=seed)).replace(
                "MF0;", f"MF0;{prefix}-"
            )
        )
    sources = [f"ibnetdiscover:{tmp_path / name}" for name in ("n.txt", "m.txt")]
    words = ["--nodes", "n[0001-0005],m[0001-0004]"]
    apart = run("translate", *sources, *words, "--form", "conf")
    assert "no-common-root" in apart.stderr
    assert "node-nowhere" in apart.stderr
    wanted = ["--form", "conf", "--one-root", "all", "--rest", "ethernet"]
    if by == "settings":
        feeds = "".join(
            f'[[clusters.a.sources]]\nreader = "ibnetdiscover"\nsource.path = "{tmp_path / name}"\n'
            for name in ("n.txt", "m.txt")
        )
        translation = 'form = "topology.conf"\none_root = "all"\nrest = "ethernet"\n'
        (tmp_path / "p.toml").write_text(f"{feeds}[clusters.a.translation]\n{translation}")
        sources, wanted = [], ["--settings", str(tmp_path / "p.toml")]
    done = run("translate", *sources, *words, *wanted)
    assert (done.exit_code, done.stderr) == (0, "hpcjobs: note: n0005: on no fabric, put under ethernet\n")
    assert done.stdout.splitlines()[1:] == [
        "SwitchName=m-leaf01 Nodes=m[0001-0002]",
        "SwitchName=m-leaf02 Nodes=m[0003-0004]",
        "SwitchName=ib0 Switches=m-leaf[01-02]",
        "SwitchName=n-leaf01 Nodes=n[0001-0002]",
        "SwitchName=n-leaf02 Nodes=n[0003-0004]",
        "SwitchName=ib1 Switches=n-leaf[01-02]",
        "SwitchName=ethernet Nodes=n0005",
        "SwitchName=all Switches=ethernet,ib[0-1]",
    ]


def test_a_common_root_and_a_switch_for_the_rest_are_of_a_tree_and_the_rest_of_nodes_that_are_known(tmp_path):
    site = saved(tmp_path)
    assert "--one-root is of a tree" in run("translate", site, "--shape", "leaf-block", "--one-root", "all").stderr
    assert "--rest is of a tree" in run("translate", site, "--nodes", "n1", "--shape", "block", "--rest", "x").stderr
    assert "--rest: say with --nodes or --slurm-conf" in run("translate", site, "--rest", "x").stderr


# --- what all of them have ------------------------------------------------------------------------------------------


def test_the_words_of_options_are_those_of_what_they_choose():
    assert tuple(Reader) == options.READERS
    assert tuple(OfSlurm) == options.SHAPES
    assert tuple(options.FORMS.values()) == tuple(Form)
    assert f"[default: {Allowed().oversubscription:g}]" in run("check", "--help").stdout


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_the_help_of_every_command_fits_its_width_and_names_each_option_once(command):
    done = run(command, "--help")
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\\b" not in done.stdout
    (own,) = [one for one in COMMANDS if one.name == command]
    for option in own.params:
        names = [name for name in option.opts if name.startswith("--")]
        assert all(done.stdout.count(f" {name} ") + done.stdout.count(f" {name}\n") >= 1 for name in names), option
    assert done.stdout.count("Who is asked:") == 1


@pytest.mark.thorough
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_on_a_terminal_no_line_is_longer_than_it(tmp_path, columns):
    path = tmp_path / "x"
    path.write_bytes(real("ufm-selene.storage.ibnetdiscover.gz"))
    for words in (["show", "--brief"], ["check"], ["discover"], ["show", "--table"]):
        code, seen = on_terminal(columns, *words, f"ibnetdiscover:{path}", NO_COLOR="1")
        assert code == 0
        lines = seen.splitlines()
        assert len(lines) > 3
        if columns > 60 or words[0] != "show" or words[1] != "--table":
            assert max(map(len, lines)) <= columns or words == ["discover"], max(lines, key=len)


@pytest.mark.thorough
def test_a_terminal_has_colours_unless_it_is_said_that_it_should_not(tmp_path):
    _, after = edited(tmp_path)
    assert "\x1b[33mwarning\x1b[0m" in on_terminal(80, "check", after)[1]
    assert "\x1b" not in on_terminal(80, "check", after, NO_COLOR="1")[1]
    assert "\x1b" not in run("check", after).stdout


def test_names_that_would_move_the_cursor_are_shown_harmless(tmp_path):
    site = fat_tree(SMALL)
    bench = Bench(site)
    bench.rename_host("n0001", "n\x1b[2J\r1")
    (tmp_path / "x.json").write_bytes(write_site(bench.site()))
    for words in (["show"], ["show", "--table"], ["check", "--nodes", "n1"]):
        out = run(*words, tmp_path / "x.json").stdout
        assert "\x1b" not in out
        assert "\r" not in out


@given(st.text(alphabet="ab ,-[]", max_size=200), st.integers(5, 60))
def test_folded_lines_are_short_and_lose_nothing(text, width):
    lines = folded(text, width)
    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.thorough
def test_a_reader_that_goes_away_is_no_error(tmp_path):
    child = process("show", saved(tmp_path, Shape(hosts=6000, hosts_per_leaf=4, spines=2, cores=2, pods=4)))
    child.stdout.read(10)
    child.stdout.close()
    assert child.wait(20) == 1
    assert "Traceback" not in child.stderr.read()
    child.stderr.close()
