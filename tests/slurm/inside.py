"""What runs inside jobs, brought to the nodes: the one folder that needs Python alone (docs/CHECKPOINTS.md)."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .conftest import Stack

INJOB: Final = Path(__file__).parents[2] / "hpcjobs" / "injob"
HOME: Final = "/home/alice"
IMAGE: Final = "/scratch/python-image"
"""A folder that Apptainer takes for an image: a Python with its libraries, a shell, cat, id and sleep."""
IMAGE_MADE: Final = f"""
set -e
[ ! -e {IMAGE} ] || exit 0
made=$(mktemp -d {IMAGE}.XXXXXX)
for name in usr/bin usr/lib usr/lib64 etc tmp proc sys dev home var/tmp; do mkdir -p $made/$name; done
for name in bin lib lib64; do ln -s usr/$name $made/$name; done
python=$(readlink -f /usr/bin/python3)
cp $python $made/usr/bin/python3 && cp /usr/bin/dash $made/usr/bin/sh && cp /usr/bin/{{cat,id,sleep}} $made/usr/bin/
cp -r /usr/lib/${{python##*/}} $made/usr/lib/
ldd $python /usr/bin/{{dash,cat,id,sleep}} /usr/lib/${{python##*/}}/lib-dynload/*.so |
  grep -o '/[^ ]*' | grep -v ':$' | sort -u |
  xargs cp -L --parents -t $made
touch $made/etc/passwd $made/etc/group $made/etc/resolv.conf $made/etc/hosts $made/etc/localtime
chmod 755 $made && mv $made {IMAGE}
"""


def agent_on(stack: Stack) -> str:
    """Bring it to the home of alice, which all nodes see.

    Args:
        stack: The cluster.

    Returns:
        The command line that ``hpcjobs`` is there, as in ``f"{agent} run --checkpoints DIR -- COMMAND"``.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(INJOB.glob("*.py")):
            archive.add(path, f"injob/{path.name}")
    stack.container("login").put_archive(HOME, packed.getvalue())
    return f"python3 {HOME}/injob"


def image_on(stack: Stack) -> str:
    """Make a folder that Apptainer takes for an image, of what the nodes have themselves; returns its path."""
    stack.run("login", IMAGE_MADE)
    return IMAGE
