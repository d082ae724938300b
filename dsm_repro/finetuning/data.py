"""From problems to training examples: which solution each problem contributes, and which tokens are learnt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.training_schema import MODES_OF_FORMAT
from dsm_repro.miniature.problems import Problem, is_terse
from dsm_repro.reasoning.formats import Passage, cot_target, encode, pot_target, prompt, tool_target

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: label of a token that is read and not learnt
IGNORED = -100


@dataclass(frozen=True)
class Example:
    """A prompt and what the model must write after it, as text."""

    problem_id: str
    #: cot | pot | tool
    mode: str
    terse: bool
    prompt: str
    passages: tuple[Passage, ...]

    @property
    def target(self) -> str:
        """All that follows the prompt, the tool's answers included."""
        return "".join(passage.text for passage in self.passages)


@dataclass(frozen=True)
class Tokens:
    """An example as token ids; the first ``prompt_length`` of them are not learnt, nor those at ``unwritten``."""

    ids: tuple[int, ...]
    prompt_length: int
    #: positions of a tool's answers: the model reads them
    unwritten: frozenset[int] = frozenset()

    @property
    def labels(self) -> tuple[int, ...]:
        masked = self.unwritten.union(range(self.prompt_length))
        return tuple(IGNORED if position in masked else token for position, token in enumerate(self.ids))

    @property
    def learnt(self) -> int:
        """How many tokens the loss is taken on."""
        return len(self.ids) - self.prompt_length - len(self.unwritten)


def check_format(name: str) -> None:
    """Raises ConfigError for an unknown ``sft.format``."""
    if name not in MODES_OF_FORMAT:
        raise ConfigError(f"sft.format={name}: use one of {', '.join(MODES_OF_FORMAT)}.")


def modes_of(problems: Sequence[Problem], format_name: str) -> list[str]:
    """The kind of each problem's one example; ``both`` and ``hybrid`` alternate within each category.

    With ``given`` it is the kind of the one solution that the problem has (words where it has two).

    One example per problem whatever the format, so arms that differ in it see the same questions and
    the same number of examples.
    """
    check_format(format_name)
    if len(MODES_OF_FORMAT[format_name]) < 2:
        return [format_name] * len(problems)
    if format_name == "given":
        return ["cot" if problem.cot or not problem.program else "pot" for problem in problems]
    seen: dict[str, int] = defaultdict(int)
    modes = []
    for problem in problems:
        modes.append(("cot", "pot")[seen[problem.category] % 2])
        seen[problem.category] += 1
    return modes


def prompts_of(problems: Sequence[Problem], format_name: str) -> list[str]:
    """The mode that each problem's prompt asks for: its example's own, or with ``hybrid`` every other time neither.

    Of four of a category, two in words and two as programs, the latter two do not say which.
    """
    modes = modes_of(problems, format_name)
    if format_name != "hybrid":
        return modes
    seen: dict[str, int] = defaultdict(int)
    asked = []
    for problem, mode in zip(problems, modes, strict=True):
        asked.append("hybrid" if seen[problem.category] % 4 >= 2 else mode)
        seen[problem.category] += 1
    return asked


def examples(
    problems: Sequence[Problem],
    format_name: str,
    template: str,
    terse_share: float,
    seed: int,
    outputs: Mapping[str, str] | None = None,
) -> list[Example]:
    """One example per problem: its worked solution (thorough or terse), its program, or its program in use.

    Args:
        outputs: what the tool says of each program, where the format calls it.

    Raises:
        ConfigError: an unknown format or template.
        DataError: a problem that lacks the solution its format needs.
    """
    made = []
    kinds = zip(modes_of(problems, format_name), prompts_of(problems, format_name), strict=True)
    for problem, (mode, asked) in zip(problems, kinds, strict=True):
        two_styles = mode == "cot" and problem.cot_terse != problem.cot
        terse = two_styles and is_terse(problem, terse_share, seed)
        solution = problem.cot if mode == "cot" else problem.program
        if terse:
            solution = problem.cot_terse
        if not solution.strip():
            field = "cot" if mode == "cot" else "program"
            raise DataError(
                f"problem {problem.id} ({problem.question[:60]!r}): no {field!r}, and sft.format={format_name} learns "
                f"from it. Add the field to problems.train_path, or choose another sft.format."
            )
        if mode == "tool":
            if outputs is None:
                raise ValueError("sft.format=tool: the programs have not been run")
            passages = tool_target(solution, outputs[problem.program], problem.answer, template)
        else:
            target = pot_target(solution, template) if mode == "pot" else cot_target(solution, template)
            passages = (Passage(target, written=True),)
        made.append(Example(problem.id, mode, terse, prompt(problem.question, asked, template), passages))
    return made


def tokenize(made: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> list[Tokens]:
    """Token ids of prompt, target and end of text.

    Prompt and passages are encoded apart, as they are when the model is asked; the prompt gets the
    tokenizer's own special tokens (its beginning-of-text token, where it has one).
    """
    prompts = tokenizer([example.prompt for example in made])["input_ids"]
    passages = [passage for example in made for passage in example.passages]
    encoded = iter(encode(passages, tokenizer))
    end = int(tokenizer.eos_token_id)  # type: ignore[arg-type]
    tokens = []
    for example, prompt_ids in zip(made, prompts, strict=True):
        ids = list(prompt_ids)
        unwritten: set[int] = set()
        for passage in example.passages:
            start = len(ids)
            ids += next(encoded)
            if not passage.written:
                unwritten.update(range(start, len(ids)))
        tokens.append(Tokens((*ids, end), len(prompt_ids), frozenset(unwritten)))
    return tokens


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
