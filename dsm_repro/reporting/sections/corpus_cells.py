"""Cells and tables that the sections on the corpus share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsm_repro.reporting.blocks import DASH, Cell, Fold, Table, count
from dsm_repro.reporting.corpus import printable
from dsm_repro.reporting.values import items, number

#: rows of a table that stand open; the others are folded away
OPEN_ROWS = 10
#: rows of one table that the page has room for; record.json has all of them
MOST_ROWS = 100
_EXAMPLES = 3

ABSENT = Cell("not recorded", tone="muted")
NONE = Cell(DASH, tone="muted")


def foreign(value: object) -> Cell:
    """A text by a stranger, in a code span, so that neither the page nor Markdown makes a link of it."""
    return Cell(printable(value), mono=True) if value not in (None, "") else NONE


def examples(value: object) -> Cell:
    """A few addresses, in one cell."""
    shown = [printable(item) for item in items(value)[:_EXAMPLES]]
    return Cell(" · ".join(shown), mono=True) if shown else NONE


def amount(row: Mapping[str, Any], name: str, of: float | None = None) -> Cell:
    """A count; with ``of`` a bar of its share besides."""
    if name not in row:
        return ABSENT
    value = number(row[name])
    if value is None:
        return NONE
    bar = min(max(value / of, 0.0), 1.0) if of else None
    return Cell(count(value), bar=bar)


def share(row: Mapping[str, Any], name: str, small: str = "") -> Cell:
    """A share of 1 as per cent."""
    if name not in row:
        return ABSENT
    value = number(row[name])
    return NONE if value is None else Cell(percent(value), small=small)


def hits_of(row: Mapping[str, Any], whole: str) -> str:
    """ "887 of 939", of figures against hidden labels; empty where a count is missing."""
    hits, there = number(row.get("hits")), number(row.get(whole))
    return "" if hits is None or there is None else f"{count(hits)} of {count(there)}"


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def ratio(part: object, whole: object) -> Cell:
    """One count of another, as per cent."""
    a, b = number(part), number(whole)
    return NONE if a is None or not b else Cell(percent(a / b))


def folded(table: Table, what: str) -> list[object]:
    """The table, with what is beyond ``OPEN_ROWS`` behind a fold and what is beyond ``MOST_ROWS`` counted only."""
    if len(table.rows) <= OPEN_ROWS:
        return [table]
    rest = table.rows[OPEN_ROWS:MOST_ROWS]
    more = f"{count(len(table.rows) - OPEN_ROWS)} more {what}"
    head = Table(table.caption, table.columns, table.rows[:OPEN_ROWS], table.note)
    tail = Table(f"{table.caption}, continued", table.columns, rest, unlisted(len(table.rows)))
    return [head, Fold(more, blocks=[tail])]


def unlisted(rows: int) -> str:
    """A note on rows that the page has no room for; empty where it has."""
    return f"{MOST_ROWS} of {count(rows)} are listed; record.json has all of them." if rows > MOST_ROWS else ""


def fold(summary: str, table: Table) -> Fold:
    """The whole table behind a fold, up to ``MOST_ROWS``."""
    note = " ".join(filter(None, (table.note, unlisted(len(table.rows)))))
    return Fold(summary, blocks=[Table(table.caption, table.columns, table.rows[:MOST_ROWS], note)])


def columns(*names: str) -> Sequence[tuple[str, str]]:
    """Headers; one that begins with "#" is of numbers."""
    return [(name.lstrip("#"), ">" if name.startswith("#") else "<") for name in names]
