"""The grader on the gold answers of MATH and GSM8K: what it says of them, and its speed beside stock math-verify.

    DSM_DATA=DATA python benchmarks/grading.py [--part answers,speed] [--grader math_verify] [--pairs 2000] [--rounds 3]

DATA holds `math/answers.jsonl` (a line: `answer`) and `gsm8k/{train,test}.jsonl`.

`answers`: each gold answer against itself, against itself in another spelling, and against its neighbour's. What is not
correct for itself, and what is correct for a neighbour whose text differs, is listed in full.

`speed`: seconds for the same pairs in one run, taking turns. Ours is one caller with one killable worker; stock is
`verify(parse(gold), parse(prediction))` in the caller's own process, with the library's default alarms. The imports and
the start of the worker are in neither. Caches of both are emptied before each round.

- GSM8K: the test answers, half against themselves and half against their neighbours'.
- MATH: half against themselves, a quarter against another spelling, a quarter against their neighbours'.
- The same of those that are no plain number.
- The neighbours that our rules leave open, so that both sides parse: what the pipe to the worker costs.

Not measured: several workers, which divide only what the parser decides.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.reasoning.grading import Grader, estimate, exact, structure, units

Pair = tuple[str, str]


def gold_answers() -> tuple[list[str], list[str]]:
    folder = Path(os.environ.get("DSM_DATA", "data"))
    math = [json.loads(line)["answer"] for line in (folder / "math/answers.jsonl").read_text().splitlines()]
    solved = [(folder / f"gsm8k/{part}.jsonl").read_text().splitlines() for part in ("train", "test")]
    return math, [json.loads(line)["answer"].rsplit("#### ", 1)[1] for part in solved for line in part]


def respelled(answer: str) -> str:
    """Another way to write the same: display fractions, large brackets, spaces, delimiters, a full stop."""
    answer = re.sub(r"\\[dt]?frac(?![a-z])", r"\\dfrac", answer)
    if "+" in answer or not re.search(r"\d(?:,\s*\\!|,|\{,\})\s*\d{3}", answer):
        answer = re.sub(r"\s*(?<!\\)([+,=])\s*", r" \1  ", answer)
    if "left" not in answer and answer.count("(") == answer.count(")"):
        answer = answer.replace("(", r"\left(").replace(")", r"\right)")
    return f"${answer}$."


def neighbours(answers: Sequence[str]) -> list[Pair]:
    return [(a, b) for a, b in zip(answers, [*answers[1:], answers[0]], strict=True) if a != b]


def show_answers(grader: Grader) -> None:
    for name, golds in zip(("MATH", "GSM8K"), gold_answers(), strict=True):
        kinds = {
            "itself": [(gold, gold) for gold in golds],
            "another spelling": [(respelled(gold), gold) for gold in golds],
            "its neighbour's": neighbours(golds),
        }
        for kind, pairs in kinds.items():
            started = time.perf_counter()
            verdicts = grader.grade_many(pairs)
            statuses = Counter(verdict.status for verdict in verdicts)
            parsed = sum(
                verdict.reason in ("math_verify", "sympy") or verdict.reason.startswith("not_") for verdict in verdicts
            )
            seconds = time.perf_counter() - started
            print(f"{name}, {len(pairs)} against {kind}: {dict(statuses)}; {parsed} parsed; {seconds:.1f} s")
            surprising = "correct" if kind == "its neighbour's" else None
            for pair, verdict in zip(pairs, verdicts, strict=True):
                if verdict.status in (surprising, "ungradable") or (surprising is None and not verdict.correct):
                    print(f"    {verdict.status} ({verdict.reason}): {pair[0]!r} for {pair[1]!r}")


def mixed(golds: Sequence[str], n: int) -> list[Pair]:
    step = max(1, len(golds) // n)
    pairs = []
    for place, i in enumerate(range(0, len(golds), step)):
        gold, other = golds[i], golds[(i + 1) % len(golds)]
        pairs.append((gold if place % 2 else respelled(gold) if place % 4 else other, gold))
    return pairs[:n]


def speed_pairs(n: int, grader: Grader) -> dict[str, list[Pair]]:
    math, gsm8k = gold_answers()
    math, test = [gold for gold in math if gold], gsm8k[-1319:]
    formulas = [gold for gold in math if exact.number(exact.clean(gold)) is None]
    return {
        "GSM8K": [(a if i % 2 else b, a) for i, (a, b) in enumerate(zip(test, test[1:] + test[:1], strict=True))],
        "MATH": mixed(math, n),
        "MATH without plain numbers": mixed(formulas, n),
        "MATH neighbours left to the parser": [pair for pair in neighbours(math) if grader._cheap(*pair) is None],
    }


def stock(pairs: Sequence[Pair]) -> list[bool]:
    from math_verify import parse, verify

    return [bool(verify(parse(f"${gold}$"), parse(f"${prediction}$"))) for prediction, gold in pairs]


def show_speed(n: int, rounds: int) -> None:
    with Grader(GraderConfig()) as grader:
        grader.grade("x+x", "2x")
        stock([("x+x", "2x")])

        def ours(pairs: Sequence[Pair]) -> list[bool]:
            grader._seen.clear()
            for cached in (exact.number, structure.parse, units.split, estimate.estimate):
                cached.cache_clear()
            return [verdict.correct for verdict in grader.grade_many(pairs)]

        for name, pairs in speed_pairs(n, grader).items():
            seconds = {"ours": [0.0] * rounds, "stock": [0.0] * rounds}
            said: dict[str, list[bool]] = {}
            sides: dict[str, Callable[[Sequence[Pair]], list[bool]]] = {"ours": ours, "stock": stock}
            for turn in range(rounds):
                for side in sides if turn % 2 else reversed(sides):
                    started = time.perf_counter()
                    said[side] = sides[side](pairs)
                    seconds[side][turn] = time.perf_counter() - started
            ratios = sorted(b / a for a, b in zip(seconds["ours"], seconds["stock"], strict=True))
            each = {side: 1e6 * min(taken) / len(pairs) for side, taken in seconds.items()}
            print(
                f"{name}, {len(pairs)} pairs: ours {each['ours']:.0f} µs a pair, stock {each['stock']:.0f} µs; "
                f"ratio {ratios[len(ratios) // 2]:.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
            )
            apart = [pair for pair, a, b in zip(pairs, *said.values(), strict=True) if a != b]
            print(f"    {len(apart)} verdicts differ: {apart[:12]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="answers,speed")
    parser.add_argument("--grader", default="math_verify")
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if "answers" in options.part:
        with Grader(GraderConfig(name=options.grader)) as grader:
            grader.grade("x+x", "2x")
            show_answers(grader)
    if "speed" in options.part:
        show_speed(options.pairs, options.rounds)


if __name__ == "__main__":
    main()
