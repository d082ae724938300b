"""How a corpus came about: the funnel, the loop round by round, and both against hidden labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dsm_repro.reporting.blocks import Cell, Table, cells, count
from dsm_repro.reporting.corpus import Corpus, printable
from dsm_repro.reporting.sections.corpus_cells import ABSENT, amount, columns, hits_of, ratio, share
from dsm_repro.reporting.values import mapping, number, records

_STEPS = {"distinct_urls": "distinct URLs", "near_deduplicated": "near-deduplicated"}
_HIDDEN_LABELS = "Against the miniature's hidden labels"


def score(value: object) -> Cell:
    found = number(value)
    return ABSENT if found is None else Cell(f"{found:.4f}")


def funnel(one: Corpus) -> list[object]:
    """What every step left, down to what each round collected."""
    steps = one.funnel
    if not steps:
        return []
    lines: list[tuple[str, float, float | None]] = []
    before: float | None = None
    collected = [
        (_number_of(r, i), n) for i, r in enumerate(one.rounds, 1) if (n := number(r.get("pages"))) is not None
    ]
    for name, n in steps:
        if name == "collected" and len(collected) > 1:
            # every round chooses from the same pages
            lines += [(f"collected in round {at}", kept, before) for at, kept in collected[:-1]]
            lines.append((f"collected in round {collected[-1][0]}, the last", n, before))
        else:
            lines.append((_STEPS.get(name, printable(name.replace("_", " "))), n, before))
        before = n
    top = max([n for _, n, _ in lines] + [1.0])
    rows = [cells(said, Cell(count(n), bar=min(max(n / top, 0.0), 1.0)), ratio(n, of)) for said, n, of in lines]
    note = "Each round chooses anew from all decontaminated pages." if len(collected) > 1 else ""
    return [Table("From crawl to corpus", columns("Step", "#Left", "#Of the step before"), rows, note)]


def rounds(one: Corpus) -> list[object]:
    """The loop, a column for each round; beside it the hidden labels, where there are any."""
    if not one.rounds:
        return []
    header = [("", "<"), *((f"Round {_number_of(r, i)}", ">") for i, r in enumerate(one.rounds, 1))]

    def row(name: str, cell: Callable[[Mapping[str, Any]], Cell]) -> list[Cell]:
        return [Cell(name), *(cell(r) for r in one.rounds)]

    table = Table(
        "The loop, round by round",
        header,
        [
            row("Positives", lambda r: amount(r, "positives")),
            row("Negatives", lambda r: amount(r, "negatives")),
            row("Precision, held out", lambda r: _held_out(r, "precision", "false_positives")),
            row("Recall, held out", lambda r: _held_out(r, "recall", "false_negatives")),
            row("Pages scored", lambda r: amount(mapping(r.get("funnel")), "scored")),
            row("Pages collected", lambda r: amount(r, "pages")),
            row("Tokens collected", lambda r: amount(r, "tokens")),
            row("Score of the last page", lambda r: score(r.get("threshold"))),
            row("Already collected in the round before", lambda r: share(r, "overlap")),
            row("Mathematical domains", lambda r: amount(r, "math_domains")),
            row("Collected pages inside them", lambda r: amount(mapping(r.get("funnel")), "in_math_domains")),
            row("URL paths proposed", lambda r: amount(r, "proposed_prefixes")),
            row("URL paths accepted", lambda r: amount(r, "accepted_prefixes")),
            row("New positives for the next round", lambda r: amount(r, "new_positives")),
        ],
        "Held out: pages kept from training, at score 0.5. Its negatives are random pages of the crawl, some of which "
        "are mathematics, so that some of its errors are none. §2.1 stops when about 98% had been collected before.",
    )
    return [table, *_hidden_labels(one)]


def _number_of(state: Mapping[str, Any], position: int) -> str:
    value = number(state.get("round"))
    return str(position) if value is None else f"{value:.0f}"


def _held_out(state: Mapping[str, Any], name: str, error: str) -> Cell:
    if "held_out" not in state:
        return ABSENT
    held_out = mapping(state["held_out"])
    hits, misses = number(held_out.get("true_positives")), number(held_out.get(error))
    of = "" if hits is None or misses is None else f"{count(hits)} of {count(hits + misses)}"
    return share(held_out, name, of)


def _hidden_labels(one: Corpus) -> list[object]:
    """What the loop found of what the miniature hid, by round."""
    checked = records(one.truth.get("rounds"))
    if not checked:
        return []
    rows = []
    for key, name in (
        ("maths", "Mathematical pages"),
        ("good_maths", "Good mathematical pages"),
        ("domains", "Mathematical domains"),
    ):
        for figure, whole, said in (
            ("precision", "found", "precision"),
            ("recall", "true", "share found" if key == "domains" else "recall"),
        ):
            parts = [mapping(r.get(key)) for r in checked]
            rows.append([Cell(f"{name}, {said}"), *(share(p, figure, hits_of(p, whole)) for p in parts)])
            if any("at_full_volume" in r for r in checked):
                parts = [mapping(mapping(r.get("at_full_volume")).get(key)) for r in checked]
                rows.append([Cell(f"{name}, {said}, at full volume"), *(share(p, figure, "") for p in parts)])
    header = [("", "<"), *((f"Round {_number_of(r, i)}", ">") for i, r in enumerate(checked, 1))]
    note = "The miniature web was made with labels that curation never sees; the paper has no such figures."
    if any("at_full_volume" in r for r in checked):
        note += (
            " Rounds collect more and more, and less is more precise for that alone: “at full volume” is what a "
            "round's scores would collect at the volume of the last, so there the rounds can be compared."
        )
    return [Table(_HIDDEN_LABELS, header, rows, note)]
