"""Families of accelerators are data, read strictly; a site's own come first."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcjobs.devices.family import families
from hpcjobs.errors import SettingsError


def test_every_fact_of_a_family_has_a_page_or_says_that_it_has_none() -> None:
    known = families()
    assert {"amd", "ascend", "cambricon", "intel", "neuron", "nvidia"} <= set(known)
    for name, family in known.items():
        for field in ("gres", "visible", "files"):
            if getattr(family, field) is not None:
                assert (field in family.sources) != (field in family.unconfirmed), (name, field)


def test_a_file_of_the_site_replaces_the_family_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('name = "ascend"\ntitle = "Ours"\ngres = "gpu"\n')
    assert families(tmp_path)["ascend"].gres == "gpu"
    assert families(tmp_path)["neuron"] == families()["neuron"]


@pytest.mark.parametrize("text", ['name = "x"\n', 'name = "x"\ntitle = "X"\ngres = "gpu"\ncolour = "red"\n', "name ="])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        families(tmp_path)
