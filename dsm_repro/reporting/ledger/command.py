"""``dsm ledger``: the published numbers, chosen by id, table and benchmark, as a table, JSON or CSV.

On a terminal, numbers of one table and protocol stand together, so that what their columns share is said once; piped,
every row says everything.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.reporting.ledger import Entry, Order, everything, matching

if TYPE_CHECKING:
    from rich.table import Table

Item = Entry | Order

#: head of a column -> the field of a row that it prints
COLUMNS = {
    "id": "id",
    "table": "table",
    "model": "model",
    "benchmark": "benchmark",
    "value": "value",
    "n": "n",
    "standard error": "standard_error",
    "protocol": "protocol",
    "source": "source",
    "in the paper": "in_paper",
    "what the paper has": "instead",
}
#: on a terminal
_VALUE = "value ± s.e."
#: characters of an id that a terminal's table does not fold
_WHOLE_ID = 40
#: near misses that an error names
_NEAREST = 5


def select(patterns: Sequence[str], table: str = "", benchmark: str = "") -> list[Item]:
    """The entries and orders with one of these ids (all without any), of this table, of this benchmark.

    Raises ``ConfigError`` for a pattern, table or benchmark that the ledger does not have, naming the nearest that it
    has, and where no entry meets all of them.
    """
    known = everything()
    wanted = {item.id for pattern in patterns or ("*",) for item in _of_id(pattern)}
    if table:
        _known("--table", table, (item.table for item in known))
    if benchmark:
        _known("--benchmark", benchmark, (name for item in known for name in _benchmarks(item)))
    found = [
        item
        for item in known
        if item.id in wanted
        and (not table or item.table.lower() == table.lower())
        and (not benchmark or benchmark.lower() in _benchmarks(item))
    ]
    if not found:
        words = [
            *patterns,
            *([f"--table={table}"] if table else []),
            *([f"--benchmark={benchmark}"] if benchmark else []),
        ]
        raise ConfigError(f"{' '.join(words)}: no entry of the ledger meets all of these. Leave one out.")
    return found


def _benchmarks(item: Item) -> list[str]:
    """A figure may be of several benchmarks."""
    return item.benchmark.lower().split(", ")


def _of_id(pattern: str) -> list[Item]:
    found = matching(pattern)
    if not found:
        below = matching(f"{pattern.rstrip('.*')}.*")
        near = [f"{pattern.rstrip('.*')}.*"] if below else _near(pattern, [item.id for item in everything()])
        raise ConfigError(f"{pattern}: no id of the ledger. Nearest: {', '.join(near)}. A * matches any part.")
    return found


def _known(option: str, value: str, known: Iterable[str]) -> None:
    names = {name.lower(): name for name in known}
    if value.lower() not in names:
        near = [names[name] for name in _near(value.lower(), list(names))]
        raise ConfigError(f"{option}={value}: not in the ledger. Nearest: {', '.join(near)}.")


def _near(word: str, known: list[str]) -> list[str]:
    """The most alike, the best first; where nothing is much alike, the least unlike."""
    close = get_close_matches(word, known, n=_NEAREST, cutoff=0.5)
    return close or get_close_matches(word, known, n=_NEAREST, cutoff=0)


def row(item: Item) -> dict[str, Any]:
    """Everything the ledger says of one item; an order has no value, and what it orders under ``order``."""
    order = [asdict(pair) for pair in item.order] if isinstance(item, Order) else []
    number = item if isinstance(item, Entry) else None
    return {
        "id": item.id,
        "table": item.table,
        "model": item.model,
        "benchmark": item.benchmark,
        "value": number.value if number else None,
        "n": number.n if number else None,
        "standard_error": _digits(number.standard_error) if number else None,
        "protocol": item.protocol,
        "source": item.source,
        "in_paper": number.in_paper if number else True,
        "instead": number.instead if number else "",
        "order": order,
    }


def _digits(error: float | None) -> float | None:
    return None if error is None else float(f"{error:.4g}")


def as_json(items: Sequence[Item]) -> str:
    return json.dumps([row(item) for item in items], ensure_ascii=False, indent=2)


def as_csv(items: Sequence[Item]) -> str:
    """One line for each item, an order in words."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*COLUMNS.values(), "order"], lineterminator="\n")
    writer.writeheader()
    for item in items:
        writer.writerow({**row(item), "order": item.text if isinstance(item, Order) else ""})
    return out.getvalue().rstrip("\n")


def _words(item: Item) -> dict[str, str]:
    """A row as a person reads it. The last two columns are of the secondary summary only."""
    words = {name: "" if value is None else str(value) for name, value in row(item).items()}
    if isinstance(item, Order):
        words["value"] = item.text
    elif item.standard_error is not None:
        words["standard_error"] = f"{item.standard_error:.2f}"
    summary = bool(words["instead"])
    words["in_paper"] = ("yes" if row(item)["in_paper"] else "not in the paper") if summary else ""
    return words


def _heads(rows: Sequence[dict[str, str]]) -> list[str]:
    """The columns in which anything stands."""
    return [head for head, name in COLUMNS.items() if any(words[name] for words in rows)]


def as_text(items: Sequence[Item]) -> str:
    """One line for each item, its columns aligned, for a pipe: no line is wrapped, nothing is cut."""
    rows = [_words(item) for item in items]
    heads = _heads(rows)
    lines = [heads, *([words[COLUMNS[head]] or "-" for head in heads] for words in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def as_tables(items: Sequence[Item]) -> list[Table]:
    """A table of ``rich`` for all items that share table, protocol and source, in the order of their first.

    Narrower than the columns of a pipe: a number stands with its standard error, "not in the paper" with what is.
    """
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        groups.setdefault((item.table, item.protocol, item.source), []).append(item)
    tables = []
    for shared, group in groups.items():
        rows = [_cells(_words(item)) for item in group]
        heads = [head for head in rows[0] if any(row[head] for row in rows)]
        title = escape(" · ".join(dict.fromkeys(shared)))
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for head in heads:
            number = head == "n" or (head == _VALUE and isinstance(group[0], Entry))
            whole = number or (head == "id" and max(len(row[head]) for row in rows) <= _WHOLE_ID)
            table.add_column(head, justify="right" if number else "left", no_wrap=whole, overflow="fold")
        for row in rows:
            table.add_row(*(escape(row[head]) for head in heads))
        tables.append(table)
    return tables


def _cells(words: dict[str, str]) -> dict[str, str]:
    """A row of a terminal's table."""
    error = words["standard_error"]
    return {
        "id": words["id"],
        "model": words["model"],
        "benchmark": words["benchmark"],
        _VALUE: words["value"] + (f" ± {error}" if error else ""),
        "n": words["n"],
        "in the paper": ": ".join(filter(None, (words["in_paper"], words["instead"]))),
    }
