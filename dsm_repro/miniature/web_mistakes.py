"""Wrong and truncated solutions, with the mistakes that people make.

A mistake is made in one step and carried through the steps that use its result, as a person would:
what follows is consistent with it, and the answer at the end is wrong.
"""

from __future__ import annotations

import random
import re

from dsm_repro.miniature.problems import Problem

MISTAKES = ("dropped_carry", "off_by_one", "wrong_operation", "truncated")

_STEP = re.compile(r"(-?\d+)([-+*/%])(-?\d+)=(-?\d+)")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_OTHER = {"+": "-", "-": "+", "*": "+", "/": "-", "%": "-"}


def spoil(problem: Problem, rng: random.Random) -> tuple[str, str]:
    """Return a bad solution of a problem and the mistake in it (one of ``MISTAKES``).

    A truncated solution states no final answer; every other one states a wrong one.
    """
    steps = list(_STEP.finditer(problem.cot))
    kind = rng.choices(MISTAKES, weights=(2, 3, 3, 2))[0]
    if kind == "truncated":
        kept = [step.group() for step in steps[: rng.randrange(max(1, len(steps)))]]
        return (". ".join(kept) + "..." if kept else "just follow the formula..."), kind
    if not steps:
        return _BOXED.sub(lambda _: f"\\boxed{{{_miss(problem.answer, rng)}}}", problem.cot), "off_by_one"
    chosen = rng.randrange(len(steps))
    changed: dict[str, str] = {}
    lines: list[str] = []
    for index, step in enumerate(steps):
        left, operator, right, result = step.groups()
        new_left, new_right = changed.get(left, left), changed.get(right, right)
        if index == chosen:
            new = _mistaken(kind, int(new_left), operator, int(new_right), int(result), rng)
        else:
            new = _compute(int(new_left), operator, int(new_right), int(result)) if index > chosen else int(result)
        lines.append(f"{new_left}{operator}{new_right}={new}")
        if new != int(result):
            changed[result] = str(new)
    final = changed.get(problem.answer, problem.answer)
    if final == problem.answer:
        # the slip cancelled out or fell outside the answer: the last line gets one of its own
        final = _miss(problem.answer, rng)
        if lines[-1].endswith(f"={problem.answer}"):
            lines[-1] = lines[-1].removesuffix(problem.answer) + final
    return ". ".join(lines) + f". \\boxed{{{final}}}", kind


def _compute(left: int, operator: str, right: int, fallback: int) -> int:
    if operator in "/%" and right == 0:
        return fallback
    return {"+": left + right, "-": left - right, "*": left * right,
            "/": left // right if right else 0, "%": left % right if right else 0}[operator]  # fmt: skip


def _mistaken(kind: str, left: int, operator: str, right: int, result: int, rng: random.Random) -> int:
    value = result
    if kind == "dropped_carry" and operator in "+-" and left >= 0 and right >= 0:
        value = _digitwise(left, operator, right)
    elif kind == "wrong_operation":
        value = _compute(left, _OTHER[operator], right, result)
    return value if value != result and value >= 0 else result + (1 if result == 0 else rng.choice((-1, 1)))


def _digitwise(left: int, operator: str, right: int) -> int:
    """Add or subtract digit by digit, nothing carried and nothing borrowed."""
    total, place = 0, 1
    while left or right:
        a, b = left % 10, right % 10
        total += ((a + b) % 10 if operator == "+" else abs(a - b)) * place
        left, right, place = left // 10, right // 10, place * 10
    return total


def _miss(answer: str, rng: random.Random) -> str:
    """Change the last whole number in an answer by a little."""
    numbers = list(re.finditer(r"\d+", answer))
    if not numbers:
        return f"not {answer}"
    last = numbers[-1]
    return answer[: last.start()] + str(int(last.group()) + rng.randint(1, 3)) + answer[last.end() :]
