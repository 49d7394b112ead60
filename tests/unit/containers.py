"""Containers that the plugins of runtimes are asked about, and what they say."""

from __future__ import annotations

import string
from itertools import pairwise

from hypothesis import strategies as st

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Devices, Launch, Mount, fault_of
from hpcjobs.model.image import parse_image
from hpcjobs_plugins.containers.common import CODE

HOME = Mount("/home/alice")
WORK = "/scratch/run"
SITE = Mount("/opt/site", read_only=True, optional=True)
IMAGES = {
    "docker": "docker://ghcr.io/lab/train:1",
    "oras": "oras://ghcr.io/lab/train:1",
    "library": "library://lab/vision/train:1",
    "docker-archive": "docker-archive:/images/train.tar",
    "oci-archive": "oci-archive:/images/train.tar",
    "oci": "oci:/images/layout",
    "sif": "/images/train.sif",
    "sqsh": "/images/train.sqsh",
    "folder": "/images/train",
}
NONE = Devices()
NVIDIA = Devices(
    ("nvidia",),
    ("--nv",),
    {"NVIDIA_VISIBLE_DEVICES": "CUDA_VISIBLE_DEVICES"},
    ("/dev/nvidiactl", "/dev/nvidia-uvm"),
    (),
    ("nvidia.com/gpu",),
)
ASCEND = Devices(
    ("ascend",),
    (),
    {"ASCEND_VISIBLE_DEVICES": "ASCEND_RT_VISIBLE_DEVICES"},
    ("/dev/davinci_manager",),
    ("/usr/local/dcmi",),
    ("huawei.com/npu",),
)


def asked(plugin, image, needs=NONE, site=(), insecure=False, authfile="", **fields):
    """What a plugin answers to a container; asked as the house does, with home, the job's folder and mounts."""
    container = Container(image, **fields)
    own = HOME if container.home else Mount("/home/alice/.hpcjobs/scripts", read_only=True)
    mounts = (*site, own, Mount(WORK, optional=True), *container.mounts)
    text = parse_image(image).text
    told = {"workdir": container.workdir or WORK, "insecure": insecure, "authfile": authfile}
    launch = Launch(plugin.hooks[0].runtime, text, **told)
    said = plugin.hooks[0].run(launch, container, mounts, needs)
    if isinstance(said, Launch):
        assert fault_of(said, launch) == ""
        return said
    assert said
    assert all(isinstance(one, Refusal) and one.code == CODE and one.detail.endswith(".") for one in said)
    return said


def fields(said):
    """The fields that are refused."""
    assert not isinstance(said, Launch), said
    return [one.field for one in said]


def words(launch):
    """All that whoever lists processes can see."""
    where = [word for one in launch.where for word in (one.path, *one.words)]
    return [launch.image, *launch.before, *where, *launch.after, launch.env_flag, *launch.srun]


def value(flags, name):
    """The words behind each flag of a name."""
    return [after for flag, after in pairwise(flags) if flag == name]


_part = st.text(st.sampled_from(string.ascii_letters + string.digits + " ,:;=\"'`$\\^#!*?-_.é"), min_size=1, max_size=9)
_path = st.lists(_part.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)
paths = _path.map(lambda path: "/x" + path)
mounts = st.builds(Mount, paths, paths | st.just(""), st.booleans(), st.booleans())
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True) | st.sampled_from(["PATH", "HOME", "LD_PRELOAD"])
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9).map("s3cret-".__add__)
some = st.fixed_dictionaries(
    {},
    optional={
        "mounts": st.lists(mounts, max_size=4, unique_by=lambda mount: mount.there.rstrip("/")).map(tuple),
        "env": st.dictionaries(names, values, max_size=4),
        "workdir": paths,
        **dict.fromkeys(("home", "writable", "root", "entrypoint", "devices"), st.booleans()),
        "name": st.just("kept"),
        "save": st.just("/scratch/kept.sqsh"),
    },
)
"""What a job may say of a container beside its image; every value of a variable begins with s3cret-."""


def unasked(said, more):
    """The fields that are refused although a job says nothing of them."""
    return {field for field in (one.split(".")[1] for one in fields(said)) if field not in more}


def secret(launch):
    """The words that have a value of a variable in them."""
    return [word for word in words(launch) if "s3cret-" in word]
