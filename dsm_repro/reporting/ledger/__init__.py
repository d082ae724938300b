"""The ledger: every published number a report is set beside, each with an id.

Three data files, kept apart: ``paper.yaml`` (Tables 1-9 of arXiv:2402.03300), ``release.yaml`` (the
released ``evaluation_results.json``) and ``deepdive.yaml`` (a secondary summary, whose figures are
marked where the paper does not have them, with what it has instead).

Figures of the paper that print no values (1, 3, 5, 6, 7) have no entries: nothing is read off a plot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from dsm_repro.config.errors import ConfigError

_MATH_QUESTIONS = 5000


@dataclass(frozen=True)
class Entry:
    """One published number, in percent."""

    id: str
    #: "Table 5", "evaluation_results.json", "deep dive"
    table: str
    model: str
    benchmark: str
    value: float
    #: questions of the benchmark, None where not known
    n: int | None
    protocol: str
    source: str
    in_paper: bool = True
    #: what the paper has instead, for figures that it does not have
    instead: str = ""

    @property
    def standard_error(self) -> float | None:
        """Binomial standard error of the value in points, 100·sqrt(p(1-p)/n); None without n."""
        if self.n is None:
            return None
        p = self.value / 100
        return 100 * float((p * (1 - p) / self.n) ** 0.5)


def _read(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(text, Loader=loader))  # a safe loader; the C one where it is built


def _paper(data: dict[str, Any]) -> Iterator[Entry]:
    questions = data["benchmarks"]
    for block, table in data["blocks"].items():
        for row, (model, *values) in table["rows"].items():
            for benchmark, value in zip(table["columns"], values, strict=True):
                if value is not None:
                    yield Entry(
                        id=f"paper.{block}.{row}.{benchmark}",
                        table=table["table"],
                        model=model,
                        benchmark=benchmark,
                        value=float(value),
                        n=questions[benchmark],
                        protocol=table["protocol"],
                        source=f"arXiv:2402.03300 {table['source']}",
                    )


def _release(data: dict[str, Any], questions: dict[str, int | None]) -> Iterator[Entry]:
    for block, values in data["blocks"].items():
        for benchmark, value in values["values"].items():
            yield Entry(
                id=f"release.{block}.{benchmark}",
                table="evaluation_results.json",
                model=values["model"],
                benchmark=benchmark,
                value=float(value),
                n=questions[benchmark],
                protocol=values["protocol"],
                source=data["source"],
            )


def _deepdive(data: dict[str, Any]) -> Iterator[Entry]:
    def entry(key: str, model: str, value: float, benchmark: str, in_paper: bool, instead: str) -> Entry:
        n = _MATH_QUESTIONS if benchmark == "math" else None
        protocol = "not stated"
        return Entry(
            f"deepdive.{key}", "deep dive", model, benchmark, value, n, protocol, data["source"], in_paper, instead
        )

    for key, item in data["entries"].items():
        yield entry(key, item["model"], float(item["value"]), "math", bool(item["in_paper"]), item["instead"])
    table = data["categories"]
    for category, values in table["rows"].items():
        for model, value in zip(table["columns"], values, strict=True):
            name = f"{model}, {category.replace('_', ' ')}"
            yield entry(f"category.{category}.{model}", name, float(value), "math category", False, table["instead"])


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Every entry, in the order of the data files: paper, release, deep dive."""
    paper = _read("paper.yaml")
    return (
        *_paper(paper),
        *_release(_read("release.yaml"), paper["benchmarks"]),
        *_deepdive(_read("deepdive.yaml")),
    )


def lookup(ids: Iterable[str]) -> list[Entry]:
    """The entries with these ids, in the order asked for; an id may be a pattern (``paper.t8.*``).

    Raises ``ConfigError`` for an id that matches nothing.
    """
    found: dict[str, Entry] = {}
    for wanted in ids:
        matches = [entry for entry in entries() if fnmatchcase(entry.id, wanted)]
        if not matches:
            raise ConfigError(
                f"sweep.reference: {wanted!r} is no id of the ledger. "
                "Ids look like paper.t5.cot.rl.math, release.rl.cot.math or deepdive.mix_a; a * matches any part."
            )
        found.update((entry.id, entry) for entry in matches)
    return list(found.values())
