"""The example of data-parallel training on a dockerized cluster: a Python with PyTorch for its nodes, and its losses.

The nodes' own Python is too new for the CPU file of torch 2.13.0, so they get the one that the tests run with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

from .conftest import Stack
from .steered import until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "checkpoint"
MADE = ROOT / "build" / "torch"
HOME = "/scratch/torch"
PACKAGES = ("torch==2.13.0", "numpy")
LEFT_OUT = ("test", "include")
"""Parts of torch that no training needs: 150 MB."""
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = f"""#!/bin/sh
# Debian's own Python looks for packages elsewhere.
export PYTHONPATH=$PYTHONPATH:{HOME}/lib/{VERSION}/site-packages
LD_LIBRARY_PATH={HOME}/lib PYTHONHOME={HOME} exec {HOME}/bin/interpreter "$@"
"""
AGENT = f"""#!/bin/sh
exec {HOME}/bin/python {HOME}/hpcjobs/injob "$@"
"""


def _made() -> Path:
    """The folder on this machine; made once."""
    if (MADE / "made").exists():
        return MADE
    shutil.rmtree(MADE, ignore_errors=True)
    library = MADE / "lib" / VERSION
    skip = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__", "config-*")
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=skip)
    (MADE / "bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), MADE / "bin" / "interpreter")
    if shared := sysconfig.get_config_var("INSTSONAME"):
        at = Path(sysconfig.get_config_var("LIBDIR")) / shared
        if at.exists():
            shutil.copy(at, MADE / "lib" / shared)
    packages = library / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "-qqq", "--no-compile", "--target", packages, *PACKAGES]
    subprocess.run(pip, check=True, timeout=900)
    for part in LEFT_OUT:
        shutil.rmtree(packages / "torch" / part, ignore_errors=True)
    for name, text in (("python", PYTHON), ("hpcjobs", AGENT)):
        (MADE / "bin" / name).write_text(text)
        (MADE / "bin" / name).chmod(0o755)
    (MADE / "made").touch()
    return MADE


def install(stack: Stack) -> None:
    """Have the nodes see it: it takes half a minute the first time, and 800 MB of /scratch."""
    if not stack.run("login", f"ls {HOME}.whole", check=False):
        _copied(stack, _made(), HOME)
    stack.run("login", f"mkdir -p {HOME}/hpcjobs")
    _copied(stack, ROOT / "hpcjobs" / "injob", f"{HOME}/hpcjobs/injob")
    _copied(stack, EXAMPLES, f"{HOME}/examples")
    # Modules are compiled by root, who may write there: else each rank would do it at each start.
    alone = "RANK=0 WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500"
    step = f"{variables()} {alone} hpcjobs run --checkpoints $(mktemp -d) -- python {HOME}/examples/ddp.py --steps 1"
    stack.run("login", f"ls {HOME}/compiled 2>/dev/null || ({step} && touch {HOME}/compiled)")


def _copied(stack: Stack, source: Path, to: str) -> None:
    """Copy a folder. On a busy machine the engine says now and then that a command has ended that still runs."""
    container = stack.container("login").id or ""
    stack.run("login", f"mkdir -p {to} && rm -f {to}.whole")
    with subprocess.Popen(["tar", "-C", source, "-c", "."], stdout=subprocess.PIPE) as packed:
        unpack = ["docker", "exec", "-i", container, "sh", "-c", f"tar -C {to} --no-same-owner -x && touch {to}.whole"]
        subprocess.run(unpack, stdin=packed.stdout, check=True, timeout=300)
    until(stack, lambda: stack.run("login", f"ls {to}.whole", check=False), bool, 300)


def variables() -> str:
    """For a shell, in front of a command."""
    return f"PATH={HOME}/bin:$PATH PYTHONPATH={HOME}"


def train(stack: Stack, folder: str, name: str, nodes: int, **told: object) -> dict[str, Any]:
    """Submit the training.

    Args:
        stack: Where.
        folder: Of the user, on the cluster.
        name: Of the job, its checkpoint folder and its output.
        nodes: How many.
        told: Variables of ddp.sh: STEPS, EVERY, PAUSE.
    """
    environment = {"PATH": f"{HOME}/bin:/usr/bin:/bin", "PYTHONPATH": HOME}
    return stack.submit(
        (EXAMPLES / "ddp.sh").read_text(),
        name=name,
        workdir=f"{HOME}/examples",
        stdout=f"{folder}/{name}.out",
        resources={"nodes": nodes, "wall_s": 3600},
        hints={"recover": True, "checkpoints": f"{folder}/{name}"},
        environment=environment | {key: str(value) for key, value in told.items()},
    )


def reached(stack: Stack, folder: str, name: str) -> int:
    """The step that its output ends with, 0: none."""
    told = stack.run("login", f"grep ^step {folder}/{name}.out | tail -n 1", check=False)
    return int(told.split()[1]) if told else 0


def said(stack: Stack, folder: str, name: str) -> dict[int, set[str]]:
    """All losses that the output has of each step, from whatever run."""
    found: dict[int, set[str]] = {}
    for step, loss in re.findall(r"^step (\d+) loss (\S+)$", stack.run("login", f"cat {folder}/{name}.out"), re.M):
        found.setdefault(int(step), set()).add(loss)
    return found


def curve(stack: Stack, folder: str, name: str) -> list[float]:
    """The losses of all steps, as the newest checkpoint has them."""
    program = textwrap.dedent(f"""
        import json, subprocess, torch
        latest = subprocess.check_output(["hpcjobs", "checkpoint", "latest", "{folder}/{name}"], text=True).strip()
        print(json.dumps(torch.load(latest + "/state.pt", weights_only=True)["losses"]))
        """)
    losses: list[float] = json.loads(stack.run("login", f"{variables()} python -c '{program}'"))
    return losses
