from __future__ import annotations

import base64
import json
import os
import stat
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import NotAllowed, NotAuthenticated
from hpcjobs.identity import ALGORITHM, AUDIENCE, ISSUER, Identity, check_may_run, load_key, make_token, read_token

KEY = b"k" * 64
NOBODY_IS_ADMIN: frozenset[str] = frozenset()


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 86_400} | changes
    return {name: value for name, value in told.items() if value is not None}


def signed(key: bytes = KEY, **changes: object) -> str:
    return jwt.encode(claims(**changes), key, algorithm=ALGORITHM)


def read(header: str | None, admins: frozenset[str] = NOBODY_IS_ADMIN) -> Identity:
    return read_token(KEY, header, admins)


def test_a_token_speaks_for_its_user_and_only_settings_make_an_admin():
    token = make_token(KEY, "alice", time.time(), 60)
    assert read(f"Bearer {token}") == Identity("alice", admin=False)
    assert read(f"bearer {token}", frozenset({"alice"})) == Identity("alice", admin=True)
    assert read(f"Bearer {signed(admin=True)}") == Identity("alice", admin=False)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "alice"])
def test_no_token_is_told_how_to_send_one(header):
    with pytest.raises(NotAuthenticated, match="Send a token: Authorization: Bearer"):
        read(header)


def test_an_expired_token_is_told_so():
    with pytest.raises(NotAuthenticated, match="has expired"):
        read(f"Bearer {make_token(KEY, 'alice', time.time() - 100, 60)}")


def without_signature(**header: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'typ': 'JWT'} | header)}.{part(claims())}."


@pytest.mark.parametrize(
    "token",
    [
        signed(b"x" * 64),
        without_signature(alg="none"),
        without_signature(alg="None"),
        without_signature(alg="HS256"),
        jwt.encode(claims(), KEY, algorithm="HS384"),
        signed(aud="another"),
        signed(iss="another"),
        signed(iat=int(time.time()) + 1000),
        signed(sub=None),
        signed(exp=None),
        signed(iat=None),
        signed(aud=None),
        signed(iss=None),
        signed()[:-2],
        signed() + "x",
        "a.b.c",
        "junk",
        "ä.ö.ü",
        "..",
    ],
    ids=["wrong key", "alg none", "alg None", "no signature", "another algorithm", "wrong audience", "wrong issuer",
         "from the future", "no sub", "no exp", "no iat", "no aud", "no iss", "cut off", "longer", "three parts",
         "junk", "not ASCII", "dots"],
)  # fmt: skip
def test_a_token_that_does_not_hold_is_refused(token):
    with pytest.raises(NotAuthenticated, match="does not hold"):
        read(f"Bearer {token}")


def test_a_user_that_is_no_text_is_refused():
    payload = jwt.api_jws.encode(json.dumps(claims(sub=0)).encode(), KEY, algorithm=ALGORITHM)
    with pytest.raises(NotAuthenticated, match="does not hold"):
        read(f"Bearer {payload}")


@given(st.text())
def test_no_junk_is_anything_but_not_authenticated(junk):
    with pytest.raises(NotAuthenticated):
        read(f"Bearer {junk}")


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    old = os.umask(0)
    try:
        key = load_key(tmp_path / "token.key")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "token.key").stat().st_mode) == 0o600
    assert len(key) == 64
    assert load_key(tmp_path / "token.key") == key
    assert load_key(tmp_path / "other.key") != key


def test_a_thing_is_its_owners_and_the_admins():
    Identity("alice").require_owner("alice", "Job 1")
    Identity("root", admin=True).require_owner("alice", "Job 1")
    with pytest.raises(NotAllowed, match="Job 1 belongs to another user"):
        Identity("bob").require_owner("alice", "Job 1")


@pytest.mark.parametrize("user", ["root", "daemon", "slurm"])
def test_no_job_runs_as_root_slurm_or_a_system_account(user):
    with pytest.raises(NotAllowed, match=f"No job runs as '{user}'"):
        check_may_run(user, frozenset({"root", "slurm"}), 1000)


def test_a_user_that_only_the_cluster_knows_is_slurms_to_judge():
    check_may_run("no-such-user-here", frozenset({"root"}), 1000)
    check_may_run("nobody", frozenset({"root"}), 1000)
