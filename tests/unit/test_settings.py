from __future__ import annotations

from pathlib import Path

import pytest

from hpcjobs.api.serve import config_of
from hpcjobs.errors import SettingsError
from hpcjobs.service import Service
from hpcjobs.settings import ClusterSettings, Settings, load

LEAST = '[[clusters]]\nname = "big"\n'


def read(tmp_path: Path, text: str | bytes, **environment: str):
    path = tmp_path / "hpcjobs.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, environment)


def test_a_cluster_is_all_that_must_be_set(tmp_path):
    settings = read(tmp_path, LEAST)
    assert settings.clusters == (ClusterSettings("big"),)
    assert (settings.clusters[0].ways, settings.listen_host) == ((), "127.0.0.1")


def test_everything_can_be_set(tmp_path):
    settings = read(
        tmp_path,
        'database_url = "sqlite:///a.db"\ntoken_key_file = "/k"\nadmins = ["root"]\nlisten_port = 80\nmax_age_s = 5\n'
        '[[clusters]]\nname = "a"\nways = ["slurmrestd"]\nslurmrestd_url = "http://r:6820"\njwt_key_file = "/j"\n'
        'home = "/h/{user}"\nobserve_s = 0.5\n[[clusters]]\nname = "b"\n',
    )
    assert (settings.token_key_file, settings.admins, settings.max_age_s) == (Path("/k"), ("root",), 5.0)
    first, second = settings.clusters
    assert (first.jwt_key_file, first.observe_s, second.name) == (Path("/j"), 0.5, "b")


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ('database_url = "sqlite:////data/hpcjobs.db"', "/data/accounting.duckdb"),
        ('database_url = "sqlite:///a.db"', "accounting.duckdb"),
        ('database_url = "postgresql://db/hpcjobs"', "/var/lib/hpcjobs/accounting.duckdb"),
        ('database_url = "postgresql://db/hpcjobs"\n[usage]\npath = "/big/u.duckdb"', "/big/u.duckdb"),
    ],
)
def test_usage_is_kept_beside_the_database_or_where_it_is_said(tmp_path, said, path):
    head, _, tail = said.partition("\n")
    assert read(tmp_path, f"{head}\n{LEAST}{tail}").usage_path == Path(path)


def test_a_time_zone_that_does_not_exist_is_said(tmp_path):
    with pytest.raises(SettingsError, match="no time zone 'Mars/Phobos'"):
        read(tmp_path, LEAST + '[usage]\ntimezone = "Mars/Phobos"')


def test_the_environment_names_the_file_and_the_database(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(LEAST + "\n")
    environment = {"HPCJOBS_CONFIG": str(path), "HPCJOBS_DATABASE_URL": "postgresql://h/d"}
    assert load(None, environment).database_url == "postgresql://h/d"
    assert load(path, {"HPCJOBS_CONFIG": "/no/such", "HPCJOBS_DATABASE_URL": ""}).database_url.startswith("sqlite")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "missing required field `clusters`"),
        ("clusters = []", "at least one entry"),
        (LEAST + LEAST, "each with its own name"),
        ("[[clusters]]\n", "missing required field `name`"),
        (LEAST + 'ways = ["telnet"]\n', r"Invalid enum value 'telnet' - at `\$.clusters\[0\].ways\[0\]`"),
        (LEAST + 'ways = ["slurmrestd", "slurmrestd"]\n', "ways of cluster big: each at most once"),
        (LEAST + "nmae = 1\n", "unknown field `nmae`"),
        ("typo = 1\n" + LEAST, "unknown field `typo`"),
        ('listen_port = "80"\n' + LEAST, r"Expected `int`, got `str` - at `\$.listen_port`"),
        ("token_key_file = 3\n" + LEAST, "token_key_file"),
        ("not toml at all", "hpcjobs.toml: "),
        (b"\xff\xfe[", "hpcjobs.toml: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_field(tmp_path, text, complaint):
    with pytest.raises(SettingsError, match=complaint) as refused:
        read(tmp_path, text)
    assert "hpcjobs.toml: " in refused.value.detail


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.toml: No such file or directory"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match="Is a directory"):
        load(tmp_path, {})


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_certificates_for_webhooks_that_cannot_be_read_stop_the_start(tmp_path, text):
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=r"webhook_ca_file .*ca\.pem"):
        Service(Settings((ClusterSettings("big"),), database_url="sqlite://", webhook_ca_file=path))


@pytest.mark.parametrize(("proxies", "client"), [((), "127.0.0.1"), (("127.0.0.0/8",), "10.9.8.7")])
async def test_a_header_says_who_calls_only_where_a_proxy_of_the_settings_sends_it(proxies, client):
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["client"][0])

    config = config_of(app, Settings((ClusterSettings("big"),), proxies=proxies))
    config.load()
    headers = [(b"x-forwarded-for", b"10.9.8.7")]
    await config.loaded_app({"type": "http", "client": ("127.0.0.1", 1), "headers": headers}, None, None)
    assert seen == [client]


def test_nothing_is_done_in_the_name_of_the_services_own_user():
    settings = Settings((ClusterSettings("big"),), never_run_as=("root",), service_user="svc")
    assert settings.forbidden == {"root", "svc"}


MAIL = '[mail]\nhost = "mail.example.org"\nsender = "jobs@example.org"\n'


def test_mail_goes_over_starttls_unless_something_else_is_said(tmp_path):
    mail = read(tmp_path, LEAST + MAIL).mail
    assert (mail.security, mail.port, mail.domains) == ("starttls", 587, ())
    assert read(tmp_path, LEAST).mail is None


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ('[mail]\nhost = "m"\nsender = "jobs@x\\r\\nBcc: a@b"\n', "is no address"),
        (MAIL + 'user = "u"\n', "user and password_file go together"),
        (MAIL + 'security = "none"\nuser = "u"\npassword_file = "/p"\n', "a password goes over TLS only"),
        (MAIL + 'security = "ssl"\n', "security"),
    ],
)
def test_mail_that_cannot_be_sent_so_is_refused(tmp_path, said, complaint):
    with pytest.raises(SettingsError, match=complaint):
        read(tmp_path, LEAST + said)
