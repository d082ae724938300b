"""Each filter drops its page, and none of them drops mathematics."""

from __future__ import annotations

import base64
import random

import pytest

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.quality import FILTERS, reason_to_drop
from dsm_repro.corpus.tokens import count_tokens

PROSE = (
    "We look for all the whole numbers with this property. Suppose that there are two of them; their sum is even, "
    "which is what the theorem denies. The other case is left to the reader as an exercise. "
)
PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651"


def page(text: str) -> Page:
    return Page("http://a.example/x", "a.example", text, count_tokens(text), "f")


DROPPED = {
    "too_short": "Nothing to see.",
    "not_text": "★☆♥♦ ✔✘ ◆◇○● " * 40,
    "not_text: encoding": "Gr\ufffd\ufffde der W\ufffdrter in dieser Seite, die niemand lesen kann. " * 5,
    "not_text: base64": "Attached file: " + base64.b64encode(random.Random(0).randbytes(3_000)).decode(),
    "notice": "Example Site\n\nPlease enable JavaScript to view this page. " + "We are sorry for the trouble. " * 3,
    "notice: 404": "Oops! Page not found. What you were looking for may have been moved, or it never was here." * 2,
    "repeated_lines": "\n".join([PROSE, *["Buy your cheap tickets here today"] * 30]),
    "repeated_runs": "cheap tickets to every city of the world here and now only today " * 40,
    "menu": "\n".join(f"{first} {second}" for first in ("About", "Contact", "Archive", "Shop", "Team", "Press")
                      for second in ("us", "page", "form", "list", "north", "south")),
    "teasers": "\n".join(f"{word} was found in the old town this morning when the market... Read more"
                         for word in ("A coin", "A letter", "A dog", "A painting", "A boat", "A key", "A stone")),
}  # fmt: skip


@pytest.mark.parametrize("name", DROPPED)
def test_what_is_no_text_is_dropped_with_its_reason(name: str) -> None:
    found = reason_to_drop(page(DROPPED[name]), CorpusConfig())
    assert found is not None and found[0] == name.partition(":")[0] and found[1]


def test_every_filter_has_a_page_that_only_it_drops() -> None:
    for rule in FILTERS:
        found = [rule(page(text), CorpusConfig()) for name, text in DROPPED.items() if name == rule.__name__]
        assert len(found) == 1 and found[0] is not None and found[0][0] == rule.__name__


KEPT = {
    "formulas alone": "\n".join(f"$\\int_0^{n} x^{{{n}}}\\,dx = \\frac{{1}}{{{n + 1}}}$" for n in range(1, 30)),
    "display formulas": "$$" + " + ".join(f"\\frac{{x^{{{n}}}}}{{{n}!}}" for n in range(60)) + "$$",
    "one formula of one piece": "$" + "".join(f"a_{{{n}}}x^{{{n}}}+" for n in range(80)) + "b$",
    "zero matrix": "\n".join(["0 " * 20] * 20),
    "identity matrix": "\n".join("\t\t".join("1" if i == j else "0" for j in range(12)) for i in range(12)),
    "column of zeros": "f(x)\n" + "0\n" * 200,
    "multiplication table": "\n".join(f"{a} × {b} = {a * b}" for a in range(1, 13) for b in range(1, 13)),
    "digits of pi": PI * 10,
    "worksheet": "\n".join(f"Solve for x: {a}x + {b} = {a * 7 + b}" for a in range(2, 12) for b in range(9)),
    "worksheet with one instruction": "\n".join(f"Find the derivative.\nf(x) = x^{n} + {n}x" for n in range(60)),
    "answers": "\n".join(f"{n}. C" for n in range(1, 80)),
    "proof in steps": "\n".join(
        f"By the induction hypothesis, $a_{{{n}}} < b_{{{n}}}$.\nTherefore the claim holds for $n = {n}$."
        for n in range(30)
    ),
    "sequences": "\n".join(f"The multiples of {n} are {n}, {2 * n}, {3 * n}, ..." for n in range(2, 20)),
    "braces and brackets": "{1, 2} ∪ {3} ⊆ {x ∈ ℝ : |x| ≤ 4} ⇔ ∀ε>0 ∃δ>0 ⟨x, y⟩ ↦ ‖x‖ ⊗ ⌊y⌋ ⟹ ∎ " * 6,
    "greek": "αβγδ ∂ξ/∂η = ∇²φ − λψ, Σ aₙxⁿ → ∞, ½ ≠ ⅓, A̅ ∩ B̂ " * 6,
    "chinese": "已知函数f(x)=x²-2x+3在区间[0,a]上的最大值为3,最小值为2,求实数a的取值范围。" * 4,
    "chinese with full-width signs": "（1）求椭圆的方程；（2）设直线 l：y＝kx＋1，求 k 的值．" * 5,
    "bullets": "\n".join(f"• If $x \\ge {n}$ then $x^2 \\ge {n * n}$" for n in range(20)),
    "code": "\n".join(f"    if (a[{n}] != b[{n}]) {{ return {n}; }}" for n in range(40)),
    "short steps": "\n".join(f"{n}x = {3 * n}\nx = 3" for n in range(30)),
    "truth table": "\n".join(f"{a}\t\t{b}\t\t{a and b}" for a in (True, False) for b in (True, False)) + PROSE,
    "matrix in tex": r"\begin{pmatrix}" + r" \\ ".join([" & ".join("0" * 9)] * 9) + r"\end{pmatrix}",
    "lecture on javascript": (PROSE * 4) + "To run the applet you must enable JavaScript.",
    "prose": PROSE * 2,
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_mathematics_is_kept(name: str) -> None:
    assert reason_to_drop(page(KEPT[name]), CorpusConfig()) is None


def test_shortest_page_is_a_setting() -> None:
    assert reason_to_drop(page("$x^2$"), CorpusConfig(min_characters=5)) is None


@pytest.mark.parametrize("text", ["a" * 10**6, "1" * 10**6, "a1B" * 300_000, "a " * 10**5, "x...\n" * 10**5])
def test_filters_are_linear(text: str) -> None:
    import time

    start = time.process_time()
    reason_to_drop(page(text), CorpusConfig())
    assert time.process_time() - start < 3
