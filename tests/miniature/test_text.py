from __future__ import annotations

import itertools
import time

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature import text_cleaning
from dsm_repro.miniature.text import KINDS, MAX_CHARACTERS, MIN_CHARACTERS, documents, fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_documents_and_another_seed_another_order(kind: str) -> None:
    first = list(itertools.islice(documents(kind, 3), 30))
    assert first == list(itertools.islice(documents(kind, 3), 30))
    assert first != list(itertools.islice(documents(kind, 4), 30))
    assert all(MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS and text.isascii() for _, text in first)
    assert len({name for name, _ in first}) == len(first)


def test_code_is_python_and_prose_is_not() -> None:
    def parses(text: str) -> bool:
        try:
            compile(text, "document", "exec")
        except (SyntaxError, ValueError):
            return False
        return True

    code = [text for _, text in itertools.islice(documents("code", 0), 40)]
    prose = [text for _, text in itertools.islice(documents("prose", 0), 40)]
    assert sum(map(parses, code)) >= 32  # a part of a long file may begin inside a statement
    assert sum(map(parses, prose)) == 0
    assert not any(">>>" in text or "```" in text for text in prose)


def test_code_leaves_mathematical_modules_to_algebraic_code() -> None:
    code = {name.partition("#")[0] for name, _ in documents("code", 0)}
    algebraic = {name.partition("#")[0] for name, _ in itertools.islice(documents("algebraic_code", 0), 3_000)}
    assert "python/argparse.py" in code
    assert "python/fractions.py" in algebraic
    assert not code & algebraic


def test_every_latex_document_holds_a_formula() -> None:
    texts = [text for _, text in itertools.islice(documents("latex_prose", 0), 20)]
    assert all(text.count("$") >= 2 for text in texts)
    assert any("\\" in text for text in texts)


def test_prose_has_no_paragraph_twice() -> None:
    paragraphs = [part for _, text in itertools.islice(documents("prose", 0), 150) for part in text.split("\n\n")]
    assert len(set(paragraphs)) == len(paragraphs)


def test_two_megabytes_of_code_are_read_at_once() -> None:
    start, size = time.process_time(), 0
    for _, text in documents("code", 1):
        size += len(text)
        if size > 2_000_000:
            break
    assert size > 2_000_000
    assert time.process_time() - start < 3.0


def test_fingerprint_names_the_packages_read() -> None:
    assert fingerprint("code").startswith("python/3.")
    assert " sympy/" in fingerprint("algebraic_code")


@pytest.mark.parametrize("function", [lambda kind: next(documents(kind, 0)), fingerprint])
def test_unknown_kind_is_refused_by_name(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=r"'poetry'.*prose"):
        function("poetry")


def test_markup_is_dropped_and_roles_are_unwrapped() -> None:
    block = (
        "Return the number of items that the :class:`~pkg.Thing` holds, or the ``default`` if it has none of them.\n\n"
        ">>> thing.count()\n3\n\n"
        "Parameters\n----------\nx : int\n\n"
        ".. note:: this is a directive and it is not kept even though it is long enough to be a paragraph."
    )
    assert text_cleaning.prose_paragraphs(block) == [
        "Return the number of items that the pkg.Thing holds, or the default if it has none of them."
    ]


def test_formulas_become_dollars() -> None:
    block = (
        "The mean of the distribution is :math:`\\mu`, and it is the value at which the density has its peak.\n\n"
        ".. math::\n\n    f(x) = e^{-x}\n"
    )
    assert text_cleaning.formula_paragraphs(block) == [
        "The mean of the distribution is $\\mu$, and it is the value at which the density has its peak.",
        "$$f(x) = e^{-x}$$",
    ]


def test_pack_keeps_all_text_within_the_limit() -> None:
    parts = ["a" * 30, "b" * 50, "c\n" * 60, "d"]
    packed = list(text_cleaning.pack(parts, "\n", 64))
    assert all(len(text) <= 64 for text in packed)
    assert "".join(packed).replace("\n", "") == "".join(parts).replace("\n", "")
