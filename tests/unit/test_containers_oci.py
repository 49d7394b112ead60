"""Containers that Slurm runs itself, of a bundle."""

from __future__ import annotations

import pytest
from hypothesis import given

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.container import Launch, Mount
from hpcjobs_plugins.containers.oci import PLUGIN
from tests.unit.containers import ASCEND, IMAGES, NVIDIA, SITE, WORK, asked, fields, secret, some, unasked

BUNDLE = IMAGES["folder"]


class TestOciConforms(PluginConformance):
    plugin = PLUGIN


def test_a_bundle_is_all_that_is_said():
    assert asked(PLUGIN, BUNDLE, site=(SITE,)) == Launch("oci", BUNDLE, workdir=WORK, srun=(f"--container={BUNDLE}",))


def test_variables_and_further_words_are_handed_on():
    said = asked(PLUGIN, BUNDLE, env={"TOKEN": "s3cret\n'$HOME'", "EMPTY": ""}, extra_args=("--container-id=a",))
    assert said.srun == (f"--container={BUNDLE}", "--container-id=a")
    assert said.environment == {"TOKEN": "s3cret\n'$HOME'", "EMPTY": ""}


@pytest.mark.parametrize("kind", sorted(IMAGES.keys() - {"folder"}))
def test_an_image_that_is_not_unpacked_is_refused(kind):
    (said,) = asked(PLUGIN, IMAGES[kind])
    assert said.field == "container.image"
    assert f"no {kind}" in said.detail


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        *(({field: True}, [f"container.{field}"]) for field in ("writable", "root", "entrypoint")),
        ({"workdir": "/opt/app"}, ["container.workdir"]),
        ({"name": "kept"}, ["container.name"]),
        ({"save": "/b"}, ["container.save"]),
        ({"home": False}, ["container.home"]),
        ({"mounts": (Mount("/a"), Mount("/b", optional=True))}, ["container.mounts.0", "container.mounts.1"]),
        ({"authfile": "/a.json"}, ["container.credential"]),
        ({"needs": NVIDIA}, ["container.devices"]),
        ({"needs": ASCEND}, ["container.devices"]),
        ({"env": {"PATH": "/bin"}}, ["container.env"]),
        ({"env": {"SLURM_CONF": "/etc/x"}}, ["container.env"]),
    ],
)
def test_what_a_bundle_says_itself_is_refused_by_name(more, refused):
    assert fields(asked(PLUGIN, BUNDLE, **more)) == refused


@given(some)
def test_whatever_is_asked_for_is_said_or_refused(more):
    said = asked(PLUGIN, BUNDLE, **more)
    if isinstance(said, Launch):
        assert secret(said) == []
        assert said.environment == more.get("env", {})
        assert not more.get("mounts")
    else:
        assert not unasked(said, more)
        assert {f"container.mounts.{number}" for number, _ in enumerate(more.get("mounts", ()))} <= {*fields(said)}
