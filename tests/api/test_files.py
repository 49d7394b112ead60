"""Files over REST, through real agents of a real spawner as nobody. Needs root, as the spawner does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcjobs.agents.pool import Key
from hpcjobs.errors import WorkerLost
from hpcjobs.files import CHUNK
from hpcjobs.settings import ClusterSettings
from hpcjobs.uploads import PIECE
from tests.api.bench import NEVER, Bench, UnrulySlurm, on_bench, problem_of, settings_of
from tests.conftest import examples
from tests.unit.builders import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = 65534
FILES = "/v1/clusters/big/files"
CONTENT = f"{FILES}/content"
UPLOADS = f"{FILES}/uploads"


@pytest.fixture
def home(folder: Path):
    """Two roots, of which nobody owns the first; ``out`` is neither."""
    for name, mode in {"home": 0o755, "scratch": 0o1777, "out": 0o755}.items():
        (folder / name).mkdir()
        (folder / name).chmod(mode)
    os.chown(folder / "home", NOBODY, NOBODY)
    yield folder / "home"
    for name in ("home", "scratch", "out"):
        shutil.rmtree(folder / name)


@pytest.fixture
async def bench(place, spawner, folder, home):
    cluster = ClusterSettings("big", observe_s=NEVER, file_roots=(str(home), str(folder / "scratch")))
    bare = ClusterSettings("bare", observe_s=NEVER, file_roots=())
    told = settings_of(place, spawner_socket=str(folder / "spawner.sock"), clusters=(cluster, bare))
    async with on_bench(told, {"big": UnrulySlurm(), "bare": UnrulySlurm("bare")}) as bench:
        yield bench


async def ask(bench: Bench, method: str, url: str, path: Path | str | bytes = b"", user: str = "nobody", **more):
    query = "&".join(
        [f"path={quote(os.fsencode(path))}"] * bool(path) + [f"{k}={v}" for k, v in more.pop("q", {}).items()]
    )
    return await bench.call(method, f"{url}?{query}", user, **more)


async def put(bench: Bench, path: Path | bytes, data: bytes | AsyncIterator[bytes], **more):
    return await ask(bench, "PUT", CONTENT, path, content=data, **more)


def owned(path: Path, data: bytes = b"text", mode: int = 0o644) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    os.chown(path, NOBODY, NOBODY)
    return path


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def code_of(answer) -> tuple[int, str]:
    return answer.status_code, problem_of(answer)["code"]


async def test_a_folder_is_listed_page_by_page(bench, home):
    for name in ("b", "a", "c"):
        owned(home / name, name.encode() * 5)
    (home / "d").symlink_to("a")
    first = (await ask(bench, "GET", FILES, home, q={"limit": 3})).json()
    assert [item["name"] for item in first["items"]] == ["a", "b", "c"]
    assert first["items"][0] == {
        "name": "a", "quoted_path": f"{home}/a", "type": "file", "size_bytes": 5, "mode": "0644", "owner": "nobody",
        "group": "nogroup", "mtime": (home / "a").stat().st_mtime_ns / 1e9, "target": None,
        "etag": first["items"][0]["etag"],
    }  # fmt: skip
    assert (first["file"]["type"], first["file"]["quoted_path"]) == ("dir", str(home))
    rest = (await ask(bench, "GET", FILES, home, q={"limit": 3, "cursor": quote(first["next_cursor"])})).json()
    assert [(item["name"], item["type"], item["target"]) for item in rest["items"]] == [("d", "symlink", "a")]
    assert rest["next_cursor"] is None


async def test_a_path_that_is_no_folder_is_looked_at(bench, home):
    told = (await ask(bench, "GET", FILES, owned(home / "file"))).json()
    assert (told["file"]["name"], told["file"]["size_bytes"], told["items"]) == ("file", 4, [])
    answer = await ask(bench, "GET", CONTENT, home / "file")
    assert answer.headers["ETag"] == told["file"]["etag"]


NAMES = [b"new\nline", b'quo"te', b"not utf-8 \xff\xfe", "schöne 文".encode(), b"a&b=c+d %41#?;", b" ", b"..x", b"-rf",
         b"\x01\x7f\t", b"\\", b"*"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_written_listed_read_and_removed(bench, home, name):
    path = bytes(home) + b"/" + name
    made = await put(bench, path, b"content of it")
    assert made.status_code == 201, made.text
    assert os.listdir(bytes(home)) == [name]
    (item,) = (await ask(bench, "GET", FILES, home)).json()["items"]
    assert item["name"] == name.decode("utf-8", "replace")
    told = await bench.call("GET", f"{CONTENT}?path={item['quoted_path']}", "nobody")
    assert told.content == b"content of it"
    assert told.headers["Content-Disposition"].isprintable()
    gone = await bench.call("DELETE", f"{FILES}?path={item['quoted_path']}", "nobody")
    assert gone.status_code == 204
    assert os.listdir(home) == []


async def test_a_download_is_the_file_with_what_a_client_needs_to_resume_it(bench, home):
    data = os.urandom(2 * CHUNK + 17)
    owned(home / "file", data)
    answer = await ask(bench, "GET", CONTENT, home / "file")
    assert (answer.status_code, answer.content) == (200, data)
    told = answer.headers
    assert (told["Content-Length"], told["Accept-Ranges"]) == (str(len(data)), "bytes")
    assert told["Content-Type"] == "application/octet-stream"
    assert told["X-Content-Type-Options"] == "nosniff"
    part = await ask(bench, "GET", CONTENT, home / "file",
                     headers={"Range": f"bytes={CHUNK - 1}-{2 * CHUNK}", "If-Range": told["ETag"]})  # fmt: skip
    assert (part.status_code, part.content) == (206, data[CHUNK - 1 : 2 * CHUNK + 1])
    assert part.headers["Content-Range"] == f"bytes {CHUNK - 1}-{2 * CHUNK}/{len(data)}"
    assert part.headers["Content-Length"] == str(CHUNK + 2)
    owned(home / "file", b"another")
    whole = await ask(bench, "GET", CONTENT, home / "file", headers={"Range": "bytes=3-", "If-Range": told["ETag"]})
    assert (whole.status_code, whole.content) == (200, b"another")


async def test_a_head_says_what_a_get_would_without_the_bytes(bench, home):
    owned(home / "file", b"12345")
    full = await ask(bench, "GET", CONTENT, home / "file")
    head = await ask(bench, "HEAD", CONTENT, home / "file", headers={"Range": "bytes=1-2"})
    assert (head.status_code, head.content) == (200, b"")
    told = dict(head.headers), dict(full.headers)
    for headers in told:
        for own in ("x-request-id", "ratelimit-remaining", "ratelimit-reset"):
            headers.pop(own, None)
    assert told[0] == told[1]


async def test_conditions_and_ranges_that_do_not_hold_are_304_412_and_416(bench, home):
    owned(home / "file", b"12345")
    etag = (await ask(bench, "GET", CONTENT, home / "file")).headers["ETag"]
    same = await ask(bench, "GET", CONTENT, home / "file", headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    other = await ask(bench, "GET", CONTENT, home / "file", headers={"If-Match": '"x"'})
    assert code_of(other) == (412, "precondition-failed")
    none = await ask(bench, "GET", CONTENT, home / "file", headers={"Range": "bytes=5-"})
    assert code_of(none) == (416, "range-unsatisfiable")
    assert none.headers["Content-Range"] == "bytes */5"


async def test_an_empty_file_is_empty(bench, home):
    assert (await put(bench, home / "empty", b"")).status_code == 201
    answer = await ask(bench, "GET", CONTENT, home / "empty")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")
    assert (await ask(bench, "GET", f"{FILES}/checksum", home / "empty")).json()["sha256"] == sha(b"")


async def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed_with_the_new_one(bench, home, monkeypatch):
    data = b"a" * (3 * CHUNK)
    owned(home / "file", data)
    fs = type(bench.service.files("big", "nobody"))
    real, calls = fs.read, []

    async def read(self, path, offset, limit):
        calls.append(offset)
        if offset == CHUNK:
            owned(home / "new", b"b" * len(data))
            os.rename(home / "new", home / "file")
        return await real(self, path, offset, limit)

    monkeypatch.setattr(fs, "read", read)
    try:
        answer = await ask(bench, "GET", CONTENT, home / "file")
    except Exception:  # noqa: BLE001  how a broken stream shows is the transport's affair
        answer = None
    assert calls == [0, 0, CHUNK]
    assert answer is None or answer.content != data
    assert answer is None or b"b" not in answer.content


async def test_a_file_that_grows_while_it_is_read_is_read_as_long_as_it_was(bench, home, monkeypatch):
    owned(home / "log", b"a" * (2 * CHUNK))
    fs = type(bench.service.files("big", "nobody"))
    real = fs.read

    async def read(self, path, offset, limit):
        with (home / "log").open("ab") as log:
            log.write(b"more")
        return await real(self, path, offset, limit)

    first = await ask(bench, "GET", CONTENT, home / "log")
    monkeypatch.setattr(fs, "read", read)
    answer = await ask(bench, "GET", CONTENT, home / "log")
    assert first.content == b"a" * (2 * CHUNK)
    assert answer.content == first.content + b"more"


async def test_the_checksum_is_the_files(bench, home):
    data = os.urandom(5_000_000)
    owned(home / "file", data)
    told = (await ask(bench, "GET", f"{FILES}/checksum", home / "file")).json()
    assert (told["sha256"], told["size_bytes"]) == (sha(data), len(data))


async def test_a_put_makes_the_users_own_file_and_says_whether_it_is_new(bench, home):
    data = os.urandom(2 * PIECE + 5)
    made = await put(bench, home / "file", data)
    assert (made.status_code, made.json()["size_bytes"], made.headers["ETag"]) == (201, len(data), made.json()["etag"])
    status = (home / "file").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (NOBODY, NOBODY, 0o644)
    (home / "file").chmod(0o600)
    again = await put(bench, home / "file", b"new")
    assert (again.status_code, (home / "file").read_bytes()) == (200, b"new")
    assert stat.S_IMODE((home / "file").stat().st_mode) == 0o600
    assert os.listdir(home) == ["file"]


async def test_a_put_larger_than_the_limit_of_other_bodies_comes_in_pieces(bench, home):
    async def body() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * 1_000_000

    assert (await put(bench, home / "file", body())).status_code == 201
    assert (home / "file").stat().st_size == 12_000_000


async def test_a_put_with_a_checksum_is_checked_before_it_replaces_anything(bench, home):
    owned(home / "file", b"old")
    wrong = await put(bench, home / "file", b"new", q={"sha256": sha(b"other")})
    assert code_of(wrong) == (422, "checksum-mismatch")
    packed = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    wrong = await put(bench, home / "file", b"new", headers={"Content-Digest": f"sha-256=:{packed}:"})
    assert code_of(wrong) == (422, "checksum-mismatch")
    assert ((home / "file").read_bytes(), os.listdir(home)) == (b"old", ["file"])
    assert (await put(bench, home / "file", b"new", q={"sha256": sha(b"new").upper()})).status_code == 200
    assert (home / "file").read_bytes() == b"new"


async def test_a_put_honours_if_none_match_and_if_match(bench, home):
    made = await put(bench, home / "file", b"one", headers={"If-None-Match": "*"})
    assert made.status_code == 201
    for headers in ({"If-None-Match": "*"}, {"If-Match": '"x"'}, {"If-None-Match": made.headers["ETag"]}):
        assert code_of(await put(bench, home / "file", b"two", headers=headers)) == (412, "precondition-failed")
    assert code_of(await put(bench, home / "none", b"two", headers={"If-Match": "*"})) == (412, "precondition-failed")
    assert (home / "file").read_bytes() == b"one"
    good = await put(bench, home / "file", b"two", headers={"If-Match": made.headers["ETag"]})
    assert (good.status_code, os.listdir(home)) == (200, ["file"])


async def begin(bench: Bench, path: Path, data: bytes, user: str = "nobody", **query):
    told = {"size_bytes": len(data), "sha256": sha(data)} | query
    return await ask(bench, "POST", UPLOADS, path, user, q={k: v for k, v in told.items() if v is not None})


async def send(bench: Bench, upload: dict, offset: int, data: bytes | AsyncIterator[bytes]):
    headers = {"Upload-Offset": str(offset)}
    return await bench.call("PATCH", f"{UPLOADS}/{upload['id']}", "nobody", content=data, headers=headers)


async def test_an_upload_goes_in_pieces_and_is_the_file_with_the_last_one(bench, home):
    data = os.urandom(2 * PIECE + 100)
    answer = await begin(bench, home / "file", data)
    assert answer.status_code == 201
    upload = answer.json()
    assert answer.headers["Location"] == f"{UPLOADS}/{upload['id']}"
    assert (upload["offset"], upload["size_bytes"], upload["complete"]) == (0, len(data), False)
    half = await send(bench, upload, 0, data[: PIECE + 50])
    assert (half.status_code, half.json()["offset"], half.headers["Upload-Complete"]) == (200, PIECE + 50, "?0")
    for method in ("GET", "HEAD"):
        told = await bench.call(method, answer.headers["Location"], "nobody")
        assert (told.headers["Upload-Offset"], told.headers["Upload-Length"]) == (str(PIECE + 50), str(len(data)))
    wrong = await send(bench, upload, 0, data)
    assert code_of(wrong) == (409, "upload-offset")
    assert wrong.headers["Upload-Offset"] == str(PIECE + 50)
    assert not (home / "file").exists()
    done = (await send(bench, upload, PIECE + 50, data[PIECE + 50 :])).json()
    assert (done["complete"], done["offset"], done["file"]["name"]) == (True, len(data), "file")
    assert ((home / "file").read_bytes(), os.listdir(home)) == (data, ["file"])


async def test_the_same_request_finds_the_upload_again_after_a_restart_and_after_its_end(bench, home, place, folder):
    data = os.urandom(1000)
    first = (await begin(bench, home / "file", data)).json()
    await send(bench, first, 0, data[:400])
    async with on_bench(bench.service.settings, {"big": UnrulySlurm(), "bare": UnrulySlurm("bare")}) as restarted:
        again = (await begin(restarted, home / "file", data)).json()
        assert (again["id"], again["offset"]) == (first["id"], 400)
        assert (await send(restarted, again, 400, data[400:])).json()["complete"]
        for answer in (await begin(restarted, home / "file", data),
                       await restarted.call("GET", f"{UPLOADS}/{first['id']}", "nobody"),
                       await send(restarted, first, len(data), b"")):  # fmt: skip
            assert (answer.status_code, answer.json()["complete"]) in [(200, True), (201, True)]
            assert answer.json()["file"]["size_bytes"] == 1000


async def test_an_upload_without_a_checksum_is_another_one_each_time(bench, home):
    first = (await begin(bench, home / "file", b"1234", sha256=None)).json()
    await send(bench, first, 0, b"12")
    second = (await begin(bench, home / "file", b"1234", sha256=None)).json()
    assert second["id"] != first["id"]
    assert second["offset"] == 0
    assert (await send(bench, first, 2, b"34")).json()["complete"]
    gone = await bench.call("GET", f"{UPLOADS}/{first['id']}", "nobody")
    assert code_of(gone) == (404, "upload-unknown")
    late = await send(bench, second, 0, b"abcd")
    assert code_of(late) == (409, "file-exists"), "it came meanwhile"
    assert (home / "file").read_bytes() == b"1234"
    await bench.call("DELETE", f"{UPLOADS}/{second['id']}", "nobody")
    assert os.listdir(home) == ["file"]


async def test_wrong_bytes_are_thrown_away_and_the_upload_can_begin_anew(bench, home):
    upload = (await begin(bench, home / "file", b"right")).json()
    assert code_of(await send(bench, upload, 0, b"wrong")) == (422, "checksum-mismatch")
    assert os.listdir(home) == []
    upload = (await begin(bench, home / "file", b"right")).json()
    assert (await send(bench, upload, upload["offset"], b"right")).json()["complete"]


async def test_an_empty_upload_is_done_as_it_begins(bench, home):
    assert (await begin(bench, home / "file", b"")).json()["complete"]
    assert (home / "file").read_bytes() == b""


async def test_a_body_beyond_the_size_is_refused_and_what_fits_is_not_lost(bench, home):
    upload = (await begin(bench, home / "file", b"1234")).json()
    assert code_of(await send(bench, upload, 0, b"12345")) == (422, "refused")

    async def chunked() -> AsyncIterator[bytes]:
        yield b"123"
        yield b"45"

    assert code_of(await send(bench, upload, 0, chunked())) == (422, "refused")
    assert (await send(bench, upload, 0, b"1234")).json()["complete"]


async def test_an_upload_that_must_not_replace_is_refused_before_a_byte_is_sent(bench, home):
    owned(home / "file", b"old")
    assert code_of(await begin(bench, home / "file", b"new")) == (409, "file-exists")
    upload = (await begin(bench, home / "file", b"new", overwrite="true")).json()
    assert (await send(bench, upload, 0, b"new")).json()["complete"]
    assert (home / "file").read_bytes() == b"new"


async def test_an_upload_is_given_up(bench, home):
    upload = (await begin(bench, home / "file", b"1234")).json()
    assert (await bench.call("DELETE", f"{UPLOADS}/{upload['id']}", "nobody")).status_code == 204
    assert os.listdir(home) == []
    assert code_of(await bench.call("DELETE", f"{UPLOADS}/{upload['id']}", "nobody")) == (404, "upload-unknown")
    assert code_of(await send(bench, upload, 0, b"12")) == (404, "upload-unknown")


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60).filter(lambda t: t != "x"))
def test_what_is_no_id_of_an_upload_is_404(upload_id):
    from hpcjobs.errors import UploadUnknown
    from hpcjobs.uploads import read_id

    with pytest.raises(UploadUnknown):
        read_id(upload_id)


async def test_what_came_before_the_client_went_away_is_kept(bench, home):
    data = os.urandom(PIECE + 500)
    upload = (await begin(bench, home / "file", data)).json()
    messages = [{"type": "http.request", "body": data[: PIECE + 10], "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def out(_message):
        return None

    headers = bench.headers("nobody") | {"Upload-Offset": "0"}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PATCH", "scheme": "http",
        "path": f"{UPLOADS}/{upload['id']}", "raw_path": b"", "query_string": b"", "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": ("c", 1), "server": ("big", 80),
    }  # fmt: skip
    await bench.http._transport.app(scope, receive, out)
    assert (await begin(bench, home / "file", data)).json()["offset"] == PIECE + 10


def agent_pid(bench: Bench) -> int:
    return bench.service.pool._channels[Key("files", "nobody")].pid


async def test_agents_that_are_killed_all_the_time_break_no_transfer(bench, home):
    """Each piece may be written, half written or not at all when its agent goes."""
    data = os.urandom(8 * PIECE + 3)
    over = False

    async def killer() -> int:
        killed = 0
        while not over and killed < 30:  # where agents begin slowly, no piece would ever be written
            await asyncio.sleep(0.2)
            channel = bench.service.pool._channels.get(Key("files", "nobody"))
            if channel:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(channel.pid, signal.SIGKILL)
                    killed += 1
        return killed

    task = asyncio.create_task(killer())
    answers = []
    for _ in range(40):  # a transfer whose third agent goes too is the client's to go on with
        answer = await begin(bench, home / "file", data)
        if answer.status_code == 201 and not answer.json()["complete"]:
            offset = answer.json()["offset"]
            answer = await send(bench, answer.json(), offset, data[offset:])
        answers.append(answer.status_code)
        if answer.status_code in (200, 201) and answer.json()["complete"]:
            break
    over = True
    assert await task
    assert set(answers) <= {200, 201, 503, 409}
    assert (home / "file").read_bytes() == data
    assert os.listdir(home) == ["file"]


async def test_a_lost_answer_to_a_piece_does_not_write_it_twice(bench, home, monkeypatch):
    fs = type(bench.service.files("big", "nobody"))
    real, lost = fs.part_write, []

    async def part_write(self, path, token, offset, data):
        if len(lost) < 2:
            lost.append(offset)
            if len(lost) == 2:
                await real(self, path, token, offset, data[:1])
            else:
                await real(self, path, token, offset, data[: len(data) // 2])
            raise WorkerLost("gone", sent=True)
        return await real(self, path, token, offset, data)

    monkeypatch.setattr(fs, "part_write", part_write)
    assert (await put(bench, home / "file", b"0123456789")).status_code == 201
    assert (home / "file").read_bytes() == b"0123456789"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "MKDIR", "LIST"])
@pytest.mark.parametrize(
    ("way", "code"),
    [("out/secret", (403, "path-outside")), ("home/../out/secret", (403, "path-outside")),
     ("home/out/secret", (403, "path-outside")), ("home/locked/secret", (403, "not-allowed"))],
)  # fmt: skip
async def test_nothing_outside_the_roots_and_nothing_of_others_is_reached(bench, home, folder, method, way, code):
    owned(folder / "out/secret", b"secret", 0o666)
    (folder / "out").chmod(0o777)
    (home / "out").symlink_to(folder / "out")
    (home / "locked").mkdir(mode=0o700)
    (home / "locked/secret").write_bytes(b"secret")
    path = folder / way
    before = sorted(folder.rglob("*"))
    answer = {
        "GET": lambda: ask(bench, "GET", CONTENT, path),
        "LIST": lambda: ask(bench, "GET", FILES, path),
        "PUT": lambda: put(bench, path, b"new"),
        "DELETE": lambda: ask(bench, "DELETE", FILES, path),
        "POST": lambda: begin(bench, path, b"new", overwrite="true"),
        "MKDIR": lambda: ask(bench, "POST", f"{FILES}/mkdir", path),
    }[method]()
    assert code_of(await answer) == code
    assert sorted(folder.rglob("*")) == before
    assert (folder / "out/secret").read_bytes() == b"secret"


async def test_files_of_others_are_refused_by_the_system(bench, home, folder):
    theirs = folder / "scratch/theirs"
    theirs.write_bytes(b"root's")
    theirs.chmod(0o600)
    assert code_of(await ask(bench, "GET", CONTENT, theirs)) == (403, "not-allowed")
    assert code_of(await ask(bench, "GET", f"{FILES}/checksum", theirs)) == (403, "not-allowed")
    assert code_of(await put(bench, theirs, b"mine")) == (403, "not-allowed")
    assert code_of(await ask(bench, "DELETE", FILES, theirs)) == (403, "not-allowed")
    told = await ask(bench, "POST", f"{FILES}/rename", theirs, q={"to": quote(str(home / "mine"))})
    assert code_of(told) == (403, "not-allowed")
    readable = home / "readable"
    readable.write_bytes(b"root's")
    readable.chmod(0o444)
    assert code_of(await put(bench, readable, b"mine")) == (403, "not-allowed"), "though the folder is ours"
    assert (theirs.read_bytes(), readable.read_bytes()) == (b"root's", b"root's")
    assert os.listdir(home) == ["readable"]


async def test_a_link_is_written_through_by_nothing_and_removed_as_a_link(bench, home):
    owned(home / "real", b"real")
    (home / "link").symlink_to("real")
    os.chown(home / "link", NOBODY, NOBODY, follow_symlinks=False)
    assert code_of(await put(bench, home / "link", b"new")) == (403, "not-allowed")
    assert (await ask(bench, "GET", CONTENT, home / "link")).content == b"real"
    assert (await ask(bench, "DELETE", FILES, home / "link")).status_code == 204
    assert {path.name: path.read_bytes() for path in home.iterdir()} == {"real": b"real"}


async def test_what_is_not_a_file_and_what_is_not_there_is_said(bench, home):
    os.mkfifo(home / "fifo", 0o666)
    assert code_of(await ask(bench, "GET", CONTENT, home)) == (409, "wrong-kind")
    assert code_of(await ask(bench, "GET", CONTENT, home / "fifo")) == (409, "wrong-kind")
    assert code_of(await put(bench, home / "fifo", b"x")) == (409, "wrong-kind")
    for url in (FILES, CONTENT, f"{FILES}/checksum"):
        assert code_of(await ask(bench, "GET", url, home / "none")) == (404, "file-missing")
        assert code_of(await ask(bench, "GET", url, home / "fifo/none")) == (404, "file-missing")
        assert code_of(await ask(bench, "GET", url, "relative")) == (422, "refused")
        assert code_of(await ask(bench, "GET", url, f"{home}/\0")) == (422, "refused")
        assert code_of(await ask(bench, "GET", url, home / ("x" * 256))) == (422, "refused")
        assert (await ask(bench, "GET", url)).status_code == (200 if url == FILES else 400), "a listing is of home"
    assert code_of(await put(bench, home / "none/file", b"x")) == (404, "file-missing")


async def test_folders_are_made_renamed_and_removed(bench, home):
    made = await ask(bench, "POST", f"{FILES}/mkdir", home / "a/b", q={"parents": "true"})
    assert (made.status_code, made.json()["type"]) == (201, "dir")
    assert code_of(await ask(bench, "POST", f"{FILES}/mkdir", home / "a")) == (409, "file-exists")
    assert code_of(await ask(bench, "DELETE", FILES, home / "a")) == (409, "conflict")
    moved = await ask(bench, "POST", f"{FILES}/rename", home / "a", q={"to": quote(bytes(home) + b"/\xff")})
    assert (moved.status_code, moved.json()["quoted_path"]) == (200, f"{home}/%FF")
    assert os.listdir(bytes(home)) == [b"\xff"]
    taken = await ask(bench, "POST", f"{FILES}/rename", owned(home / "x"), q={"to": quote(bytes(home) + b"/\xff")})
    assert code_of(taken) == (409, "file-exists")


@pytest.fixture
def small(home: Path):
    """A file system of 2 MiB."""
    path = home / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=2m,uid={NOBODY}", "none", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


async def test_a_full_file_system_is_507_and_what_was_there_stays(bench, home, small):
    owned(small / "file", b"old")
    assert code_of(await put(bench, small / "file", b"x" * (3 * PIECE))) == (507, "no-space")

    async def chunked() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    assert code_of(await put(bench, small / "file", chunked())) == (507, "no-space")
    assert {path.name: path.read_bytes() for path in small.iterdir()} == {"file": b"old"}
    across = await ask(bench, "POST", f"{FILES}/rename", small / "file", q={"to": quote(str(home / "file"))})
    assert code_of(across) == (501, "not-supported")


async def test_only_people_have_files_and_only_where_there_are_roots(bench, home):
    assert code_of(await ask(bench, "GET", FILES, home, "alice")) == (403, "not-allowed")  # no such account here
    for user in ("root", "slurm", "daemon"):
        assert code_of(await ask(bench, "GET", FILES, home, user)) == (403, "not-allowed")
    assert code_of(await ask(bench, "GET", "/v1/clusters/none/files", home)) == (404, "cluster-unknown")
    bare = await ask(bench, "GET", "/v1/clusters/bare/files", home)
    assert code_of(bare) == (501, "not-supported")
    assert "no file_roots" in problem_of(bare)["detail"]


async def test_an_admin_does_not_read_the_files_of_others(bench, home):
    owned(home / "file", mode=0o600)
    assert (await ask(bench, "GET", CONTENT, home / "file", "boss")).status_code == 403


async def test_a_long_checksum_does_not_keep_a_users_other_calls_waiting(bench, home):
    """They are served between its slices."""
    with (home / "large").open("wb") as large:
        large.truncate(1 << 30)
    os.chown(home / "large", NOBODY, NOBODY)
    order: list[str] = []

    async def done(name: str, call):
        assert (await call).status_code == 200
        order.append(name)

    sum_of = asyncio.create_task(done("checksum", ask(bench, "GET", f"{FILES}/checksum", home / "large")))
    await asyncio.to_thread(until, lambda: Key("files", "nobody") in bench.service.pool._locks)
    await done("list", ask(bench, "GET", FILES, home))
    await sum_of
    assert order == ["list", "checksum"]
