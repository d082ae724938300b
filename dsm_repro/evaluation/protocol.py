"""The protocol of an evaluation: two accuracies are set beside each other only where theirs is the same."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Any

from dsm_repro.config.resolve import PROGRAM_MODES
from dsm_repro.config.schema import Config
from dsm_repro.evaluation import answers, conversation, exemplars, router, sampled, suite
from dsm_repro.evaluation.exemplars import Wording
from dsm_repro.reasoning import extraction, formats
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.sandbox import Sandbox


def protocol(config: Config, mode: str, grader: Grader, sandbox: Sandbox | None, n: int) -> dict[str, Any]:
    """Everything that makes two accuracies of a mode comparable; ``n`` is the number of problems."""
    warmth, nucleus = config.evaluation.temperature, config.evaluation.top_p
    drawn = {"sampled": sampled.protocol(config.evaluation)} if config.evaluation.samples > 1 else {}
    return {
        "task": ", ".join(config.evaluation.tasks),
        **_prompt(config, mode),
        "shots": config.evaluation.shots,
        "decoding": "greedy" if warmth == 0 else f"temperature {warmth}, top-p {nucleus}",
        "max_tokens": config.evaluation.max_tokens,
        "extractor": ", ".join((f"release order/{extraction.VERSION}", *answers.rules_of(config))),
        "grader": grader.id,
        "sandbox": sandbox.backend if sandbox is not None and mode in PROGRAM_MODES else None,
        "engine": f"lm-eval {version('lm-eval')}, {_engine(config.evaluation.engine)}",
        "n": n,
        **({"tool": conversation.protocol(config.tool, config.sandbox.timeout)} if mode == "tool" else {}),
        **drawn,
    }


def _prompt(config: Config, mode: str) -> dict[str, Any]:
    """Names and texts of the wordings that the tasks use."""
    tasks = suite.tasks_of(config)
    if mode in router.KINDS_OF:
        found = [_prompt(config, kind) for kind in router.KINDS_OF[mode]]
        return {
            "prompt": f"router/{router.VERSION}: {', '.join(one['prompt'] for one in found)}",
            "prompt_text": "\n\n".join(one["prompt_text"] for one in found),
        }
    if not exemplars.is_fixed(config):
        languages = dict.fromkeys(suite.language_of(config, task) for task in tasks)
        return {
            "prompt": ", ".join(formats.template_id(mode, config.prompts, language) for language in languages),
            "prompt_text": "\n\n".join(formats.prompt("{question}", mode, config.prompts, lang) for lang in languages),
        }
    wordings = dict.fromkeys(wording(config, task) for task in tasks)
    shown = [f"{task} {len(exemplars.exemplars(config, task, mode))}" for task in tasks]
    return {
        "prompt": ", ".join(f"few_shot/{each.name}/{mode}/1" for each in wordings),
        "prompt_text": "\n\n".join(each.question for each in wordings),
        "exemplars": f"{exemplars.source(config, mode)}: {', '.join(shown)} ({_digest_of_exemplars(config, mode)})",
    }


def _digest_of_exemplars(config: Config, mode: str) -> str:
    """Of the text that is shown: two files of as many exemplars are two protocols."""
    text = "\0".join(exemplars.shown(config, task, mode, wording(config, task)) for task in suite.tasks_of(config))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def wording(config: Config, task: str) -> Wording:
    """The few-shot wording of a task, by its language and whether it has choices."""
    return exemplars.wording_of(task, suite.language_of(config, task), suite.has_choices(config, task))


def _engine(name: str) -> str:
    library = "vllm" if name == "vllm" else "transformers"
    return f"{library} {version(library)}" + (" by lm-eval's hf" if name == "hf" else "")
