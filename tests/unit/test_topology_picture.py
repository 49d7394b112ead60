"""Pictures of fabrics: well-formed, complete, readable, and the same each time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcjobs_plugins.topology import svg
from hpcjobs_plugins.topology.checks import Finding, Severity, check
from hpcjobs_plugins.topology.drawing import HOSTS, MOST_BOXES, draw
from hpcjobs_plugins.topology.fabric import Role, Site
from hpcjobs_plugins.topology.picture import picture
from hpcjobs_plugins.topology.twin import Shape, fat_tree
from tests.conftest import examples

from .fabric_edits import Bench
from .fabrics import shapes

SVG = "{http://www.w3.org/2000/svg}"
SMALL = Shape(hosts=64, hosts_per_leaf=8, spines=4)
LARGE = Shape(hosts=1024, hosts_per_leaf=8, spines=16, cores=8, pods=8)


def read(text: str) -> ET.Element:
    return ET.fromstring(text)


def titles(root: ET.Element) -> list[str]:
    return [one.text or "" for one in root.iter(f"{SVG}title")]


def words(root: ET.Element) -> list[str]:
    return [one.text or "" for one in root.iter(f"{SVG}text")]


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in root.iter() if name in (one.get("class") or "").split()]


@settings(deadline=None, max_examples=examples(80), suppress_health_check=[HealthCheck.too_slow])
@given(shapes())
def test_every_fabric_has_a_well_formed_picture_with_all_that_is_in_it(shape):
    site = fat_tree(shape)
    root = read(picture(site, check(site)))
    assert root.tag == f"{SVG}svg"
    for fabric in site.fabrics:
        drawing = draw(fabric)
        assert sorted(name for box in drawing.boxes for name in box.names) == sorted([*fabric.switches, *fabric.hosts])
        cables = len(fabric.trunks) + sum(len(host.endpoints) for host in fabric.hosts.values())
        inside = sum(drawing.box_of[trunk.a] == drawing.box_of[trunk.b] for trunk in fabric.trunks)
        assert sum(bundle.cables for bundle in drawing.bundles) == cables - inside


@settings(deadline=None, max_examples=examples(80), suppress_health_check=[HealthCheck.too_slow])
@given(shapes())
def test_boxes_lie_beside_each_other_and_rows_below(shape):
    for fabric in fat_tree(shape).fabrics:
        drawing = draw(fabric)
        bottom = -1.0
        for indices in drawing.rows.values():
            boxes = sorted((drawing.boxes[index] for index in indices), key=lambda box: box.x)
            assert len(boxes) <= MOST_BOXES
            assert all(box.y > bottom for box in boxes)
            bottom = max(box.y + box.height for box in boxes)
            assert all(one.x + one.width / 2 < other.x - other.width / 2 for one, other in pairwise(boxes))
            assert boxes[0].x - boxes[0].width / 2 >= 0
            assert boxes[-1].x + boxes[-1].width / 2 <= drawing.width
        assert bottom <= drawing.height


def test_a_row_that_is_too_long_is_drawn_as_groups_with_counts():
    fabric = fat_tree(LARGE).fabrics[0]
    drawing = draw(fabric)
    leaves = [drawing.boxes[index] for index in drawing.rows[1]]
    assert [box.label for box in leaves[:2]] == ["leaf[001-016]", "leaf[017-032]"]
    assert {box.note for box in leaves} == {"16 leaves"}
    hosts = [drawing.boxes[index] for index in drawing.rows[HOSTS]]
    assert [box.label for box in hosts] == ["128 hosts"] * 8
    assert hosts[0].note == "n[0001-0128]"
    shown = words(read(picture(fabric)))
    assert "128 switches in 8 groups" in shown


def test_few_hosts_are_boxes_of_their_own():
    root = read(picture(fat_tree(Shape(hosts=4, hosts_per_leaf=2, spines=2))))
    assert {"n0001", "n0002", "n0003", "n0004", "leaf01", "spine02"} <= set(words(root))
    assert len(of_class(root, "compute")) == 4


def test_a_leaf_that_is_cabled_in_another_way_is_a_box_of_its_own():
    bench = Bench(fat_tree(LARGE))
    bench.unplug(bench.between("leaf003", "spine002")[0])
    drawing = draw(bench.site().fabrics[0])
    assert "leaf003" in {drawing.boxes[index].label for index in drawing.rows[1]}


def test_lines_are_thicker_where_there_are_more_cables():
    def thickness(trunks: int) -> float:
        root = read(picture(fat_tree(Shape(hosts=16, hosts_per_leaf=8, spines=2, trunks=trunks))))
        (line,) = [one for one in of_class(root, "cable") if "leaf01 to spine01" in (one.findtext(f"{SVG}title") or "")]
        return float(line.get("stroke-width") or 0)

    found = [thickness(trunks) for trunks in (1, 2, 4, 16, 20, 32)]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_a_bundle_says_its_cables_and_rates():
    bench = Bench(fat_tree(Shape(hosts=32, hosts_per_leaf=8, spines=2, trunks=3)))
    bench.rate(bench.between("leaf01", "spine01")[0], 100.0)
    said = titles(read(picture(bench.site())))
    assert "leaf01 to spine01: 3 cables, 1 at 100 Gbit/s, 2 at 200 Gbit/s" in said
    assert "n[0001-0008] to leaf01: 8 cables, 8 at 200 Gbit/s" in said


def test_findings_are_marked_where_they_are_and_written_out():
    bench = Bench(fat_tree(SMALL))
    bench.replug(bench.between("leaf07", "spine04")[0], "spine04", "spine03")
    bench.unplug(bench.between("leaf02", "spine01")[0])
    bench.rate_host("n0011", 0, 50.0)
    site = bench.site(tiers=True)
    found = check(site)
    assert [one.code for one in found] == ["cable-misplaced", "cable-missing", "link-slow"]
    root = read(picture(site, found))
    assert len(of_class(root, "error")) == 2  # on the box, and where it is written out
    assert len(of_class(root, "warning")) == 4
    bad = [one.findtext(f"{SVG}title") or "" for one in of_class(root, "bad")]
    assert [title.split(" ")[0] for title in bad] == ["leaf02", "leaf07", "8"]
    assert bad[2] == "8 hosts: n[0009-0016]"
    lacking = [one.findtext(f"{SVG}title") for one in of_class(root, "lacking") if one.find(f"{SVG}title") is not None]
    assert lacking == [f"error: {found[0].text}", f"warning: {found[1].text}"]
    wrong = [one.findtext(f"{SVG}title") for one in of_class(root, "wrong") if one.find(f"{SVG}title") is not None]
    assert wrong == [f"error: {found[0].text}", f"warning: {found[2].text}"]
    written = " ".join(words(root))
    for one in found:
        assert one.text.split(";")[0] in written
    assert "Findings: 1 errors, 2 warnings." in (root.findtext(f"{SVG}desc") or "")


def test_notes_are_written_out_and_mark_nothing_red():
    bench = Bench(fat_tree(SMALL))
    bench.plug("leaf03", "spine02")
    site = bench.site()
    root = read(picture(site, check(site)))
    assert of_class(root, "note")
    assert not of_class(root, "bad")
    assert not of_class(root, "wrong")


def test_more_findings_than_fit_are_counted():
    site = fat_tree(SMALL)
    many = [Finding("x", Severity.WARNING, f"leaf0{n % 8 + 1}", f"number {n}", fabric="ib0") for n in range(40)]
    assert "and 28 more" in words(read(picture(site, many)))


def test_findings_of_no_fabric_stand_below():
    site = fat_tree(SMALL)
    shown = words(read(picture(site, [Finding("node-without-fabric", Severity.WARNING, "x1", "x1 is nowhere.")])))
    assert "Of the site" in shown
    assert "Warning: x1 is nowhere." in shown


def test_fabrics_stand_below_each_other_and_no_fabric_is_said():
    planes = fat_tree(Shape(hosts=8, hosts_per_leaf=8, rails=2, rail_optimised=True))
    shown = words(read(picture(planes)))
    assert [word for word in shown if "InfiniBand" in word] == [
        "ib0 · InfiniBand · 8 hosts · 1 switch", "ib1 · InfiniBand · 8 hosts · 1 switch",
    ]  # fmt: skip
    assert "No fabric" in words(read(picture(Site(()))))


def test_storage_is_told_from_compute():
    bench = Bench(fat_tree(SMALL))
    bench.roles["n0001"] = bench.roles["n0002"] = Role.STORAGE
    root = read(picture(bench.site()))
    assert len(of_class(root, "storage")) == 1
    assert "62 hosts, 2 storage" in words(root)


def test_cables_within_a_row_and_switches_that_hang_on_nothing_are_drawn():
    bench = Bench(fat_tree(SMALL))
    bench.plug("leaf01", "leaf02")
    bench.plug("leaf01", "leaf05")
    bench.switches["alone"] = msgspec.structs.replace(bench.switches["leaf01"], name="alone", guid="7" * 16, tier=0)
    root = read(picture(bench.site()))
    said = titles(root)
    assert "leaf01 to leaf02: one cable, 1 at 200 Gbit/s" in said
    assert "leaf01 to leaf05: one cable, 1 at 200 Gbit/s" in said
    assert "Not connected" in words(root)
    assert len(of_class(root, "tier0")) == 1


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=70)


@settings(deadline=None, max_examples=examples(80))
@given(NAMES, NAMES, NAMES)
def test_no_name_breaks_a_picture(host, switch, said):
    bench = Bench(fat_tree(Shape(hosts=4, hosts_per_leaf=2, spines=1)))
    bench.rename_host("n0001", f"h{host}")
    bench.rename_switch("leaf01", f"s{switch}")
    bench.switches[f"s{switch}"] = msgspec.structs.replace(bench.switches[f"s{switch}"], description=said)
    found = [Finding("x", Severity.ERROR, f"h{host}", said, names=(f"h{host}",), fabric="ib0")]
    read(picture(bench.site(), found))


def test_a_picture_needs_nothing_from_outside():
    site = fat_tree(SMALL)
    text = picture(site, check(site))
    assert re.findall(r"https?://[^\"' <]*", text) == ["http://www.w3.org/2000/svg"]
    for word in ("<script", "<image", "href", "url(", "@import", "onload"):
        assert word not in text


def test_a_picture_is_for_who_does_not_see_it_and_for_dark_grounds_too():
    root = read(picture(fat_tree(SMALL)))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert root.findtext(f"{SVG}title") == "ib0 · InfiniBand · 64 hosts · 12 switches"
    assert root.findtext(f"{SVG}desc") == (
        "Fabric ib0 has 64 hosts and switches: 8 on tier 1, 4 on tier 2. Findings: none."
    )
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")


def test_what_is_said_on_the_left_is_what_the_fabric_has():
    shown = words(read(picture(fat_tree(SMALL))))
    assert {"Spines", "Leaves", "Hosts", "4 switches", "8 switches", "64 hosts"} <= set(shown)
    assert {"32 cables", "64 cables", "200 Gbit/s", "2 : 1 oversubscribed"} <= set(shown)


@settings(deadline=None)
@given(st.text(max_size=40), st.floats(20, 200))
def test_cut_text_is_not_wider_than_it_may_be(text, most):
    short = svg.cut(text, 12, most)
    assert svg.width(short, 12) <= most or short == "…"
    assert short == text or "…" in short


PROGRAM = """
import hashlib
from hpcjobs_plugins.topology.checks import check
from hpcjobs_plugins.topology.diff import diff
from hpcjobs_plugins.topology.picture import picture
from hpcjobs_plugins.topology.twin import Shape, fat_tree
from tests.unit.fabric_edits import Bench
site = fat_tree(Shape(hosts=256, hosts_per_leaf=4, spines=4, cores=8, pods=8, rails=2))
bench = Bench(site)
for leaf, spine in (("leaf07", "spine02"), ("leaf39", "spine18"), ("leaf40", "spine18")):
    bench.unplug(bench.between(leaf, spine)[0])
bench.plug("leaf01", "leaf09")
bench.remove_switch("leaf33")
after = bench.site(tiers=True)
found = check(after)
said = repr([diff(site, after), found]) + picture(after, found)
print(hashlib.sha256(said.encode()).hexdigest(), len(found))
"""


def test_pictures_findings_and_changes_are_the_same_in_each_process():
    root = Path(__file__).resolve().parents[2]
    seen = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(seen) == 1


@pytest.mark.parametrize("count", [1, 4, 16])
def test_any_number_of_hosts_on_one_switch_has_a_picture(count):
    drawing = draw(fat_tree(Shape(hosts=count, hosts_per_leaf=count)).fabrics[0])
    assert [len(indices) for indices in drawing.rows.values()] == [1, count]
