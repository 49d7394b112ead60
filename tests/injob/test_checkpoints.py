"""Checkpoint folders: one attempt at a time, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.injob import register, state, sweeping
from hpcjobs.injob.checkpoints import Checkpoints, Writer
from hpcjobs.injob.errors import CheckpointError, Superseded, Torn
from hpcjobs.injob.manifest import NAME
from hpcjobs.injob.register import Register, Seen
from hpcjobs.injob.state import Keep, Run, Saved, State


def save(writer: Writer, step: int, content: str = "weights") -> Saved:
    with writer.saving(step) as place:
        (place / "rank").mkdir()
        (place / "rank" / "0.pt").write_text(f"{content} {step}")
    return writer.checkpoints.state().saved[-1]


def steps(folder: Checkpoints) -> list[int]:
    return [one.step for one in folder.state().saved]


def there(folder: Checkpoints) -> set[str]:
    return {f"saved/{name}" for name in os.listdir(folder.root / "saved")}


def test_what_is_saved_is_whole_and_the_next_attempt_goes_on_from_it(tmp_path):
    first = Checkpoints(tmp_path).begin(Run("7"))
    assert first.resume() is None
    saved = save(first, 10)
    second = Checkpoints(tmp_path).begin(Run("7", 1))
    found = second.resume()
    assert found == tmp_path / saved.path
    assert (found / "rank" / "0.pt").read_text() == "weights 10"
    assert second.number > first.number
    assert second.attempt().resumed == saved.path
    assert json.loads((found / NAME).read_text())["step"] == 10


def test_an_older_attempt_publishes_nothing_and_what_it_wrote_lies_aside(tmp_path):
    orphan = Checkpoints(tmp_path).begin(Run("7"))
    save(orphan, 10)
    late = orphan.folder / "step-20"
    late.mkdir()
    (late / "w").write_text("late")
    opened = (late / "w").open("a")
    successor = Checkpoints(tmp_path).begin(Run("7", 1))
    opened.write(" and later")
    opened.close()
    with pytest.raises(Superseded, match="attempt 2 has"):
        orphan.publish(late, 20)
    with pytest.raises(Superseded), orphan.saving(30) as place:
        (place / "w").write_text("even later")
    assert steps(successor.checkpoints) == [10]
    aside = tmp_path / "orphans" / "attempt-000001"
    assert (aside / "step-20" / "w").read_text() == "late and later"
    assert (aside / "step-30" / "w").read_text() == "even later"
    assert orphan.superseded()
    assert not successor.superseded()


@pytest.mark.parametrize("moment", ["before it is placed", "before it is told"])
def test_an_attempt_that_loses_the_folder_in_the_midst_of_publishing_publishes_nothing(tmp_path, monkeypatch, moment):
    orphan = Checkpoints(tmp_path).begin(Run("7"))
    save(orphan, 10)
    name = "_place" if moment == "before it is placed" else "_published"
    original = getattr(Writer, name)

    def overtaken(writer, *asked):
        if writer.number == orphan.number and Checkpoints(tmp_path).state().newest == orphan.number:
            save(Checkpoints(tmp_path).begin(Run("7", 1)), 15)
        return original(writer, *asked)

    monkeypatch.setattr(Writer, name, overtaken)
    with pytest.raises(Superseded):
        save(orphan, 20)
    assert steps(orphan.checkpoints) == [10, 15]
    assert len(there(orphan.checkpoints)) == 2
    assert [one.step for one in orphan.checkpoints.good()] == [15, 10]


def test_an_older_start_of_the_same_job_does_not_take_the_folder_from_a_later_one(tmp_path):
    Checkpoints(tmp_path).begin(Run("7", 2))
    with pytest.raises(Superseded, match="restarted 2 times"):
        Checkpoints(tmp_path).begin(Run("7", 1))
    assert Checkpoints(tmp_path).begin(Run("8", 0)).number == 2


def test_other_ranks_join_the_attempt_of_rank_0(tmp_path):
    folder = Checkpoints(tmp_path)
    assert folder.join(Run("7", 0, "0", "n2")) is None
    begun = folder.begin(Run("7", 0, "0", "n1"))
    assert folder.join(Run("7", 0, "0", "n2")).number == begun.number
    assert folder.join(Run("7", 1, "0", "n2")) is None


def cut(place: Path) -> None:
    os.truncate(place / "rank" / "0.pt", 3)


def other(place: Path) -> None:
    content = (place / "rank" / "0.pt").read_text()
    (place / "rank" / "0.pt").write_text("W" + content[1:])


def missing(place: Path) -> None:
    (place / "rank" / "0.pt").unlink()


def linked(place: Path) -> None:
    (place / "rank" / "0.pt").rename(place.parent / "elsewhere")
    (place / "rank" / "0.pt").symlink_to(place.parent / "elsewhere")


def unlisted(place: Path) -> None:
    (place / NAME).unlink()


def rewritten(place: Path) -> None:
    (place / NAME).write_text((place / NAME).read_text().replace('"step": 30', '"step": 31'))


@pytest.mark.parametrize("harm", [cut, other, missing, linked, unlisted, rewritten, shutil.rmtree])
def test_a_torn_checkpoint_is_never_resumed(tmp_path, harm):
    writer = Checkpoints(tmp_path).begin(Run("7"))
    for step in (10, 20, 30):
        saved = save(writer, step)
    harm(tmp_path / saved.path)
    faults = []
    found = Checkpoints(tmp_path).begin(Run("7", 1)).resume(faults)
    assert (found / "rank" / "0.pt").read_text() == "weights 20"
    assert [fault.path for fault in faults] == [saved.path]
    assert str(tmp_path / saved.path) in faults[0].detail


def test_retention_keeps_the_last_that_are_whole_those_for_ever_and_the_one_in_use(tmp_path):
    writer = Checkpoints(tmp_path, Keep(2, 4)).begin(Run("7"))
    for step in range(1, 7):
        save(writer, step)
    assert steps(writer.checkpoints) == [4, 5, 6]
    assert there(writer.checkpoints) == {one.path for one in writer.checkpoints.state().saved}
    for one in writer.checkpoints.state().saved[1:]:  # the newest whole one is then the fourth
        cut(tmp_path / one.path)
    after = Checkpoints(tmp_path, Keep(2, 0)).begin(Run("7", 1))
    assert after.resume().name.startswith("step-4.")
    for step in (5, 6, 7):
        save(after, step)
    assert steps(after.checkpoints) == [4, 6, 7]


def test_torn_ones_do_not_count_among_the_last(tmp_path):
    writer = Checkpoints(tmp_path, Keep(2)).begin(Run("7"))
    save(writer, 1)
    cut(tmp_path / save(writer, 2).path)
    save(writer, 3)
    assert steps(writer.checkpoints) == [1, 2, 3]
    save(writer, 4)
    assert steps(writer.checkpoints) == [3, 4]


def test_retention_removes_nothing_that_others_put_there(tmp_path):
    writer = Checkpoints(tmp_path, Keep(1)).begin(Run("7"))
    saved = save(writer, 1)
    (tmp_path / saved.path / "note.txt").write_text("the best of all")
    (tmp_path / "saved" / "mine").mkdir()
    (tmp_path / "orphans").mkdir()
    (tmp_path / "orphans" / "thesis").write_text("x")
    save(writer, 2)
    for restarts in range(1, 4):
        Checkpoints(tmp_path).begin(Run("7", restarts))
    assert [path.read_text() for path in tmp_path.rglob("note.txt")] == ["the best of all"]
    assert (tmp_path / "saved" / "mine").is_dir()
    assert (tmp_path / "orphans" / "thesis").read_text() == "x"


def test_a_checkpoint_is_of_files_in_the_attempts_own_folder(tmp_path):
    writer = Checkpoints(tmp_path / "c").begin(Run("7"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(CheckpointError, match="are folders in"):
        writer.publish(elsewhere, 1)
    empty = writer.folder / "empty"
    empty.mkdir()
    with pytest.raises(Torn, match="without files"):
        writer.publish(empty, 1)
    (empty / "all").symlink_to(elsewhere)
    with pytest.raises(Torn, match="link to a folder"):
        writer.publish(empty, 1)
    assert not steps(writer.checkpoints)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_leaves_the_older_ones_and_says_so(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        writer = Checkpoints(disk).begin(Run("7"))
        for step in (1, 2):
            with writer.saving(step) as place:
                (place / "w").write_bytes(bytes([step]) * 600_000)
        with pytest.raises(OSError, match="No space left"), writer.saving(3) as place:
            (place / "w").write_bytes(bytes(1_500_000))
        assert [one.step for one in writer.checkpoints.good()] == [2, 1]
        for size in range(740_000, 860_000, 4096):  # also where only the manifest or the state finds no room
            try:
                with writer.saving(4) as place:
                    (place / "w").write_bytes(bytes(size))
            except OSError:
                break
            assert writer.checkpoints.state().saved[-1].step == 4
            writer = Checkpoints(disk, Keep(3)).begin(Run("7"))
            writer.checkpoints.change(lambda old, _: old._replace(saved=old.saved[:2], dropped=old.saved[2:]))
            sweeping.clear(writer.checkpoints.root, writer.checkpoints.state().dropped)
        else:
            pytest.fail("the disk never was full")
        assert [one.step for one in writer.checkpoints.good()] == [2, 1]
        with writer.saving(5) as place:
            (place / "w").write_bytes(bytes(100_000))
        assert writer.checkpoints.latest_good().step == 5
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_value_is_exchanged_only_by_who_has_seen_the_newest(tmp_path):
    value = Register(tmp_path / "r")
    empty = value.read()
    assert value.swap(empty, b"one")
    assert not value.swap(empty, b"two")
    seen = value.read()
    assert seen == Seen(1, b"one", 0)
    assert value.swap(seen, b"three")
    assert value.read().value == b"three"
    assert sorted(os.listdir(tmp_path / "r")) == ["00000001", "00000002"]


def test_a_writer_that_slept_until_its_name_was_free_again_exchanges_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(register, "KEPT", 20)
    value = Register(tmp_path)
    value.swap(value.read(), b"old")
    asleep = value.read()
    for count in range(30):
        assert value.swap(value.read(), str(count).encode())
    assert not (tmp_path / "00000002").exists()
    assert not value.swap(asleep, b"from long ago")
    assert value.read().value == b"29"


def test_a_state_that_a_power_cut_tore_costs_no_attempt_its_number(tmp_path):
    folder = Checkpoints(tmp_path)
    save(folder.begin(Run("7")), 10)
    torn = folder.begin(Run("7", 1))
    newest = sorted((tmp_path / "state").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:20])
    after = folder.begin(Run("7", 2))
    assert after.number > torn.number
    assert after.resume() is not None
    with pytest.raises(Superseded):
        save(torn, 20)


WORDS = st.text("0123456789", min_size=1, max_size=3)
RUNS = st.builds(Run, WORDS, st.integers(0, 3), WORDS, WORDS)


@given(
    st.lists(st.tuples(st.sampled_from("bps"), st.integers(1, 6), RUNS), max_size=40),
    st.integers(1, 4),
    st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_whatever_happens_only_the_newest_attempt_changes_the_state(what, last, every):
    """b: an attempt begins; p: one publishes; s: one says what it goes on from."""
    now = State()
    for act, number, run in what:
        before, newest = now, now.newest
        try:
            if act == "b":
                now = state.begin(now, run, 1.0)
                assert now.newest == newest + 1
            elif act == "p":
                keep = Keep(last, every)
                give_up = state.given_up(now, keep, frozenset(one.path for one in now.saved))
                saved = Saved(0, f"saved/{now.serial}", 1, number, 1.0, 1, "")
                now = state.publish(now, saved, give_up)
                assert number >= newest
                assert now.saved[-1].serial == before.serial + 1
                assert set(before.saved[len(before.saved) - last + 1 :]) <= set(now.saved) or last == 1
                assert {one.path for one in before.saved} <= {one.path for one in (*now.saved, *now.dropped)}
            else:
                now = state.resume(now, number, now.saved[-1].path if now.saved else "")
        except Superseded:
            assert now is before
        assert state.decode(state.encode(now)) == now
