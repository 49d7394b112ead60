from __future__ import annotations

import gzip
import json
import os
import re
import signal
import stat
import time

import msgspec
import pytest
from click import UsageError
from hypothesis import given

from hpcjobs_plugins.topology.commands.sites import read_guid_map
from hpcjobs_plugins.topology.fabric import FabricError, Site
from hpcjobs_plugins.topology.saved import read_site, write_site
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from .fabrics import real, shapes
from .topology_runs import SMALL, fails, ibnetdiscover, process, put, run, saved

# --- discover -------------------------------------------------------------------------------------------------------


def test_a_fabric_is_discovered_from_a_file_and_summed_up(tmp_path):
    done = run("discover", f"ibnetdiscover:{put(tmp_path)}", f"nvlink:{tmp_path / 'nvlink.txt'}")
    assert done.exit_code == 0
    assert done.stdout == (
        "FABRIC\tNETWORK\tCOMPUTE\tSTORAGE\tOTHER\tSWITCHES\tCABLES\tOVERSUBSCRIPTION\n"
        "ib0\tinfiniband\t16\t0\t0\t4+2\t16\t1.00\n\nNVLink: 4 domains of 16 nodes\n"
    )


@pytest.mark.parametrize("by", ["word", "option", "stdin", "command", "named command", "pipe", "gzip"])
def test_a_source_is_a_word_an_option_stdin_a_command_or_a_pipe(tmp_path, by):
    path, text = put(tmp_path), ibnetdiscover()
    (tmp_path / "fabric.gz").write_bytes(gzip.compress(text.encode()))
    tool = tmp_path / "ibnetdiscover"
    tool.write_text(f"#!/bin/sh\ncat {path}\n")
    tool.chmod(0o755)
    ours, theirs = os.pipe()
    if by == "pipe":
        with open(theirs, "w") as file:
            file.write(text)
    words = {
        "word": [f"ibnetdiscover:{path}"],
        "option": ["--from", f"ibnetdiscover:{path}"],
        "stdin": ["ibnetdiscover:-"],
        "command": ["--command", f"{tool} --node-name-map 'a file'"],
        "named command": ["--command", f"ibnetdiscover:cat {path}"],
        "pipe": [f"ibnetdiscover:/dev/fd/{ours}"],
        "gzip": [f"ibnetdiscover:{tmp_path / 'fabric.gz'}"],
    }[by]
    done = run("discover", "--json", *words, stdin=text)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["fabrics"][0]["hosts"] == {"compute": 16}
    os.close(ours)


@pytest.mark.parametrize(("hosts", "more"), [
    (5, "and 2 more: hpcjobs topology show --json has them all"),
    (64, "and 61 more: hpcjobs topology show --json has 20 of all"),
])  # fmt: skip
def test_what_is_odd_is_counted_in_full_and_promised_as_far_as_it_is_kept(tmp_path, hosts, more):
    text = re.sub(r"n00.. HCA-1", "MT4123", ibnetdiscover(Shape(hosts=hosts, hosts_per_leaf=hosts)))
    (tmp_path / "x").write_text(text)
    done = run("discover", f"ibnetdiscover:{tmp_path / 'x'}", "-o", tmp_path / "site.json")
    assert done.stdout.splitlines()[-1].split("\t") == ["adapter-without-name", "-", more]
    kept = read_site((tmp_path / "site.json").read_bytes(), "").notices
    assert sum(not notice.more for notice in kept) == min(hosts, 20)


def test_a_site_that_is_saved_is_the_site_that_was_found(tmp_path):
    site = read_site(saved(tmp_path).read_bytes(), "")
    assert abs(site.found_at - time.time()) < 60
    assert site.fabrics == fat_tree(SMALL).fabrics
    shown = run("show", tmp_path / "site.json", "--json")
    assert msgspec.json.decode(shown.stdout, type=Site) == site
    out = run("discover", f"ibnetdiscover:{tmp_path / 'fabric.txt'}", "-o", "-")
    assert read_site(out.stdout.encode(), "").fabrics == site.fabrics


def test_a_saved_site_can_be_compressed_read_from_stdin_and_written_through_a_link(tmp_path):
    site = saved(tmp_path)
    (tmp_path / "link.gz").symlink_to("real.gz")
    assert run("discover", site, "-o", tmp_path / "link.gz").exit_code == 0
    assert (tmp_path / "link.gz").is_symlink()
    assert gzip.decompress((tmp_path / "real.gz").read_bytes()) == site.read_bytes()
    assert run("show", tmp_path / "link.gz").stdout == run("show", "-", stdin=site.read_bytes()).stdout
    assert run("check", "-", stdin=site.read_bytes()).exit_code == 0


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path, monkeypatch):
    site = saved(tmp_path)
    site.chmod(0o640)
    before = site.read_bytes()

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hpcjobs_plugins.topology.commands.files.os.fsync", full)
    done = run("discover", f"ibnetdiscover:{tmp_path / 'fabric.txt'}", "-o", site)
    fails(done, f"{site}: No space left on device")
    monkeypatch.undo()
    assert site.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"site.json", "fabric.txt", "nvlink.txt"}
    assert run("discover", f"ibnetdiscover:{tmp_path / 'fabric.txt'}", "-o", site).exit_code == 0
    assert stat.S_IMODE(site.stat().st_mode) == 0o640
    fails(run("discover", site, "-o", tmp_path / "nowhere" / "x.json"), "nowhere/x.json: No such file or directory")


def test_notices_are_told_with_their_line_and_what_to_do_about_it(tmp_path):
    path = put(tmp_path)
    path.write_text(path.read_text().replace('"n0003 HCA-1"', '"MT4123 ConnectX6 Mellanox Technologies"'))
    done = run("discover", f"ibnetdiscover:{path}")
    (notice,) = [line for line in done.stdout.splitlines() if line.startswith("adapter-without-name")]
    assert "give its GUID a name" in notice
    line = int(notice.split("\t")[1])
    guid = fat_tree(SMALL).fabrics[0].hosts["n0003"].endpoints[0].adapter
    assert guid in path.read_text().splitlines()[line - 1]
    (tmp_path / "map").write_text(f'# who is who\n0x{guid} "n0003 HCA-1"  # by hand\n')
    named = run("discover", f"ibnetdiscover:{path}", "--guid-map", tmp_path / "map")
    assert "adapter-without-name" not in named.stdout
    assert "ib0\tinfiniband\t16\t0\t0" in named.stdout


def test_storage_and_nodes_are_told_apart_as_it_is_said(tmp_path):
    path = put(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "slurm.conf").write_text("ClusterName=x\nInclude nodes.conf\n")
    (tmp_path / "etc" / "nodes.conf").write_text("NodeName=n[0001-0010] CPUs=4\nNodeName=n0099\n")
    by_name = run("discover", f"ibnetdiscover:{path}", "--storage", "n001[3-6]")
    assert "ib0\tinfiniband\t12\t4\t0" in by_name.stdout
    by_conf = run("discover", f"ibnetdiscover:{path}", "--slurm-conf", tmp_path / "etc" / "slurm.conf")
    assert "ib0\tinfiniband\t10\t0\t6" in by_conf.stdout
    assert "nodes of slurm.conf are on no fabric: n0099" in by_conf.stdout
    assert "ib0\tinfiniband\t3\t0\t13" in run("discover", f"ibnetdiscover:{path}", "--nodes", "n[0001-0003]").stdout


SETTINGS = """
[clusters.alpha]
nodes = "n[0001-0008]"
sources = [{{reader = "ibnetdiscover", source = {{path = "{path}"}}}}]
[clusters.alpha.naming]
fabrics = {{leaf01 = "compute"}}
[clusters.alpha.translation]
shape = "physical"
form = "topology.conf"
"""


@pytest.mark.parametrize("service", [False, True])
def test_settings_of_the_plugin_or_of_the_service_say_it_all(tmp_path, service):
    text = SETTINGS.format(path=put(tmp_path))
    if service:
        head = '[[clusters]]\nname = "alpha"\n[[plugins]]\nname = "night"\n[[plugins]]\nname = "topology"\n'
        text = head + text.replace("[clusters", "[plugins.settings.clusters")
    (tmp_path / "x.toml").write_text(text)
    assert "compute\tinfiniband\t8\t0\t8" in run("discover", "--settings", tmp_path / "x.toml").stdout
    physical = run("translate", "--settings", tmp_path / "x.toml", "--cluster", "alpha").stdout
    assert "SwitchName=spine01 Switches=leaf[01-02]" in physical
    tree = run("translate", "--settings", tmp_path / "x.toml", "--shape", "tree", "--form", "yaml").stdout
    assert "- switch: compute\n" in tree


@pytest.mark.parametrize(
    ("text", "words", "complaint"),
    [
        ("[clusters.a\n", [], "x.toml:1: this is no TOML"),
        ("x = 1\n[clusters.a]\nsources = []\n", [], "Object contains unknown field `x`"),
        ('[[clusters]]\nname = "a"\n', [], 'there is no [[plugins]] with name = "topology"'),
        ("[clusters.a]\nsources = []\n[clusters.b]\nsources = []\n", [], "say with --cluster which one: a, b"),
        ("[clusters.a]\nsources = []\n", ["--cluster", "c"], "there is no cluster c, but a"),
        ('[clusters.a]\nsources = [{reader = "smoke", source = {path = "/x"}}]\n', [], "Invalid enum value 'smoke'"),
        ("[clusters.a]\nsources = [{reader = 'lldp', source = {}}]\n", [], "a source is a path or a command"),
        ('[clusters.a]\nsources = []\nnodes = "n[1-"\n', [], "x.toml: nodes: "),
        ("\udcff", [], "the file is no text"),
    ],
)
def test_settings_that_are_wrong_are_told_with_the_file_and_why(tmp_path, text, words, complaint):
    (tmp_path / "x.toml").write_bytes(text.encode(errors="surrogateescape"))
    fails(run("discover", "--settings", tmp_path / "x.toml", *words), complaint)


def test_settings_without_sources_have_nothing_to_ask_but_name_what_is_given(tmp_path):
    (tmp_path / "x.toml").write_text("[clusters.a]\nsources = []\nnaming.storage = ['n001[0-9]']\n")
    assert "say what is to be read" in run("discover", "--settings", tmp_path / "x.toml").stderr
    done = run("discover", "--settings", tmp_path / "x.toml", f"ibnetdiscover:{put(tmp_path)}")
    assert "ib0\tinfiniband\t9\t7\t0" in done.stdout


# --- bad input ------------------------------------------------------------------------------------------------------


def cut(text: str, words: str) -> str:
    return text[: text.index(words)]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (os.urandom(64) * 40 + b"\0", "it is no text"),
        (b"\x7fELF\0\0", "x:1: it is no text"),
        (b"hello\n", "no switch and no adapter is in it"),
        (cut(ibnetdiscover(), '"n0009 HCA-1"').encode(), "the output ends there"),
        (cut(ibnetdiscover(), "caguid").encode(), "ids of a node without the node"),
        (gzip.compress(ibnetdiscover().encode())[:-20], "the gzip ends in the middle"),
    ],
    ids=["empty", "blank", "random", "elf", "words", "cut", "cut at a block", "cut gzip"],
)
def test_what_is_no_fabric_is_an_error_with_the_place(tmp_path, data, complaint):
    (tmp_path / "x").write_bytes(data)
    for command in ("discover", "show", "check", "translate"):
        fails(run(command, f"ibnetdiscover:{tmp_path / 'x'}"), complaint)
    fails(run("diff", f"ibnetdiscover:{tmp_path / 'x'}", f"ibnetdiscover:{tmp_path / 'x'}"), complaint)


def test_a_truncated_output_is_told_with_its_last_line(tmp_path):
    text = ibnetdiscover()
    lines = text.splitlines()
    for count in (len(lines) // 3, len(lines) // 2, len(lines) - 2):
        (tmp_path / "x").write_text("\n".join(lines[:count]) + "\n")
        done = run("discover", f"ibnetdiscover:{tmp_path / 'x'}")
        assert done.exit_code == 2
        number = int(done.stderr.split(f"{tmp_path / 'x'}:")[1].split(":")[0])
        assert 1 <= number <= count


def test_two_switches_of_one_guid_are_an_error_with_the_line_of_the_second(tmp_path):
    text = ibnetdiscover()
    one, other = (fat_tree(SMALL).fabrics[0].switches[name].guid for name in ("leaf01", "leaf02"))
    (tmp_path / "x").write_text(text.replace(other, one))
    done = run("discover", f"ibnetdiscover:{tmp_path / 'x'}")
    fails(done, f"switch {one} is another one than in line ")
    assert f"{tmp_path / 'x'}:" in done.stderr


def test_why_there_is_no_domain_is_said_where_nothing_else_was_found(tmp_path):
    uuid = "9edf5e4d-1234-4bcd-8a90-0123456789ab"
    (tmp_path / "x").write_text(f"n1: {uuid}, 3\nn1: {uuid}, 4\n")
    fails(run("discover", f"nvlink:{tmp_path / 'x'}"), f"the GPUs of n1 are of {uuid}.3 and {uuid}.4")
    (tmp_path / "x").write_text("n1: N/A, N/A\n")
    fails(run("discover", f"nvlink:{tmp_path / 'x'}"), "no source has a fabric or an NVLink domain")


def test_a_domain_that_two_sources_tell_parts_of_is_one(tmp_path):
    uuid = "9edf5e4d-1234-4bcd-8a90-0123456789ab"
    (tmp_path / "x").write_text(f"n1: {uuid}, 3\nn2: {uuid}, 3\n")
    (tmp_path / "y").write_text(f"n2: {uuid}, 3\nn3: {uuid}, 3\n")
    done = run("discover", f"nvlink:{tmp_path / 'x'}", f"nvlink:{tmp_path / 'y'}", "-o", "-")
    assert read_site(done.stdout.encode(), "").domains == {f"{uuid}.3": ("n1", "n2", "n3")}


def test_a_cable_that_leads_back_to_its_switch_is_told_and_left_out(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(real("ufm-small_topo.ibnetdiscover"))
    done = run("discover", f"ibnetdiscover:{path}")
    assert done.exit_code == 0
    assert "self-loop\t28\tports 25 and 26 of 0002c903007b78b0 are joined: left out" in done.stdout


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it is empty"),
        (b"{", "this is no saved site"),
        (b"[]", "Expected `object`, got `array`"),
        (b"\xff\xfe\0", "this is no saved site"),
        (b"[" * 100_000, "this is no site"),
        (b'{"domains": {}}', "missing required field `fabrics`"),
        (b'{"lldp": 1}', "this is no saved site: say lldp:"),
        (ibnetdiscover().encode(), "this is no saved site: say ibnetdiscover:"),
    ],
    ids=["empty", "cut", "array", "binary", "deep", "other", "lldp", "source"],
)
def test_what_is_no_saved_site_is_an_error_that_says_what_it_may_be(tmp_path, data, complaint):
    (tmp_path / "x").write_bytes(data)
    for command in ("discover", "show", "check", "translate"):
        fails(run(command, tmp_path / "x"), complaint)
    fails(run("diff", saved(tmp_path), tmp_path / "x"), complaint)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda fabric: fabric["switches"]["leaf01"].update(name="x"), "'x' stands under the name 'leaf01'"),
        (lambda fabric: fabric["hosts"]["n0001"].update(name="x"), "'x' stands under the name 'n0001'"),
        (lambda fabric: fabric["switches"].pop("leaf01"), "host 'n0001' hangs on 'leaf01', which is not in fabric"),
        (lambda fabric: fabric["switches"].pop("spine01"), "a cable leads to 'spine01', which is not in fabric"),
        (lambda fabric: fabric["switches"]["leaf01"].update(tier=-1), "on tier -1, and none is on the tier below"),
        (
            lambda fabric: fabric["switches"]["leaf01"].update(tier=10**9),
            "on tier 1000000000, and none is on the tier below",
        ),
    ],
)
def test_a_saved_site_that_was_edited_until_it_contradicts_itself_is_refused(tmp_path, edit, complaint):
    site = json.loads(saved(tmp_path).read_bytes())
    edit(site["fabrics"][0])
    (tmp_path / "x.json").write_text(json.dumps(site))
    fails(run("show", tmp_path / "x.json"), complaint)
    site["fabrics"] *= 2
    (tmp_path / "x.json").write_text(json.dumps(site))
    fails(run("check", tmp_path / "x.json"), "fabric 'ib0' is there twice")


@given(shapes())
def test_a_site_that_is_written_is_read_as_it_was(shape):
    site = fat_tree(shape)
    assert read_site(write_site(site), "x") == site


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("0x1 a\nhello\n", 2, "is no GUID and a name"),
        ("0x1 a\n\n0x1 b\n", 3, "0x1 is a in a line before"),
        ('0x1 "a\n', 1, "No closing quotation"),
        ("0x11111111111111111 a\n", 1, "is no GUID and a name"),
        ('0x1 ""\n', 1, "is no GUID and a name"),
        ("# nothing\n", 0, "it names no GUID"),
    ],
)
def test_a_guid_map_that_is_wrong_is_told_with_the_line(tmp_path, text, line, complaint):
    (tmp_path / "map").write_text(text)
    with pytest.raises(FabricError, match=complaint) as caught:
        read_guid_map(tmp_path / "map")
    assert caught.value.line == line


def test_a_switch_in_a_guid_map_is_not_renamed_and_that_is_said(tmp_path):
    guid = fat_tree(SMALL).fabrics[0].switches["leaf02"].guid
    (tmp_path / "map").write_text(f"0x{guid} other\n")
    done = run("discover", f"ibnetdiscover:{put(tmp_path)}", "--guid-map", tmp_path / "map")
    assert f"warning: {guid} is the GUID of switch leaf02, and --guid-map names nodes" in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "say what is to be read"),
        (["{site}", "{site}"], "is none of ibnetdiscover:PATH, "),
        (["{site}", "--from", "ibnetdiscover:x"], "it goes with no other source"),
        (["{site}", "--guid-map", "x"], "--guid-map names what is discovered"),
        (["{site}", "--storage", "x"], "--storage names what is discovered"),
        (["--from", "smoke:x"], "is none of ibnetdiscover:PATH, "),
        (["ibnetdiscover:-", "nvlink:-"], "stdin can be read once"),
        (["--command", "cat x"], "say what 'cat x' speaks"),
        (["--command", "cat 'x"], "No closing quotation"),
        (["ibnetdiscover:x", "--ssh", "admin@head"], "only a --command runs on another machine"),
        (["{site}", "--cluster", "x"], "--cluster says which one of --settings"),
        (["{site}", "--nodes", "n1", "--slurm-conf", "x"], "say --nodes or --slurm-conf"),
        (["{site}", "--timeout", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(tmp_path, words, complaint):
    site = str(saved(tmp_path))
    done = run("discover", *(word.replace("{site}", site) for word in words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in done.stderr.replace("\n", " ")
    assert UsageError.exit_code == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["ibnetdiscover:/nowhere"], "/nowhere: cannot be read: No such file or directory"),
        (["/nowhere"], "/nowhere: cannot be read: No such file or directory"),
        (["ibnetdiscover:/"], "/: cannot be read: Is a directory"),
        (["--settings", "/nowhere", "{site}"], "/nowhere: No such file or directory"),
        (["--slurm-conf", "/nowhere", "{site}"], "/nowhere: No such file or directory"),
        (["--guid-map", "/nowhere", "ibnetdiscover:{folder}/fabric.txt"], "/nowhere: No such file or directory"),
        (["--storage", "(", "ibnetdiscover:{folder}/fabric.txt"], "'(' is no regular expression"),
        (["--nodes", "n[1-", "{site}"], "--nodes: "),
        (["--slurm-conf", "{site}", "{site}"], "it names no node"),
        (["--command", "ibnetdiscover:false"], "false: it ended with 1, and says nothing of why"),
        (["--command", "/nowhere/ibnetdiscover"], "/nowhere/ibnetdiscover: "),
        (["--command", "ibnetdiscover:sleep 9", "--timeout", "0.2"], "not at its end after 0.2 s"),
    ],
)
def test_what_is_not_there_or_fails_is_one_sentence(tmp_path, words, complaint):
    site = str(saved(tmp_path))
    fails(run("discover", *(w.replace("{site}", site).replace("{folder}", str(tmp_path)) for w in words)), complaint)


def test_a_machine_that_cannot_be_reached_is_named(tmp_path):
    (tmp_path / "key").write_text("no key")
    (tmp_path / "known").write_text("")
    words = ["--command", "ibnetdiscover", "--ssh-key", tmp_path / "key", "--known-hosts", tmp_path / "known"]
    fails(run("discover", *words, "--ssh", "admin@127.0.0.1:1"), "admin@127.0.0.1: ibnetdiscover: by ssh: ")
    assert "is no USER@HOST" in run("discover", *words, "--ssh", "admin@head:x").stderr


def test_ctrl_c_ends_it_with_130_and_with_what_it_has_started(tmp_path):
    script = f"ibnetdiscover:sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60'"
    child = process("discover", "--command", script, "-o", tmp_path / "site.json")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert child.poll() is None
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err.strip()) == (130, "", "")
    assert not (tmp_path / "site.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_without_a_key_nobody_is_asked_by_ssh(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run("discover", "--command", "ibnetdiscover", "--ssh", "head1")
    assert f"there is no key in {tmp_path}/.ssh: say --ssh-key" in done.stderr
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_text("no key")
    (tmp_path / ".ssh" / "known_hosts").write_text("")
    fails(
        run("discover", "--command", "ibnetdiscover", "--ssh", "fabric@head1"), "fabric@head1: ibnetdiscover: by ssh: "
    )


def test_an_empty_list_of_nodes_is_taken_for_a_variable_that_is_not_set(tmp_path):
    (tmp_path / "fabric").write_text("")
    for command in ("check", "translate", "show"):
        done = run(command, "--nodes", "", tmp_path / "fabric")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "--nodes is empty" in done.stderr
