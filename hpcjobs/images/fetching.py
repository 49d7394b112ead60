"""The job that brings an image of a registry into the store (``hpcjobs.imagejob.fetch``). Pure, but for that script."""

from __future__ import annotations

import functools
import importlib.resources
from typing import Final

import msgspec

from hpcjobs.model.image import Image
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.settings import ImageStoreSettings

LOGS: Final = ".hpcjobs/logs"
"""Below the user's home: what these jobs say."""


class Order(msgspec.Struct, frozen=True):
    """What the script is told; see there.

    Attributes:
        image: Name, tag and digest.
        digest: Of its manifest.
        format: ``sif`` or ``sqsh``.
        folder: Where it is to be.
        max_bytes: As much as the folder may hold; 0: any.
        keep_s: What was used in so many seconds stays in any case.
        insecure: Whether the registry speaks http.
        authfile: Who asks it, in Docker's form; ``""``: nobody.
        mode: Permissions of the folder, in octal.
    """

    image: str
    digest: str
    format: str
    folder: str
    max_bytes: int = 0
    keep_s: int = 3600
    insecure: bool = False
    authfile: str = ""
    mode: str = "700"


class Fetch(msgspec.Struct, frozen=True):
    """An image that a job needs and that is not in the store yet.

    Attributes:
        path: Where it will be.
        spec: That job; the same for all who want the same there.
        logs: The folder of its output, which must be there.
    """

    path: str
    spec: JobSpec
    logs: str


@functools.cache
def _script() -> str:
    return importlib.resources.files("hpcjobs.imagejob").joinpath("fetch.py").read_text("utf-8")


def fetch_of(image: Image, order: Order, site: ImageStoreSettings, home: str, account: str | None) -> Fetch:
    """The job that brings an image into the store.

    Args:
        image: Of a registry, with its digest.
        order: What is to be brought where.
        site: What the job may take.
        home: The user's, on the cluster.
        account: Of the job that needs it.
    """
    name = f"image-{image.repository.rpartition('/')[2]}"
    logs = f"{home.rstrip('/')}/{LOGS}"
    path = f"{order.folder}/{order.digest.removeprefix('sha256:')}.{order.format}"
    spec = JobSpec(
        script=_script(),
        args=(msgspec.json.encode(order).decode(),),
        script_name=name,
        name=name,
        read_directives=False,
        resources=Resources(
            nodes=1, ntasks=1, cpus_per_task=site.cpus, mem_per_node_bytes=site.mem_bytes, wall_s=site.wall_s
        ),
        account=account,
        partition=site.partition,
        stdout=f"{logs}/image-%j.out",
    )
    return Fetch(path, spec, logs)
