"""Prompts and targets: what the model reads and writes, and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.reasoning import formats

PROGRAM = "x = 3\nif x > 2:\n    print(x)"


def test_release_prompt_is_the_release_wording() -> None:
    assert formats.prompt("What is 1+1?", "cot", "release") == (
        "User: What is 1+1?\nPlease reason step by step, and put your final answer within \\boxed{}.\n\nAssistant:"
    )
    assert "integrate natural language reasoning with programs" in formats.prompt("q", "pot", "release")


def test_a_question_with_braces_is_put_in_literally() -> None:
    assert formats.prompt("Find {question} in {x}", "cot", "miniature") == "Find {question} in {x}\nAnswer:"


@pytest.mark.parametrize("template", formats.TEMPLATES)
def test_a_program_comes_back_from_its_target(template: str) -> None:
    assert formats.program_of(formats.pot_target(PROGRAM + "\n\n", template), template) == PROGRAM


@pytest.mark.parametrize("template", formats.TEMPLATES)
@pytest.mark.parametrize("target", [formats.cot_target, formats.pot_target])
def test_a_target_starts_with_one_space_or_newline_where_its_prompt_ends_in_neither(
    template: str, target: Callable[[str, str], str]
) -> None:
    text = target("text\n", template)
    assert not text[1].isspace()
    assert text[0].isspace() != formats.prompt("q", "cot", template)[-1].isspace()


def test_only_fences_cost_tokens_in_the_release() -> None:
    assert "```" not in formats.pot_target(PROGRAM, "miniature")
    assert "```python\n" in formats.pot_target(PROGRAM, "release")


@pytest.mark.parametrize(
    ("completion", "template", "program"),
    [
        ("no code here", "release", None),
        ("   \n", "miniature", None),
        ("a\n```python\nprint(1)\n```\nb\n```python\nprint(2)\n```", "release", "print(2)"),
        ("cut off ```python\nprint(1", "release", "print(1"),
        ("```python\nprint(1)\n```", "miniature", "print(1)"),
        ("\n    x = 1", "miniature", "    x = 1"),
    ],
)
def test_program_of(completion: str, template: str, program: str | None) -> None:
    assert formats.program_of(completion, template) == program


def test_ids_differ_between_modes_and_templates() -> None:
    pairs = [(mode, name) for name, template in formats.TEMPLATES.items() for mode in template.prompts]
    assert len({formats.template_id(mode, template) for mode, template in pairs}) == len(pairs)
    assert {mode for mode, _ in pairs} == set(formats.MODES)


@pytest.mark.parametrize(("mode", "template"), [("cot", "nosuch"), ("nosuch", "release")])
def test_an_unknown_name_is_refused_with_the_known_ones(mode: str, template: str) -> None:
    with pytest.raises(ConfigError, match=r"nosuch.*(miniature|cot)"):
        formats.prompt("q", mode, template)
