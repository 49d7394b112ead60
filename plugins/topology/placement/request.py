"""What a training job says of itself: its parallel degrees, and of its model as much as it likes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs.model.parallel import parse_parallel

MOST_RANKS: Final = 1_000_000
"""As many ranks as one job may have; more is a slip of the pen."""

_DEGREES: Final = ("tp", "pp", "dp", "ep", "etp", "gpus", "segment")
_MODEL: Final = ("layers", "hidden", "sequence", "micro_batches", "micro_batch", "vocabulary", "experts_per_token")
_MODEL_NEEDED: Final = _MODEL[:4]


class Objective(StrEnum):
    """What a placement is to be best at. Neither of the first two is best for all jobs, so it is a choice.

    Of pre-training runs on thousands of GPUs some were faster with their data-parallel groups held together and some
    with their pipelines (Arnold: He et al. 2025, arXiv:2509.15940).
    """

    PIPELINE = "pipeline"  # neighbours of a pipeline at the fewest hops
    DATA = "data"  # rings of data-parallel groups over the fewest spines
    BALANCED = "balanced"  # least cost by the cost model (cost.py)


class Model(msgspec.Struct, frozen=True):
    """A transformer, as far as it says how much is sent (cost.py has the formulas).

    Attributes:
        layers: Of the whole model.
        hidden: Size of the hidden state.
        sequence: Tokens of a sequence.
        micro_batches: That a pipeline takes in one step.
        micro_batch: Sequences of a micro batch.
        vocabulary: Tokens that there are. 51,200: as in Narayanan et al. 2021.
        experts_per_token: That a router sends a token to. 2: as in GShard.
    """

    layers: int
    hidden: int
    sequence: int
    micro_batches: int
    micro_batch: int = 1
    vocabulary: int = 51_200
    experts_per_token: int = 2


class Request(msgspec.Struct, frozen=True):
    """How a job is cut into ranks; world = tp x pp x dp, one rank a GPU.

    Attributes:
        tp: Tensor parallel degree.
        pp: Pipeline parallel degree.
        dp: Data parallel degree.
        ep: Expert parallel degree; ep x etp divides tp x dp (MoE Parallel Folding, arXiv:2504.14960).
        etp: Tensor parallel degree of the experts; 0: as tp, Megatron-LM's default, and then ep divides dp.
        gpus: Of a node, all of which the job uses.
        segment: Nodes that have to be of one block, same as --segment of sbatch; 0: not asked for.
        model: What the volumes of the cost model follow from; None: every pair of ranks weighs the same.
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    etp: int = 0
    gpus: int = 8
    segment: int = 0
    model: Model | None = None

    @property
    def world(self) -> int:
        """Number of ranks."""
        return self.tp * self.pp * self.dp

    @property
    def nodes(self) -> int:
        """Number of nodes; the last one may have fewer ranks than GPUs."""
        return -(-self.world // self.gpus)

    @property
    def span(self) -> int:
        """Nodes that a tensor group lies on: 1, or more of one NVLink domain."""
        return max(1, self.tp // self.gpus)

    @property
    def expert_tp(self) -> int:
        """Tensor parallel degree of the experts."""
        return self.etp or self.tp

    @classmethod
    def parse(cls, text: str) -> Request:
        """Read ``tp=8,pp=4,dp=32[,ep=8][,gpus=8]``, and of the model ``layers=96,hidden=12288,sequence=2048``, ...

        Args:
            text: Comma-separated ``name=number``; names are those of the attributes of Request and Model. Of a model
                layers, hidden, sequence and micro_batches are said together, or nothing is.

        Raises:
            ValueError: It is not of that form, or ``check`` says why it cannot be.
        """
        said: dict[str, int] = {}
        for item in filter(None, (item.strip() for item in text.split(","))):
            name, _, number = (part.strip() for part in item.partition("="))
            if name not in _DEGREES + _MODEL:
                raise ValueError(f"{item[:40]!r}: no parallel degree; there are {', '.join(_DEGREES + _MODEL)}")
            if name in said:
                raise ValueError(f"{name} is said twice")
            if not number.isascii() or not number.isdigit() or len(number) > 9:
                raise ValueError(f"{item[:40]!r}: {name} is a whole number")
            said[name] = int(number)
        if not said.keys() & {"tp", "pp", "dp"}:
            raise ValueError(f"{text[:40]!r} names none of tp, pp and dp")
        model = {name: said.pop(name) for name in _MODEL if name in said}
        if model and (missing := [name for name in _MODEL_NEEDED if name not in model]):
            raise ValueError(f"of a model {', '.join(missing)} must be said too")
        return cls(**said, model=Model(**model) if model else None).check()

    def check(self) -> Request:
        """The request itself, where it can be.

        Raises:
            ValueError: It cannot, on whatever nodes; with the reason.
        """
        model = msgspec.structs.asdict(self.model) if self.model else {}
        for name, number in {
            **{name: getattr(self, name) for name in ("tp", "pp", "dp", "ep", "gpus")},
            **model,
        }.items():
            if number < 1:
                raise ValueError(f"{name}={number}: at least 1")
        for name, number in (("etp", self.etp), ("segment", self.segment)):
            if number < 0:
                raise ValueError(f"{name}={number}: not below 0")
        if self.world > MOST_RANKS:
            raise ValueError(f"{self.world:,} ranks are more than {MOST_RANKS:,}")
        if (self.tp * self.dp) % (self.ep * self.expert_tp):
            what = f"etp={self.expert_tp}" if self.etp else f"etp={self.expert_tp}, which is tp where it is not said,"
            raise ValueError(f"ep={self.ep} times {what} does not divide tp x dp = {self.tp * self.dp}")
        small, large = sorted((self.tp, self.gpus))
        if large % small and self.world > self.gpus:
            raise ValueError(
                f"tensor groups of tp={self.tp} do not come out even with {self.gpus} GPUs of a node: one would lie "
                f"on two nodes; say gpus={self.gpus // self.tp * self.tp or self.tp} to leave the others idle"
                if self.tp < self.gpus
                else f"tensor groups of tp={self.tp} do not come out even with {self.gpus} GPUs of a node"
            )
        if self.segment and self.nodes > self.segment and self.nodes % self.segment:
            raise ValueError(f"{self.nodes} nodes cannot be cut into segments of {self.segment} (sbatch(1), --segment)")
        return self

    def check_nodes(self, nodes: int) -> Request:
        """The request itself, where it fills so many nodes.

        Args:
            nodes: That the job asks for, as --nodes of sbatch.

        Raises:
            ValueError: Its degrees do not multiply to the GPUs of these nodes.
        """
        if nodes != self.nodes or self.world % self.gpus:
            raise ValueError(
                f"tp x pp x dp = {self.tp} x {self.pp} x {self.dp} = {self.world:,} ranks, and {nodes:,} nodes of "
                f"{self.gpus} GPUs have {nodes * self.gpus:,}"
            )
        return self


def wanted(parallel: str, gpus: int, objective: Objective = Objective.BALANCED) -> tuple[Request, Objective]:
    """Read what a training says of itself, as ``tp=8,pp=4,dp=32,objective=pipeline``.

    Args:
        parallel: The words.
        gpus: Of a node, where they do not say it.
        objective: Where they do not say it.

    Raises:
        ValueError: They are of no such form, or cannot be.
    """
    words = parse_parallel(parallel)
    said = words.pop("objective", objective)
    if said not in set(Objective):
        raise ValueError(f"{said!r} is no objective; there are {', '.join(Objective)}")
    request = Request.parse(",".join(f"{name}={value}" for name, value in {"gpus": str(gpus), **words}.items()))
    return request, Objective(said)
