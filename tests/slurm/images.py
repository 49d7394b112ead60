"""Images for jobs, made on a node of what it has itself, and the registry of the dockerized cluster."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .inside import image_on
from .steered import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Stack

REGISTRY: Final = "registry:5000"
LAYOUT: Final = """
set -e
made=$(mktemp -d /var/tmp/image.XXXXXX)
trap 'rm -rf $made' EXIT
cd $made
umoci init --layout oci
umoci new --image oci:one
umoci insert --image oci:one {folder} /
umoci config --image oci:one --config.env IN_IMAGE={mark} --config.env PATH=/usr/bin --config.workingdir /tmp \
  --config.entrypoint /usr/bin/sh --config.entrypoint -c --config.entrypoint 'ENTRY=entered exec "$@"' \
  --config.entrypoint entry
"""
WITH_HOME: Final = """
import json, sys
config = json.load(open(sys.argv[1]))
config["process"]["terminal"] = False
home = {"destination": "/home/alice", "type": "bind", "source": "/home/alice", "options": ["rbind", "rw"]}
config["mounts"].append(home)
json.dump(config, open(sys.argv[1], "w"))
"""
PUSHED: Final = f"""
skopeo copy -q --dest-tls-verify=false oci:oci:one docker://{REGISTRY}/{{name}}
skopeo inspect --tls-verify=false --format '{{{{{{{{.Digest}}}}}}}}' docker://{REGISTRY}/{{name}}
"""
SAVED: Final = """
rm -f {path}.new
skopeo copy -q oci:oci:one docker-archive:{path}.new:{name}
chmod 644 {path}.new
mv {path}.new {path}
"""


def pushed(stack: Stack, name: str, mark: str = "yes") -> str:
    """Push an image: a Python and a shell, whose variable IN_IMAGE is a mark. Its entry point sets ENTRY.

    Returns:
        Its digest.
    """
    layout = LAYOUT.format(folder=image_on(stack), mark=mark)
    return stack.said("c1", layout + PUSHED.format(name=name)).split()[-1]


def saved(stack: Stack, path: str, name: str = "saved:1", mark: str = "yes") -> str:
    """Keep one as a docker-archive; returns its path."""
    stack.run("c1", LAYOUT.format(folder=image_on(stack), mark=mark) + SAVED.format(path=path, name=name))
    return path


def unpacked(stack: Stack, path: str, mark: str = "yes") -> None:
    """Unpack one as a bundle of alice's, which has her home."""
    layout = LAYOUT.format(folder=image_on(stack), mark=mark)
    as_alice = f"setpriv --reuid alice --regid alice --clear-groups umoci unpack --rootless --image oci:one {path}"
    stack.run("c1", f"{layout}chmod -R a+rX $made\n{as_alice}\npython3 -c '{WITH_HOME}' {path}/config.json\n")


def said(stack: Stack, job_id: str, word: str) -> None:
    """Wait until a running job says a word."""
    stack.running(job_id)

    def output() -> str:
        with stack.api() as api:
            answer = api.get(f"/v1/jobs/{job_id}/output")
        return answer.text if answer.status_code == 200 else ""  # it may have written nothing yet

    until(stack, output, lambda text: word in text.split())


@contextmanager
def registry_down(stack: Stack) -> Iterator[None]:
    """Inside there is no registry."""
    registry = stack.container("registry")
    registry.stop(timeout=5)
    try:
        yield
    finally:
        registry.start()
        stack.run("c1", "until (exec 3<>/dev/tcp/registry/5000) 2>/dev/null; do sleep 0.2; done")
