"""How each backend asks Slurm's accounting, against a sacctmgr and a slurmrestd that answer what real ones did."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hpcjobs.errors import HpcjobsError, Unavailable
from hpcjobs.model.account import Account
from hpcjobs.slurm import accounting
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend

from .test_directory import RECORDED

CLIMATE = Account("slurm2605", "climate", "x|y", "earth", frozenset({"carol"}), frozenset({"dave"}))
BELOW = Account("slurm2605", "below", "below", "all", frozenset(), frozenset({"bob"}))


@pytest.fixture
def sacctmgr(tmp_path, monkeypatch):
    """A sacctmgr that does what a test says."""

    def becomes(script: str) -> None:
        path = tmp_path / "sacctmgr"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "told.json").write_bytes(RECORDED)
    becomes.folder = tmp_path
    return becomes


async def test_sacctmgr_is_asked_for_accounts_with_users_and_coordinators_of_the_clusters_configuration(sacctmgr):
    folder = sacctmgr.folder
    sacctmgr(f'echo "$SLURM_CONF $*" > {folder}/asked; cat {folder}/told.json')
    assert await accounting.ask("slurm2605", "/etc/slurm/x.conf") == (BELOW, CLIMATE)
    assert (folder / "asked").read_text() == "/etc/slurm/x.conf --json show account withassoc withcoord\n"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo noise >&2; echo 'sacctmgr: error: Unable to connect to database' >&2; exit 1",
         "did not answer: sacctmgr: error: Unable to connect to database"),
        ("exit 3", "did not answer: without a reason"),
        ("echo '<html>'", "answered what we cannot read"),
        ("echo '{\"accounts\": [{\"name\": 3}]}'", "answered what we cannot read"),
        ("printf '\\377'", "answered what we cannot read"),
    ],
)  # fmt: skip
async def test_what_sacctmgr_cannot_say_is_unavailable_and_says_why(sacctmgr, script, why):
    sacctmgr(script)
    with pytest.raises(Unavailable, match=why):
        await accounting.ask("slurm2605", "/x")


async def test_a_sacctmgr_that_hangs_is_ended(sacctmgr, monkeypatch):
    monkeypatch.setattr(accounting, "ACCOUNTING_TIMEOUT_S", 0.2)
    sacctmgr("exec sleep 600")
    with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
        await accounting.ask("slurm2605", "/x")


async def test_without_sacctmgr_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="sacctmgr cannot be run: No such file or directory"):
        await accounting.ask("slurm2605", "/x")


@pytest.fixture
def slurmrestd():
    """A slurmrestd of v0.0.43 that remembers what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers["X-SLURM-USER-NAME"]))
            known = "/v0.0.43/" in self.path
            body = server.answer if known and "/accounts/" in self.path else b"{}" if known else b""
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answer = [], RECORDED
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(60)


@pytest.fixture
async def backend(slurmrestd, tmp_path):
    (tmp_path / "jwt.key").write_bytes(b"k" * 32)
    url = f"http://127.0.0.1:{slurmrestd.server_address[1]}"
    backend = SlurmrestdBackend("slurm2605", url, tmp_path / "jwt.key", "observer")
    yield backend
    await backend.close()


async def test_slurmrestd_is_asked_in_the_services_name_and_the_newest_version_that_it_speaks(backend, slurmrestd):
    assert await backend.accounts() == (BELOW, CLIMATE)
    asked = ("/slurmdb/v0.0.43/accounts/?WithAssociations=true&WithCoordinators=true", "observer")
    assert slurmrestd.asked[-1] == asked
    await backend.accounts()
    assert slurmrestd.asked[-2:] == [asked, asked]


async def test_an_accounting_that_is_away_behind_slurmrestd_is_an_error_of_the_tree(backend, slurmrestd):
    fault = {"error_number": 1900, "error": "Unable to connect to database"}
    slurmrestd.answer = json.dumps({"errors": [fault]}).encode()
    with pytest.raises(HpcjobsError, match="Unable to connect"):
        await backend.accounts()
