"""Memory: some is left, all of it is there, and it is not failing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .call import FORGET, Call
from .growth import Read, decode, grown, kept, too_much
from .host import Host

CONTROLLERS = "/sys/devices/system/edac/mc"


class Options(NamedTuple):
    """What may be set of memory.

    Attributes:
        available_percent: So much must be available.
        total_mib: So many MiB the kernel must have, 0: whatever; a module that failed at boot is missing there.
    """

    available_percent: float
    total_mib: float


class Edac(NamedTuple):
    """What may be set of its errors.

    Attributes:
        corrected_per_hour: So many of one memory controller may be corrected. One that could not be is too many.
    """

    corrected_per_hour: float


def check(options: Options, host: Host, call: Call) -> list[str]:
    """See how much there is.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    kib = {
        name: int(count) for name, count in re.findall(r"^(\w+):\s+(\d+) kB", host.text("/proc/meminfo"), re.MULTILINE)
    }
    total, available = kib.get("MemTotal", 0), kib.get("MemAvailable", 0)
    if not total:
        return []
    found = []
    if 100 * available / total < options.available_percent:
        found.append(f"{available // 1024} MiB available of {total // 1024}")
    if total / 1024 < options.total_mib:
        found.append(f"{total // 1024} MiB in all, not {options.total_mib:.0f}")
    return found


def edac(options: Edac, host: Host, call: Call) -> list[str]:
    """See what the memory controllers count (Documentation/admin-guide/RAS of the kernel).

    Args:
        options: See Edac.
        host: The node.
        call: The time.
    """
    names = [folder.name for folder in sorted(host.at(CONTROLLERS).glob("mc[0-9]*"))]
    lost = {name: host.number(f"{CONTROLLERS}/{name}/ue_count") or 0 for name in names}
    corrected = {name: host.number(f"{CONTROLLERS}/{name}/ce_count") or 0 for name in names}
    if call.mode == FORGET:
        call.kept.update(lost=lost, looks=[])
    before = call.kept.get("lost", {})
    found = [
        f"{name}: {count - before.get(name, 0)} errors that could not be corrected{_where(host, name)}"
        for name, count in lost.items()
        if count > before.get(name, 0)
    ]
    looks, now = decode(call.kept.get("looks")), Read(call.now, corrected)
    call.kept["looks"] = kept(looks, now)
    grew = grown(looks, now)
    many = too_much(grew, dict.fromkeys(names, options.corrected_per_hour))
    return found + [f"{name}: {grew[name]} errors corrected within an hour" for name in many]


def _where(host: Host, controller: str) -> str:
    labels = ", ".join(_labels(host, controller))
    return f" ({labels})" if labels else ""


def _labels(host: Host, controller: str) -> Iterator[str]:
    for module in sorted(host.at(f"{CONTROLLERS}/{controller}").glob("dimm[0-9]*")):
        path = f"{CONTROLLERS}/{controller}/{module.name}"
        if host.number(f"{path}/dimm_ue_count"):
            yield host.text(f"{path}/dimm_label") or module.name
