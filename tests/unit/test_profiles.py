from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from hpcjobs.cli import private
from hpcjobs.profiles import ClientConfig, load


@pytest.fixture
def config(tmp_path):
    (tmp_path / "hpcjobs").mkdir(mode=0o700)

    def write(text: str, **variables: str) -> ClientConfig:
        path = tmp_path / "hpcjobs" / "config.toml"
        path.write_text(text)
        path.chmod(0o600)
        return load({"XDG_CONFIG_HOME": str(tmp_path), **variables})

    return write


def test_the_token_at_the_top_is_not_sent_to_another_address(config):
    text = 'url="https://a"\ntoken="secret"\ncluster="c"\n[profiles.b]\nurl="https://b"\n[profiles.c]\ncluster="d"\n'
    found = config(text, HPCJOBS_PROFILE="b")
    assert (found.url, found.token, found.cluster) == ("https://b", "", "c")
    found = config(text, HPCJOBS_PROFILE="c")
    assert (found.url, found.token, found.cluster) == ("https://a", "secret", "d")
    assert (config(text).profile, config(text, HPCJOBS_PROFILE="c").profile) == ("", "c")


def test_queueing_offline_is_a_setting(config):
    assert config("queue_offline = true").queue_offline
    assert not config("[profiles.x]\nqueue_offline = true").queue_offline
    assert config("[profiles.x]\nqueue_offline = true", HPCJOBS_PROFILE="x").queue_offline
    with pytest.raises(ValueError, match="queue_offline is true or false"):
        config("queue_offline = 1")


def test_a_file_with_a_token_that_others_can_read_is_told(config, tmp_path):
    assert config('token = "x"').warning == ""
    path = tmp_path / "hpcjobs" / "config.toml"
    path.chmod(0o640)
    told = load({"XDG_CONFIG_HOME": str(tmp_path)}).warning
    assert told.startswith(f"permissions 0640 for {path} are too open")
    path.write_text('url = "http://x"')
    assert load({"XDG_CONFIG_HOME": str(tmp_path)}).warning == ""


def test_a_private_file_is_whole_and_nobody_elses_whatever_the_mask(tmp_path):
    before = os.umask(0)
    try:
        private.make_folder(str(tmp_path / "new"))
        private.write(str(tmp_path / "new" / "a"), b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "new") == ["a"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "kept" / "real")
    private.write(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept" / "real").read_text() == "new"


def test_a_lock_is_had_by_one_and_let_go_of_by_the_dead(tmp_path):
    path = str(tmp_path / "lock")
    held = (
        f"import time; from hpcjobs.cli import private; c = private.lock({path!r}, 0); print(c.__enter__(), flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", f"{held}; time.sleep(60)"], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"True\n"
        with private.lock(path, 0.0) as had:
            assert not had
        other.kill()
    with private.lock(path, 60.0) as had:
        assert had


@pytest.mark.parametrize("profile", ["", "b"])
def test_the_token_of_the_file_is_not_sent_to_another_service_that_a_variable_names(config, profile):
    text = 'url="https://a"\ntoken="secret"\n[profiles.b]\nurl="https://b"\ntoken="other"\n'
    own = profile or "a"
    found = config(text, HPCJOBS_PROFILE=profile, HPCJOBS_URL="https://evil")
    assert (found.url, found.token) == ("https://evil", "")
    assert f"HPCJOBS_URL names another service than the token's, https://{own}," in found.warning
    assert "HPCJOBS_TOKEN, or call hpcjobs login" in found.warning
    given = config(text, HPCJOBS_PROFILE=profile, HPCJOBS_URL="https://evil", HPCJOBS_TOKEN="mine")
    assert (given.token, given.warning) == ("mine", "")


def test_a_token_without_an_address_is_for_the_default_one(config):
    assert config('token="secret"', HPCJOBS_URL="https://evil").token == ""
    assert config('token="secret"', HPCJOBS_URL="http://127.0.0.1:8080/").token == "secret"


@pytest.mark.parametrize("url", ["https://a.example", "https://A.Example/", "HTTPS://a.example:443"])
def test_one_service_can_be_written_in_several_ways(config, url):
    text = 'url="https://a.example/"\ntoken="secret"\n[profiles.b]\nurl="https://a.example:443"\n'
    found = config(text, HPCJOBS_URL=url)
    assert (found.url, found.token, found.warning) == (url, "secret", "")
    assert config(text, HPCJOBS_PROFILE="b").token == "secret"


@pytest.mark.parametrize("url", ["http://a.example", "https://a.example:8443", "https://a.example/x", "https://[", "a"])
def test_another_scheme_port_or_path_is_another_service(config, url):
    assert config('url="https://a.example"\ntoken="secret"\n', HPCJOBS_URL=url).token == ""
