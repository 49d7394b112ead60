"""Credentials for registries: sealed for one place, kept, found for their own registry alone, written for runtimes."""

from __future__ import annotations

import base64
import json
import time

import msgspec
import pytest
import rich.pretty
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.credentials import Credentials
from hpcjobs.errors import Conflict, NotFound, Refused
from hpcjobs.images.authfile import AuthFile, path_of
from hpcjobs.images.registry import Credential
from hpcjobs.images.sealing import Place, key_of, seal, unseal
from hpcjobs.model.credential import MAX_SECRET_BYTES, RegistryCredential, RegistryCredentialRequest
from hpcjobs.model.image import parse_image, registry_of
from hpcjobs.store import credentials as rows
from hpcjobs.store.credentials import Kept

KEY = key_of(b"k" * 64)
PLACE = Place("alice", "hub", "ghcr.io", "alice-at-hub")
SECRET = "hunter2-correct horse"
ASKED = RegistryCredentialRequest("ghcr.io", "alice-at-hub", SECRET)


@pytest.fixture
def credentials(store):
    made = Credentials(store, 3)
    made.start(b"k" * 64)
    return made


async def refusals(call):
    with pytest.raises(Refused) as error:
        await call
    return [(refusal.field, refusal.code) for refusal in error.value.refusals]


@given(secret=st.text(st.characters(exclude_categories=["Cs"])), owner=st.text(max_size=9), name=st.text(max_size=9))
def test_what_is_sealed_is_opened_in_its_place_and_never_looks_the_same_twice(secret, owner, name):
    place = Place(owner, name, "ghcr.io", "a")
    sealed = seal(KEY, place, secret)
    assert unseal(KEY, place, sealed) == secret
    assert seal(KEY, place, secret) != sealed
    assert len(secret) < 4 or secret not in sealed


def test_another_key_does_not_open_it():
    sealed = seal(KEY, PLACE, SECRET)
    for token_key in (b"", b"k" * 63, b"j" * 64):
        with pytest.raises(ValueError, match="another key"):
            unseal(key_of(token_key), PLACE, sealed)


@pytest.mark.parametrize("field", Place.__struct_fields__)
def test_in_another_row_it_is_not_opened(field):
    sealed = seal(KEY, PLACE, SECRET)
    with pytest.raises(ValueError, match="not what was sealed here"):
        unseal(KEY, msgspec.structs.replace(PLACE, **{field: "bob"}), sealed)


def test_no_two_places_read_alike():
    sealed = seal(KEY, Place("al", "icehub", "ghcr.io", "a"), SECRET)
    with pytest.raises(ValueError, match="not what was sealed here"):
        unseal(KEY, Place("alice", "hub", "ghcr.io", "a"), sealed)


def test_what_was_cut_or_changed_anywhere_is_not_opened():
    sealed = base64.b64decode(seal(KEY, PLACE, SECRET))
    cut = [sealed[:length] for length in range(len(sealed))]
    changed = [bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]]) for at in range(len(sealed))]
    texts = [base64.b64encode(told).decode() for told in (*cut, *changed, sealed + b"\0")]
    for text in (*texts, "", "no base64", "é"):
        with pytest.raises(ValueError, match="not what was sealed here"):
            unseal(KEY, PLACE, text)


def shown(name="hub", **more):
    return RegistryCredential(**{"name": name, "registry": "ghcr.io", "user": "a", "created_at": 1.0, **more})


async def test_the_table_has_one_of_each_name_of_each_user_and_as_many_as_one_may(store):
    for user, one in (("alice", shown("hub")), ("alice", shown("b")), ("bob", shown("hub", user="b"))):
        await store.write(rows.put, user, Kept(one, "sealed"), 2)
    with pytest.raises(Conflict, match="alice has 2 credentials already"):
        await store.write(rows.put, "alice", Kept(shown("c"), "sealed"), 2)
    await store.write(rows.used, "alice", "hub", 5.0)
    assert await store.read(rows.every, "alice") == [shown("b"), shown("hub", used_at=5.0)]
    again = shown("hub", registry="registry:5000", user="c", created_at=9.0)
    await store.write(rows.put, "alice", Kept(again, "anew"), 2)
    assert await store.read(rows.find, "alice", "hub") == Kept(again, "anew")
    assert await store.read(rows.find, "bob", "hub") == Kept(shown("hub", user="b"), "sealed")
    assert [await store.write(rows.remove, "alice", name) for name in ("hub", "hub", "none")] == [True, False, False]
    assert await store.read(rows.find, "alice", "hub") is None
    assert len(await store.read(rows.every, "bob")) == 1


async def test_one_is_given_for_its_own_registry_and_user_alone(credentials):
    await credentials.put("alice", "hub", ASKED)
    assert await credentials.of("alice", "hub", "ghcr.io") == Credential("alice-at-hub", SECRET)
    assert await refusals(credentials.of("bob", "hub", "ghcr.io")) == [("container.credential", "credential-missing")]
    assert await refusals(credentials.of("alice", "b", "ghcr.io")) == [("container.credential", "credential-missing")]
    for host in ("docker.io", "ghcr.io:5000", "evil.ghcr.io", "ghcr.io.evil.org", ""):
        assert await refusals(credentials.of("alice", "hub", host)) == [
            ("container.credential", "credential-elsewhere")
        ]


async def test_it_says_when_it_was_used_to_the_minute(credentials, monkeypatch):
    at = time.time()
    monkeypatch.setattr("hpcjobs.credentials.time.time", lambda: at)
    assert (await credentials.put("alice", "hub", ASKED)).used_at is None
    used = []
    for later in (0, 30, 59, 61, 70):
        monkeypatch.setattr("hpcjobs.credentials.time.time", lambda later=later: at + later)
        await credentials.of("alice", "hub", "ghcr.io")
        (one,) = await credentials.every("alice")
        used.append(one.used_at - at)
    assert used == pytest.approx([0, 0, 0, 61, 61])
    assert (await credentials.put("alice", "hub", ASKED)).used_at is None
    assert [one.used_at for one in await credentials.every("alice")] == [None]


async def test_with_another_key_of_the_service_it_is_to_be_added_again(credentials):
    await credentials.put("alice", "hub", ASKED)
    credentials.start(b"another")
    with pytest.raises(Refused, match="add it again") as error:
        await credentials.of("alice", "hub", "ghcr.io")
    assert error.value.refusals[0].code == "credential-missing"
    await credentials.put("alice", "hub", ASKED)
    assert (await credentials.of("alice", "hub", "ghcr.io")).password == SECRET


async def test_a_row_that_was_given_to_somebody_else_is_not_opened(credentials, store):
    await credentials.put("alice", "hub", ASKED)
    await credentials.put("mallory", "mine", RegistryCredentialRequest("evil.org", "m", "m"))
    stolen = await store.read(rows.find, "alice", "hub")
    for name, told in (("hub", stolen.credential), ("mine", shown("mine", registry="evil.org", user="m"))):
        await store.write(rows.put, "mallory", Kept(told, stolen.sealed), 9)
        assert await refusals(credentials.of("mallory", name, told.registry)) == [
            ("container.credential", "credential-missing")
        ]


async def test_a_registry_is_kept_as_images_say_it(credentials):
    for said, image in (("GHCR.io", "ghcr.io/a/b"), ("index.docker.io", "debian"), ("registry", "registry#a/b:1"),
                        ("localhost", "localhost/a"), ("[fd00::1]:5000", "[fd00::1]:5000/a")):  # fmt: skip
        made = await credentials.put("alice", "hub", msgspec.structs.replace(ASKED, registry=said))
        assert made.registry == parse_image(image).host == registry_of(said)
        assert (await credentials.of("alice", "hub", parse_image(image).host)).password == SECRET


@pytest.mark.parametrize(
    ("name", "change", "fields"),
    [
        ("a b", {}, ["name"]),
        ("hub\n", {}, ["name"]),
        ("../hub", {}, ["name"]),
        (".hub", {}, ["name"]),
        ("a" * 65, {}, ["name"]),
        ("", {}, ["name"]),
        ("hub", {"registry": "https://ghcr.io"}, ["registry"]),
        ("hub", {"registry": "alice:pw@ghcr.io"}, ["registry"]),
        ("hub", {"registry": "ghcr.io/lab"}, ["registry"]),
        ("hub", {"registry": "ghcr.io:99999"}, ["registry"]),
        ("hub", {"user": "a:b"}, ["user"]),
        ("hub", {"user": "a\nb"}, ["user"]),
        ("hub", {"secret": "é" * (MAX_SECRET_BYTES // 2 + 1)}, ["secret"]),
        ("hub", {"secret": "a\0"}, ["secret"]),
        ("a b", {"registry": "/", "user": ":", "secret": "a\0"}, ["name", "registry", "user", "secret"]),
    ],
)
async def test_what_cannot_be_one_is_refused_by_its_field_and_not_repeated(credentials, name, change, fields):
    asked = msgspec.structs.replace(ASKED, **change)
    with pytest.raises(Refused) as error:
        await credentials.put("alice", name, asked)
    assert [refusal.field for refusal in error.value.refusals] == fields
    assert not any(len(text) > 3 and text in str(error.value) for text in (*change.values(), SECRET))
    assert await credentials.every("alice") == []


async def test_a_key_file_with_its_lines_is_a_secret(credentials):
    key = json.dumps({"type": "service_account", "private_key": "-----BEGIN\nabc\n"}, indent=2)
    await credentials.put("alice", "gcr", RegistryCredentialRequest("gcr.io", "_json_key", key))
    assert (await credentials.of("alice", "gcr", "gcr.io")).password == key


async def test_one_forgets_ones_own(credentials):
    await credentials.put("alice", "hub", ASKED)
    with pytest.raises(NotFound, match="bob has no credential 'hub'"):
        await credentials.remove("bob", "hub")
    await credentials.remove("alice", "hub")
    with pytest.raises(NotFound):
        await credentials.remove("alice", "hub")


async def test_as_many_as_one_may_and_no_more(credentials):
    for name in ("a", "b", "c", "c"):
        await credentials.put("alice", name, ASKED)
    with pytest.raises(Conflict, match="has 3 credentials already; remove one"):
        await credentials.put("alice", "d", ASKED)


def test_a_runtime_is_told_in_dockers_form():
    file = AuthFile(path_of("/home/alice/", "hub"), "registry:5000", Credential("alice", "p:w é"))
    assert file.path == "/home/alice/.hpcjobs/credentials/hub.json"
    told = json.loads(file.data)["auths"]["registry:5000"]["auth"]
    assert base64.b64decode(told).decode() == "alice:p:w é"
    hub = msgspec.structs.replace(file, host="docker.io")
    assert list(json.loads(hub.data)["auths"]) == ["https://index.docker.io/v1/"]


def test_no_repr_shows_a_secret():
    file = AuthFile("/a", "ghcr.io", Credential("alice", SECRET))
    for value in (ASKED, file, [ASKED], {"a": file}):
        said = f"{value!r} {value} {rich.pretty.pretty_repr(value)}"
        assert SECRET not in said
        assert "alice" in said
