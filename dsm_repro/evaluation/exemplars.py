"""Few-shot prompts with fixed exemplars, for models that were not fine-tuned (Tables 1-3).

``evaluation.exemplars=lm_eval`` takes those that lm-eval ships: Wei et al.'s eight for GSM8K, Minerva's four for MATH.
They are solved in words; the programs to the same questions are ours (``exemplar_programs.yaml``). A FILE has JSON
lines with ``question`` and ``cot`` or ``program``: for the other benchmarks lm-eval has none of the release's. The
wording around them is the release's ``few_shot_prompts``. There an answer ends where the model starts another question.

Exemplars that are drawn from the training problems (``evaluation.exemplars=train``) are lm-eval's own few-shot
sampling, with the arm's own wording: see ``taskdata.py``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.reasoning.formats import pot_target

TRAIN, LM_EVAL = "train", "lm_eval"
#: names our programs in a protocol; raised when one changes
PROGRAMS_VERSION = 1


@dataclass(frozen=True)
class Wording:
    """How exemplars and question stand in a prompt."""

    name: str
    #: {question} is replaced literally
    question: str
    #: between question and answer in words
    space: str
    between: str
    #: what the model writes when it starts another question
    stop: str


_Q_AND_A = Wording("q_and_a", "Q: {question}\nA:", " ", "\n\n\n", "\nQ:")
_PROBLEM = Wording("problem", "Problem:\n{question}\n\nSolution:", "\n", "\n\n", "\nProblem:")
_CHOICE = Wording("choice", "Problem:\n{question}\nSolution:", "\n", "\n\n", "\nProblem:")
_CHINESE = Wording("chinese", "问题：{question}\n答案：", "", "\n\n\n", "\n问题：")


@dataclass(frozen=True)
class Exemplar:
    question: str
    #: the answer in words, or as a program
    cot: str
    program: str = ""


def is_fixed(config: Config) -> bool:
    """Whether exemplars are shown that do not depend on a draw."""
    return config.evaluation.shots > 0 and config.evaluation.exemplars != TRAIN


def wording_of(task: str, language: str, choices: bool) -> Wording:
    if language == "zh":
        return _CHINESE
    if choices:
        return _CHOICE
    return _PROBLEM if task.startswith("math") or task == "ocw" else _Q_AND_A


def shown(config: Config, task: str, mode: str, wording: Wording) -> str:
    """What stands before each question of a task. Raises ConfigError, DataError as :func:`exemplars`."""
    texts = []
    for one in exemplars(config, task, mode):
        asked = wording.question.replace("{question}", one.question.strip())
        answered = f"{wording.space}{one.cot.strip()}" if mode == "cot" else pot_target(one.program, config.prompts)
        texts.append(f"{asked}{answered}{wording.between}")
    return "".join(texts)


def exemplars(config: Config, task: str, mode: str) -> list[Exemplar]:
    """The first ``evaluation.shots`` exemplars of a task, all of them where there are fewer.

    Raises:
        ConfigError: lm-eval ships none for this task, or an exemplar has no answer in this mode.
        DataError: the file cannot be read.
    """
    part = config.evaluation
    found = _shipped(task) if part.exemplars == LM_EVAL else _read(Path(part.exemplars).expanduser())
    if not found:
        raise ConfigError(
            f"evaluation.exemplars={LM_EVAL}: lm-eval ships no exemplars for {task}. Use exemplars of your own "
            "(evaluation.exemplars=FILE), or leave the task out of evaluation.tasks."
        )
    found = found[: part.shots]
    field = "cot" if mode == "cot" else "program"
    for one in found:
        if not getattr(one, field).strip():
            raise ConfigError(
                f"evaluation.exemplars={part.exemplars}: the exemplar {one.question[:60]!r} has no {field}, and "
                f"evaluation.modes has {mode}. Use a file with `{field}`, or leave the mode out."
            )
    return found


def files(config: Config) -> tuple[Path, ...]:
    fixed = is_fixed(config) and config.evaluation.exemplars != LM_EVAL
    return (Path(config.evaluation.exemplars).expanduser(),) if fixed else ()


def identity(config: Config) -> dict[str, Any]:
    """What fixed exemplars add to the identity of an evaluation; the content of a file is one of its inputs."""
    if not is_fixed(config):
        return {}
    shipped = config.evaluation.exemplars == LM_EVAL
    programs = {"exemplar_programs": PROGRAMS_VERSION} if shipped and "pot" in config.evaluation.modes else {}
    return {"exemplars": f"lm-eval {version('lm-eval')}" if shipped else "file", **programs}


def source(config: Config, mode: str) -> str:
    """Where the exemplars of a mode come from, for its protocol."""
    found = identity(config)
    ours = mode == "pot" and "exemplar_programs" in found
    return f"{found['exemplars']}{f', our programs/{PROGRAMS_VERSION}' if ours else ''}"


def require(config: Config, tasks: Sequence[str]) -> None:
    """Refuse, before any work, exemplars that a task or a mode lacks. A file that is not there is left to its reader.

    Raises:
        ConfigError, DataError: as :func:`exemplars`.
    """
    part = config.evaluation
    if is_fixed(config) and (part.exemplars == LM_EVAL or Path(part.exemplars).expanduser().is_file()):
        for task in tasks:
            for mode in part.modes:
                exemplars(config, task, mode)


def _shipped(task: str) -> list[Exemplar]:
    if task in ("gsm8k", "svamp"):
        return _word_problems()
    return _competition() if task.startswith("math") else []


def _folder() -> Path:
    spec = find_spec("lm_eval")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "tasks"


@lru_cache(maxsize=1)
def _word_problems() -> list[Exemplar]:
    import yaml

    samples = yaml.safe_load((_folder() / "gsm8k" / "gsm8k-cot.yaml").read_text())["fewshot_config"]["samples"]
    return _with_programs([Exemplar(sample["question"], sample["target"]) for sample in samples], "word_problems")


@lru_cache(maxsize=1)
def _competition() -> list[Exemplar]:
    """Read out of the source: importing the module asserts an antlr that Hydra does not go with."""
    tree = ast.parse((_folder() / "minerva_math" / "utils.py").read_text())
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "list_fewshot_samples")
    returned = next(n for n in function.body if isinstance(n, ast.Return))
    assert returned.value is not None
    samples = ast.literal_eval(returned.value)
    return _with_programs([Exemplar(sample["problem"], sample["solution"]) for sample in samples], "competition")


def _with_programs(found: list[Exemplar], kind: str) -> list[Exemplar]:
    """``found`` with our programs; none for a question that another version of lm-eval has put in."""
    import yaml

    ours = yaml.safe_load((Path(__file__).parent / "exemplar_programs.yaml").read_text(encoding="utf-8"))[kind]
    return [
        replace(one, program=next((p["program"] for p in ours if one.question.startswith(p["asks"])), ""))
        for one in found
    ]


def _read(path: Path) -> list[Exemplar]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [Exemplar(r["question"], str(r.get("cot") or ""), str(r.get("program") or "")) for r in rows]
    except OSError as error:
        raise DataError(
            f"evaluation.exemplars={path}: cannot be read ({error.strerror}). Use {TRAIN}, {LM_EVAL} or a file."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"evaluation.exemplars={path}: needs JSON lines with question and cot or program ({error!r}). Correct it."
        ) from error
