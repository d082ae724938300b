"""Answers side by side: the explorer, and a few of its questions for where no script runs."""

from __future__ import annotations

from typing import Any

from dsm_repro.reporting import explorer
from dsm_repro.reporting.blocks import Explorer, Fold, Section, Text, count
from dsm_repro.reporting.measures import Measured, Results
from dsm_repro.reporting.records import Sweep

_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 900


def section(sweep: Sweep, results: Results) -> Section | None:
    """None where nothing was answered."""
    chosen = explorer.choose(results)
    if chosen is None or not chosen.questions:
        return None
    block = Explorer(explorer.script(chosen.data), _note(chosen), _fallback(results))
    return Section("examples", "Answers side by side", [block, Text(_whole(sweep), "note")])


def _note(chosen: explorer.Chosen) -> str:
    if chosen.questions == chosen.of_questions:
        which = f"All {count(chosen.questions)} questions are here"
    else:
        every = (
            f"all {count(chosen.split)}"
            if chosen.split == chosen.of_split
            else (f"{count(chosen.split)} of the {count(chosen.of_split)}")
        )
        which = (
            f"{count(chosen.questions)} of {count(chosen.of_questions)} questions are here: "
            f"{every} on which the arms disagree, and "
            f"{count(chosen.questions - chosen.split)} others; categories take turns, in the order of the ids. "
            "Their shares say nothing about accuracy"
        )
    return f"{which}. Shown is the answer of each arm's first seed, and how many of its seeds were right."


def _whole(sweep: Sweep) -> str:
    evaluations = {run.keys["evaluate"] for run in sweep.runs if run.evaluation is not None}
    return (
        f"Every status is in answers.csv. The full text of every answer, of all seeds, is in the store: samples.jsonl "
        f"of {count(len(evaluations))} evaluations, whose keys are under “Keys of every run”."
    )


def _fallback(results: Results) -> list[object]:
    """Questions that the two arms of the first measured comparison answer differently, first seed of each."""
    for c in results.compared:
        if c.difference is None:
            continue
        a, b = (results.measured[side] for side in zip((c.a, c.b), c.columns, strict=True))
        folds = [*_examples(a, b), *_examples(b, a)]
        if folds:
            intro = f"The first few answers on which {c.a} and {c.b} differ ({c.column}), as the models wrote them."
            return [Text(intro), *folds]
    return []


def _examples(right: Measured, wrong: Measured) -> list[Fold]:
    other = wrong.samples[0]
    found: list[Fold] = []
    for q in sorted(right.questions):
        if len(found) == _EXAMPLES:
            break
        if q in other and right.samples[0][q].get("correct") and not other[q].get("correct"):
            sample = right.samples[0][q]
            question = " ".join(str(sample.get("question") or q).split())
            code = "\n\n".join(
                f"{arm}: {s.get('status')}, answer {s.get('extracted')!r}, gold {s.get('gold')!r}\n{_completion(s)}"
                for arm, s in ((right.arm, sample), (wrong.arm, other[q]))
            )
            found.append(Fold(f"{right.arm} right, {wrong.arm} wrong: {question[:160]}", code))
    return found


def _completion(sample: dict[str, Any]) -> str:
    text = str(sample.get("completion") or "").strip()
    if len(text) > _EXAMPLE_CHARACTERS:
        text = f"{text[:_EXAMPLE_CHARACTERS]} …"
    return text + (f"\n→ printed: {str(sample['output']).strip()[:200]}" if sample.get("output") else "")
