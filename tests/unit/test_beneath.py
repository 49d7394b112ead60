"""Nothing outside the roots is opened, whatever a path says and whatever links stand in its way."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.agents import beneath, files, uploads
from hpcjobs.agents.beneath import named, reached, regular, tidy

SECRET = b"outside"


@contextmanager
def errors(*numbers: int) -> Iterator[None]:
    with pytest.raises(OSError, match=r"\w") as failed:
        yield
    assert failed.value.errno in numbers, failed.value


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two roots, ``home`` and ``scratch``, and ``out`` beside them."""
    for name in ("home/sub", "scratch/mine", "out/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "home/file").write_bytes(b"text")
    (tmp_path / "scratch/mine/data").write_bytes(b"data")
    (tmp_path / "out/secret").write_bytes(SECRET)
    return tmp_path


def roots_of(place: Path) -> list[bytes]:
    return [bytes(place / "home"), bytes(place / "scratch")]


def content(place: Path, path: Path | str) -> bytes:
    return files.read(roots_of(place), os.fsencode(path), 0, 100)["data"]


def test_a_file_below_a_root_is_read(place):
    assert content(place, place / "home/file") == b"text"
    assert content(place, f"{place}/home//./sub/../file") == b"text"


def test_a_relative_link_inside_a_root_is_followed(place):
    (place / "home/sub/link").symlink_to("../file")
    assert content(place, place / "home/sub/link") == b"text"


def test_an_absolute_link_is_followed_into_its_own_root_and_into_another(place):
    (place / "home/own").symlink_to(place / "home/file")
    (place / "home/scratch").symlink_to(place / "scratch/mine")
    assert content(place, place / "home/own") == b"text"
    assert content(place, place / "home/scratch/data") == b"data"
    (place / "home/relative").symlink_to("../scratch/mine")
    assert content(place, place / "home/relative/data") == b"data"


def test_a_root_that_is_a_link_is_a_root_under_both_names(place):
    (place / "named").symlink_to(place / "home")
    for path in (place / "named/file", place / "home/file"):
        assert files.read([bytes(place / "named")], bytes(path), 0, 9)["data"] == b"text"
    (place / "home/link").symlink_to(place / "home/sub/../file")
    assert files.read([bytes(place / "named")], bytes(place / "named/link"), 0, 9)["data"] == b"text"


@pytest.mark.parametrize(
    "path",
    ["home/../out/secret", "home/sub/../../out/secret", "out/secret", "homeless", "home/out/secret",
     "home/climb/secret", "home/file-out", "home/loop/../../out/secret", "home/..", "home/dangling", "", "."],
)  # fmt: skip
def test_what_leads_out_of_the_roots_is_refused(place, path):
    (place / "home/out").symlink_to(place / "out")
    (place / "home/climb").symlink_to("../out")
    (place / "home/file-out").symlink_to(place / "out/secret")
    (place / "home/loop").symlink_to("sub")
    (place / "home/dangling").symlink_to(place / "out/nothing")
    with errors(errno.EXDEV):
        content(place, f"{place}/{path}")
    with errors(errno.EXDEV), reached(os.fsencode(f"{place}/{path}"), roots_of(place)):
        pass


def test_a_magic_link_of_proc_is_no_way_out(place):
    with (place / "out/secret").open() as secret:
        (place / "home/magic").symlink_to(f"/proc/{os.getpid()}/fd/{secret.fileno()}")
        with errors(errno.EXDEV):
            content(place, place / "home/magic")
        with errors(errno.EXDEV, errno.ELOOP), reached(b"/proc/self/fd/%d" % secret.fileno(), [b"/proc"]):
            pass


@pytest.mark.parametrize("path", ["", "home/file", "/home/a\0b", "/" + "x" * 4096])
def test_what_is_no_absolute_path_is_refused(place, path):
    with pytest.raises(ValueError, match="is not an absolute path"):
        content(place, path)


@pytest.mark.parametrize("path", ["home/sub/..", "home/."])
def test_what_is_made_or_removed_has_a_name_of_its_own_below_a_root(place, path):
    with pytest.raises((ValueError, OSError)):
        files.remove(roots_of(place), os.fsencode(f"{place}/{path}"))
    with errors(errno.EXDEV), named(bytes(place / "home"), roots_of(place)):
        pass


def test_a_device_a_fifo_and_a_folder_are_not_opened(place):
    os.mkfifo(place / "home/fifo")
    for name, number in {"fifo": errno.EINVAL, "sub": errno.EISDIR}.items():
        with errors(number), regular(bytes(place / "home" / name), roots_of(place)):
            pass
    with errors(errno.EINVAL), regular(b"/dev/zero", [b"/dev"]):
        pass


def test_a_writer_that_waits_at_a_fifo_is_not_woken(place):
    """Opening the other end, even without waiting, would let it go on and break."""
    os.mkfifo(place / "home/fifo")
    opened = threading.Event()

    def write() -> None:
        descriptor = os.open(place / "home/fifo", os.O_WRONLY)
        opened.set()
        os.close(descriptor)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with errors(errno.EINVAL):
            content(place, place / "home/fifo")
        assert not opened.wait(0.1)
    finally:
        os.close(os.open(place / "home/fifo", os.O_RDONLY))
        writer.join(5)


def test_a_system_without_openat2_is_refused_in_words(place, monkeypatch):
    for number in (errno.ENOSYS, errno.EPERM):
        monkeypatch.setattr(beneath.ctypes, "get_errno", lambda number=number: number)
        monkeypatch.setattr(beneath, "SYS_OPENAT2", 9999)
        with pytest.raises(OSError, match="no openat2") as failed:
            content(place, place / "home/file")
        assert failed.value.errno == errno.ENOSYS


def test_no_descriptor_is_left_open(place):
    (place / "home/out").symlink_to(place / "out")
    (place / "home/link").symlink_to(place / "scratch/mine/data")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("home/file", "home/out/secret", "home/link", "home/none", "home/sub", "out"):
        with suppress(OSError):
            content(place, place / path)
    assert len(os.listdir("/proc/self/fd")) == before


NAMES = st.sampled_from(["a", "b", "c", "up", "file"])
STEPS = st.lists(NAMES | st.just(".."), max_size=4).map("/".join)
WAYS = st.lists(NAMES | st.sampled_from(["..", ".", "", "secret"]), max_size=6).map("/".join)


TREES = st.lists(
    st.tuples(
        st.sampled_from(["home", "scratch", "out", "home/a", "home/b", "scratch/a", "out/a"]),
        NAMES,
        st.sampled_from(["dir", "file", "relative", "absolute", "to out", "to root"]),
        STEPS,
    ),
    max_size=12,
)


def plant(place: Path, tree: list[tuple[str, str, str, str]]) -> None:
    for folder, name, kind, way in tree:
        at = place / folder / name
        with suppress(OSError):  # where something else stands already
            if kind == "dir":
                at.mkdir()
            elif kind == "file":
                at.write_bytes(b"in " + folder.encode())
            elif kind == "relative":
                at.symlink_to(way or ".")
            elif kind == "absolute":
                at.symlink_to(place / "home" / way)
            elif kind == "to out":
                at.symlink_to(place / "out" / way)
            else:
                at.symlink_to(place)


@contextmanager
def planted(tree: list[tuple[str, str, str, str]]) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="hpcjobs-tree-"))
    try:
        for name in ("home/a", "home/b", "scratch/a", "out/a"):
            (place / name).mkdir(parents=True)
        (place / "out/secret").write_bytes(SECRET)
        plant(place, tree)
        yield place
    finally:
        shutil.rmtree(place)


def outside(place: Path) -> list[tuple[str, bytes]]:
    """Everything that is not below a root, with its content."""
    found = [(str(path), path.read_bytes() if path.is_file() and not path.is_symlink() else b"")
             for path in sorted((place / "out").rglob("*"))]  # fmt: skip
    return [*found, (str(sorted(os.listdir(place))), b"")]


@given(TREES, st.sampled_from(["home", "scratch"]), WAYS)
def test_whatever_is_opened_in_any_tree_lies_below_a_root(tree, root, way):
    with planted(tree) as place:
        path = os.fsencode(f"{place}/{root}/{way}")
        with suppress(OSError), reached(path, roots_of(place)) as handle:
            real = os.readlink(f"/proc/self/fd/{handle}")
            assert real.startswith((f"{place}/home", f"{place}/scratch"))
        with suppress(OSError):
            assert files.read(roots_of(place), path, 0, 100)["data"] not in (SECRET, b"in out", b"in out/a")


@given(TREES, st.sampled_from(["home", "scratch"]), WAYS)
def test_a_path_that_the_system_finds_below_a_root_is_found(tree, root, way):
    """The guard refuses no more than it must: what really lies below a root can be reached."""
    with planted(tree) as place:
        path = f"{place}/{root}/{way}"
        real = os.path.realpath(path)
        through = [os.path.realpath(path[:end]) for end in range(len(f"{place}/{root}"), len(path) + 1)
                   if end == len(path) or path[end] == "/"]  # fmt: skip
        inside = all((step + "/").startswith((f"{place}/home/", f"{place}/scratch/")) for step in through)
        if inside and os.path.exists(path):
            with reached(os.fsencode(path), roots_of(place)) as handle:
                assert os.readlink(f"/proc/self/fd/{handle}") == real


@given(TREES, st.sampled_from(["home", "scratch"]), WAYS, STEPS)
def test_nothing_outside_is_written_made_moved_or_removed_in_any_tree(tree, root, way, other):
    with planted(tree) as place:
        before = outside(place)
        roots, path = roots_of(place), os.fsencode(f"{place}/{root}/{way}")
        token = "0" * 32

        def upload() -> None:
            uploads.part_begin(roots, path, token, 3, True)
            uploads.part_write(roots, path, token, 0, b"new")
            uploads.part_commit(roots, path, token, "", True, None)

        for act in (
            upload,
            lambda: files.make_folder(roots, path + b"/made", parents=True),
            lambda: files.rename(roots, path, os.fsencode(f"{place}/{root}/{other}/moved"), True),
            lambda: files.remove(roots, path),
        ):
            with suppress(OSError, ValueError):
                act()
        assert outside(place) == before


@pytest.mark.thorough
def test_a_folder_that_turns_into_a_link_and_back_all_the_time_is_no_way_out(place):
    """The race itself: somebody swaps a folder for a link to the outside as fast as the system can."""
    (place / "scratch/real").mkdir()
    (place / "scratch/real/secret").write_bytes(b"inside")
    (place / "scratch/link").symlink_to(place / "out")
    spot = place / "scratch/spot"
    over = threading.Event()

    def swap() -> None:
        (place / "scratch/real").rename(spot)
        while not over.is_set():
            beneath_exchange(spot, place / "scratch/link")

    racer = threading.Thread(target=swap)
    racer.start()
    seen: dict[object, int] = {}
    try:
        for turn in range(2000):
            try:
                told: object = content(place, spot / "secret")
            except OSError as error:
                told = error.errno
            seen[told] = seen.get(told, 0) + 1
            with suppress(OSError):
                uploads.part_begin(roots_of(place), bytes(spot / f"new-{turn}"), f"{turn:032x}", 0, False)
    finally:
        over.set()
        racer.join(5)
    assert SECRET not in seen
    assert seen[b"inside"]
    assert seen[errno.EXDEV]
    assert sorted(os.listdir(place / "out")) == ["deep", "secret"]


def beneath_exchange(one: Path, other: Path) -> None:
    """RENAME_EXCHANGE: there is no moment at which one of the two is missing."""
    from hpcjobs.agents.renaming import _libc

    assert _libc.renameat2(-100, bytes(one), -100, bytes(other), 2) == 0


def test_a_path_is_tidied_without_climbing():
    assert tidy(b"//home///alice/./x/") == b"/home/alice/x"
    assert tidy(b"/home/../etc") == b"/home/../etc"
    assert tidy(b"/") == b"/"
