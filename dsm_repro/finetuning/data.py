"""From problems to training examples: which solution each problem contributes, and which tokens are learnt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.miniature.problems import Problem, is_terse
from dsm_repro.reasoning.formats import cot_target, pot_target, prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMATS = ("cot", "pot", "both", "none")
#: label of a token that is read and not learnt
IGNORED = -100


@dataclass(frozen=True)
class Example:
    """A prompt and what the model must write after it, as text."""

    problem_id: str
    #: cot | pot
    mode: str
    terse: bool
    prompt: str
    target: str


@dataclass(frozen=True)
class Tokens:
    """An example as token ids; the first ``prompt_length`` of them are not learnt."""

    ids: tuple[int, ...]
    prompt_length: int

    @property
    def labels(self) -> tuple[int, ...]:
        return (IGNORED,) * self.prompt_length + self.ids[self.prompt_length :]


def check_format(name: str) -> None:
    """Raises ConfigError for an unknown ``sft.format``."""
    if name not in FORMATS:
        raise ConfigError(f"sft.format={name}: use one of {', '.join(FORMATS)}.")


def modes_of(problems: Sequence[Problem], format_name: str) -> list[str]:
    """The format of each problem's one example; ``both`` alternates within each category.

    One example per problem whatever the format, so arms that differ in it see the same questions and
    the same number of examples.
    """
    check_format(format_name)
    if format_name != "both":
        return [format_name] * len(problems)
    seen: dict[str, int] = defaultdict(int)
    modes = []
    for problem in problems:
        modes.append(("cot", "pot")[seen[problem.category] % 2])
        seen[problem.category] += 1
    return modes


def examples(
    problems: Sequence[Problem], format_name: str, template: str, terse_share: float, seed: int
) -> list[Example]:
    """One example per problem: its worked solution (thorough or terse) or its program.

    Raises:
        ConfigError: an unknown format or template.
        DataError: a problem that lacks the solution its format needs.
    """
    made = []
    for problem, mode in zip(problems, modes_of(problems, format_name), strict=True):
        two_styles = mode == "cot" and problem.cot_terse != problem.cot
        terse = two_styles and is_terse(problem, terse_share, seed)
        solution = problem.program if mode == "pot" else problem.cot_terse if terse else problem.cot
        if not solution.strip():
            field = "program" if mode == "pot" else "cot"
            raise DataError(
                f"problem {problem.id} ({problem.question[:60]!r}): no {field!r}, and sft.format={format_name} learns "
                f"from it. Add the field to problems.train_path, or choose another sft.format."
            )
        target = pot_target(solution, template) if mode == "pot" else cot_target(solution, template)
        made.append(Example(problem.id, mode, terse, prompt(problem.question, mode, template), target))
    return made


def tokenize(made: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> list[Tokens]:
    """Token ids of prompt, target and end of text.

    Prompt and target are encoded apart, as they are when the model is asked; the prompt gets the
    tokenizer's own special tokens (its beginning-of-text token, where it has one).
    """
    prompts = tokenizer([example.prompt for example in made])["input_ids"]
    targets = tokenizer([example.target for example in made], add_special_tokens=False)["input_ids"]
    end = (int(tokenizer.eos_token_id),)  # type: ignore[arg-type]
    return [Tokens((*p, *t, *end), len(p)) for p, t in zip(prompts, targets, strict=True)]  # type: ignore[misc]


def fitting(tokens: Iterable[Tokens], max_length: int) -> list[int]:
    """Indices of the examples of at most ``max_length`` tokens: a cut solution would teach not to finish."""
    return [i for i, example in enumerate(tokens) if len(example.ids) <= max_length]


def pack(order: Sequence[int], lengths: Sequence[int], max_length: int) -> list[tuple[int, ...]]:
    """Examples into rows of at most ``max_length`` tokens, in ``order``, none cut (§3.2: random concatenation)."""
    rows: list[tuple[int, ...]] = []
    current: list[int] = []
    used = 0
    for index in order:
        if current and used + lengths[index] > max_length:
            rows.append(tuple(current))
            current, used = [], 0
        current.append(index)
        used += lengths[index]
    return [*rows, tuple(current)] if current else rows
