"""The front door of a folder of reports: every claim with its verdict, effects and intervals at a glance.

Built from the ``results.json`` of the reports that are there, so it may be rebuilt after any one of them.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsm_repro.reporting import bars, export, verdict
from dsm_repro.reporting.values import mapping, number, records

#: as the claims are listed
_ORDER = (*verdict.ORDER, verdict.DESCRIPTIVE)


@dataclass(frozen=True)
class Comparison:
    """One comparison of a claim; ``effect`` is None where it could not be measured."""

    label: str
    #: the column and metric, and what was expected
    where: str
    verdict: str
    effect: bars.Effect | None
    #: "3 seeds × 800 problems", or why there is no effect
    basis: str


@dataclass(frozen=True)
class Claim:
    name: str
    title: str
    statement: str
    scale: str
    small: bool
    verdict: str
    comparisons: tuple[Comparison, ...]
    #: runs without a result, of all
    failed: int
    runs: int

    @property
    def basis(self) -> str:
        """What all its comparisons rest on, where that is one thing."""
        found = {c.basis for c in self.comparisons if c.effect is not None}
        return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True)
class Front:
    claims: tuple[Claim, ...]
    #: folders with a page but without results that can be read: rendered by another version
    others: tuple[str, ...]
    #: points to either side of 0 of every bar
    reach: int

    @property
    def counts(self) -> list[tuple[str, int]]:
        found = Counter(claim.verdict for claim in self.claims)
        return [(word, found[word]) for word in _ORDER if found[word]]

    @property
    def small(self) -> bool:
        return any(claim.small for claim in self.claims)


def read(reports_dir: Path) -> Front:
    """The reports under ``reports_dir``: strongest verdict first, then by name."""
    claims, others = [], []
    for page in sorted(reports_dir.glob("*/index.html")):
        claim = _claim(page.parent / "results.json")
        if claim is None:
            others.append(page.parent.name)
        else:
            claims.append(claim)
    claims.sort(key=lambda c: (_ORDER.index(c.verdict), c.name))
    effects = [c.effect for claim in claims for c in claim.comparisons if c.effect is not None]
    return Front(tuple(claims), tuple(others), bars.extent(effects))


def _claim(path: Path) -> Claim | None:
    try:
        content = mapping(json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError):
        return None
    if content.get("schema") != export.SCHEMA or content.get("verdict") not in _ORDER:
        return None
    runs = records(content.get("runs"))
    return Claim(
        name=path.parent.name,
        title=str(content.get("title") or path.parent.name),
        statement=str(content.get("statement") or ""),
        scale=str(content.get("scale") or "unknown"),
        small=bool(content.get("banner")),
        verdict=str(content.get("verdict")),
        comparisons=tuple(_comparison(c) for c in records(content.get("comparisons"))),
        failed=sum(run.get("status") not in ("done", "stopped") for run in runs),
        runs=len(runs),
    )


def _comparison(c: Any) -> Comparison:
    label, word = verdict.minus(str(c.get("a")), str(c.get("b"))), str(c.get("verdict"))
    where = "; ".join(filter(None, (str(c.get("where") or ""), _expected(c))))
    difference = mapping(c.get("difference"))
    value, low, high = (number(difference.get(name)) for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return Comparison(label, where, word, None, str(c.get("remark") or "not measured"))
    seeds, problems = (number(difference.get(name)) or 0 for name in ("replicates", "questions"))
    basis = f"{seeds:.0f} seed{'' if seeds == 1 else 's'} × {problems:,.0f} problems"
    border = verdict.border_of(str(c.get("expect")), number(c.get("margin")) or 0.0)
    effect = bars.Effect(f"{label} ({where})" if where else label, value, low, high, word, border)
    return Comparison(label, where, word, effect, basis)


def _expected(c: Any) -> str:
    """What is not the usual expectation, that the first arm is higher."""
    margin = number(c.get("margin")) or 0.0
    return {"b_greater": "expected lower", "a_not_greater": f"expected below +{margin:g}"}.get(str(c.get("expect")), "")


def groups(front: Front) -> list[tuple[str, list[bars.Effect]]]:
    """Titles and effects for the figure of all claims."""
    found = [(claim.title, [c.effect for c in claim.comparisons if c.effect is not None]) for claim in front.claims]
    return [(title, effects) for title, effects in found if effects]
