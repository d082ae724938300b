"""Mathematical pages: worked problems with a little around them.

At least ``PROBLEM_SHARE`` of a page's main content is problems, so that a corpus curated from these pages
teaches what its problems teach.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from dsm_repro.miniature.problems import Problem
from dsm_repro.miniature.web_mistakes import spoil
from dsm_repro.miniature.web_page import Block

PROBLEM_SHARE = 0.65
FEWEST, MOST = 3, 8

#: category -> (topic names, sentences that explain)
TOPICS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Algebra": (
        ("Linear equations", "Equations with one unknown", "Solving for x"),
        ("Take the constant to the other side first, then divide by the coefficient of x.",
         "An equation stays true when the same number is subtracted from both sides.",
         "Check the result by putting it back into the equation."),
    ),
    "Counting & Probability": (
        ("The multiplication principle", "Counting choices", "Counting outfits and menus"),
        ("Independent choices multiply: count each kind and take the product.",
         "How many ways to pick one each of several kinds is a question about products, not sums.",
         "A tree with one branch for every choice has as many leaves as there are ways."),
    ),
    "Geometry": (
        ("Perimeter and area", "Rectangles and triangles", "Measuring plane figures"),
        ("The perimeter of a rectangle is twice the sum of its sides.",
         "A triangle is half of the rectangle with the same base and height.",
         "Find the perimeter of a shape by walking around it once."),
    ),
    "Intermediate Algebra": (
        ("Values of quadratic polynomials", "Evaluating a polynomial", "Quadratics"),
        ("Replace the unknown by its value, do the powers and products, and add last.",
         "The square is computed before the sum.",
         "A quadratic polynomial has three terms, and each is evaluated on its own."),
    ),
    "Number Theory": (
        ("The greatest common divisor", "Euclid's algorithm", "Common divisors"),
        ("What is the greatest common divisor of two numbers? Divide with remainder until nothing is left.",
         "Replace the larger number by the remainder; the last divisor is the answer.",
         "The common divisors of two numbers do not change when one is subtracted from the other."),
    ),
    "Prealgebra": (
        ("Sums and differences", "Adding and subtracting in turn", "Arithmetic with small numbers"),
        ("Work from left to right, one operation at a time.",
         "Addition and subtraction have the same rank, so the order of writing decides.",
         "Carry when the digits of a column pass nine."),
    ),
    "Precalculus": (
        ("The dot product", "Vectors in the plane", "Multiplying vectors"),
        ("Multiply the first components, multiply the second components, and add the two products.",
         "The dot product of perpendicular vectors is zero.",
         "A dot product is a number and not a vector."),
    ),
    "Word Problems": (
        ("Word problems", "Stories with numbers", "Everyday arithmetic"),
        ("Say first what is asked, then which quantities are known.",
         "Boxes of equal size call for a product, what is added or given away for a sum or a difference.",
         "Read the last sentence of the story once more before answering."),
    ),
}  # fmt: skip

_TITLES = {
    "qa": ("{question}", "{topic}: help with these", "How do I do this? {question}"),
    "textbook": ("{topic}: worked examples", "Section on {topic}", "{topic}"),
    "encyclopedia": ("{topic}",),
    "course": ("Homework solutions: {topic}", "Problem set, solutions", "{topic}, solutions to the exercises"),
    "blog_maths": ("{topic} over coffee", "Teaching {topic}", "Why I like {topic}"),
    "exercises": ("{topic}: practice with answers", "Practice sheet: {topic}", "Problems of the week"),
    "answers": ("{question} [SOLVED]", "ANSWER: {question}", "homework help {topic}"),
    "qa_low": ("{question}", "{topic}: is this right?"),
}
_OPENINGS = {
    "qa": ("I am stuck with the following.", "Could somebody check these?", "Found these in an old exam."),
    "textbook": ("The examples below show the method.", "Study each example before the exercises."),
    "encyclopedia": ("Examples follow.", "The method goes back to antiquity."),
    "course": ("Solutions are due back in class on Monday.", "Compare with your own work."),
    "blog_maths": ("My students asked for more of these.", "Here is what we did at the kitchen table."),
    "exercises": ("Cover the answers and try first.", "Ten minutes a day are enough."),
    "answers": ("pls help asap!!", "need this for tomorrow", "thx in advance", "5 stars for the first answer"),
    "qa_low": ("I got this, can someone confirm?", "My teacher says this is wrong but I do not see why."),
}
_CLOSINGS = ("Thanks, that helped.", "Nice explanation.", "More of these next week.", "")


def math_page(
    kind: str, problems: Sequence[Problem], rng: random.Random, *, low: bool = False, category: str | None = None
) -> tuple[str, tuple[Block, ...]]:
    """Return (title, blocks) of a page that works through some problems.

    With ``low`` every solution on it is wrong or breaks off. ``category`` names the page's topic; None
    stands for mixed problems.
    """
    names, sentences = TOPICS[category or rng.choice(problems).category]
    if category is None:
        sentences = tuple(rng.choice(TOPICS[name][1]) for name in sorted({problem.category for problem in problems}))
    topic = rng.choice(names)
    title = rng.choice(_TITLES[kind]).format(question=problems[0].question.rstrip("."), topic=topic)
    content: list[Block] = []
    for problem in problems:
        content += _spoiled(problem, rng) if low else worked(problem, rng, programs=kind != "encyclopedia")
    size = sum(len(block.text) for block in content)
    room = int(size * (1 / PROBLEM_SHARE - 1)) - len(title)
    before, after = [], []
    fillers = [rng.choice(_OPENINGS[kind]), *rng.sample(sentences, k=len(sentences))]
    for sentence in fillers[: 2 if low else rng.randint(1, 4)]:
        if len(sentence) <= room:
            before.append(sentence)
            room -= len(sentence)
    closing = rng.choice(_CLOSINGS)
    if kind in ("qa", "blog_maths", "answers") and closing and len(closing) <= room:
        after.append(Block("paragraph", closing))
    opening = [Block("paragraph", " ".join(before))] if before else []
    return title, (*opening, *content, *after)


def worked(problem: Problem, rng: random.Random, *, programs: bool) -> list[Block]:
    """A problem as a careful author writes it: with its steps, sometimes with a program, or with a program only."""
    draw = rng.random() if programs else 1.0
    if draw < 0.15:
        return [Block("problem", problem.question), Block("code", problem.program)]
    blocks = [Block("problem", f"{problem.question}\n{problem.cot}")]
    return [*blocks, Block("code", problem.program)] if draw < 0.27 else blocks


def _spoiled(problem: Problem, rng: random.Random) -> list[Block]:
    solution, _ = spoil(problem, rng)
    return [Block("problem", f"{problem.question}\n{solution}")]


class ProblemSupply:
    """Deals problems, each once before any comes twice, by category or mixed."""

    def __init__(self, problems: Sequence[Problem], rng: random.Random) -> None:
        self._rng = rng
        self._all: dict[str, list[Problem]] = {}
        for problem in problems:
            self._all.setdefault(problem.category, []).append(problem)
        self._left: dict[str, list[Problem]] = {category: [] for category in self._all}

    @property
    def categories(self) -> list[str]:
        return sorted(self._all)

    def deal(self, count: int, category: str | None) -> list[Problem]:
        """Return ``count`` different problems of a category (None: of random categories)."""
        dealt: list[Problem] = []
        while len(dealt) < count:
            name = category or self._rng.choice(self.categories)
            if not self._left[name]:
                self._left[name] = self._rng.sample(self._all[name], k=len(self._all[name]))
            problem = self._left[name].pop()
            if all(problem.id != other.id for other in dealt) or len(self._all[name]) < count:
                dealt.append(problem)
        return dealt
