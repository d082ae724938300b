"""The documents of a task: test problems with their prompts, training problems as few-shot exemplars."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config
from dsm_repro.evaluation import exemplars, suite
from dsm_repro.evaluation.exemplars import Wording
from dsm_repro.evaluation.router import route
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning.formats import cot_target, pot_target, prompt
from dsm_repro.reasoning.problemset import load_problems

if TYPE_CHECKING:
    from datasets import DatasetDict


@dataclass(frozen=True)
class Subject:
    """What is asked now: the problems of each task, to be answered in this mode."""

    config: Config
    problems: dict[str, list[Problem]]
    mode: str


#: lm-eval calls ``load_dataset`` with the YAML's arguments only, so the rest comes this way
SUBJECT: ContextVar[Subject] = ContextVar("evaluation_subject")
#: exemplars are drawn by lm-eval's sampler from this many training problems
FEWSHOT_POOL = 64


def test_problems(config: Config) -> dict[str, list[Problem]]:
    """Task -> the questions that the arm is scored on: the same ones for every arm of a sweep."""
    return {task: suite.load(config, task) for task in suite.tasks_of(config)}


def problems_digest(problems: Sequence[Problem]) -> str:
    """Names the test set in the protocol: equal digests, equal questions and gold answers in equal order."""
    rows = [(problem.id, problem.question, problem.answer) for problem in problems]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _document(problem: Problem, task: str, subject: Subject, few_shot: tuple[str, Wording] | None) -> dict[str, Any]:
    config, mode = subject.config, subject.mode
    template, language = config.prompts, suite.language_of(config, task)
    # of a conversation with the tool, only the model's first stretch could be shown
    target = cot_target(problem.cot, template) if mode == "cot" else pot_target(problem.program, template)
    routed, rule = route(problem.question) if mode == "router" else (mode, "")
    if few_shot is not None:
        before, wording = few_shot
        asked = before + wording.question.replace("{question}", problem.question)
    else:
        asked = prompt(problem.question, routed, template, language)
    return {
        **asdict(problem),
        "mode": mode,
        "prompt": asked,
        "target": target,
        "choices": suite.has_choices(config, task),
        # who chose between words and a program, where it was not the mode: a rule, or nobody yet
        "routed": routed,
        "rule": rule,
        "language": language,
    }


def drawn_shots(config: Config) -> int:
    """How many training problems lm-eval puts before each question."""
    return 0 if exemplars.is_fixed(config) else config.evaluation.shots


def load_dataset(task: str, **_: Any) -> DatasetDict:
    """The splits of one task, as lm-eval's ``custom_dataset`` wants them.

    Raises:
        ConfigError: few-shot exemplars wanted where the training problems have no solution in this mode.
    """
    from datasets import Dataset, DatasetDict

    subject = SUBJECT.get()
    config, mode = subject.config, subject.mode
    few_shot = None
    if exemplars.is_fixed(config):
        wording = exemplars.wording_of(task, suite.language_of(config, task), suite.has_choices(config, task))
        few_shot = exemplars.shown(config, task, mode, wording), wording
    # lm-eval asks for the few-shot split of every task, also where it takes nothing from it
    splits = {"test": subject.problems[task], "train": _exemplars(config, mode) if drawn_shots(config) else []}
    return DatasetDict(
        {
            name: Dataset.from_list([_document(p, task, subject, few_shot) for p in rows])
            for name, rows in splits.items()
        }
    )


def _exemplars(config: Config, mode: str) -> list[Problem]:
    """Training problems with a solution in this mode. Raises ConfigError where there are too few."""
    train = load_problems(config.problems, "train", FEWSHOT_POOL, config.problems.seed)
    solved = [problem for problem in train if (problem.cot if mode == "cot" else problem.program)]
    if len(solved) < config.evaluation.shots:
        raise ConfigError(
            f"evaluation.shots={config.evaluation.shots}: only {len(solved)} training problems have a {mode} solution. "
            f"Lower evaluation.shots, or give problems.train_path a file with `{mode if mode == 'cot' else 'program'}`."
        )
    return solved
