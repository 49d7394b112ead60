"""What an image is called, by registries, Docker, Apptainer, Enroot and pyxis: all of it read into one form."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Final, Literal, NoReturn

import msgspec

Kind = Literal["docker", "oras", "library", "sif", "sqsh", "docker-archive", "oci-archive", "oci", "folder"]

HUB: Final = "docker.io"
"""The registry of names that say none."""
HUB_ASKED: Final = "registry-1.docker.io"
"""The host that answers for it. No release of Enroot up to 4.1.2 knows that this is docker.io."""
LATEST: Final = "latest"
MAX_NAME: Final = 255
"""Characters of host and repository together, as in the distribution's grammar of references."""
MAX_PATH: Final = 4096
MAX_TEXT: Final = MAX_PATH + 1024

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<ip>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?")
_PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_IMAGE_ID = re.compile("[0-9a-f]{64}")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*")
_INNER = re.compile("@[0-9]{1,9}|[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,511}")

_SUFFIXES: Final[dict[str, Kind]] = {".sif": "sif", ".img": "sif", ".sqsh": "sqsh", ".squashfs": "sqsh"}
_ARCHIVES: Final[dict[str, Kind]] = {"docker-archive": "docker-archive", "oci-archive": "oci-archive", "oci": "oci"}
_REFUSED: Final = {
    "shub": "Singularity Hub is no more; nothing answers for shub://.",
    "dockerd": "What a Docker daemon has is on one machine: push it to a registry, or save it as docker-archive:/path.",
    "docker-daemon": "What a Docker daemon has is on one machine: push it, or save it as docker-archive:/path.",
    "podman": "What Podman has is on one machine: push it to a registry, or save it as oci-archive:/path.",
    "containers-storage": "What Podman has is on one machine: push it to a registry, or save it as oci-archive:/path.",
    "http": "An image is fetched from a registry, not from a web page: docker://, oras:// or library://.",
    "https": "An image is fetched from a registry, not from a web page: docker://, oras:// or library://.",
    "file": "A file is said by its path alone, as /images/train.sif.",
}


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """An image, as ``parse_image`` reads it.

    Attributes:
        kind: Where it is, and of what form.
        path: Absolute path of a file or folder; ``""`` for what a registry has.
        host: The registry, with its port where one is said; ``docker.io`` for names that say none. A library may have
            none.
        repository: Its name there: ``library/debian`` for docker.io's own.
        tag: As ``sid``; ``latest`` where docker and oras say neither tag nor digest.
        digest: ``sha256:`` and 64 hexadecimal digits of its manifest; goes before the tag.
        inner: Which image of an archive or OCI folder; ``""``: the only one.
    """

    kind: Kind
    path: str = ""
    host: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""
    inner: str = ""

    @property
    def remote(self) -> bool:
        """Whether a registry has it."""
        return self.kind in ("docker", "oras", "library")

    @property
    def name(self) -> str:
        """What a registry calls it: ``library/debian:sid``, with the digest where one is said."""
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def text(self) -> str:
        """The one way in which it is written here; ``parse_image`` reads it into the same image."""
        return self._written(self.name)

    @property
    def apptainer(self) -> str:
        """As Apptainer is given it. It takes no tag beside a digest."""
        return self._written(f"{self.repository}@{self.digest}" if self.digest else self.name)

    @property
    def enroot(self) -> str:
        """As Enroot is given it, ``docker://host#repository:tag``; ``""``: it cannot read it."""
        return f"docker://{self.pyxis}" if self.kind == "docker" else self.pyxis

    @property
    def pyxis(self) -> str:
        """As pyxis is given it, ``host#repository:tag`` or a path; ``""``: it cannot read it.

        A digest stands where the tag does, behind a colon: Enroot reads that in every version, ``@`` only since 4.0.
        """
        if self.kind == "docker":
            return f"{HUB_ASKED if self.host == HUB else self.host}#{self.repository}:{self.digest or self.tag}"
        return self.path if self.kind == "sqsh" else ""

    def pinned(self, digest: str) -> Image:
        """The same, by the digest of its manifest.

        Args:
            digest: ``sha256:`` and 64 hexadecimal digits.

        Raises:
            ValueError: It is no such digest, or the image is none of a registry that speaks of digests.
        """
        if self.kind not in ("docker", "oras"):
            raise ValueError(f"{self.text[:80]} has no manifest whose digest could be said.")
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest[:80]!r} is no digest: sha256: and 64 hexadecimal digits.")
        return msgspec.structs.replace(self, digest=digest)

    def _written(self, name: str) -> str:
        if self.kind == "library" and not self.host:
            # "a/b" would have a as its host; a third slash says that there is none.
            return f"library://{'/' if self.repository.count('/') == 1 else ''}{name}"
        if self.remote:
            return f"{self.kind}://{self.host}/{name}"
        if self.kind in _ARCHIVES:
            return f"{self.kind}:{self.path}" + (f":{self.inner}" if self.inner else "")
        return self.path


def parse_image(text: str) -> Image:
    """Read what an image is called.

    Args:
        text: ``debian:sid``, ``registry:5000/a/b@sha256:...``, Enroot's ``nvcr.io#nvidia/pytorch:24.01-py3``, these
            with ``docker://`` before them, ``oras://...``, ``library://...``, ``docker-archive:/path``,
            ``oci-archive:/path``, ``oci:/folder``, or an absolute path of a .sif, a .sqsh or a folder.

    Raises:
        ValueError: It is none of these; a sentence says what is wrong.
    """
    if not text:
        raise ValueError("An image has a name, as debian:sid, or an absolute path.")
    if len(text) > MAX_TEXT:
        raise ValueError(f"The name of an image has at most {MAX_TEXT} characters.")
    if not text.isprintable() or text != text.strip():
        raise ValueError("The name of an image is of printable characters, without a space before or behind it.")
    if text.startswith("/"):
        return _of_path(text)
    if text.startswith((".", "~")):
        _refuse_relative(text)
    transport, colon, place = text.partition(":")
    if colon and transport in _ARCHIVES:
        return _of_archive(_ARCHIVES[transport], place)
    if colon and (place.startswith("//") or transport in ("docker-daemon", "containers-storage")):
        rest = place.removeprefix("//")
        match transport:
            case "docker" | "oras":
                return _of_registry(transport, rest)
            case "library":
                return _of_library(rest)
            case _ if transport in _REFUSED:
                raise ValueError(_REFUSED[transport])
            case _ if _SCHEME.fullmatch(transport):
                raise ValueError(f"{transport[:40]}:// is not read here: say docker://, oras:// or library://.")
    if ":" not in (last := posixpath.basename(text)) and last.endswith((*_SUFFIXES, ".tar")):
        _refuse_relative(text)
    return _of_registry("docker", text)


def registry_of(text: str) -> str:
    """The host of a registry, as images of it have it.

    Args:
        text: ``ghcr.io``, ``registry:5000``; also what docker.io's own hosts are called.

    Raises:
        ValueError: It can be none; a sentence says so.
    """
    host = _host(text)
    if host in (HUB, HUB_ASKED, f"index.{HUB}"):
        return HUB
    # Before a slash a bare word would be a name on docker.io.
    return host if re.search(r"[.:]|^localhost$", host) else f"{host}:443"


def _refuse_relative(text: str) -> NoReturn:
    shown = text.rpartition("@")[2][:80]
    raise ValueError(f"{shown!r} is no absolute path: a job may start anywhere. (A registry's image: docker://...)")


def _checked(path: str) -> str:
    """An absolute path, without empty steps."""
    if not path.startswith("/"):
        _refuse_relative(path)
    if len(path.encode()) > MAX_PATH:
        raise ValueError(f"A path has at most {MAX_PATH} bytes.")
    if ".." in path.split("/"):
        raise ValueError(f"{path[:80]!r} goes up by '..': say where the image is.")
    found = "/" + posixpath.normpath(path).lstrip("/")
    if found == "/":
        raise ValueError("/ is the node itself, and no image.")
    if found != found.strip():
        raise ValueError("The path of an image ends with no space.")
    return found


def _of_path(text: str) -> Image:
    path = _checked(text)
    lowered = path.lower()
    if lowered.endswith((".tar", ".tar.gz", ".tgz")):
        raise ValueError(f"{path[:80]!r} is an archive: say docker-archive:{path[:80]} or oci-archive:{path[:80]}.")
    return Image(next((kind for suffix, kind in _SUFFIXES.items() if lowered.endswith(suffix)), "folder"), path)


def _of_archive(kind: Kind, place: str) -> Image:
    if place.startswith("//"):
        place = place[2:]  # docker-archive:///path
    path, colon, inner = place.partition(":")
    if colon and not _INNER.fullmatch(inner):
        raise ValueError(f"{inner[:80]!r} names no image in {kind}:{path[:80]}: say name:tag, or @0 for the first.")
    return Image(kind, _checked(path), inner=inner)


def _of_registry(kind: Literal["docker", "oras"], text: str) -> Image:
    name, digest = _without_digest(text)
    if "#" in name:  # Enroot's way
        host, _, repository = name.partition("#")
        host = registry_of(host)
    else:
        host, slash, repository = name.partition("/")
        if slash and re.search(r"[.:]|^localhost$", host):
            host = registry_of(host)
        elif kind == "oras":
            raise ValueError("An image of oras:// is said with its registry, as oras://ghcr.io/lab/train:1.")
        elif _IMAGE_ID.fullmatch(name):
            raise ValueError("64 hexadecimal digits are the id of an image on one machine: say its name.")
        else:
            host, repository = HUB, name
    repository, colon, tag = repository.partition(":")
    if _DIGEST.fullmatch(tag) and not digest:
        colon, tag, digest = "", "", tag  # Enroot's way too
    _check_repository(repository)
    if colon:
        _check_tag(tag)
    if host == HUB and kind == "docker" and "/" not in repository:
        repository = f"library/{repository}"
    if len(host) + 1 + len(repository) > MAX_NAME:
        raise ValueError(f"A registry and a repository have at most {MAX_NAME} characters together.")
    return Image(kind, host=host, repository=repository, tag=tag if tag or digest else LATEST, digest=digest)


def _without_digest(text: str) -> tuple[str, str]:
    """A name, and the digest behind it. What stands before an ``@`` may be a password: no message repeats it."""
    name, at, digest = text.rpartition("@")
    if not at:
        return text, ""
    if "@" not in name and _DIGEST.fullmatch(digest):
        return name, digest
    if "@" not in name and re.match("(?i:sha[0-9]{3}):", digest):
        raise ValueError("What stands behind @ is no digest: sha256: and 64 hexadecimal digits.")
    raise ValueError("Who asks a registry is not said in an image's name: a credential is named beside it.")


def _of_library(text: str) -> Image:
    """``library://[host/]entity/collection/name[:tag]`` or ``library://name``, as Apptainer's library client reads it.

    One part or three have no host before them.
    """
    if "@" in text:
        raise ValueError("An image of library:// has no user and no @ in it; a digest is its tag, as :sha256.0123...")
    host, rest = "", text.removeprefix("/")
    if not text.startswith("/") and text.count("/") not in (0, 2):
        first, _, rest = text.partition("/")
        host = _host(first)
    repository, colon, tag = rest.partition(":")
    _check_repository(repository)
    if repository.count("/") > 2:
        raise ValueError(f"{text[:80]!r} has too many parts: library://host/entity/collection/name:tag.")
    if colon:
        _check_tag(tag)
    if len(host) + 1 + len(repository) > MAX_NAME:
        raise ValueError(f"A library and a name have at most {MAX_NAME} characters together.")
    return Image("library", host=host, repository=repository, tag=tag)


def _host(text: str) -> str:
    """The host of a registry in small letters, with its port.

    Raises:
        ValueError: It can be none.
    """
    host = text.lower()
    match = _HOST.fullmatch(host)
    if match is None or len(host) > MAX_NAME or not 0 < int(match["port"] or 1) < 65536:
        raise ValueError(f"{text[:80]!r} is no registry: say a host, and a port where it has one, as registry:5000.")
    if match["ip"] is not None:
        try:
            ipaddress.IPv6Address(match["ip"])
        except ValueError:
            raise ValueError(f"{text[:80]!r} is no registry: what is in brackets is no IPv6 address.") from None
    return host


def _check_repository(text: str) -> None:
    if not _REPOSITORY.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is no name of an image: small letters and digits, with . _ or - between them, in parts"
            " divided by /."
        )


def _check_tag(text: str) -> None:
    if not _TAG.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no tag: letters, digits and . _ -, 128 at the most, no . or - first.")
