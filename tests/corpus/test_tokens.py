"""The tokenizer keeps mathematics, and its fast form finds what the plain rules say."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from dsm_repro.corpus.tokens import count_tokens, grams, tokenize

_CJK = r"\u3040-\u30ff\u3400-\u9fff"
PLAIN = re.compile(rf"\\[A-Za-z]+|\d+|[{_CJK}]|[^\W\d_{_CJK}]+(?:['’][^\W\d_{_CJK}]+)*|[^\s\w]|_")


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text(alphabet=st.one_of(st.sampled_from("abZ09_\\'’é中ж²①`[]{}^~-\u0301\u200b½ªßİ\n $"), st.characters())))
def test_fast_rules_are_the_plain_rules(text: str) -> None:
    assert tokenize(text) == PLAIN.findall(text.lower())
    assert count_tokens(text) == len(PLAIN.findall(text))


def test_equations_stay_apart() -> None:
    assert tokenize("$x^2+3x=10$") == ["$", "x", "^", "2", "+", "3", "x", "=", "10", "$"]
    assert tokenize(r"\frac{a}{b} don't 中文") == ["\\frac", "{", "a", "}", "{", "b", "}", "don't", "中", "文"]
    assert grams("If $x^2+3x=10$") != grams("If $x^2-7x=99$")


def test_layout_does_not_hide_a_formula() -> None:
    assert grams(r"$x^{2}+1$") == grams("x^2 + 1") == grams(r"\(x^2+1\)") == ["x", "^", "2", "+", "1"]
    assert grams(r"3 \times 4 \left( 5 \right)") == grams("3 · 4 · 5".replace("4 · 5", "4 5"))
