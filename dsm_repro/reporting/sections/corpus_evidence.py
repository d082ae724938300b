"""Why pages are in a corpus or out of it: mathematical domains, reviewed paths, near-duplicates, drops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsm_repro.reporting.blocks import Cell, Table, Text, cells, count
from dsm_repro.reporting.corpus import Corpus, printable
from dsm_repro.reporting.sections.corpus_cells import (
    ABSENT,
    NONE,
    OPEN_ROWS,
    amount,
    columns,
    examples,
    fold,
    folded,
    foreign,
    hits_of,
    percent,
    share,
)
from dsm_repro.reporting.values import mapping, number, records

_BY_RULE = "auto"
_HIDDEN_LABELS = "against the miniature's hidden labels"


def domains(one: Corpus) -> list[object]:
    """The newly found of every round, and all that the last round calls mathematical."""
    blocks: list[object] = []
    rounds = [(r.get("round", i), records(r["new_domains"])) for i, r in enumerate(one.rounds, 1) if "new_domains" in r]
    threshold = number(mapping(one.settings.get("corpus")).get("domain_threshold"))
    if rounds:
        more = f"more than {100 * threshold:g}%" if threshold is not None else "more than a set share"
        blocks.append(Text(f"A domain is mathematical when {more} of its pages in the whole crawl were collected."))
    header = columns("Domain", "#Pages", "#Collected", "#Share", "Examples")
    compact = sum(len(found) for _, found in rounds) <= OPEN_ROWS
    for number_, found in rounds:
        caption = f"Mathematical domains newly found in round {printable(number_)}"
        if not found:
            blocks.append(Text(f"Round {printable(number_)} found no new mathematical domain."))
            continue
        table = Table(caption, header, [_domain(row) for row in found])
        said = f"{caption} ({len(found)} listed)"
        blocks.append(table if compact else fold(said, table))
    final = records(one.record.get("domains"))
    if final:
        final.sort(key=lambda row: (-(number(row.get("collected")) or 0.0), str(row.get("domain"))))
        rows = [[*_domain(row)[:-1], amount(row, "first_round"), _domain(row)[-1]] for row in final]
        header = columns("Domain", "#Pages", "#Collected", "#Share", "#First found in round", "Examples")
        table = Table("Mathematical domains after the last round", header, rows)
        blocks.append(fold(f"All {count(len(final))} mathematical domains after the last round", table))
    elif "domains" in one.record:
        blocks.append(Text("No domain is mathematical after the last round."))
    return blocks


def _domain(row: Mapping[str, Any]) -> list[Cell]:
    found = examples(row["examples"]) if "examples" in row else ABSENT
    return [foreign(row.get("domain")), amount(row, "pages"), amount(row, "collected"), share(row, "share"), found]


def reviews(one: Corpus) -> list[object]:
    """Decisions on URL paths, and who took them."""
    if "reviews" not in one.record:
        return []
    decided = records(one.record["reviews"])
    if not decided:
        return [Text("No URL path was put up for review.")]
    by_rule = sum(row.get("by") == _BY_RULE for row in decided)
    accepted = sum(row.get("accepted") is True for row in decided)
    said = f"{count(accepted)} of {count(len(decided))} reviewed URL paths were accepted. "
    if by_rule == len(decided):
        rule = "No person looked at them: corpus.review=auto decides by the share of a path's own pages collected."
        blocks: list[object] = [Text(said + rule, "warn")]
    elif by_rule:
        blocks = [Text(f"{said}{count(by_rule)} were decided by rule (auto), not by a person.", "warn")]
    else:
        unsigned = sum(row.get("by") in (None, "") for row in decided)
        who = f"who decided is not recorded for {count(unsigned)} of them" if unsigned else "a person decided each"
        blocks = [Text(f"{said[:-2]}; {who}.")]
    # what changed the corpus first
    decided.sort(key=lambda row: (number(row.get("round")) or 0.0, row.get("accepted") is not True))
    header = columns("URL path", "#Round", "#Pages", "#Collected", "#Share", "Decision", "By", "Samples not collected")
    return [*blocks, *folded(Table("Reviewed URL paths", header, [_review(row) for row in decided]), "URL paths")]


def _review(row: Mapping[str, Any]) -> list[Cell]:
    decision = Cell("undecided", tone="warn")
    if isinstance(row.get("accepted"), bool):
        decision = Cell("accepted", tone="good") if row["accepted"] else Cell("rejected", tone="muted")
    by = Cell(_BY_RULE, tone="warn") if row.get("by") == _BY_RULE else foreign(row.get("by"))
    return [
        foreign(f"{row.get('domain') or ''}{row.get('path') or ''}"),
        amount(row, "round"),
        amount(row, "pages"),
        amount(row, "collected"),
        share(row, "share"),
        decision,
        by,
        examples(row["samples"]) if "samples" in row else ABSENT,
    ]


def duplicates(one: Corpus, shown_with: str) -> list[object]:
    """Near-duplicates of the crawl. ``shown_with`` is the corpus that shows the same crawl already, or empty."""
    found = mapping(one.part("duplicates"))
    if not found:
        return []
    if shown_with:
        return [Text(f"Near-duplicates: those of the same crawl, shown under {shown_with}.")]
    rows = [
        cells("Pairs proposed by banding", amount(found, "proposed_pairs")),
        cells("Pairs verified by exact Jaccard similarity", amount(found, "verified_pairs")),
        cells("Groups", amount(found, "groups")),
        cells("Pages removed", amount(found, "pages")),
    ]
    truth = mapping(one.truth.get("near_duplicate_pairs"))
    if truth:
        rows += [
            cells(f"Pairs, precision, {_HIDDEN_LABELS}", share(truth, "precision", hits_of(truth, "found"))),
            cells(f"Pairs, recall, {_HIDDEN_LABELS}", share(truth, "recall", hits_of(truth, "true"))),
        ]
    blocks: list[object] = [Table("Near-duplicates", columns("Figure", "#Value"), rows)]
    if records(found.get("examples")):
        header = columns("Jaccard", "Kept", "Dropped")
        pairs = [
            cells(_similarity(row.get("jaccard")), foreign(row.get("kept")), foreign(row.get("dropped")))
            for row in records(found["examples"])
        ]
        blocks.append(fold("Examples of near-duplicates", Table("Examples of near-duplicates", header, pairs)))
    return blocks


def _similarity(value: object) -> Cell:
    found = number(value)
    return NONE if found is None else Cell(f"{found:.3f}")


def drops(one: Corpus) -> list[object]:
    """Every reason for which a record left, with examples."""
    if one.part("drops") is None:
        return []
    counts = {str(name): n for name, value in mapping(one.part("drops")).items() if (n := number(value)) is not None}
    if not counts:
        return [Text("No record was dropped.")]
    total = dict(one.funnel).get("records")
    rows = [
        cells(_reason(name), count(n), Cell(percent(n / total), bar=min(n / total, 1.0)) if total else NONE)
        for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    table = Table("Records dropped, by reason", columns("Reason", "#Records", "#Of all records"), rows)
    blocks: list[object] = [table]
    shown = {str(name): records(value) for name, value in mapping(one.part("drop_examples")).items()}
    lines = [
        cells(_reason(name), foreign(row.get("url")), foreign(row.get("source")), foreign(row.get("detail")))
        for name in sorted(shown, key=lambda name: (-counts.get(name, 0.0), name))
        for row in shown[name]
    ]
    if lines:
        header = columns("Reason", "URL", "Where it lies", "Detail")
        blocks.append(fold("Examples of dropped records", Table("Examples of dropped records", header, lines)))
    else:
        blocks.append(Text("Examples of dropped records: not recorded.", "note"))
    return blocks


def _reason(name: str) -> str:
    return printable(name.replace("_", " "))
