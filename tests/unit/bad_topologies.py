"""Files that slurmctld does not take as they are meant: what we say of them, and where. Data."""

from __future__ import annotations

from typing import NamedTuple

NODES = ["c1", "c2", "c3", "c4"]


class Bad(NamedTuple):
    """A file that slurmctld does not take as it is meant.

    Attributes:
        code: What we say.
        line: Where.
        text: The file; topology.yaml where it begins with ``-``.
    """

    code: str
    line: int
    text: str

    @property
    def name(self) -> str:
        return "topology.yaml" if self.text.startswith("-") else "topology.conf"


GOOD = "SwitchName=s1 Nodes=c[1-2]\nSwitchName=s2 Nodes=c[3-4]\n"
TREE = "- topology: a\n  tree:\n    switches:\n"
LONG = "s" * 65

BAD = [
    Bad("key-unknown", 3, f"{GOOD}SwichName=r Switches=s[1-2]"),
    Bad("key-unknown", 3, f"{GOOD}SwitchName=r Switches=s[1-2] Colour=red"),
    Bad("syntax", 3, f"{GOOD}SwitchName=r Switches=s1, s2"),
    Bad("syntax", 1, "SwitchName=s1 Nodes=c[1-4] LinkSpeed=fast"),
    Bad("hostlist", 1, "SwitchName=s1 Nodes=c[1-\n"),
    Bad("hostlist", 1, "SwitchName=s1 Nodes=c[4-1]\n"),
    Bad("hostlist-bracket", 1, "SwitchName=s1 Nodes=c[1-4]]\n"),
    Bad("name-too-long", 1, f"SwitchName={LONG} Nodes=c[1-4]"),
    Bad("name-illegal", 1, "SwitchName=s[1-2] Nodes=c[1-4]"),
    Bad("name-of-node", 1, "SwitchName=c1 Nodes=c[1-4]"),
    Bad("switch-twice", 3, f"{GOOD}SwitchName=s1 Switches=s2"),
    Bad("nodes-and-switches", 3, f"{GOOD}SwitchName=r Switches=s[1-2] Nodes=c1"),
    Bad("child-unknown", 3, f"{GOOD}SwitchName=r Switches=s[1-3]"),
    Bad("child-twice", 3, f"{GOOD}SwitchName=r Switches=s1,s2,s1"),
    Bad("cycle", 3, f"{GOOD}SwitchName=r Switches=s1,s2,r"),
    Bad("cycle", 3, f"{GOOD}SwitchName=r Switches=s1,q\nSwitchName=q Switches=s2,r"),
    Bad("switch-empty", 3, f"{GOOD}SwitchName=s3\nSwitchName=r Switches=s[1-3]"),
    Bad("host-under-several-leaves", 2, f"{GOOD.replace('3-4', '2-4')}SwitchName=r Switches=s[1-2]"),
    Bad("node-twice", 1, "SwitchName=s1 Nodes=c1,c[1-4]"),
    Bad("node-unknown", 1, "SwitchName=s1 Nodes=c[1-5]"),
    Bad("node-nowhere", 0, "SwitchName=s1 Nodes=c[1-3]"),
    Bad("no-common-root", 0, GOOD),
    Bad("nothing-there", 0, "# nothing\n"),
    Bad("include", 1, f"Include more.conf\n{GOOD}SwitchName=r Switches=s[1-2]"),
    Bad("syntax", 0, "SwitchName=s1 Nodes=c[1-4]\nBlockName=b1 Nodes=c[1-4]\n"),
    Bad("block-sizes", 0, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[3-4]\nBlockSizes=2,6"),
    Bad("block-sizes", 0, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[3-4]\nBlockSizes=2,3"),
    Bad("block-sizes", 0, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[3-4]\nBlockSizes=1,65536"),
    Bad("block-sizes", 0, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[3-4]\nBlockSizes=0"),
    Bad("block-sizes", 3, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[3-4]\nBlockSizes=two"),
    Bad("block-sizes", 0, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[3-4]\nBlockSizes=4,2"),
    Bad("block-sizes-twice", 0, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[3-4]\nBlockSizes=2,2"),
    Bad("block-below-base", 2, "BlockName=b1 Nodes=c[1-3]\nBlockName=b2 Nodes=c4\nBlockSizes=3"),
    Bad("block-empty", 2, "BlockName=b1 Nodes=c[1-4]\nBlockName=b2\nBlockSizes=2"),
    Bad("block-twice", 2, "BlockName=b1 Nodes=c[1-2]\nBlockName=b1 Nodes=c[3-4]\nBlockSizes=2"),
    Bad("node-in-two-blocks", 2, "BlockName=b1 Nodes=c[1-2]\nBlockName=b2 Nodes=c[2-4]\nBlockSizes=2"),
    Bad("node-nowhere", 0, "BlockName=b1 Nodes=c[1-2]\nBlockSizes=2"),
    Bad("nothing-there", 0, "BlockSizes=2"),
    Bad("key-unknown", 6, f"{TREE}    - switch: s1\n      nodes: c[1-4]\n      colour: red"),
    Bad("hostlist", 4, f"{TREE}    - {{switch: s1, nodes: 'c[1-'}}"),
    Bad("hostlist-bracket", 4, f"{TREE}    - {{switch: s1, nodes: 'c[1-4]]'}}"),
    Bad("switch-twice", 5, f"{TREE}    - {{switch: s1, nodes: 'c[1-4]'}}\n    - {{switch: s1, children: s1}}"),
    Bad("cycle", 4, f"{TREE}    - {{switch: s1, children: s2}}\n    - {{switch: s2, children: s1}}"),
    Bad("child-unknown", 5, f"{TREE}    - {{switch: s1, nodes: 'c[1-4]'}}\n    - {{switch: r, children: s7}}"),
    Bad("no-common-root", 0, f"{TREE}    - {{switch: s1, nodes: 'c[1-2]'}}\n    - {{switch: s2, nodes: 'c[3-4]'}}"),
    Bad("host-under-several-leaves", 5, f"{TREE}    - {{switch: a, nodes: 'c[1-4]'}}\n    - {{switch: b, nodes: c1}}"),
    Bad("nothing-there", 0, "- topology: a\n  tree: {switches: []}"),
    Bad("syntax", 1, "- topology: a\n"),
    Bad("syntax", 1, "- topology: a\n  flat: true\n  tree: {switches: [{switch: s1, nodes: 'c[1-4]'}]}"),
    Bad("topology-nameless", 1, "- cluster_default: true\n  tree: {switches: [{switch: s1, nodes: 'c[1-4]'}]}"),
    Bad("name-missing", 2, "- topology: a\n  tree: {switches: [{nodes: 'c[1-4]'}]}"),
    Bad("name-too-long", 2, f"- topology: a\n  tree: {{switches: [{{switch: {LONG}, nodes: 'c[1-4]'}}]}}"),
    Bad("block-sizes", 0, "- topology: a\n  block: {block_sizes: [2, 6], blocks: [{block: b1, nodes: 'c[1-4]'}]}"),
    Bad("block-sizes", 2, "- topology: a\n  block: {block_sizes: two, blocks: [{block: b1, nodes: 'c[1-4]'}]}"),
    Bad("topology-twice", 0, "- {topology: a, flat: true}\n- {topology: a, flat: true}"),
    Bad("nodes-and-switches", 4, f"{TREE}    - {{switch: r, children: s, nodes: c1}}\n    - {{switch: s, nodes: c4}}"),
    Bad("kind-unknown", 1, "- topology: a\n  ring: {rings: [{ring: r, nodes: 'c[1-4]'}]}"),
]  # fmt: skip
