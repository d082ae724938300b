"""``dsm grade``: verdicts of one or more graders on a file of answers, and where the graders disagree.

A line of the input is a JSON object with ``id``, ``gold``, and ``prediction`` (null: none was found) or a whole
``completion``, from which the answer is extracted. A line of the output is one verdict: ``id``, ``grader`` (its id with
versions), ``verdict``, ``reason``, ``extracted``, ``how`` it was extracted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.reasoning.answers import answer_to
from dsm_repro.reasoning.grading.grader import Grader
from dsm_repro.reasoning.grading.registry import rule_set

#: lines held in memory at once
BATCH = 2_000


@dataclass
class Tally:
    """What the graders said, counted: all that is kept of a file of any length."""

    graders: tuple[str, ...]
    lines: int = 0
    #: grader -> verdict -> lines
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    #: (a, b) -> lines that a calls correct and b does not
    disagreements: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, statuses: Mapping[str, str]) -> None:
        self.lines += 1
        for name, status in statuses.items():
            self.verdicts.setdefault(name, Counter())[status] += 1
        for a in self.graders:
            for b in self.graders:
                if statuses[a] == "correct" != statuses[b]:
                    self.disagreements[a, b] += 1


@dataclass(frozen=True)
class _Line:
    id: Any
    gold: str
    prediction: str | None
    how: str


def grade_file(path: Path, graders: Sequence[str], out: Path, timeout: float, workers: int = 1) -> Tally:
    """Grade every line of ``path`` with every grader and write the verdicts to ``out``; ConfigError for a bad line."""
    names = tuple(dict.fromkeys(graders))
    if not names:
        raise ConfigError("--graders: empty. Name at least one.")
    for name in names:
        rule_set(name, "--graders")
    if out.resolve() == path.resolve():
        raise ConfigError(f"--out={out}: is the file of answers. Give another.")
    tally = Tally(names)
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as target:
            opened = {name: Grader(GraderConfig(name=name, timeout=timeout), workers) for name in names}
            try:
                lines = _read(path)
                while batch := list(islice(lines, BATCH)):
                    for row in _grade(batch, opened, tally):
                        target.write(json.dumps(row) + "\n")
            finally:
                for grader in opened.values():
                    grader.close()
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}. Check FILE and --out.") from error
    finally:
        partial.unlink(missing_ok=True)
    return tally


def _grade(batch: Sequence[_Line], graders: Mapping[str, Grader], tally: Tally) -> Iterator[dict[str, Any]]:
    pairs = [(line.prediction, line.gold) for line in batch]
    columns = {name: grader.grade_many(pairs) for name, grader in graders.items()}
    for i, line in enumerate(batch):
        tally.add({name: column[i].status for name, column in columns.items()})
        for name, grader in graders.items():
            verdict = columns[name][i]
            yield {
                "id": line.id,
                "grader": grader.id,
                "verdict": verdict.status,
                "reason": verdict.reason,
                "extracted": line.prediction,
                "how": line.how,
            }


def _read(path: Path) -> Iterator[_Line]:
    # U+FFFD for bytes that are no UTF-8: an answer may be anything, and is graded all the same.
    with path.open(encoding="utf-8", errors="replace", newline="\n") as source:
        for number, text in enumerate(source, start=1):
            if text.strip():
                yield _line(text, f"{path}:{number}")


def _line(text: str, where: str) -> _Line:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not a JSON object ({error}). Write one a line.") from None
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: not a JSON object but a {type(row).__name__}. Write one a line.")
    for key in ("id", "gold"):
        if key not in row:
            raise ConfigError(f"{where}: no key {key}. A line has id, gold, and prediction or completion.")
    gold = _text(row["gold"], "gold", where)
    if ("prediction" in row) == ("completion" in row):
        raise ConfigError(f"{where}: give either prediction or completion.")
    if "prediction" in row:
        prediction = None if row["prediction"] is None else _text(row["prediction"], "prediction", where)
        return _Line(row["id"], gold, prediction, "given")
    found = answer_to(gold, _text(row["completion"], "completion", where))
    return _Line(row["id"], gold, found.answer, found.how)


def _text(value: object, key: str, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"{where}: {key}={value!r}: not a text or a number. Quote it.")
    return str(value)


def table(tally: Tally) -> str:
    """Accuracy of each grader; then how many lines the one of the row calls correct and the one of the column not."""
    width = max(len(name) for name in (*tally.graders, "ungradable"))
    heads = ("accuracy", "correct", "incorrect", "no_answer", "ungradable")
    rows = [_row(f"{tally.lines} lines", heads, width)]
    for name in tally.graders:
        counts = tally.verdicts.get(name, Counter())
        accuracy = f"{counts['correct'] / tally.lines:.4f}" if tally.lines else "-"
        rows.append(_row(name, (accuracy, *(str(counts[head]) for head in heads[1:])), width))
    if len(tally.graders) > 1:
        rows += ["", _row("correct, but not for", tally.graders, width)]
        for a in tally.graders:
            rows.append(_row(a, tuple("" if a == b else str(tally.disagreements[a, b]) for b in tally.graders), width))
    return "\n".join(rows)


def _row(head: str, cells: Sequence[str], width: int) -> str:
    return (f"{head:<22}" + "".join(f"{cell:>{width + 2}}" for cell in cells)).rstrip()
