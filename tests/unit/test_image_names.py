"""What an image is called: every way to say it is read, and what cannot be meant is refused with a sentence."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpcjobs.model.image import Image, parse_image

D = "sha256:" + "0123456789abcdef" * 4
HEX = "0123456789abcdef" * 4
HUB = "docker.io"


def docker(host: str, repository: str, tag: str = "", digest: str = "") -> Image:
    return Image("docker", host=host, repository=repository, tag=tag, digest=digest)


@pytest.mark.parametrize(
    ("text", "image", "canonical"),
    [
        ("debian", docker(HUB, "library/debian", "latest"), "docker://docker.io/library/debian:latest"),
        ("debian:sid", docker(HUB, "library/debian", "sid"), "docker://docker.io/library/debian:sid"),
        ("docker:dind", docker(HUB, "library/docker", "dind"), "docker://docker.io/library/docker:dind"),
        ("docker://debian:sid", docker(HUB, "library/debian", "sid"), "docker://docker.io/library/debian:sid"),
        ("docker://docker.io/debian", docker(HUB, "library/debian", "latest"), None),
        ("index.docker.io/debian", docker(HUB, "library/debian", "latest"), None),
        ("docker://registry-1.docker.io#library/debian:sid", docker(HUB, "library/debian", "sid"), None),
        ("pytorch/pytorch:2.8", docker(HUB, "pytorch/pytorch", "2.8"), "docker://docker.io/pytorch/pytorch:2.8"),
        ("docker.io/a/b", docker(HUB, "a/b", "latest"), None),
        ("ghcr.io/a/b:t", docker("ghcr.io", "a/b", "t"), "docker://ghcr.io/a/b:t"),
        ("GHCR.io/a/b:T", docker("ghcr.io", "a/b", "T"), "docker://ghcr.io/a/b:T"),
        ("ghcr.io/a", docker("ghcr.io", "a", "latest"), None),
        (f"registry:5000/a/b@{D}", docker("registry:5000", "a/b", "", D), f"docker://registry:5000/a/b@{D}"),
        (f"registry:5000/a/b:t@{D}", docker("registry:5000", "a/b", "t", D), f"docker://registry:5000/a/b:t@{D}"),
        (f"debian@{D}", docker(HUB, "library/debian", "", D), f"docker://docker.io/library/debian@{D}"),
        ("registry:5000", docker(HUB, "library/registry", "5000"), None),
        ("localhost/a", docker("localhost", "a", "latest"), "docker://localhost/a:latest"),
        ("localhost", docker(HUB, "library/localhost", "latest"), None),
        ("localhost#a", docker("localhost", "a", "latest"), None),
        ("debian.org", docker(HUB, "library/debian.org", "latest"), None),
        ("[::1]:5000/a", docker("[::1]:5000", "a", "latest"), "docker://[::1]:5000/a:latest"),
        ("[fd00::1]#a", docker("[fd00::1]", "a", "latest"), "docker://[fd00::1]/a:latest"),
        ("10.0.0.1:5000/a", docker("10.0.0.1:5000", "a", "latest"), None),
        ("nvcr.io#nvidia/pytorch:24.01-py3", docker("nvcr.io", "nvidia/pytorch", "24.01-py3"), None),
        ("docker://nvcr.io#nvidia/pytorch:24.01-py3", docker("nvcr.io", "nvidia/pytorch", "24.01-py3"), None),
        ("docker://nvcr.io/nvidia/pytorch:24.01-py3", docker("nvcr.io", "nvidia/pytorch", "24.01-py3"), None),
        (f"docker://nvcr.io#a/b@{D}", docker("nvcr.io", "a/b", "", D), None),
        (f"docker://nvcr.io#a/b:{D}", docker("nvcr.io", "a/b", "", D), None),
        ("registry#vision/train:1", docker("registry:443", "vision/train", "1"),
         "docker://registry:443/vision/train:1"),
        ("registry:5000#vision/train:1", docker("registry:5000", "vision/train", "1"), None),
        ("a/b.c_d__e--f", docker(HUB, "a/b.c_d__e--f", "latest"), None),
        ("oras://ghcr.io/a/b:t", Image("oras", host="ghcr.io", repository="a/b", tag="t"), "oras://ghcr.io/a/b:t"),
        ("oras://ghcr.io/a/b", Image("oras", host="ghcr.io", repository="a/b", tag="latest"), None),
        (f"oras://ghcr.io/a/b@{D}", Image("oras", host="ghcr.io", repository="a/b", digest=D), None),
        ("oras://docker.io/a", Image("oras", host=HUB, repository="a", tag="latest"), None),
        ("library://debian", Image("library", repository="debian"), "library://debian"),
        ("library://lab/vision/train:1", Image("library", repository="lab/vision/train", tag="1"),
         "library://lab/vision/train:1"),
        (f"library://lab/vision/train:sha256.{HEX}",
         Image("library", repository="lab/vision/train", tag=f"sha256.{HEX}"), None),
        ("library:///lab/train", Image("library", repository="lab/train"), "library:///lab/train"),
        ("library:///debian", Image("library", repository="debian"), "library://debian"),
        ("library://cloud.example.org/lab/vision/train", Image("library", host="cloud.example.org",
         repository="lab/vision/train"), "library://cloud.example.org/lab/vision/train"),
        ("library://cloud.example.org:8443/debian:12", Image("library", host="cloud.example.org:8443",
         repository="debian", tag="12"), None),
        ("/images/train.sif", Image("sif", "/images/train.sif"), "/images/train.sif"),
        ("/images/train.img", Image("sif", "/images/train.img"), None),
        ("/images/train.sqsh", Image("sqsh", "/images/train.sqsh"), "/images/train.sqsh"),
        ("/images/train.squashfs", Image("sqsh", "/images/train.squashfs"), None),
        ("//images//./train.SIF", Image("sif", "/images/train.SIF"), "/images/train.SIF"),
        ("/images/a folder:1/", Image("folder", "/images/a folder:1"), "/images/a folder:1"),
        ("/images/train@home#1", Image("folder", "/images/train@home#1"), None),
        ("docker-archive:/p.tar", Image("docker-archive", "/p.tar"), "docker-archive:/p.tar"),
        ("docker-archive:///p.tar", Image("docker-archive", "/p.tar"), "docker-archive:/p.tar"),
        ("docker-archive:/p.tar:lab/train:1", Image("docker-archive", "/p.tar", inner="lab/train:1"),
         "docker-archive:/p.tar:lab/train:1"),
        ("docker-archive:/p.tar:@0", Image("docker-archive", "/p.tar", inner="@0"), None),
        ("oci-archive:/p.tar", Image("oci-archive", "/p.tar"), "oci-archive:/p.tar"),
        ("oci:/folder", Image("oci", "/folder"), "oci:/folder"),
        ("oci:/folder/:tag", Image("oci", "/folder", inner="tag"), "oci:/folder:tag"),
    ],
)  # fmt: skip
def test_every_way_to_say_an_image_is_read(text, image, canonical):
    assert parse_image(text) == image
    assert canonical in (None, image.text)
    assert parse_image(image.text) == image


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has a name"),
        (" debian", "without a space"),
        ("debian\n", "printable"),
        ("debian sid", "no name of an image"),
        ("de\0bian", "printable"),
        ("/images/\x1b[2J.sif", "printable"),
        ("x" * 6000, "at most"),
        ("/" + "x" * 4096, "at most 4096 bytes"),
        ("/" + "ü" * 2048, "at most 4096 bytes"),
        ("./train.sif", r"'\./train\.sif' is no absolute path"),
        ("../train", "no absolute path"),
        ("~/train.sif", "no absolute path"),
        ("train.sif", "no absolute path"),
        ("images/train.sqsh", "no absolute path"),
        ("train.tar", "no absolute path"),
        ("docker-archive:p.tar", "no absolute path"),
        ("docker-archive://p.tar", "no absolute path"),
        ("docker-archive:", "no absolute path"),
        ("oci:latest", "no absolute path"),
        ("/images/../etc", r"goes up by '\.\.'"),
        ("oci:/images/..", r"goes up by '\.\.'"),
        ("/", "the node itself"),
        ("oci:///", "the node itself"),
        ("/./.", "the node itself"),
        ("/images/train.tar", "say docker-archive:/images/train.tar or oci-archive:"),
        ("/images/train.tgz", "is an archive"),
        ("docker-archive:/p.tar:a b", "names no image"),
        ("oci:/a :tag", "no space"),
        ("Debian", "small letters"),
        ("Lab/train", "small letters"),
        ("ghcr.io/Lab/train", "small letters"),
        ("ghcr.io/", "small letters"),
        ("ghcr.io//a", "small letters"),
        ("ghcr.io#a#b", "small letters"),
        ("a..b", "small letters"),
        ("a___b", "small letters"),
        ("-a", "small letters"),
        ("a-", "small letters"),
        ("dëbian", "small letters"),
        ("debian:", "no tag"),
        ("debian:.sid", "no tag"),
        ("debian:a/b", "no registry"),
        ("debian:" + "x" * 129, "no tag"),
        ("debian:sid:12", "no tag"),
        ("debian@sha256:0123", "no digest"),
        (f"debian@sha256:{HEX.upper()}", "no digest"),
        (f"debian@sha512:{HEX}{HEX}", "no digest"),
        (f"debian@{D}@{D}", "credential"),
        (HEX, "id of an image"),
        ("#debian", "no registry"),
        ("exa_mple.org#a", "no registry"),
        ("registry:0/a", "no registry"),
        ("registry:65536/a", "no registry"),
        ("registry:/a", "no registry"),
        ("-a.b/c", "no registry"),
        ("a..b/c", "no registry"),
        ("[::zz]:5000/a", "no registry"),
        ("[1:2]:5000/a", "no IPv6 address"),
        ("ghcr.io/" + "/".join(["x" * 60] * 5), "at most 255"),
        ("oras://debian", "said with its registry"),
        ("oras://lab/train", "said with its registry"),
        ("library://a/b/c/d/e", "too many parts"),
        ("library://a/b/" + "c" * 260, "at most 255"),
        (f"library://lab/vision/train@{D}", "no @"),
        ("library://", "small letters"),
        ("shub://vsoch/hello-world", "Singularity Hub is no more"),
        ("dockerd://debian", "daemon"),
        ("docker-daemon:debian:sid", "daemon"),
        ("podman://debian", "Podman"),
        ("containers-storage:debian", "Podman"),
        ("https://example.org/train.sif", "web page"),
        ("file:///images/train.sif", "path alone"),
        ("ipfs://abc", "ipfs:// is not read here"),
        ("docker://", "small letters"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_a_sentence(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        parse_image(text)
    assert re.fullmatch(r"(?s)\S.*[.)]", str(caught.value))
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "docker://alice@ghcr.io#a/b:t",
        "docker://alice:hunter2@ghcr.io#a/b:t",
        "docker://alice:hunter2@ghcr.io/a/b:t",
        "docker://alice:p@hunter2@ghcr.io#a",
        f"docker://alice:hunter2@ghcr.io#a@{D}",
        "alice:hunter2@ghcr.io#a/b",
        "alice:hunter2@debian",
        "alice:p@hunter2:0123456789abcdef0123456789abcdef",
        "oras://alice:hunter2@ghcr.io/a/b",
        "library://alice:hunter2@a/b/c",
        "https://alice:hunter2@ghcr.io/a/b",
        "alice:hunter2@x.sif",
    ],
)
def test_a_user_is_not_taken_from_a_name_and_no_message_repeats_a_password(text):
    with pytest.raises(ValueError, match=r"credential|no user|web page|no digest|no absolute path") as caught:
        parse_image(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "apptainer", "enroot", "pyxis"),
    [
        ("debian:sid", "docker://docker.io/library/debian:sid", "docker://registry-1.docker.io#library/debian:sid",
         "registry-1.docker.io#library/debian:sid"),
        ("ghcr.io/a/b", "docker://ghcr.io/a/b:latest", "docker://ghcr.io#a/b:latest", "ghcr.io#a/b:latest"),
        ("registry#a:1", "docker://registry:443/a:1", "docker://registry:443#a:1", "registry:443#a:1"),
        (f"registry:5000/a@{D}", f"docker://registry:5000/a@{D}", f"docker://registry:5000#a:{D}",
         f"registry:5000#a:{D}"),
        (f"ghcr.io/a:t@{D}", f"docker://ghcr.io/a@{D}", f"docker://ghcr.io#a:{D}", f"ghcr.io#a:{D}"),
        (f"oras://ghcr.io/a:t@{D}", f"oras://ghcr.io/a@{D}", "", ""),
        ("oras://ghcr.io/a:t", "oras://ghcr.io/a:t", "", ""),
        ("library://a/b/c:1", "library://a/b/c:1", "", ""),
        ("/i/a.sif", "/i/a.sif", "", ""),
        ("/i/a.sqsh", "/i/a.sqsh", "/i/a.sqsh", "/i/a.sqsh"),
        ("/i/a", "/i/a", "", ""),
        ("docker-archive:/i/a.tar", "docker-archive:/i/a.tar", "", ""),
        ("oci:/i/a:b", "oci:/i/a:b", "", ""),
    ],
)  # fmt: skip
def test_each_runtime_is_given_the_words_that_it_reads(text, apptainer, enroot, pyxis):
    image = parse_image(text)
    assert (image.apptainer, image.enroot, image.pyxis) == (apptainer, enroot, pyxis)


ENROOT_3 = re.compile(r"docker://(([a-zA-Z0-9_.!~*'()%;:&=+$,-@]+)@)?(([^#]+)#)?([a-z0-9/._-]+)(:([a-zA-Z0-9._:-]+))?")
"""As src/docker.sh of Enroot 3.5.0 reads it."""


@pytest.mark.parametrize("text", ["debian", "ghcr.io/a/b:t", f"ghcr.io/a/b:t@{D}", f"registry:5000/a@{D}"])
def test_what_enroot_is_given_is_read_by_its_old_versions_and_by_us(text):
    image = parse_image(text)
    match = ENROOT_3.fullmatch(image.enroot)
    assert match is not None
    assert match[2] is None
    assert (match[4], match[5], match[7]) == (
        "registry-1.docker.io" if image.host == HUB else image.host,
        image.repository,
        image.digest or image.tag,
    )
    assert parse_image(image.enroot).pinned(D) == Image(
        "docker", host=image.host, repository=image.repository, tag="" if image.digest else image.tag, digest=D
    )


def test_an_image_is_pinned_by_a_digest_and_keeps_its_tag_for_people():
    pinned = parse_image("debian:sid").pinned(D)
    assert pinned.text == f"docker://docker.io/library/debian:sid@{D}"
    assert parse_image(pinned.text) == pinned
    assert parse_image(f"oras://ghcr.io/a@{D}").pinned(D).digest == D


@pytest.mark.parametrize("digest", ["", "sha256:", HEX, D.upper(), f"{D}\n", f"{D}0"])
def test_what_is_no_digest_pins_nothing(digest):
    with pytest.raises(ValueError, match="is no digest"):
        parse_image("debian").pinned(digest)


@pytest.mark.parametrize("text", ["/i/a.sif", "/i/a", "library://debian", "oci:/i"])
def test_what_has_no_manifest_is_not_pinned(text):
    with pytest.raises(ValueError, match="no manifest"):
        parse_image(text).pinned(D)


@pytest.mark.parametrize(
    ("text", "remote"),
    [("debian", True), ("oras://ghcr.io/a", True), ("library://debian", True), ("/i/a.sif", False), ("/i", False),
     ("/i/a.sqsh", False), ("oci:/i", False), ("docker-archive:/i.tar", False)],
)  # fmt: skip
def test_what_a_registry_has_is_remote(text, remote):
    assert parse_image(text).remote is remote


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
HOST = st.one_of(
    st.builds("{}.{}".format, LABEL, LABEL),
    st.builds("{}:{}".format, LABEL, st.integers(1, 65535)),
    st.builds("{}.{}:{}".format, LABEL, LABEL, st.integers(1, 65535)),
    st.builds("[{}]:{}".format, st.ip_addresses(v=6), st.integers(1, 65535)),
    st.sampled_from(["localhost", "docker.io", "registry-1.docker.io"]),
)
REPOSITORY = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,4}){0,3}", fullmatch=True)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True)
DIGEST = st.builds("sha256:{}".format, st.from_regex("[0-9a-f]{64}", fullmatch=True))
STEP = st.text(st.characters(exclude_characters="/\0:", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
PATH = st.lists(STEP.filter(lambda step: step != ".."), min_size=1, max_size=4).map(lambda steps: "/" + "/".join(steps))
TAGGED = st.one_of(
    st.just(""),
    TAG.map(":{}".format),
    DIGEST.map("@{}".format),
    st.builds(":{}@{}".format, TAG, DIGEST),
    DIGEST.map(":{}".format),
)
MEANT = st.one_of(
    st.builds("{}{}{}{}{}".format, st.sampled_from(["", "docker://", "oras://"]), HOST, st.sampled_from("/#"),
              REPOSITORY, TAGGED),
    st.builds("docker://{}{}".format, REPOSITORY.filter(lambda text: "." not in text.split("/", 1)[0]), TAGGED),
    st.builds("library://{}:{}".format, REPOSITORY.filter(lambda text: text.count("/") in (0, 2)), TAG),
    st.builds("library:///{}".format, REPOSITORY.filter(lambda text: text.count("/") < 3)),
    PATH.filter(lambda path: not path.lower().endswith((".tar", ".tar.gz", ".tgz")) and path.strip("/.") != ""),
    st.builds("{}:{}{}".format, st.sampled_from(["docker-archive", "oci-archive", "oci"]),
              PATH.filter(lambda path: path.strip("/.") != ""), st.one_of(st.just(""), TAG.map("/x:a{}".format))),
)  # fmt: skip


@given(MEANT)
def test_whatever_is_meant_is_read_and_written_and_read_into_the_same(text):
    image = parse_image(text)
    assert parse_image(image.text) == image
    assert parse_image(image.text).text == image.text
    if image.kind == "docker":
        assert parse_image(image.enroot).host == image.host
        assert parse_image(image.enroot).repository == image.repository
        assert parse_image(image.apptainer).repository == image.repository


PIECES = st.sampled_from(
    ["docker:", "//", "oras:", "library:", "oci:", "docker-archive:", "/", ":", "@", "#", ".", "..", "-", "_", "~", "[",
     "]", "::1", "a", "B", "debian", "ghcr.io", "docker.io", "localhost", "5000", D, HEX, "sha256:", ".sif", ".tar",
     " ", "é", "\n", "\ud800", "\u2028", "%", "x" * 130]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=9).map("".join)))
@example("://")
@example("docker://#")
@example("@")
@example("/\ud800")
@example("a" * 4000 + "!")
@example("a-" * 2000)
@example("[" + ":" * 4000 + "]/a")
def test_any_text_at_all_is_an_image_or_a_value_error(text):
    try:
        image = parse_image(text)
    except ValueError as error:
        why = error
    else:
        assert parse_image(image.text) == image
        assert image.remote == bool(image.repository) == (not image.path)
        return
    assert type(why) is ValueError
    assert str(why).isprintable()
