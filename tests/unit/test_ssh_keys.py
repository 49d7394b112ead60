from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from hpcjobs.errors import NotAllowed, SettingsError
from hpcjobs.slurm.ssh_keys import LIFE_S, SKEW_S, CertificateKeys, FileKeys, checked_name
from hpcjobs.slurm.ssh_transport import wrapped


@pytest.fixture
def ca(tmp_path):
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "ca"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return path, key


def test_a_certificate_names_one_user_for_minutes_and_grants_nothing_else(ca):
    path, ca_key = ca
    key = Ed25519PrivateKey.generate()
    certificate = load_ssh_public_identity(CertificateKeys(path).certificate("alice", key, 1_000_000.9))
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    openssh = (Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert certificate.signature_key().public_bytes(*openssh) == ca_key.public_key().public_bytes(*openssh)
    assert certificate.public_key().public_bytes(*openssh) == key.public_key().public_bytes(*openssh)
    assert (certificate.type, certificate.valid_principals) == (SSHCertificateType.USER, [b"alice"])
    assert (certificate.valid_after, certificate.valid_before) == (1_000_000 - SKEW_S, 1_000_000 + LIFE_S)
    assert (certificate.extensions, certificate.critical_options) == ({}, {})
    assert certificate.key_id.startswith(b"hpcjobs:alice:")


def test_no_two_connections_have_the_same_key(ca):
    keys = CertificateKeys(ca[0])
    first, second = keys.key_of("alice"), keys.key_of("alice")
    assert first.asbytes() != second.asbytes()
    assert first.public_blob.key_type == "ssh-ed25519-cert-v01@openssh.com"


@pytest.mark.parametrize("user", ["root", "", "a,b", "a b", "-x", "a\nb", "../x", "alice\0", "ä", "a" * 65, "1a"])
def test_no_connection_is_made_as_root_or_as_what_is_no_name(ca, user):
    with pytest.raises(NotAllowed):
        checked_name(user)
    with pytest.raises(NotAllowed):
        CertificateKeys(ca[0]).key_of(user)
    with pytest.raises(NotAllowed):
        FileKeys("/home/{user}/key").key_of(user)


@pytest.mark.parametrize("content", [b"", b"no key", None])
def test_a_ca_key_that_cannot_be_read_stops_the_start(tmp_path, content):
    path = tmp_path / "ca"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="the key of the ssh CA cannot be read"):
        CertificateKeys(path)


def test_a_ca_key_of_another_kind_stops_the_start(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "ca"], check=True)
    with pytest.raises(SettingsError, match="must be an Ed25519 key"):
        CertificateKeys(tmp_path / "ca")


def test_a_users_own_key_is_read_and_a_missing_one_is_named(ca, tmp_path):
    path, key = ca
    (tmp_path / "alice").mkdir()
    path.rename(tmp_path / "alice" / "key")
    keys = FileKeys(f"{tmp_path}/{{user}}/key")
    assert keys.key_of("alice").get_base64().encode() in key.public_key().public_bytes(
        Encoding.OpenSSH, PublicFormat.OpenSSH
    )
    with pytest.raises(NotAllowed, match="bob"):
        keys.key_of("bob")


def test_a_shell_that_does_not_get_the_whole_script_runs_nothing_of_it(tmp_path):
    there = tmp_path / "there"
    body, end = wrapped(f"touch {there}\necho said\nfalse\n", "N" * 8)
    whole = body + end
    assert body.count(b"}") == 0
    for cut in range(0, len(whole) - 2, 7):
        subprocess.run(["/bin/sh"], input=whole[:cut], capture_output=True, check=False, timeout=60)
        assert not there.exists(), whole[:cut]
    done = subprocess.run(["/bin/sh"], input=whole, capture_output=True, check=False, timeout=60)
    assert there.exists()
    assert (done.stdout, done.stderr, done.returncode) == (b"NNNNNNNN\nsaid\n", b"NNNNNNNN\n", 1)
