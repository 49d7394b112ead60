"""Tokens of others, checked with keys that a real HTTP server publishes."""

from __future__ import annotations

import asyncio
import json
import time

import jwt
import pytest

from hpcjobs.errors import NotAuthenticated, SettingsError, Unavailable
from hpcjobs.identity import Identity, Role, Scope
from hpcjobs.identity.authenticator import Authenticator
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.issuers import FLOOR_S, MAX_AGE_S, Issuer, KeySet, fetcher
from hpcjobs.identity.tokens import make_token
from hpcjobs.settings import ClusterSettings, IssuerSettings, Settings, load

from .oidc import AUDIENCE, ISSUER, JwksServer, claims, jwk, private_key, public_pem, token

OWN_KEY = b"k" * 64


@pytest.fixture
def server():
    server = JwksServer(jwk("RS256", "one"), jwk("ES256", "two"), jwk("EdDSA", "three"))
    yield server
    server.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def read(server, clock):
    """Reads a token as the service does; settings of the issuer and of the service may be given."""
    directory = Directory()
    made: dict[str, Authenticator] = {}

    async def identify(text: str, service: dict | None = None, **more: object) -> Identity:
        name = repr((service, more))
        if name not in made:
            issuer = IssuerSettings(ISSUER, AUDIENCE, **({"jwks_url": server.url} | more))
            settings = Settings((ClusterSettings("big"),), issuers=(issuer,), **(service or {}))
            made[name] = Authenticator(settings, OWN_KEY, directory)
            made[name].issuers[ISSUER] = Issuer(issuer, KeySet(ISSUER, fetcher(issuer), clock))
        who = await made[name].identify(f"Bearer {text}")
        await made[name].close()
        return who

    return identify


@pytest.mark.parametrize(("algorithm", "kid"), [("RS256", "one"), ("ES256", "two"), ("EdDSA", "three")])
async def test_a_token_of_a_trusted_issuer_speaks_for_its_user(read, algorithm, kid):
    who = await read(token(algorithm, kid))
    assert (who.user, who.role, who.issuer, who.token) == ("alice", Role.USER, ISSUER, "j-1")
    assert who.scopes == {Scope.JOBS_READ, Scope.JOBS_WRITE, Scope.CLUSTERS_READ}
    assert who.expires_at > time.time()


async def test_keys_are_fetched_once_for_many_tokens(read, server):
    for _ in range(5):
        await read(token())
        await read(token("ES256", "two"))
    assert server.asked == 1


def forged_with_the_public_key() -> str:
    """HS256 with the RSA public key as its secret: what a checker that lets the token choose falls for."""
    payload = json.dumps(claims()).encode()
    header = {"kid": "one", "alg": "HS256", "typ": "JWT"}
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    parts = [jwt.utils.base64url_encode(json.dumps(header).encode()), jwt.utils.base64url_encode(payload)]
    parts.append(jwt.utils.base64url_encode(hmac.sign(b".".join(parts), public_pem("RS256"))))
    return b".".join(parts).decode()


def unsigned(algorithm: str) -> str:
    parts = [json.dumps({"alg": algorithm, "kid": "one"}).encode(), json.dumps(claims()).encode(), b""]
    return b".".join(jwt.utils.base64url_encode(part) for part in parts).decode()


NOW = int(time.time())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (forged_with_the_public_key(), "signed with 'HS256'"),
        (unsigned("none"), "signed with 'none'"),
        (unsigned("NONE"), "signed with 'NONE'"),
        (unsigned("RS256"), "Signature verification failed"),
        (jwt.encode(claims(), OWN_KEY, algorithm="HS256", headers={"kid": "one"}), "signed with 'HS256'"),
        (jwt.encode(claims(), private_key("RS256"), algorithm="PS256", headers={"kid": "one"}), "signed with 'PS256'"),
        (token(number=1), "Signature verification failed"),
        (token("ES256", "one"), "its key is for RS256"),
        (token("RS256", "three"), "its key is for EdDSA"),
        (token(kid="four"), "has no key 'four'"),
        (token(kid=None), "names no key"),
        (token(aud="another"), "not for this service"),
        (token(aud=["another"]), "not for this service"),
        (token(aud=None), "aud"),
        (token(iss="https://another.example.org"), "is not one that is trusted"),
        (token(iss=ISSUER + "/"), "is not one that is trusted"),
        (token(iss="hpcjobs"), "alg"),
        (token(exp=None), "exp"),
        (token(iat=None), "iat"),
        (token(iat=NOW + 7200), "from the future"),
        (token(nbf=NOW + 7200), "from the future"),
        (token(preferred_username=None), "preferred_username"),
        (token(scope={"jobs": "read"}), "scopes are neither"),
        (token(more="x" * 9000), "are the most"),
        (token()[:-20], ""),
    ],
    ids=["public key as secret", "alg none", "alg NONE", "no signature", "our own key", "another algorithm",
         "another's key", "key of another kind", "key of a third kind", "unknown key", "no key named",
         "wrong audience", "wrong audiences", "no audience", "unknown issuer", "nearly the issuer",
         "says it is ours", "never expires", "no iat", "from the future", "not yet", "no user", "odd scopes",
         "oversized", "cut off"],
)  # fmt: skip
async def test_a_token_that_does_not_hold_is_refused_and_told_why(read, text, why):
    with pytest.raises(NotAuthenticated, match=f"does not hold: .*{why}"):
        await read(text)


async def test_an_own_token_is_none_of_an_issuers(read):
    own = jwt.encode(claims(), OWN_KEY, algorithm="HS256")
    with pytest.raises(NotAuthenticated, match="signed with 'HS256'"):
        await read(own)
    assert (await read(make_token(OWN_KEY, "bob", time.time(), 60))).user == "bob"


async def test_a_clock_may_be_off_by_the_leeway_and_no_more(read):
    now = int(time.time())
    late, early = token(exp=now - 30, iat=now - 90), token(iat=now + 30, nbf=now + 30)
    assert (await read(late)).user == (await read(early)).user == "alice"
    with pytest.raises(NotAuthenticated, match="has expired"):
        await read(late, leeway_s=5)
    with pytest.raises(NotAuthenticated, match="from the future"):
        await read(early, leeway_s=0)
    with pytest.raises(NotAuthenticated, match="has expired"):
        await read(token(exp=now - 600))


ODD_NAMES = ["", "Alice", "../alice", "alice ", "alice\n", "a" * 33, "alice@example.org", 7, ["alice"]]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_a_user_that_is_not_named_as_the_settings_say_is_refused(read, name):
    with pytest.raises(NotAuthenticated, match="is not how issuer"):
        await read(token(preferred_username=name))


async def test_a_user_can_be_a_part_of_a_claim(read):
    more = {"user_claim": "email", "user_pattern": "(?P<user>[a-z]+)@example[.]org"}
    assert (await read(token(email="bob@example.org"), **more)).user == "bob"
    for other in ("bob@example.org.evil.net", "bob@exampleXorg", "root;bob@example.org"):
        with pytest.raises(NotAuthenticated, match="is not how issuer"):
            await read(token(email=other), **more)


@pytest.mark.parametrize("user", ["root", "slurm"])
async def test_no_issuer_speaks_for_a_system_account(read, user):
    with pytest.raises(NotAuthenticated, match="system account"):
        await read(token(preferred_username=user))


async def test_scopes_come_from_the_claim_that_the_settings_name(read):
    assert (await read(token(scope=None))).scopes == frozenset()
    assert (await read(token(scp=["jobs:read"]), scope_claim="scp")).scopes == {Scope.JOBS_READ}
    assert Scope.FILES_WRITE in (await read(token(), scope_claim="")).scopes
    assert Scope.ADMIN not in (await read(token(), scope_claim="")).scopes


async def test_groups_make_operators_and_admins_where_the_settings_say_so(read):
    groups = {"operator_groups": ("hpc-ops",), "admin_groups": ("hpc-admins",)}
    told = token(groups=["staff", "hpc-ops"])
    assert (await read(told)).role is Role.USER
    assert (await read(told, **groups)).role is Role.OPERATOR
    who = await read(token(groups=["hpc-ops", "hpc-admins"]), **groups)
    assert (who.role, Scope.ADMIN in who.scopes) == (Role.ADMIN, True)
    for odd in ("hpc-admins", {"hpc-admins": 1}, [["hpc-admins"], 3], None):
        assert (await read(token(groups=odd), **groups)).role is Role.USER


async def test_a_name_in_the_settings_has_its_role_whoever_made_the_token(read):
    assert (await read(token(), {"operators": ("alice",)})).role is Role.OPERATOR


async def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(read, server, clock):
    await read(token())
    server.keys = [jwk("ES256", "four", 1)]
    clock.now += FLOOR_S
    assert (await read(token("ES256", "four", 1))).user == "alice"
    assert server.asked == 2
    with pytest.raises(NotAuthenticated, match="has no key 'one'"):
        await read(token())


async def test_made_up_key_ids_do_not_become_requests_to_the_issuer(read, server, clock):
    for number in range(50):
        with pytest.raises(NotAuthenticated, match="has no key"):
            await read(token(kid=f"made-up-{number}"))
    assert server.asked == 1
    clock.now += FLOOR_S
    for number in range(50):
        with pytest.raises(NotAuthenticated, match="has no key"):
            await read(token(kid=f"made-up-{number}"))
    assert server.asked == 2


async def test_a_token_that_is_refused_for_its_algorithm_asks_for_no_key(read, server):
    for text in (unsigned("none"), forged_with_the_public_key()):
        with pytest.raises(NotAuthenticated):
            await read(text)
    assert server.asked == 0


async def test_many_tokens_at_once_make_one_request(read, server):
    assert {who.user for who in await asyncio.gather(*(read(token()) for _ in range(20)))} == {"alice"}
    assert server.asked == 1


async def test_old_keys_are_good_while_new_ones_are_fetched(server, clock):
    issuer = IssuerSettings(ISSUER, AUDIENCE, jwks_url=server.url)
    keys = KeySet(ISSUER, fetcher(issuer), clock)
    await keys.key("one")
    clock.now += MAX_AGE_S + 1
    server.hold.clear()
    assert (await keys.key("one")).key_id == "one"  # answered while the server holds its answer back
    server.keys = [jwk("RS256", "new")]
    server.hold.set()
    await keys.close()
    assert server.asked == 2
    assert (await keys.key("new")).key_id == "new"


BAD_ANSWERS = {
    "an error": (500, b"no"),
    "no json": (200, b"<html>"),
    "no object": (200, b"[]"),
    "no keys": (200, b'{"keys": []}'),
    "no usable key": (200, b'{"keys": [{"kty": "XYZ"}]}'),
    "keys that are none": (200, b'{"keys": 5}'),
    "keys that are texts": (200, b'{"keys": ["x"]}'),
    "a deep answer": (200, b"[" * 100_000),
    "half an answer": (200, b'{"keys": [{"kty"'),
    "no text": (200, b"\xff\xfe"),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
async def test_while_the_issuer_is_away_its_last_keys_stay_good(read, server, clock, kind, caplog):
    server.status, server.answer = BAD_ANSWERS[kind]
    with pytest.raises(Unavailable, match="keys of issuer") as told:
        await read(token())
    assert told.value.retry_after_s == FLOOR_S
    server.status, server.answer = 200, None
    clock.now += FLOOR_S
    await read(token())
    server.status, server.answer = BAD_ANSWERS[kind]
    clock.now += MAX_AGE_S + 1
    for _ in range(3):
        assert (await read(token())).user == "alice"
        clock.now += FLOOR_S
    assert server.asked == 5
    assert sum("cannot be had" in said for said in caplog.messages) == 2


async def test_an_issuer_that_nobody_answers_for_is_unavailable_and_not_asked_again_at_once(read, server):
    server.close()
    for _ in range(3):
        with pytest.raises(Unavailable, match="keys of issuer"):
            await read(token())


async def test_a_redirect_is_not_followed(read, server):
    other = JwksServer(jwk("RS256", "one"))
    server.status, server.location = 302, other.url
    with pytest.raises(Unavailable):
        await read(token())
    assert other.asked == 0
    other.close()


async def test_one_key_without_a_name_is_good_for_tokens_that_name_none(read, server):
    server.keys = [jwk("RS256", None)]
    assert (await read(token(kid=None))).user == "alice"
    with pytest.raises(NotAuthenticated, match="has no key 'one'"):
        await read(token())


async def test_keys_that_are_not_for_signatures_and_secrets_are_no_keys_to_check_with(read, server):
    secret = {"kty": "oct", "kid": "secret", "k": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s", "alg": "HS256"}
    server.keys = [jwk("RS256", "one", use="enc"), secret, jwk("ES256", "two")]
    with pytest.raises(NotAuthenticated, match="has no key 'one'"):
        await read(token())
    with pytest.raises(NotAuthenticated, match="its key is for HS256"):
        await read(token("ES256", "secret"))
    assert (await read(token("ES256", "two"))).user == "alice"


async def test_keys_can_come_from_a_file_and_change_there(read, tmp_path, clock):
    path = tmp_path / "keys.json"
    with pytest.raises(Unavailable, match="No such file"):
        await read(token(), jwks_url=None, jwks_file=path)
    path.write_text(json.dumps({"keys": [jwk("RS256", "one")]}))
    clock.now += FLOOR_S
    assert (await read(token(), jwks_url=None, jwks_file=path)).user == "alice"
    path.write_text(json.dumps({"keys": [jwk("RS256", "two", 1)]}))
    clock.now += FLOOR_S
    assert (await read(token(kid="two", number=1), jwks_url=None, jwks_file=path)).user == "alice"


LEAST = '[[clusters]]\nname = "big"\n[[issuers]]\nissuer = "https://a"\naudience = "us"\n'
SECOND = '[[issuers]]\naudience = "b"\njwks_file = "/k"\n'


def test_an_issuer_is_read_from_the_settings(tmp_path):
    path = tmp_path / "hpcjobs.toml"
    path.write_text(LEAST + 'jwks_file = "/k.json"\nalgorithms = ["EdDSA"]\nadmin_groups = ["x"]\nleeway_s = 5\n')
    (issuer,) = load(path, {}).issuers
    assert (issuer.algorithms, issuer.admin_groups, issuer.leeway_s) == (("EdDSA",), ("x",), 5.0)
    assert (issuer.user_claim, issuer.scope_claim) == ("preferred_username", "scope")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("", "needs one of jwks_url and jwks_file"),
        ('jwks_url = "https://a/k"\njwks_file = "/k"', "needs one of jwks_url and jwks_file"),
        ('jwks_url = "http://a/k"', "over https only"),
        ('jwks_url = "file:///etc/passwd"', "over https only"),
        ('jwks_url = "http://127.0.0.1.evil.org/k"', "over https only"),
        ('jwks_url = "https://a/k"\nalgorithms = ["HS256"]', "Invalid enum value 'HS256'"),
        ('jwks_url = "https://a/k"\nalgorithms = ["none"]', "Invalid enum value 'none'"),
        ('jwks_url = "https://a/k"\nalgorithms = []', "must not be empty"),
        ('jwks_url = "https://a/k"\nuser_pattern = "("', "no regular expression"),
        ('jwks_url = "https://a/k"\nleeway_s = 3600', "leeway_s"),
        (f'jwks_url = "https://a/k"\n{SECOND}issuer = "https://a"', "of their own"),
        (f'jwks_url = "https://a/k"\n{SECOND}issuer = "hpcjobs"', "of their own"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_as_told_is_refused(tmp_path, more, complaint):
    path = tmp_path / "hpcjobs.toml"
    path.write_text(LEAST + more + "\n")
    with pytest.raises(SettingsError, match=complaint):
        load(path, {})


@pytest.mark.parametrize("url", ["https://a/k", "http://127.0.0.1:1/k", "http://localhost/k", "http://[::1]:8/k"])
def test_keys_come_over_https_or_from_this_machine(tmp_path, url):
    path = tmp_path / "hpcjobs.toml"
    path.write_text(f'{LEAST}jwks_url = "{url}"\n')
    assert load(path, {}).issuers[0].jwks_url == url
