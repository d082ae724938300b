"""What a corpus consists of: scores and their cut, page lengths, domains, source types, languages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dsm_repro.reporting.blocks import Figure, Table, cells, count
from dsm_repro.reporting.corpus import Corpus, Histogram, histogram, printable
from dsm_repro.reporting.corpus_plots import calibration, figure_name
from dsm_repro.reporting.sections.corpus_cells import Cell, amount, columns, fold, folded, foreign, percent, ratio
from dsm_repro.reporting.values import mapping, number, records


def scores(one: Corpus, found: Sequence[Corpus], drawn: Collection[str]) -> list[object]:
    """Histogram of the last round's scores with the cut, and how far a score can be taken as a probability."""
    blocks: list[object] = []
    scored, bins = histogram(one.record.get("histogram")), calibration(one)
    name = f"{figure_name('scores', one, found)}.svg"
    if name in drawn and (scored is not None or bins):
        parts = []
        if scored is not None:
            parts.append("Scores of the last round; what is right of the cut fills the tokens asked for.")
        if bins:
            parts.append(
                "Calibration: of held-out pages with this score, the share that stood on the positive side "
                "(bars: 95%, Wilson; dotted: score = share)."
            )
        alt = "Histogram of scores with the cut, and calibration of the classifier; the numbers are folded below."
        blocks.append(Figure(name, alt, " ".join(parts)))
    if scored is not None:
        header = columns("Score", "#Pages", "#Collected")
        blocks.append(fold("Scores as numbers", Table("Pages by score", header, _bins(scored, "{:.2f}"))))
    if bins:
        rows = [cells(f"{b['low']:.2f}–{b['high']:.2f}", count(b["pages"]), percent(b["positive_share"])) for b in bins]
        header = columns("Score", "#Held-out pages", "#Of them positives")
        blocks.append(fold("Calibration as numbers", Table("Calibration of the last round", header, rows)))
    return blocks


def _bins(bars: Histogram, form: str) -> list[list[Cell]]:
    rows = []
    for low, high, pages, collected in zip(bars.edges, bars.edges[1:], bars.pages, bars.collected, strict=False):
        ends = [form.format(edge) for edge in (low, high) if edge is not None]
        said = "–".join(ends) if len(ends) == 2 else f"{'from' if high is None else 'below'} {''.join(ends)}"
        rows.append(cells(said, count(pages), count(collected)))
    return rows


def composition(one: Corpus, found: Sequence[Corpus], drawn: Collection[str]) -> list[object]:
    """By source type, language, domain, and page length."""
    parts = mapping(one.part("composition"))
    blocks: list[object] = []
    for key, said in (("source_type", "Source type"), ("language", "Language")):
        rows = [{**mapping(row), "name": name} for name, row in mapping(parts.get(key)).items()]
        if rows:
            rows.sort(key=_largest_first)
            table = _table(f"By {said.lower()}", said, rows, _sum(rows, "collected_tokens"))
            blocks += folded(table, f"{said.lower()}s")
    rows = [{**row, "name": row.get("domain")} for row in records(parts.get("domain"))]
    if rows:
        # only the largest domains are recorded, so their sum is not the corpus
        note = "The domains that gave most tokens."
        table = _table("By domain", "Domain", rows, number(one.record.get("tokens")), note)
        blocks += folded(table, "domains")
    lengths = histogram(parts.get("tokens"))
    name = f"{figure_name('lengths', one, found)}.svg"
    if lengths is not None and name in drawn:
        alt = "Histogram of page lengths in tokens; the numbers are folded below."
        blocks.append(Figure(name, alt, "Length of the pages, in tokens."))
    if lengths is not None:
        header = columns("Tokens", "#Pages", "#Collected")
        blocks.append(fold("Page lengths as numbers", Table("Pages by length", header, _bins(lengths, "{:,.0f}"))))
    return blocks


def _largest_first(row: Mapping[str, Any]) -> tuple[float, float, str]:
    return (-(number(row.get("collected_tokens")) or 0.0), -(number(row.get("tokens")) or 0.0), str(row["name"]))


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(number(row.get(name)) or 0.0 for row in rows)


def _table(caption: str, what: str, rows: Sequence[Mapping[str, Any]], tokens: float | None, note: str = "") -> Table:
    """``tokens`` are those of the whole corpus. Before anything was collected only pages and tokens are shown."""
    if not any("collected" in row or "collected_tokens" in row for row in rows):
        header = columns(what, "#Pages", "#Tokens")
        return Table(caption, header, [cells(_name(r), amount(r, "pages"), amount(r, "tokens")) for r in rows], note)
    header = columns(what, "#Pages", "#Tokens", "#Collected", "#Of its pages", "#Tokens collected", "#Of the corpus")
    lines = [
        cells(
            _name(row),
            amount(row, "pages"),
            amount(row, "tokens"),
            amount(row, "collected"),
            ratio(row.get("collected"), row.get("pages")),
            amount(row, "collected_tokens"),
            _of_corpus(number(row.get("collected_tokens")), tokens),
        )
        for row in rows
    ]
    return Table(caption, header, lines, note)


def _name(row: Mapping[str, Any]) -> Cell:
    if not row["name"]:
        return Cell("not known", tone="muted")
    return foreign(row["name"]) if "domain" in row else Cell(printable(row["name"]))


def _of_corpus(value: float | None, tokens: float | None) -> Cell:
    if value is None or not tokens:
        return ratio(None, None)
    part = min(max(value / tokens, 0.0), 1.0)
    return Cell(percent(value / tokens), bar=part)
