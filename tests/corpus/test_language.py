"""The language of the prose between the formulas; no code where there is none."""

from __future__ import annotations

import pytest

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.language import identify, keep
from dsm_repro.corpus.pages import Page

FORMULAS = r" $x^2+3x=10$ \(\frac{a}{b}\) \[\int_0^1 f(x)\,dx\] $$\sin x$$ \begin{align} a &= b \end{align} x_{1}^{2}"
SNIPPETS = {
    "en": "Let x be a real number such that the equation holds. Find the sum of all possible values of x.",
    "zh": "设函数在区间上连续,在区间内可导,试证明存在一点使得导数等于零。求所有可能值之和。",
    "de": "Jede stetige Funktion auf einem kompakten Intervall nimmt ihr Maximum an. Man bestimme die Summe.",
    "fr": "Soit un nombre réel tel que cette égalité soit vraie. Déterminer la somme de toutes les valeurs possibles.",
    "ru": "Пусть дано действительное число такое, что верно равенство. Найдите сумму всех возможных значений.",
    "es": "Sea un número real tal que se cumple la igualdad. Halla la suma de todos los valores posibles.",
    "ja": "実数がこの方程式を満たすとき、すべての値の和を求めよ。",
    "ko": "실수가 이 방정식을 만족할 때 가능한 모든 값의 합을 구하시오.",
    "pt": "Seja um número real tal que a igualdade é verdadeira. Determine a soma de todos os valores possíveis.",
    "vi": "Cho số thực thỏa mãn phương trình. Tính tổng tất cả các giá trị có thể.",
    "ar": "ليكن عددا حقيقيا بحيث تتحقق المعادلة. أوجد مجموع كل القيم الممكنة لهذا العدد.",
}


@pytest.mark.parametrize("code", SNIPPETS)
def test_language_of_prose(code: str) -> None:
    assert identify(SNIPPETS[code]) == code


@pytest.mark.parametrize("code", SNIPPETS)
def test_formulas_do_not_change_it(code: str) -> None:
    assert identify(f"{FORMULAS} {SNIPPETS[code]} {FORMULAS * 5}") == code


NOTHING = {
    "empty": "",
    "formulas": FORMULAS * 20,
    "open formula": "$x^2 + " * 300,
    "arithmetic": "3 + 4 = 7, 5 + 6 = 11, 7 + 8 = 15\n" * 20,
    "numbers": " ".join(map(str, range(2_000))),
    "functions": "f(x) = sin(x) + cos(y)\ng(x) = a*x + b*y\n" * 20,
    "code": "for (i=0;i<n;i++) { a[i] = b[i]*c; }\n" * 20,
    "one word": "Theorem.",
    "half a surrogate": "\ud800" * 100,
}


@pytest.mark.parametrize("name", NOTHING)
def test_text_that_does_not_tell_has_no_code(name: str) -> None:
    assert identify(NOTHING[name]) == ""


def test_pages_in_other_languages_are_dropped_when_languages_are_given() -> None:
    page = Page("http://e.org/a", "e.org", "text", 1, "f", language="de")
    assert keep(page, CorpusConfig()) is None
    assert keep(page, CorpusConfig(languages=["en", "de"])) is None
    assert keep(page, CorpusConfig(languages=["en"])) == ("language", "de")
    nowhere = Page("http://e.org/a", "e.org", "1 2 3", 3, "f")
    assert keep(nowhere, CorpusConfig(languages=["en"])) == ("language", "not told")
    assert keep(nowhere, CorpusConfig(languages=["en", ""])) is None
