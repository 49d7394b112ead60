"""``hpcjobs sinfo`` against the real application on a loopback port: its words, its limits, its bad input."""

from __future__ import annotations

import json
import os
import time

import pytest

from hpcjobs.cli.slurm.sinfo import call
from hpcjobs.identity import make_token
from tests.api.test_command_line import served  # noqa: F401


@pytest.fixture
def sinfo(served, capsys, tmp_path, monkeypatch):  # noqa: F811
    service, url = served
    token = make_token(service.token_key, "nobody", time.time(), 600)
    environment = {"HPCJOBS_URL": url, "HPCJOBS_TOKEN": token, "XDG_CONFIG_HOME": str(tmp_path), "PATH": os.defpath}

    def run(*words, **variables):
        code = call(list(words), environment | variables)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_nodes_of_a_partition_stand_on_one_line(sinfo):
    code, out, err = sinfo()
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST",
        "gpu*         up   infinite      2   idle n[1-2]",
    ]


def test_formats_of_variables_and_words_print_what_was_asked_for(sinfo):
    assert sinfo("-h", "-o", "%P|%D|%.3N|%C")[1] == "gpu*|2|n[1|0/128/0/128\n"
    assert sinfo("-h", SINFO_FORMAT="%R %t")[1] == "gpu idle\n"
    assert sinfo("-hN", "-O", "nodelist:4,statelong")[1] == "n1  idle                \nn2  idle                \n"
    assert sinfo("-h", "-t", "drain", "-o", "%P %t %D")[1] == "gpu* n/a 0\n"


def test_json_is_one_document_of_the_form_of_slurms(sinfo):
    code, out, _ = sinfo("--json", "-p", "gpu")
    (line,) = json.loads(out)["sinfo"]
    assert code == 0
    assert (line["nodes"]["nodes"], line["node"]["state"], line["partition"]["name"]) == (["n1", "n2"], ["IDLE"], "gpu")


@pytest.mark.parametrize(
    ("words", "heard"),
    [
        (["-Q"], "sinfo: invalid option -- 'Q'\nTry \"sinfo --help\" for more information\n"),
        (["-t", "nope"], 'sinfo: error: Bad state string: "nope"\n'),
        (["-n", "n[1"], "sinfo: error: 'n[1' invalid entry for --nodes\n"),
        (["-n", "n[1-99999999999999999999]"], "invalid entry for --nodes\n"),
        (["-i", "-3"], "sinfo: error: Error: invalid entry for --iterate=-3\n"),
        (["-T"], "sinfo: error: --reservation: the service does not list reservations\n"),
        (["--yaml"], "sinfo: error: --yaml: YAML is not written; use --json\n"),
        (["--json=v0.0.44"], "sinfo: error: load_plugins: unable to find plugin: data_parser/v0.0.44\n"),
        (["-F"], "sinfo: error: --future: the service does not list nodes in state FUTURE\n"),
        (["-M", "nowhere"], "sinfo: error: No cluster 'nowhere' known by database.\n"),
        (["-M", "../x"], "sinfo: error: No cluster '../x' known by database.\n"),
        (["-a", "-p", "gpu"], "sinfo: error: Conflicting options, -a and -p, specified."),
        (["-l", "-o", "%N"], "sinfo: fatal: Options -o(--format) and -l(--long) are mutually exclusive."),
    ],
)
def test_what_is_wrong_or_cannot_be_answered_is_exit_code_1_and_prints_nothing(sinfo, words, heard):
    code, out, err = sinfo(*words)
    assert (code, out) == (1, "")
    assert heard in err


@pytest.mark.parametrize("format_", ["%", "%%", "%.", "%999999N", "%ä", "", "%.5", "\x00", "%N" * 300])
def test_odd_formats_print_something_and_break_nothing(sinfo, format_):
    code, out, _ = sinfo("-h", "-o", format_)
    assert code == 0
    assert out.endswith("\n")
    assert sinfo("-h", "-O", format_)[0] == 0


def test_every_option_is_told_and_so_are_fields_and_states(sinfo):
    code, out, _ = sinfo("--help")
    assert code == 0
    assert all(word in out for word in ("--list-reasons", "-S, --sort=value", "Refused: the service does not list"))
    assert sinfo("--version")[1].startswith("slurm 26.05")
    assert "draining\n" in sinfo("--helpstate")[1]
    assert "%P" in sinfo("--helpformat")[1]
    assert "NodeAIOT" in sinfo("--helpFormat")[1]
