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
from hpcjobs.identity import Identity, Role, Scope, check_may_run, load_key, make_token
from hpcjobs.identity.authenticator import Authenticator
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import EVERY_SCOPE
from hpcjobs.identity.tokens import ALGORITHM, AUDIENCE, MAX_TOKEN_BYTES
from hpcjobs.model.account import Account
from hpcjobs.settings import OWN_ISSUER, ClusterSettings, Settings

KEY = b"k" * 64
NOT_ADMIN = EVERY_SCOPE - {Scope.ADMIN}


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    told = {"iss": OWN_ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 86_400} | changes
    return {name: value for name, value in told.items() if value is not None}


def signed(key: bytes = KEY, **changes: object) -> str:
    return jwt.encode(claims(**changes), key, algorithm=ALGORITHM)


def raw(payload: bytes) -> str:
    return jwt.api_jws.encode(payload, KEY, algorithm=ALGORITHM)


async def read(header: str | None, *accounts: Account, **settings: object) -> Identity:
    directory = Directory()
    directory.learn("big", accounts, 1.0)
    return await Authenticator(Settings((ClusterSettings("big"),), **settings), KEY, directory).identify(header)


async def test_a_token_speaks_for_its_user_and_only_settings_give_a_role():
    now = time.time()
    who = await read(f"Bearer {make_token(KEY, 'alice', now, 60)}")
    assert (who.user, who.role, who.issuer) == ("alice", Role.USER, OWN_ISSUER)
    assert who.scopes == NOT_ADMIN - {Scope.SAMPLES_WRITE}  # what is told of everybody's devices is no user's to tell
    assert who.expires_at == int(now + 60)
    who = await read(f"bearer {signed()}", admins=("alice",), operators=("alice",))
    assert (who.role, who.scopes) == (Role.ADMIN, EVERY_SCOPE)
    who = await read(f"Bearer {signed()}", admins=("bob",), operators=("alice",))
    assert (who.role, who.scopes) == (Role.OPERATOR, NOT_ADMIN)
    who = await read(f"Bearer {signed(admin=True, role='admin', groups=['admins'])}")
    assert (who.role, who.sees_all) == (Role.USER, False)


async def test_every_token_has_an_id_of_its_own():
    ids = {(await read(f"Bearer {make_token(KEY, 'alice', time.time(), 60)}")).token for _ in range(3)}
    assert len(ids) == 3
    assert all(len(one) == 32 for one in ids)


async def test_what_slurm_says_of_a_user_comes_with_the_token():
    account = Account("big", "climate", coordinators=frozenset({"alice"}))
    assert (await read(f"Bearer {signed()}", account)).manages == {("big", "climate")}
    assert (await read(f"Bearer {signed(sub='carol')}", account)).manages == frozenset()


@pytest.mark.parametrize(
    ("told", "scopes"),
    [
        ("jobs:read", {Scope.JOBS_READ}),
        ("jobs:read  jobs:write openid", {Scope.JOBS_READ, Scope.JOBS_WRITE}),
        (["files:read"], {Scope.FILES_READ}),
        ("", set()),
        ("JOBS:READ jobs:readx", set()),
        ("admin", set()),
        ("admin jobs:read", {Scope.JOBS_READ}),
    ],
)
async def test_scopes_only_narrow(told, scopes):
    assert (await read(f"Bearer {signed(scope=told)}")).scopes == scopes


async def test_an_admin_has_the_scope_of_admins_unless_the_token_is_for_less():
    assert Scope.ADMIN in (await read(f"Bearer {signed(scope='admin')}", admins=("alice",))).scopes
    assert (await read(f"Bearer {signed(scope='jobs:read')}", admins=("alice",))).scopes == {Scope.JOBS_READ}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "alice"])
async def test_no_token_is_told_how_to_send_one(header):
    with pytest.raises(NotAuthenticated, match="Send a token: Authorization: Bearer"):
        await read(header)


async def test_an_expired_token_is_told_so_and_a_clock_may_be_off_by_the_leeway():
    late = f"Bearer {make_token(KEY, 'alice', time.time() - 100, 70)}"
    assert (await read(late)).user == "alice"
    with pytest.raises(NotAuthenticated, match="has expired"):
        await read(late, token_leeway_s=10)
    early = f"Bearer {make_token(KEY, 'alice', time.time() + 30, 70)}"
    assert (await read(early)).user == "alice"
    with pytest.raises(NotAuthenticated, match="from the future"):
        await read(early, token_leeway_s=0)


def without_signature(**header: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'typ': 'JWT'} | header)}.{part(claims())}."


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (signed(b"x" * 64), "Signature verification failed"),
        (without_signature(alg="none"), "alg"),
        (without_signature(alg="None"), "alg"),
        (without_signature(alg="HS256"), "Signature verification failed"),
        (without_signature(), "Algorithm not specified"),
        (jwt.encode(claims(), KEY, algorithm="HS384"), "alg"),
        (signed(aud="another"), "not for this service"),
        (signed(aud=["another", "more"]), "not for this service"),
        (signed(iss="another"), "'another' is not one that is trusted"),
        (raw(json.dumps(claims(iss=["hpcjobs"])).encode()), "is not one that is trusted"),
        (raw(json.dumps(claims(iss={})).encode()), "is not one that is trusted"),
        (signed(iat=int(time.time()) + 20_000), "from the future"),
        (signed(nbf=int(time.time()) + 20_000), "from the future"),
        (signed(sub=None), "sub"),
        (signed(exp=None), "exp"),
        (signed(iat=None), "iat"),
        (signed(aud=None), "aud"),
        (signed(iss=None), "None is not one that is trusted"),
        (signed(exp="soon"), "exp"),
        (signed(scope=3), "scopes are neither"),
        (signed(scope=[3]), "scopes are neither"),
        (raw(json.dumps(claims(sub=0)).encode()), "ubject"),
        (raw(json.dumps(claims(exp=float("inf"))).encode()), ""),
        (raw(json.dumps(claims(exp=float("nan"))).encode()), ""),
        (raw(b"[" * 5000), ""),
        (raw(b"[]"), ""),
        (signed(more="x" * MAX_TOKEN_BYTES), "are the most"),
        (signed()[:-2], ""),
        (signed() + "x", ""),
        ("a.b.c", ""),
        ("junk", ""),
        ("ä.ö.ü", ""),
        ("..", ""),
    ],
    ids=["wrong key", "alg none", "alg None", "no signature", "no algorithm", "another algorithm", "wrong audience",
         "wrong audiences", "wrong issuer", "issuer list", "issuer object", "from the future", "not yet", "no sub",
         "no exp", "no iat", "no aud", "no iss", "exp no number", "scope no text", "scope no texts", "sub no text",
         "exp infinite", "exp no number at all", "deep", "no object", "oversized", "cut off", "longer", "three parts",
         "junk", "not ASCII", "dots"],
)  # fmt: skip
async def test_a_token_that_does_not_hold_is_refused_and_told_why(token, why):
    with pytest.raises(NotAuthenticated, match=f"does not hold: .*{why}"):
        await read(f"Bearer {token}")


@given(st.text())
async def test_no_junk_is_anything_but_not_authenticated(junk):
    with pytest.raises(NotAuthenticated):
        await read(f"Bearer {junk}")


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "exp", "iat", "nbf", "scope", "jti"]),
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2),
    )
)
async def test_no_signed_claims_are_a_fault_of_the_service(told):
    try:
        who = await read(f"Bearer {raw(json.dumps(claims() | told).encode())}")
    except NotAuthenticated:
        return
    assert isinstance(who.user, str)
    assert who.scopes <= NOT_ADMIN


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


@pytest.mark.parametrize("user", ["root", "daemon", "slurm"])
def test_no_job_runs_as_root_slurm_or_a_system_account(user):
    with pytest.raises(NotAllowed, match=f"No job runs as '{user}'"):
        check_may_run(user, frozenset({"root", "slurm"}), 1000)


def test_a_user_that_only_the_cluster_knows_is_slurms_to_judge():
    check_may_run("no-such-user-here", frozenset({"root"}), 1000)
    check_may_run("nobody", frozenset({"root"}), 1000)


async def test_an_end_that_is_a_text_of_digits_holds_each_time():
    header = f"Bearer {signed(exp=str(int(time.time()) + 600))}"
    for _ in range(3):
        assert (await read(header)).user == "alice"
