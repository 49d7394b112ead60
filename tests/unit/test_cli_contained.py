"""What a command line says of a container."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from hpcjobs.cli.contained import container_of, container_options


def read(*words: str) -> Any:
    """The container of a command line; the words of a ValueError, where one is raised."""

    @click.command()
    @container_options
    def command(**options: Any) -> Any:
        try:
            return container_of(options)
        except ValueError as error:
            return str(error)

    ran = CliRunner().invoke(command, words, standalone_mode=False)
    assert ran.exception is None, ran.output
    return ran.return_value


def test_without_an_image_there_is_none_and_what_is_for_one_is_refused():
    assert read() is None
    assert read("--container-writable") == "--container-writable is for a container: say --container-image"
    assert "container-devices" in read("--no-container-devices")
    assert "container-mount-home" in read("--container-mount-home")


def test_every_option_is_a_field_of_the_request():
    said = read(
        "--container-image", "a:1", "--container-runtime", "enroot", "--container-scope", "tasks",
        "--container-pull", "never", "--container-workdir", "/w", "--container-mpi", "pmix",
        "--no-container-mount-home", "--container-writable", "--container-remap-root", "--container-entrypoint",
        "--no-container-devices", "--container-credential", "hub", "--container-name", "n",
        "--container-save", "/s", "--container-arg", "--x", "--container-arg", "y",
    )  # fmt: skip
    assert said == {
        "image": "a:1", "runtime": "enroot", "scope": "tasks", "pull": "never", "workdir": "/w", "mpi": "pmix",
        "home": False, "writable": True, "root": True, "entrypoint": True, "devices": False, "credential": "hub",
        "name": "n", "save": "/s", "extra_args": ["--x", "y"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "mounts"),
    [
        (["/a"], [{"source": "/a"}]),
        (["/a:/b"], [{"source": "/a", "target": "/b"}]),
        (["/a:ro"], [{"source": "/a", "read_only": True}]),
        (["/a:/b:ro,optional"], [{"source": "/a", "target": "/b", "read_only": True, "optional": True}]),
        (["/a,/b:/c:rw,/d"], [{"source": "/a"}, {"source": "/b", "target": "/c"}, {"source": "/d"}]),
        (["/a", "/b"], [{"source": "/a"}, {"source": "/b"}]),
    ],
)
def test_mounts_are_written_as_pyxis_has_them(words, mounts):
    options = [word for text in words for word in ("--container-mounts", text)]
    assert read("--container-image", "a", *options)["mounts"] == mounts


@pytest.mark.parametrize("text", ["/a:/b:wo", ":/b", "/a:/b:ro,rw", "/a:/b:ro:x"])
def test_a_mount_that_cannot_be_read_is_refused_with_its_form(text):
    said = read("--container-image", "a", "--container-mounts", text)
    assert said.startswith("--container-mounts: ")
    assert "SOURCE[:TARGET[:ro|rw,optional]]" in said


def test_a_variable_without_a_value_has_the_one_of_here(monkeypatch):
    monkeypatch.setenv("HERE", "a=b")
    monkeypatch.delenv("NOT_HERE", raising=False)
    said = read("--container-image", "a", "--container-env", "X=1=2", "--container-env", "HERE")
    assert said["env"] == {"X": "1=2", "HERE": "a=b"}
    assert read("--container-image", "a", "--container-env", "NOT_HERE").startswith("--container-env NOT_HERE: ")
