"""Decontamination: what was looked for, what was found, and the evidence by which a person can judge it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dsm_repro.reporting.blocks import Cell, Table, Text, cells
from dsm_repro.reporting.corpus import Corpus, printable
from dsm_repro.reporting.sections.corpus_cells import NONE, amount, columns, fold, foreign, share
from dsm_repro.reporting.values import items, mapping, number, records

#: key of a row of evidence -> header and cell; the columns are those that the record has, the narrowest first
_COLUMNS: Mapping[str, tuple[str, Callable[[Mapping[str, Any], str], Cell]]] = {
    "url": ("Page", lambda row, key: foreign(row.get(key))),
    "benchmark": ("Benchmark item", lambda row, key: _item(row)),
    "ngram": ("N-gram", lambda row, key: foreign(row.get(key))),
    "pages": ("#Pages with it", amount),
    "document_frequency": ("#Pages with it", amount),
    "domains": ("#Domains with it", amount),
    "grams": ("#Longest passage, grams", amount),
    "coverage": ("#Of the item", share),
    "context": ("In the page's words", lambda row, key: foreign(row.get(key))),
}
_COPIES = ("benchmark", "url", "coverage", "grams", "ngram", "document_frequency", "pages", "domains", "context")
_SHARED = ("benchmark", "ngram", "pages", "domains", "coverage", "url", "context")


def contamination(one: Corpus) -> list[object]:
    """By benchmark, against hidden labels, the clearest copies, and the n-grams that are everybody's."""
    found = mapping(one.record.get("benchmark"))
    if not found:
        return []
    blocks: list[object] = [*_unchecked(one), _benchmarks(found)]
    truth = mapping(one.truth.get("decontamination"))
    if truth:
        pairs = (("leaks_removed", "leaks", "Leaks removed"), ("others_removed", "others", "Other pages removed"))
        rows = [cells(said, amount(truth, part), amount(truth, of)) for part, of, said in pairs]
        caption = "Decontamination against the miniature's hidden labels"
        blocks.append(Table(caption, columns("", "#Pages", "#Of"), rows))
    shown = records(found.get("examples"))
    if shown:
        caption = "Evidence: pages removed, and what they share with a benchmark"
        blocks.append(fold(f"{caption} ({len(shown)} listed)", _evidence(caption, shown, _COPIES)))
    elif number(found.get("pages")) != 0:
        blocks.append(Text("Evidence of the pages removed: not recorded.", "note"))
    common = records(found.get("shared"))
    if common:
        caption = "N-grams of a benchmark that several pages have"
        note = (
            "What many pages and domains have is rather a common phrase or identity than a leak. "
            "Its pages are removed like any other, as §2.1 has it."
        )
        table = _evidence(caption, common, _SHARED, note)
        blocks.append(fold(f"{caption} ({len(common)} listed)", table))
    return blocks


def _unchecked(one: Corpus) -> list[object]:
    names = items(mapping(mapping(one.settings.get("corpus")).get("decontamination")).get("unchecked"))
    if not names:
        return []
    listed = ", ".join(printable(name) for name in names)
    return [Text(f"Not checked, because corpus.decontamination.unchecked names it: {listed}.", "warn")]


def _benchmarks(found: Mapping[str, Any]) -> Table:
    """A row for each benchmark; for a record of before there were several, one for all."""
    by_name = {str(name): mapping(row) for name, row in mapping(found.get("by_benchmark")).items()}
    digests: dict[str, str] = {}
    for identity in map(str, items(found.get("names"))):
        name, at, digest = identity.rpartition("@")
        digests[name if at else identity] = digest if at else ""
    keys = [key for key in ("texts", "solutions", "too_short") if any(key in row for row in by_name.values())]
    said = {"texts": "#Questions", "solutions": "#Solutions", "too_short": "#Too short to check"}
    if not by_name and not digests:
        keys = ["texts", "too_short"]
    rows = [
        [foreign(name), foreign(digests.get(name)), *(amount(row, key) for key in keys), amount(row, "pages")]
        for name, row in {**{key: {} for key in digests}, **by_name}.items()
    ]
    if len(rows) != 1:
        totals = [NONE if rows else amount(found, key) for key in keys]
        rows.append([Cell("All"), NONE, *totals, amount(found, "pages")])
    longest, shortest = number(found.get("ngram")), number(found.get("min_ngram"))
    note = "A page may be removed for several benchmarks." if len(rows) > 1 else ""
    if longest is not None and shortest is not None:
        note = (
            f"A page goes that shares {longest:.0f} grams in a row with a text, or the whole of a text of "
            f"{shortest:.0f} to {longest - 1:.0f} grams. {note}"
        )
    header = columns("Benchmark", "Digest", *(said[key] for key in keys), "#Pages removed")
    return Table("Decontamination", header, rows, note.strip())


def _evidence(caption: str, shown: Sequence[Mapping[str, Any]], order: Sequence[str], note: str = "") -> Table:
    there = [key for key in order if any(key in row for row in shown)]
    rows = [[_COLUMNS[key][1](row, key) for key in there] for row in shown]
    return Table(caption, columns(*(_COLUMNS[key][0] for key in there)), rows, note)


def _item(row: Mapping[str, Any]) -> Cell:
    """Benchmark, item and part, as far as they are recorded."""
    return foreign(" ".join(str(row[key]) for key in ("benchmark", "item", "part") if row.get(key) not in (None, "")))
