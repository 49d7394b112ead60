"""A process that sends what is due, until it is killed: ``python -m tests.api.sending_killed FOLDER PORT FIRST LAST``.

Its clock goes a minute with each turn, from FIRST or where the one before it was killed, to before LAST; then it ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from hpcjobs.push import posting
from hpcjobs.sending import courier
from hpcjobs.service import Service
from hpcjobs.settings import MailSettings
from tests.api.bench import UnrulySlurm, settings_of


async def main(place: Path, port: int, first: int, last: int) -> None:
    posting.FIRST_RETRY_S = posting.LONGEST_RETRY_S = courier.DYING_S = 0.0  # type: ignore[misc]
    mail = MailSettings("127.0.0.1", "jobs@example.org", port, "none", timeout_s=5.0)
    service = Service(settings_of(place, mail=mail), {"big": UnrulySlurm()})
    service.store.upgrade()
    service.usage.open()
    service.courier.start(b"k" * 64)
    clock = place / "clock"
    now = int(clock.read_text()) if clock.exists() else first
    while now < last or await service.store.read(courier.letters.waiting, time.time()):
        await service.schedules.tick(now)
        await service.courier.tick(time.time())
        now = min(now + 60, last)
        (place / "clock.new").write_text(str(now))
        (place / "clock.new").rename(clock)
    service.usage.close()
    service.store.close()


if __name__ == "__main__":
    folder, *numbers = sys.argv[1:]
    asyncio.run(main(Path(folder), *map(int, numbers)))
