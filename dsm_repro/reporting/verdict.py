"""From statistics to a word, by fixed rules.

One comparison "a against b" with an expected direction is

* **reproduced**: the difference has the expected sign, its 95% interval excludes 0, and its p value,
  adjusted by Holm over all comparisons of the sweep that could be measured, is below 0.05;
* **direction only**: the expected sign, but the interval includes 0 or the adjusted p is 0.05 or more;
* **contradicted**: the other sign, with the interval excluding 0 and the adjusted p below 0.05;
* **inconclusive**: everything else: no difference, the other sign within the interval, missing runs,
  or two arms that were measured under different protocols.

"a is not greater than b" (``expect: a_not_greater``) is the expectation that a − b lies below a declared margin, in
points. The same rules decide it, with the margin in the place of 0: it is *reproduced* when the interval's upper end
is below the margin and the adjusted p value of "the difference is the margin" is below 0.05, *contradicted* when the
lower end is above it. That no difference was found is not enough.

One seed of each arm says nothing about what another seed would have given: where anything was trained, such a
comparison is at most *direction only*, and never *contradicted*, however large the difference.

A comparison without an expected direction (``expect: none``) is **descriptive** and decides nothing.
A claim of several comparisons is as good as its weakest, in the order reproduced, direction only,
inconclusive, contradicted. A claim without expectations is descriptive.

The sentence gives the statistic itself: ``GRPO - SFT = +9.1 points [6.0, 12.3], 3 seeds × 800 problems``.
"""

from __future__ import annotations

from collections.abc import Iterable

from dsm_repro.reporting.statistics import Difference
from dsm_repro.reporting.values import tenths

REPRODUCED = "reproduced"
DIRECTION_ONLY = "direction only"
INCONCLUSIVE = "inconclusive"
CONTRADICTED = "contradicted"
DESCRIPTIVE = "descriptive"

#: strongest first
ORDER = (REPRODUCED, DIRECTION_ONLY, INCONCLUSIVE, CONTRADICTED)
ALPHA = 0.05


def judge(
    difference: Difference | None, p_holm: float | None, expect: str, margin: float = 0.0, decisive: bool = True
) -> str:
    """The word for one comparison. ``expect``: a_greater | b_greater | a_not_greater | none.

    ``margin`` (points) is that of a_not_greater; ``p_holm`` then belongs to "the difference is the margin".
    ``decisive`` is false where trained arms have one seed each.
    """
    if expect not in ("a_greater", "b_greater", "a_not_greater"):
        return DESCRIPTIVE
    if difference is None or p_holm is None:
        return INCONCLUSIVE
    sign = 1.0 if expect == "a_greater" else -1.0
    border = border_of(expect, margin)
    excludes_border = difference.low > border or difference.high < border
    significant = decisive and excludes_border and p_holm < ALPHA
    if sign * (difference.value - border) > 0:
        return REPRODUCED if significant else DIRECTION_ONLY
    return CONTRADICTED if significant else INCONCLUSIVE


def border_of(expect: str, margin: float) -> float:
    """What the interval is to exclude, in points: the declared margin, or 0."""
    return margin if expect == "a_not_greater" else 0.0


def combine(verdicts: Iterable[str]) -> str:
    """The word for a claim: its weakest comparison."""
    decisive = [v for v in verdicts if v != DESCRIPTIVE]
    return max(decisive, key=ORDER.index) if decisive else DESCRIPTIVE


def meaning(word: str, margins: bool = False, one_seed: bool = False) -> str:
    """What a claim's word says of its comparisons, for the verdict in a sentence.

    ``margins``: one of them is of a declared margin; ``one_seed``: one of them rests on too little to decide.
    """
    border = "its border (0, or the declared margin)" if margins else "0"
    if word == REPRODUCED:
        return f"every expected difference is there, and its 95% interval excludes {border}"
    if word == DIRECTION_ONLY:
        doubt = "is larger than chance explains" if not one_seed else "is known to be more than chance"
        return f"every difference lies on the expected side of {border}, but not every one {doubt}"
    if word == CONTRADICTED:
        return f"at least one difference lies on the other side of {border}, and its 95% interval excludes that"
    return f"at least one difference is not on the expected side of {border}, or could not be measured"


def minus(a: str, b: str) -> str:
    return f"{a} \N{MINUS SIGN} {b}"


def signed(value: float) -> str:
    """A difference with its sign and one decimal: +9.1, −0.4, 0.0 (a true minus sign)."""
    text = f"{tenths(value):+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def bounds(low: float, high: float) -> str:
    """The interval of a difference: [−0.4, 9.1]."""
    return f"[{signed(low).lstrip('+')}, {signed(high).lstrip('+')}]"


def sentence(a: str, b: str, difference: Difference | None, reason: str = "", metric: str = "accuracy") -> str:
    """The evidence of one comparison in words. ``metric`` is named where it is not accuracy."""
    what = minus(a, b) if metric == "accuracy" else f"{metric}: {minus(a, b)}"
    if difference is None:
        return f"{what} could not be measured: {reason}"
    seeds = f"{difference.replicates} seed{'s' if difference.replicates > 1 else ''}"
    interval = bounds(difference.low, difference.high)
    return f"{what} = {signed(difference.value)} points {interval}, {seeds} × {difference.questions} problems"
