"""What a sweep file declares: a claim, its arms, its replicates, and what decides it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from omegaconf import MISSING

_METRIC = re.compile(r"(maj|pass)@([1-9]\d{0,5})")


def metric_at_k(metric: str) -> tuple[str, int] | None:
    """("maj", 32) for ``maj@32``; None for what is not of the form maj@K or pass@K."""
    found = _METRIC.fullmatch(metric)
    return (found[1], int(found[2])) if found else None


def recorded_ks(samples: int) -> list[int]:
    """Every K at which ``samples`` drawn answers are summarised: the powers of two up to it, and all of them."""
    return sorted({2**i for i in range(samples.bit_length())} | {samples})


@dataclass
class ReplicatesConfig:
    #: first stage that the replicate seed reaches; its ancestors are shared
    from_stage: str = "rl"
    seeds: list[int] = field(default_factory=lambda: [0])


@dataclass
class ComparisonConfig:
    """One paired comparison of a claim: arm ``a`` against arm ``b`` under one evaluation mode."""

    a: str = MISSING
    b: str = MISSING
    mode: str = "cot"
    #: the mode of ``b`` where it is another: only where ``evaluation.modes`` is (part of) the sweep's factor
    mode_b: str = ""
    #: what is compared: accuracy | maj@K | pass@K (both of evaluation.samples drawn answers)
    metric: str = "accuracy"
    #: a_greater | b_greater | a_not_greater (a is at most ``margin`` above b) | none (no expectation)
    expect: str = "a_greater"
    #: points of the metric; expect=a_not_greater: a gain below this counts as none
    margin: float = 0.0


@dataclass
class SweepConfig:
    """A claim and the arms that test it (``sweeps/*.yaml``)."""

    name: str = MISSING
    title: str = ""
    statement: str = ""
    #: config paths under which arms may differ
    factor: str = MISSING
    #: further paths that follow from the factor
    consequences: list[str] = field(default_factory=list)
    #: arm name -> overrides
    arms: dict[str, list[str]] = field(default_factory=dict)
    replicates: ReplicatesConfig = field(default_factory=ReplicatesConfig)
    #: what is held equal between arms, for the reader. Where it begins with a unit of rl.budget (FLOPs, tokens,
    #: seconds, steps) and names "(rl.budget)", a budget in another unit is refused
    equal: str = ""
    comparisons: list[ComparisonConfig] = field(default_factory=list)
    #: ids of ledger entries that the report prints beside ours
    reference: list[str] = field(default_factory=list)
    #: what a reader must know before believing the result
    caveats: list[str] = field(default_factory=list)
