"""Labels without annotators, as in Math-Shepherd (arXiv:2312.08935).

Solutions are drawn from the fine-tuned model. Each step of a solution is completed N times by the same model
(the completer) and labelled by the share of completions that the rule finds right; the last step, after which
there is nothing to complete, by the rule's verdict. An outcome reward model gets this last label alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dsm_repro.config.schema import Config
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.grading import Grader, Verdict
from dsm_repro.reasoning.steps import step_ends
from dsm_repro.rl import accounting
from dsm_repro.rl.reward_model.examples import Example
from dsm_repro.rl.rewards import STATUSES, answers_in, verdicts
from dsm_repro.rl.rollouts import Sampling, noise_of, sample
from dsm_repro.training.models import end_tokens, model_shape


@dataclass(frozen=True)
class Labelled:
    """The examples of some questions, and what they cost."""

    examples: list[Example]
    #: verdicts on the solutions
    counts: dict[str, int]
    #: partial solutions that were completed, each once however often it was drawn
    completed: int
    flops: float
    tokens: int


@dataclass
class Labeller:
    """Draws and labels solutions. A call is a function of the config and its arguments alone."""

    config: Config
    completer: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    grader: Grader

    def __post_init__(self) -> None:
        self.eos_ids = end_tokens(self.completer, self.tokenizer)
        self.shape = model_shape(self.completer)
        self.limit = self.config.rl.max_completion_length

    @property
    def questions_at_once(self) -> int:
        part = self.config.reward_model
        return max(part.sampling_rows // part.samples, 1)

    def __call__(self, part: int, problems: Sequence[Problem]) -> Labelled:
        """Solutions of ``problems`` with soft labels; ``part`` numbers the noise."""
        texts = [formats.prompt(problem.question, "cot", self.config.prompts) for problem in problems]
        prompts = [list(ids) for ids in self.tokenizer(texts)["input_ids"]]
        samples = self.config.reward_model.samples
        solutions, spent = self._draw(prompts, samples, self.limit, f"{part}/solutions")
        owners = [index for index in range(len(problems)) for _ in range(samples)]
        found = self._verdicts(solutions, [problems[owner] for owner in owners])
        correct = [verdict.status == "correct" for verdict in found]
        counts = dict.fromkeys(STATUSES.values(), 0)
        for verdict in found:
            counts[STATUSES[verdict.status]] += 1
        flops, tokens = spent
        if self.config.reward.kind == "process":
            ends = [step_ends(ids, self.tokenizer, self.config.prompts) for ids in solutions]
            shares, more_flops, more_tokens = self._shares(part, problems, prompts, owners, solutions, ends)
            flops, tokens = flops + more_flops, tokens + more_tokens
        else:
            ends, shares = [[len(ids) - 1] for ids in solutions], {}
        examples = [
            Example(
                question=problems[owner].id, prompt=prompts[owner], completion=ids, ends=places,
                labels=[*(shares[owner, tuple(ids[: end + 1])] for end in places[:-1]), float(right)], correct=right,
            )
            for owner, ids, places, right in zip(owners, solutions, ends, correct, strict=True)
        ]  # fmt: skip
        return Labelled(examples, counts, len(shares), flops, tokens)

    def _shares(
        self, part: int, problems: Sequence[Problem], prompts: list[list[int]], owners: list[int],
        solutions: list[list[int]], ends: list[list[int]],
    ) -> tuple[dict[tuple[int, tuple[int, ...]], float], float, int]:  # fmt: skip
        """(question, partial solution) -> share of its completions that are right; FLOPs and tokens."""
        repeats = self.config.reward_model.completions
        prefixes = dict.fromkeys(
            (owner, tuple(ids[: end + 1]))
            for owner, ids, places in zip(owners, solutions, ends, strict=True)
            for end in places[:-1]
        )
        # those of like length together: what is left to write is then alike, and padding small
        ordered = sorted(prefixes, key=lambda item: len(item[1]))
        at_once = max(self.config.reward_model.sampling_rows // repeats, 1)
        shares: dict[tuple[int, tuple[int, ...]], float] = {}
        flops, tokens = 0.0, 0
        for number, start in enumerate(range(0, len(ordered), at_once)):
            chunk = ordered[start : start + at_once]
            begun = [[*prompts[owner], *prefix] for owner, prefix in chunk]
            room = self.limit - len(chunk[0][1])
            drawn, (spent, written) = self._draw(begun, repeats, room, f"{part}/steps/{number}")
            flops, tokens = flops + spent, tokens + written
            # a solution may not be longer for having been completed
            whole = [
                [*prefix, *drawn[row * repeats + i]][: self.limit]
                for row, (_, prefix) in enumerate(chunk)
                for i in range(repeats)
            ]
            asked = [problems[owner] for owner, _ in chunk for _ in range(repeats)]
            right = [verdict.status == "correct" for verdict in self._verdicts(whole, asked)]
            for row, key in enumerate(chunk):
                shares[key] = sum(right[row * repeats : (row + 1) * repeats]) / repeats
        return shares, flops, tokens

    def _draw(
        self, prompts: list[list[int]], group: int, length: int, noise: str
    ) -> tuple[list[list[int]], tuple[float, int]]:
        """``group`` completions of each prompt, and (FLOPs, tokens)."""
        config = self.config
        sampling = Sampling(length, config.reward_model.temperature, config.rl.top_p)
        batch = sample(
            self.completer, prompts, group, sampling, self.eos_ids, int(self.tokenizer.pad_token_id),
            noise_of(f"reward_model/{config.seeds.reward_model}/{noise}"),
        ).batch  # fmt: skip
        lengths = batch.lengths.tolist()
        rows = [row[:n] for row, n in zip(batch.completion_ids.tolist(), lengths, strict=True)]
        groups = [lengths[start : start + group] for start in range(0, len(lengths), group)]
        counted = accounting.Lengths([len(prompt) for prompt in prompts], groups)
        return rows, (accounting.generate(self.shape, counted), counted.completion_tokens)

    def _verdicts(self, rows: Sequence[Sequence[int]], problems: Sequence[Problem]) -> list[Verdict]:
        """The rule's, on completions given as token ids, each to its problem."""
        texts = self.tokenizer.batch_decode([list(row) for row in rows], skip_special_tokens=True)
        return verdicts(self.grader, answers_in(texts, problems), problems)
