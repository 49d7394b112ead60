"""What an admin declares: which accelerators are in which nodes."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Devices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accelerators of one type in each of some nodes.

    Attributes:
        nodes: A hostlist.
        type: Slurm's type: ``a100``; for slices their profile, ``a100_1g.5gb``.
        count: How many each node has; slices are counted one by one.
        family: Whose they are: ``nvidia``, ``ascend`` (hpcjobs.devices).
        files: Their device files, as ``/dev/nvidia[0-7]``; ``""``: the family's, from index 0 on.
        multiple: Where each has several: those of each (MultipleFiles of gres.conf). So have slices that slurmd does
            not find by itself: ``/dev/nvidia0,/dev/nvidia-caps/nvidia-cap[21-22]``.
        shards: Into how many shards each device can be shared; 0: it cannot.
        mps: Whether they can be shared by NVIDIA's Multi-Process Service, in percents.
        autodetect: How slurmd finds them by itself (AutoDetect of gres.conf), as it does slices: ``nvml``, ``rsmi``.
    """

    nodes: str
    type: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.+-]{0,63}$")]
    count: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    family: str = "nvidia"
    files: str = ""
    multiple: tuple[str, ...] = ()
    shards: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    mps: bool = False
    autodetect: Annotated[str, msgspec.Meta(pattern=r"^(|nvidia|nvml|rsmi|oneapi|nrt)$")] = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plugin's.

    Attributes:
        clusters: What nodes have, by cluster.
        families: Folder of a site's own families of devices; ``""``: none.
    """

    clusters: dict[str, tuple[Devices, ...]] = {}
    families: str = ""
