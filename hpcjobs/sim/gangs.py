"""Gangs: jobs that work only while all of them run (Hints.gang)."""

from __future__ import annotations

from hpcjobs.sim.lives import Life

Name = tuple[str, str]


class Gangs:
    """Who of which gang runs.

    A member that runs while others are missing has its nodes and waits. When one stops before its work is done, the
    others wait too, and lose what is not saved: they go on together from the last checkpoint. A member that has done
    its work is not missed. One that ended for good before that will never come back, and the gang has failed: a process
    whose peer is dead does not go on alone.
    """

    def __init__(self) -> None:
        self._running: dict[Name, dict[int, Life]] = {}
        self._done: dict[Name, int] = {}
        self._failed: set[Name] = set()

    def join(self, life: Life) -> list[Life]:
        """One has started; returns who begins to work now."""
        name = _name(life)
        if name is None:
            return [life]
        running = self._running.setdefault(name, {})
        running[life.number] = life
        if not self._whole(name, life):
            return []
        return [member for member in running.values() if member.since_s is None]

    def leave(self, life: Life, *, done: bool) -> list[Life]:
        """One has stopped, with its work done or not; returns who must stop working now."""
        name = _name(life)
        if name is None:
            return []
        running = self._running.get(name, {})
        running.pop(life.number, None)
        if done:
            self._done[name] = self._done.get(name, 0) + 1
        if self._whole(name, life):
            return []
        return [member for member in running.values() if member.since_s is not None]

    def fail(self, life: Life) -> bool:
        """One has ended for good without its work; whether its gang has failed by that, and had not before."""
        name = _name(life)
        if name is None or name in self._failed:
            return False
        self._failed.add(name)
        return True

    def failed(self, life: Life) -> bool:
        """Whether the gang of a job has failed."""
        return _name(life) in self._failed

    def _whole(self, name: Name, life: Life) -> bool:
        return len(self._running.get(name, {})) + self._done.get(name, 0) >= life.born.hints.gang_size


def _name(life: Life) -> Name | None:
    hints = life.born.hints
    return (life.born.user, hints.gang) if hints.gang and hints.gang_size > 1 else None
