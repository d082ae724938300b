"""The ledger: every published number a report is set beside, each with an id.

Three files of numbers, kept apart: ``paper.yaml`` (Tables 1-9 of arXiv:2402.03300, and the majority vote of its
abstract), ``release.yaml`` (the released ``evaluation_results.json``) and ``deepdive.yaml`` (a secondary summary, whose
figures are marked where the paper does not have them, with what it has instead).

Figures of the paper that print no values (1, 3, 5, 6, 7) have an order (``orders.yaml``): no number is read off a plot.
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

#: how an order's relation is printed
RELATIONS = {"greater": ">", "comparable": "≈", "not_greater": "not above"}


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


@dataclass(frozen=True)
class Pair:
    """What the paper says of two curves or lines: ``a`` is greater than, comparable to or not greater than ``b``."""

    a: str
    #: greater | comparable | not_greater
    relation: str
    b: str
    #: where on the curves, empty for all along
    when: str = ""

    def __str__(self) -> str:
        return f"{self.a} {RELATIONS[self.relation]} {self.b}" + (f" ({self.when})" if self.when else "")


@dataclass(frozen=True)
class Order:
    """What a figure without printed values shows: an order, and no number."""

    id: str
    #: "Figure 5"
    table: str
    model: str
    benchmark: str
    order: tuple[Pair, ...]
    protocol: str
    source: str

    @property
    def text(self) -> str:
        return "; ".join(map(str, self.order))


def _read(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(text, Loader=loader))  # a safe loader; the C one where it is built


def _protocol(block: dict[str, Any], name: str) -> str:
    """The protocol of one number of a block, where a part of the block has its own."""
    own = (text for pattern, text in block.get("protocols", {}).items() if fnmatchcase(name, pattern))
    return str(next(own, block["protocol"]))


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
                        protocol=_protocol(table, f"{row}.{benchmark}"),
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
                protocol=_protocol(values, benchmark),
                source=data["source"],
            )


def _deepdive(data: dict[str, Any], questions: dict[str, int | None]) -> Iterator[Entry]:
    def entry(key: str, model: str, benchmark: str, value: float, n: int | None, in_paper: bool, instead: str) -> Entry:
        source = data["source"]
        return Entry(
            f"deepdive.{key}", "deep dive", model, benchmark, value, n, "not stated", source, in_paper, instead
        )

    for key, item in data["entries"].items():
        benchmark = item.get("benchmark", "math")
        n = questions.get(benchmark)
        yield entry(key, item["model"], benchmark, float(item["value"]), n, bool(item["in_paper"]), item["instead"])
    table = data["categories"]
    for category, values in table["rows"].items():
        n = table["questions"][category]
        for model, value in zip(table["columns"], values, strict=True):
            name = f"{model}, {category.replace('_', ' ')}"
            yield entry(f"category.{category}.{model}", name, "math category", float(value), n, False, table["instead"])


def _orders(data: dict[str, Any]) -> Iterator[Order]:
    for key, item in data["orders"].items():
        yield Order(
            id=f"paper.{key}.order",
            table=item["figure"],
            model=item["model"],
            benchmark=item["benchmark"],
            order=tuple(Pair(*pair) for pair in item["pairs"]),
            protocol=item["protocol"],
            source=f"arXiv:2402.03300 {item['source']}",
        )


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Every entry, in the order of the data files: paper, release, deep dive."""
    paper = _read("paper.yaml")
    return (
        *_paper(paper),
        *_release(_read("release.yaml"), paper["benchmarks"]),
        *_deepdive(_read("deepdive.yaml"), paper["benchmarks"]),
    )


@lru_cache(maxsize=1)
def orders() -> tuple[Order, ...]:
    """The orders of the figures without printed values."""
    return tuple(_orders(_read("orders.yaml")))


def everything() -> list[Entry | Order]:
    """All entries, then all orders."""
    return [*entries(), *orders()]


def matching(pattern: str) -> list[Entry | Order]:
    """What has this id, or an id of this pattern (``paper.t8.*``), in the order of the data files."""
    return [item for item in everything() if fnmatchcase(item.id, pattern)]


def lookup(ids: Iterable[str]) -> list[Entry | Order]:
    """The entries and orders with these ids, in the order asked for; an id may be a pattern (``paper.t8.*``).

    Raises ``ConfigError`` for an id that matches nothing.
    """
    found: dict[str, Entry | Order] = {}
    for wanted in ids:
        matches = matching(wanted)
        if not matches:
            raise ConfigError(
                f"sweep.reference: {wanted!r} is no id of the ledger. Ids look like paper.t5.cot.rl.math, "
                "paper.fig5.order, release.rl.cot.math or deepdive.mix_a; a * matches any part. `dsm ledger` "
                "lists them."
            )
        found.update((item.id, item) for item in matches)
    return list(found.values())
