"""The bands find what a comparison of all pairs finds, and different equations stay apart."""

from __future__ import annotations

import random

import numpy as np

from dsm_repro.config.schema import MinHashConfig
from dsm_repro.corpus.minhash import group, jaccard, shingles, signatures
from dsm_repro.corpus.tokens import count_tokens, grams, tokenize

CONFIG = MinHashConfig()
WORDS = [f"w{number}" for number in range(400)]


def copies(seed: int) -> list[str]:
    """Texts of 200 words: some originals, each with copies in which a few words have changed."""
    rng = random.Random(seed)
    texts = []
    for _ in range(12):
        words = rng.choices(WORDS, k=200)
        texts.append(" ".join(words))
        for changes in (0, 1, 2, 12):
            changed = list(words)
            for position in rng.sample(range(200), changes):
                changed[position] = "other"
            texts.append(" ".join(changed))
    rng.shuffle(texts)
    return texts


def test_groups_are_those_of_brute_force() -> None:
    texts = copies(1)
    sets = [shingles(text, CONFIG.ngram) for text in texts]
    parent = list(range(len(texts)))
    for i in range(len(texts)):
        for j in range(i):
            if jaccard(sets[i], sets[j]) >= CONFIG.jaccard:
                old, new = parent[i], parent[j]
                parent = [new if p == old else p for p in parent]
    groups = group(texts, [0] * len(texts), CONFIG)
    together = lambda labels: {(i, j) for i in range(len(texts)) for j in range(i) if labels[i] == labels[j]}  # noqa: E731
    assert together(groups.keeper) == together(parent)
    assert 12 * 6 >= groups.verified >= 12 * 3


def test_signature_estimates_the_jaccard_similarity() -> None:
    first, second = (shingles(" ".join(WORDS[start : start + 300]), 5) for start in (0, 50))
    signed = signatures([first, second], MinHashConfig(bands=64, rows=16))
    # 1,024 permutations: standard error sqrt(.7*.3/1024) = 0.014
    assert abs(float(np.mean(signed[0] == signed[1])) - jaccard(first, second)) < 0.06


def test_different_equations_are_not_merged() -> None:
    """datatrove's normalisation maps these two to one string."""
    one, other = "If $x^2+3x=10$ find x in {2,5}", "If $x^2-7x=99$ find x in {4,8}"
    assert tokenize(one) != tokenize(other)
    page = "Solve the equation. {} Then check the result by putting it in. "
    texts = [" ".join(page.format(f"{a}*x + {b} = {a * x + b}") for a in range(2, 9)) for x, b in ((3, 4), (5, 11))]
    assert group(texts, [0, 0], CONFIG).keeper == [0, 1]


def test_highest_priority_is_kept_and_the_earliest_among_equals() -> None:
    text = " ".join(WORDS[:200])
    assert group([text, text, text], [1, 2, 2], CONFIG).keeper == [1, 1, 1]
    assert group([text, text], [1, 1], CONFIG).keeper == [0, 0]


def test_short_and_empty_texts() -> None:
    assert group(["", "", "a b", "a c"], [0] * 4, CONFIG).keeper == [0, 0, 2, 3]


def test_tokens_keep_mathematics() -> None:
    assert tokenize(r"Don't \frac{12}{x^2}") == ["don't", r"\frac", "{", "12", "}", "{", "x", "^", "2", "}"]
    assert tokenize("求解方程 x=1") == ["求", "解", "方", "程", "x", "=", "1"]
    assert count_tokens("Don't \\FRAC{12}") == len(tokenize("Don't \\FRAC{12}"))


def test_grams_do_not_depend_on_markup() -> None:
    spellings = [
        "Evaluate $x^{2} + 3 \\cdot x$ at x = 2.",
        "evaluate x^2+3*x, at x=2",
        r"Evaluate \(x^2+3 × x\) at x = 2",
    ]
    assert {" ".join(grams(text)) for text in spellings} == {"evaluate x ^ 2 + 3 * x at x = 2"}
    assert grams("x^2 - 3") != grams("x^2 + 3")
