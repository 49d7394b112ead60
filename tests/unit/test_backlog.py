"""Who waits, and who is tried when."""

from __future__ import annotations

from hpcjobs.backlog import LONGEST_PAUSE_S, Backlog


def test_what_joins_while_the_database_is_read_is_not_forgotten():
    backlog = Backlog()
    backlog.join("big", "alice")
    backlog.reading("big")
    backlog.join("big", "bob")
    backlog.read("big", {"alice": 1})
    assert [backlog.of("big", user) for user in ("alice", "bob", None)] == [1, 1, 2]
    assert backlog.of("small") == 0
    backlog.reading("big")
    backlog.read("big", {"bob": 1})
    assert (backlog.of("big", "alice"), backlog.of("big", "bob")) == (0, 1)


def test_whoever_had_his_turn_waits_no_more():
    backlog = Backlog()
    backlog.join("big", "alice")
    for _ in range(2):
        backlog.leave("big", "alice")
    assert backlog.of("big", "alice") == 0


def test_a_user_whose_submissions_fail_is_tried_again_at_once_and_then_ever_later():
    backlog, now, pauses = Backlog(), 1000.0, []
    for _ in range(10):
        backlog.failed("big", "alice", now)
        before = now
        while "alice" in backlog.paused("big", now):
            now += 0.5
        pauses.append(now - before)
    assert pauses == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[LONGEST_PAUSE_S] * 3]
    backlog.failed("big", "alice", now)
    assert backlog.paused("small", now) == []
    backlog.went("big", "alice")
    assert backlog.paused("big", now) == []
