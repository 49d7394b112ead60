"""Long jobs wait for the night, and the longest are refused."""

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.spec import JobSpec
from hpcjobs.plugin import Admit, Context, Plugin

DAY_S = 86_400


class Night(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an admin can set: hours of the day in UTC, and times in seconds."""

    from_hour: int = 22
    to_hour: int = 6
    long_s: int = 4 * 3600
    longest_s: int = 3 * DAY_S

    def admit(self, spec: JobSpec, context: Context) -> JobSpec | Refusal:
        wall_s = spec.resources.wall_s or 0
        if wall_s > self.longest_s:
            return Refusal("resources.wall_s", f"At most {self.longest_s} s here; {wall_s} were asked for.")
        if wall_s <= self.long_s or spec.begin is not None or self.is_night(context.now):
            return spec
        return msgspec.structs.replace(spec, begin=f"uts{self.next_night(context.now)}")

    def is_night(self, now: float) -> bool:
        hour = now % DAY_S / 3600
        return hour >= self.from_hour or hour < self.to_hour

    def next_night(self, now: float) -> int:
        return int(now - now % DAY_S) + self.from_hour * 3600


PLUGIN = Plugin(name="night", api=1, settings=Night, hooks=lambda night: [Admit(night.admit)])
