"""What the files agent does to files: listing, checksums, uploads, names. In this process; test_files.py has agents."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.agents import files, renaming, uploads

from .test_beneath import errors

TOKEN = "ab" * 16


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def roots(home: Path) -> list[bytes]:
    return [bytes(home)]


@pytest.fixture(autouse=True)
def no_checksum_is_left_open():
    yield
    assert not files._sums


def told(roots: list[bytes], path: Path, limit: int = 100) -> list[bytes]:
    """Every name of a folder, page by page."""
    names: list[bytes] = []
    after = b""
    while True:
        page = files.entries(roots, bytes(path), after, limit)
        names += [item["name"] for item in page["items"]]
        if page["last"] is None:
            return names
        after = page["last"]


@given(st.sets(st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and b"\0" not in name)
               .filter(lambda name: name not in (b".", b"..")), max_size=12),
       st.integers(1, 5))  # fmt: skip
def test_pages_tell_every_name_once_in_the_order_of_its_bytes(tmp_path_factory, names, limit):
    home = tmp_path_factory.mktemp("names")
    for name in names:
        Path(os.fsdecode(bytes(home) + b"/" + name)).touch()
    assert told([bytes(home)], home, limit) == sorted(names)


def test_what_comes_and_goes_between_pages_neither_hides_nor_doubles_the_rest(home, roots):
    for number in range(20):
        (home / f"{number:02}").touch()
    first = files.entries(roots, bytes(home), b"", 10)
    (home / "00").unlink()
    (home / "05a").touch()
    (home / "09").unlink()  # the cursor itself
    rest = files.entries(roots, bytes(home), first["last"], 10)
    assert [item["name"] for item in rest["items"]] == [b"%d" % number for number in range(10, 20)]
    assert rest["last"] is None


def test_an_entry_says_what_it_is(home, roots):
    (home / "file").write_bytes(b"12345")
    (home / "file").chmod(0o640)
    os.chown(home / "file", 12345, 54321)
    os.utime(home / "file", ns=(0, 1_700_000_000_123_456_789))
    (home / "dir").mkdir()
    (home / "link").symlink_to("no\nwhere")
    os.mkfifo(home / "fifo")
    found = {item["name"]: item for item in files.entries(roots, bytes(home), b"", 10)["items"]}
    assert {name: item["type"] for name, item in found.items()} == {
        b"file": "file", b"dir": "dir", b"link": "symlink", b"fifo": "fifo",
    }  # fmt: skip
    file = found[b"file"]
    assert (file["size_bytes"], file["mode"], file["owner"], file["group"]) == (5, 0o640, "12345", "54321")
    assert (file["mtime_ns"], file["target"]) == (1_700_000_000_123_456_789, None)
    assert found[b"link"]["target"] == b"no\nwhere"
    assert files.status(roots, bytes(home / "file"), True) == file
    assert files.status(roots, bytes(home / "link"), False) == found[b"link"]
    with errors(errno.ENOENT):
        files.status(roots, bytes(home / "link"), True)


def test_the_etag_changes_with_the_file_and_not_without(home, roots):
    path = home / "file"
    path.write_bytes(b"one")

    def etag() -> str:
        return files.status(roots, bytes(path), True)["etag"]

    seen = [etag()]
    path.chmod(0o600)
    assert etag() == seen[0]
    os.utime(path, ns=(0, 1))
    seen.append(etag())
    path.write_bytes(b"three")
    os.utime(path, ns=(0, 1))
    seen.append(etag())
    (home / "new").write_bytes(b"three")
    os.utime(home / "new", ns=(0, 1))
    (home / "new").rename(path)
    seen.append(etag())
    assert len(set(seen)) == 4


def summed(roots: list[bytes], path: Path) -> tuple[str, int]:
    """A checksum, and how many calls it took."""
    told, calls = files.checksum(roots, bytes(path), "", ""), 1
    while told["ticket"]:
        told, calls = files.checksum(roots, bytes(path), told["ticket"], ""), calls + 1
    return told["sha256"], calls


def test_a_checksum_goes_in_slices_that_give_way_to_others(home, roots, monkeypatch):
    data = os.urandom(3 * files.MAX_READ + 5)
    (home / "file").write_bytes(data)
    assert summed(roots, home / "file")[0] == hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(files, "SLICE_S", 1e-9)
    told = files.checksum(roots, bytes(home / "file"), "", "")
    assert (told["sha256"], told["size_bytes"] % files.MAX_READ) == ("", 0)
    while told["ticket"]:
        time.sleep(0)
        monkeypatch.setattr(files, "SLICE_S", 0.2)
        told = files.checksum(roots, bytes(home / "file"), told["ticket"], "")
    assert told["sha256"] == hashlib.sha256(data).hexdigest()


def begun(roots: list[bytes], path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(files, "SLICE_S", 0.0)
    ticket: str = files.checksum(roots, bytes(path), "", "")["ticket"]
    assert ticket
    return ticket


def test_a_checksum_of_a_file_that_changes_is_no_checksum(home, roots, monkeypatch):
    (home / "file").write_bytes(b"one")
    ticket = begun(roots, home / "file", monkeypatch)
    (home / "file").write_bytes(b"other")
    with errors(errno.ESTALE):
        files.checksum(roots, bytes(home / "file"), ticket, "")
    with errors(errno.ESTALE):
        files.checksum(roots, bytes(home / "file"), ticket, "")


def test_no_more_checksums_are_held_than_the_most_and_those_left_alone_are_given_up(home, roots, monkeypatch):
    (home / "file").write_bytes(b"one")
    tickets = [begun(roots, home / "file", monkeypatch) for _ in range(files.MAX_SUMS)]
    with errors(errno.EBUSY):
        files.checksum(roots, bytes(home / "file"), "", "")
    monkeypatch.setattr(files, "FORGET_S", -1.0)
    newest = begun(roots, home / "file", monkeypatch)
    assert list(files._sums) == [newest]
    with errors(errno.ESTALE):
        files.checksum(roots, bytes(home / "file"), tickets[0], "")
    files._end(newest)


def upload(roots: list[bytes], path: Path, data: bytes, overwrite: bool = False, if_match: str | None = None) -> dict:
    uploads.part_begin(roots, bytes(path), TOKEN, len(data), overwrite)
    uploads.part_write(roots, bytes(path), TOKEN, 0, data)
    return uploads.part_commit(roots, bytes(path), TOKEN, "", overwrite, if_match)


def part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.hpcjobs-{TOKEN}")


def test_an_upload_is_a_private_part_until_it_is_whole(home, roots):
    path = home / "new"
    assert uploads.part_begin(roots, bytes(path), TOKEN, 6, False) == {"offset": 0}
    assert stat.S_IMODE(part_of(path).stat().st_mode) == 0o600
    assert uploads.part_write(roots, bytes(path), TOKEN, 0, b"one") == {"offset": 3}
    assert not path.exists()
    assert uploads.part_begin(roots, bytes(path), TOKEN, 6, False) == {"offset": 3}
    assert uploads.part_state(roots, bytes(path), TOKEN) == {"offset": 3}
    assert uploads.part_write(roots, bytes(path), TOKEN, 0, b"again") == {"offset": 3}
    assert uploads.part_write(roots, bytes(path), TOKEN, 9, b"hole") == {"offset": 3}
    assert uploads.part_write(roots, bytes(path), TOKEN, 3, b"two") == {"offset": 6}
    done = uploads.part_commit(roots, bytes(path), TOKEN, "", False, None)
    assert (path.read_bytes(), os.listdir(home), done["replaced"]) == (b"onetwo", ["new"], False)
    assert done["file"] == files.status(roots, bytes(path), True)


def test_a_new_file_has_the_mode_of_the_umask_and_a_replaced_ones_mode_is_kept(home, roots):
    old = os.umask(0o027)
    try:
        upload(roots, home / "new", b"1")
        assert stat.S_IMODE((home / "new").stat().st_mode) == 0o640
        assert stat.S_IMODE(os.umask(0o027)) == 0o027
    finally:
        os.umask(old)
    (home / "new").chmod(0o4755)
    os.chown(home / "new", -1, 54321)
    assert upload(roots, home / "new", b"2", overwrite=True)["replaced"]
    status = (home / "new").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o755, 54321), "set-user-id is not passed on"


def test_a_file_that_is_to_be_private_is_its_owners_alone_whatever_it_replaces(home, roots):
    path = home / "secret"
    old = os.umask(0o000)
    try:
        for before in (None, 0o644):
            if before is not None:
                path.chmod(before)
            uploads.part_begin(roots, bytes(path), TOKEN, 1, True)
            uploads.part_write(roots, bytes(path), TOKEN, 0, b"1")
            uploads.part_commit(roots, bytes(path), TOKEN, "", True, None, private=True)
            assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o600, b"1")
    finally:
        os.umask(old)


def test_a_longest_name_can_be_uploaded(home, roots):
    path = home / ("x" * 255)
    upload(roots, path, b"1")
    assert path.read_bytes() == b"1"
    with errors(errno.ENAMETOOLONG):
        upload(roots, home / ("x" * 256), b"1")


@pytest.mark.parametrize("fallback", [False, True])
def test_a_file_that_came_meanwhile_is_not_replaced_unless_asked(home, roots, monkeypatch, fallback):
    if fallback:  # as on NFS
        monkeypatch.setattr(renaming, "RENAME_NOREPLACE", 1 << 30)
    path = home / "file"
    uploads.part_begin(roots, bytes(path), TOKEN, 1, False)
    path.write_bytes(b"theirs")
    with errors(errno.EEXIST):
        uploads.part_commit(roots, bytes(path), TOKEN, "", False, None)
    assert path.read_bytes() == b"theirs"
    assert uploads.part_state(roots, bytes(path), TOKEN) == {"offset": 0}
    path.unlink()
    uploads.part_commit(roots, bytes(path), TOKEN, "", False, None)
    assert os.listdir(home) == ["file"]


def test_the_exclusive_rename_itself_sees_a_file_that_came_after_the_look(home, roots, monkeypatch):
    path = home / "file"
    uploads.part_begin(roots, bytes(path), TOKEN, 1, False)
    monkeypatch.setattr(uploads, "_replaced", lambda *_: path.write_bytes(b"theirs") and None)
    with errors(errno.EEXIST):
        uploads.part_commit(roots, bytes(path), TOKEN, "", False, None)
    assert path.read_bytes() == b"theirs"
    assert stat.S_IMODE(part_of(path).stat().st_mode) == 0o600, "it can be gone on with"


@pytest.mark.parametrize(
    ("kind", "number"),
    [("dir", errno.EISDIR), ("link", errno.ELOOP), ("fifo", errno.EINVAL), ("dangling", errno.ELOOP)],
)
def test_an_upload_replaces_regular_files_only_and_writes_through_no_link(home, roots, kind, number):
    path = home / "spot"
    (home / "real").write_bytes(b"precious")
    {"dir": path.mkdir, "link": lambda: path.symlink_to("real"), "fifo": lambda: os.mkfifo(path),
     "dangling": lambda: path.symlink_to("nothing")}[kind]()  # fmt: skip
    with errors(number):
        upload(roots, path, b"1", overwrite=True)
    assert (home / "real").read_bytes() == b"precious"
    assert not (home / "nothing").exists()


def test_if_match_names_the_only_file_that_is_replaced(home, roots):
    path = home / "file"
    path.write_bytes(b"one")
    etag = files.status(roots, bytes(path), True)["etag"]
    path.write_bytes(b"other")
    with errors(errno.ECANCELED):
        upload(roots, path, b"new", overwrite=True, if_match=etag)
    assert path.read_bytes() == b"other"
    uploads.part_commit(roots, bytes(path), TOKEN, "", True, files.status(roots, bytes(path), True)["etag"])
    assert path.read_bytes() == b"new"


def test_a_part_that_changed_after_its_check_is_not_committed(home, roots):
    path = home / "file"
    uploads.part_begin(roots, bytes(path), TOKEN, 4, False)
    uploads.part_write(roots, bytes(path), TOKEN, 0, b"1234")
    checked = files.checksum(roots, bytes(path), "", TOKEN)
    assert checked["sha256"] == hashlib.sha256(b"1234").hexdigest()
    part_of(path).write_bytes(b"evil")
    with errors(errno.ESTALE):
        uploads.part_commit(roots, bytes(path), TOKEN, checked["etag"], False, None)
    assert not path.exists()


@pytest.mark.parametrize("planted", ["link", "anothers", "fifo", "open to others"])
def test_what_others_planted_under_the_name_of_a_part_is_not_written_to(home, roots, planted):
    path = home / "file"
    victim = home / "victim"
    victim.write_bytes(b"precious")
    part = part_of(path)
    if planted == "link":
        part.symlink_to(victim)
    elif planted == "fifo":
        os.mkfifo(part, 0o600)
    else:
        part.touch(0o600)
        part.chmod(0o666 if planted == "open to others" else 0o600)
        os.chown(part, 12345 if planted == "anothers" else -1, -1)
    for act in (
        lambda: uploads.part_begin(roots, bytes(path), TOKEN, 3, False),
        lambda: uploads.part_write(roots, bytes(path), TOKEN, 0, b"new"),
        lambda: uploads.part_commit(roots, bytes(path), TOKEN, "", False, None),
        lambda: uploads.part_remove(roots, bytes(path), TOKEN),
    ):
        with errors(errno.ELOOP, errno.EPERM, errno.ENXIO):
            act()
    assert victim.read_bytes() == b"precious"
    assert not path.exists()


@pytest.mark.parametrize("token", ["", "../" * 10, "x" * 32, TOKEN + "0", TOKEN.upper()])
def test_a_token_is_nothing_but_one(home, roots, token):
    with pytest.raises(ValueError, match="no upload"):
        uploads.part_begin(roots, bytes(home / "file"), token, 1, False)


def test_what_cannot_fit_is_refused_before_a_byte_is_sent(home, roots):
    with errors(errno.ENOSPC):
        uploads.part_begin(roots, bytes(home / "huge"), TOKEN, 2**60, False)
    assert os.listdir(home) == []


def test_folders_are_made_and_removed_and_files_with_them_are_not_lost(home, roots):
    with errors(errno.ENOENT):
        files.make_folder(roots, bytes(home / "a/b/c"), False)
    files.make_folder(roots, bytes(home / "a/b/c"), True)
    files.make_folder(roots, bytes(home / "a/b/c"), True)
    with errors(errno.EEXIST):
        files.make_folder(roots, bytes(home / "a/b/c"), False)
    (home / "a/b/file").touch()
    with errors(errno.EEXIST):
        files.make_folder(roots, bytes(home / "a/b/file"), True)
    with errors(errno.ENOTEMPTY):
        files.remove(roots, bytes(home / "a/b"))
    (home / "a/link").symlink_to("b")
    for name in ("a/link", "a/b/c", "a/b/file", "a/b"):
        files.remove(roots, bytes(home / name))
    assert os.listdir(home / "a") == []
    with errors(errno.ENOENT):
        files.remove(roots, bytes(home / "a/b"))
    with errors(errno.EXDEV):
        files.make_folder(roots, bytes(home.parent / "beside/deep"), True)
    with errors(errno.ENOENT):
        files.make_folder(roots, bytes(home) + b"/x" * 1000, True)


@pytest.mark.parametrize("fallback", [False, True])
def test_a_rename_replaces_only_when_asked(home, roots, monkeypatch, fallback):
    if fallback:
        monkeypatch.setattr(renaming, "RENAME_NOREPLACE", 1 << 30)
    (home / "one").write_bytes(b"1")
    (home / "two").write_bytes(b"2")
    with errors(errno.EEXIST):
        files.rename(roots, bytes(home / "one"), bytes(home / "two"), False)
    files.rename(roots, bytes(home / "one"), bytes(home / "three"), False)
    files.rename(roots, bytes(home / "three"), bytes(home / "two"), True)
    assert {path.name: path.read_bytes() for path in home.iterdir()} == {"two": b"1"}
    with errors(errno.EXDEV):
        files.rename(roots, bytes(home / "two"), bytes(home.parent / "two"), True)


def test_a_folder_is_renamed_and_one_that_cannot_be_without_danger_is_left(home, roots, monkeypatch):
    (home / "one").mkdir()
    files.rename(roots, bytes(home / "one"), bytes(home / "two"), False)
    monkeypatch.setattr(renaming, "RENAME_NOREPLACE", 1 << 30)
    with errors(errno.ENOTSUP):
        files.rename(roots, bytes(home / "two"), bytes(home / "three"), False)
    assert os.listdir(home) == ["two"]
