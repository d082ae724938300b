"""The kinds of problem in the miniature: seven MATH categories and grade-school word problems.

Each family draws its numbers from a ``random.Random`` and returns a :class:`Draft` with the steps of
the solution. A thorough solution writes one step after another; a terse one skips them all, which a
tiny model then gets wrong. Chain sums and greatest common divisors come from ``reasoning-gym``, the
other families have no generator there whose worked steps could be told.

Numbers are kept small on purpose: what a model of under a million parameters can learn in minutes is
products of one-digit numbers and sums below 200. Questions are short, and every ten words of one
hold its numbers, so that decontamination finds copies and not the wording that a family shares.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

UNKNOWNS = ("x", "y", "n", "t")
UNITS = ("cm", "m", "inch", "foot")
NAMES = ("Tom", "Ann", "Ben", "Mia", "Sam", "Eva", "Leo", "Zoe")
THINGS = ("apples", "books", "coins", "cards", "pens", "cups", "eggs", "nuts")
CHOICES = tuple(
    "{{}} {}, {{}} {} and {{}} {}".format(*names.split())
    for names in (
        "shirts hats ties",
        "soups mains cakes",
        "pens pads bags",
        "roads boats trains",
        "cats dogs birds",
        "reds blues greens",
        "tables chairs lamps",
        "films songs plays",
        "doors keys locks",
        "teas jams breads",
        "coats boots belts",
        "maps tents ropes",
        "roses vases cards",
        "bikes bells lights",
        "jars lids labels",
        "kings queens pawns",
    )
)


@dataclass(frozen=True)
class Draft:
    """A problem before it has an identity. ``steps`` are equations like ``"3*4=12"``; the last one gives the answer."""

    question: str
    answer: int
    steps: tuple[str, ...]
    expression: str


def chain_sum(rng: random.Random, level: int) -> Draft:
    """Prealgebra: a sum and a difference of numbers with one or two digits (reasoning-gym ``chain_sum``)."""
    from reasoning_gym.arithmetic.chain_sum import ChainSumConfig, ChainSumDataset

    digits = 1 if level < 4 else 2
    config = ChainSumConfig(
        min_terms=3, max_terms=3, min_digits=digits, max_digits=2, size=1, seed=rng.randrange(2**31)
    )
    parts = ChainSumDataset(config)[0]["metadata"]["expression"].split(" ")
    total, steps = int(parts[0]), []
    for operator, term in zip(parts[1::2], parts[2::2], strict=True):
        after = total + int(term) if operator == "+" else total - int(term)
        steps.append(f"{total}{operator}{term}={after}")
        total = after
    return Draft(f"Compute {' '.join(parts)}.", total, tuple(steps), "".join(parts))


def linear_equation(rng: random.Random, level: int) -> Draft:
    """Algebra: a*x + b = c with a whole solution."""
    a, x, b = rng.randint(2, 9), rng.randint(2, 4 + level), rng.randint(1, 3 * level)
    c, letter = a * x + b, rng.choice(UNKNOWNS)
    question = f"Solve {a}*{letter} + {b} = {c} for {letter}."
    return Draft(question, x, (f"{c}-{b}={c - b}", f"{c - b}/{a}={x}"), f"({c}-{b})//{a}")


def greatest_common_divisor(rng: random.Random, level: int) -> Draft:
    """Number theory: Euclid's algorithm (reasoning-gym ``gcd``)."""
    from reasoning_gym.arithmetic.gcd import GCDConfig, GCDDataset

    config = GCDConfig(
        min_numbers=2, max_numbers=2, min_value=4, max_value=10 * level, size=1, seed=rng.randrange(2**31)
    )
    item = GCDDataset(config)[0]
    first, second = item["metadata"]["numbers"]
    a, b = max(first, second), min(first, second)
    steps = []
    while b:
        steps.append(f"{a}%{b}={a % b}")
        a, b = b, a % b
    wording = rng.choice(("gcd", "greatest common divisor"))
    return Draft(f"Find the {wording} of {first} and {second}.", a, tuple(steps), f"math.gcd({first},{second})")


def multiplication_principle(rng: random.Random, level: int) -> Draft:
    """Counting: how many ways to take one of each of three kinds."""
    a, b, c = rng.randint(2, 4 + level), rng.randint(2, 4 + level), rng.randint(2, 4)
    return Draft(
        f"Pick one each of {rng.choice(CHOICES).format(a, b, c)}. How many ways?",
        a * b * c,
        (f"{a}*{b}={a * b}", f"{a * b}*{c}={a * b * c}"),
        f"{a}*{b}*{c}",
    )


def plane_figure(rng: random.Random, level: int) -> Draft:
    """Geometry: perimeter of a rectangle or area of a triangle."""
    unit = rng.choice(UNITS)
    if rng.random() < 0.8:
        a, b = rng.randint(3, 6 * level), rng.randint(3, 6 * level)
        question = f"Find the perimeter of a {a} by {b} {unit} rectangle."
        return Draft(question, 2 * (a + b), (f"{a}+{b}={a + b}", f"{a + b}*2={2 * (a + b)}"), f"2*({a}+{b})")
    base, height = rng.randint(2, 9), 2 * rng.randint(1, 4 + level)
    question = f"Area of a triangle, base {base} {unit}, height {height} {unit}?"
    area = base * height // 2
    steps = (f"{base}*{height}={base * height}", f"{base * height}/2={area}")
    return Draft(question, area, steps, f"{base}*{height}//2")


def quadratic_value(rng: random.Random, level: int) -> Draft:
    """Intermediate algebra: the value of a quadratic polynomial."""
    x, b, c = rng.randint(2, 4 + level), rng.randint(2, 9), rng.randint(1, 9 * level)
    square, product = x * x, b * x
    return Draft(
        f"x^2 + {b}x + {c} at {x}?",
        square + product + c,
        (f"{x}*{x}={square}", f"{b}*{x}={product}", f"{square}+{product}={square + product}",
         f"{square + product}+{c}={square + product + c}"),
        f"{x}*{x}+{b}*{x}+{c}",
    )  # fmt: skip


def dot_product(rng: random.Random, level: int) -> Draft:
    """Precalculus: the dot product of two vectors of the plane."""
    top = 4 + level
    a, b, c, d = (rng.randint(2, top) for _ in range(4))
    return Draft(
        f"Find the dot product of ({a},{b}) and ({c},{d}).",
        a * c + b * d,
        (f"{a}*{c}={a * c}", f"{b}*{d}={b * d}", f"{a * c}+{b * d}={a * c + b * d}"),
        f"{a}*{c}+{b}*{d}",
    )


def word_problem(rng: random.Random, level: int) -> Draft:
    """Grade school: some things, and boxes of more of them bought or given away."""
    name, things = rng.choice(NAMES), rng.choice(THINGS)
    boxes, each = rng.randint(2, 4 + level), rng.randint(2, 9)
    product = boxes * each
    if rng.random() < 0.5:
        start = rng.randint(2, 8 * level)
        question = f"{name} has {start} {things} and buys {boxes} boxes of {each}. Total?"
        total = start + product
        steps = (f"{boxes}*{each}={product}", f"{start}+{product}={total}")
        return Draft(question, total, steps, f"{start}+{boxes}*{each}")
    left = rng.randint(1, 6 * level)
    start = product + left
    question = f"{name} has {start} {things} and gives {boxes} friends {each} each. Left?"
    return Draft(question, left, (f"{boxes}*{each}={product}", f"{start}-{product}={left}"), f"{start}-{boxes}*{each}")


FAMILIES: dict[str, Callable[[random.Random, int], Draft]] = {
    "Algebra": linear_equation,
    "Counting & Probability": multiplication_principle,
    "Geometry": plane_figure,
    "Intermediate Algebra": quadratic_value,
    "Number Theory": greatest_common_divisor,
    "Prealgebra": chain_sum,
    "Precalculus": dot_product,
    "Word Problems": word_problem,
}
