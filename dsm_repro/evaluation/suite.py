"""The benchmarks of Tables 1-5 that have public data: where their rows lie, how they are read and asked.

A task is looked for in this order: ``evaluation.data.TASK`` (a file, a folder, or ``hub``), then a file under
``evaluation.folder`` (``TASK/test.jsonl``, or where the release's ``evaluation/datasets`` has it), then the hub.
``miniature`` is the arm's own test set, ``problems.*``.

Not covered: miniF2F, whose proofs Isabelle has to check; MMLU, BBH, HumanEval and MBPP (Table 4), which are no
mathematics and which lm-eval has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.evaluation import rows
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning.problemset import decoded, distinct, load_problems

HUB = "hub"


@dataclass(frozen=True)
class Hub:
    """A data set on the hub: one configuration or several, which name the category of their rows."""

    path: str
    split: str = "test"
    names: tuple[str | None, ...] = (None,)


@dataclass(frozen=True)
class Benchmark:
    """One task. ``part`` is the category that is kept of ``whole``'s rows."""

    read: Callable[[dict[str, Any]], Problem]
    #: questions of the published test set
    size: int
    hub: Hub | None = None
    language: str = "en"
    #: the answer is a letter
    choices: bool = False
    #: files below ``evaluation.folder``, besides TASK/test.jsonl
    files: tuple[str, ...] = ()
    whole: str = ""
    part: str = ""


#: its stem subjects by the release's count of 3,018 questions
_STEM = (
    "abstract_algebra", "astronomy", "college_biology", "college_chemistry", "college_computer_science",
    "college_mathematics", "college_physics", "computer_security", "conceptual_physics", "electrical_engineering",
    "elementary_mathematics", "high_school_biology", "high_school_chemistry", "high_school_computer_science",
    "high_school_mathematics", "high_school_physics", "high_school_statistics", "machine_learning",
)  # fmt: skip
#: task -> (category as MATH spells it, questions)
MATH_PARTS = {
    "math_algebra": ("Algebra", 1187),
    "math_counting_and_probability": ("Counting & Probability", 474),
    "math_geometry": ("Geometry", 479),
    "math_intermediate_algebra": ("Intermediate Algebra", 903),
    "math_number_theory": ("Number Theory", 540),
    "math_prealgebra": ("Prealgebra", 871),
    "math_precalculus": ("Precalculus", 546),
}
_MATH = Benchmark(
    rows.competition,
    5000,
    Hub("EleutherAI/hendrycks_math", names=tuple(name.removeprefix("math_") for name in MATH_PARTS)),
)

BENCHMARKS: dict[str, Benchmark] = {
    "gsm8k": Benchmark(rows.word_problem, 1319, Hub("openai/gsm8k", names=("main",))),
    "svamp": Benchmark(rows.word_problem, 1000),
    "math": _MATH,
    **{task: replace(_MATH, size=size, whole="math", part=part) for task, (part, size) in MATH_PARTS.items()},
    "math500": Benchmark(rows.competition, 500, Hub("HuggingFaceH4/MATH-500")),
    "ocw": Benchmark(rows.course, 272, Hub("open-web-math/ocwcourses")),
    "sat": Benchmark(rows.sat, 32, Hub("mcaleste/sat_multiple_choice_math_may_23", split="train"), choices=True),
    "mmlu_stem": Benchmark(rows.stem, 3018, Hub("cais/mmlu", names=_STEM), choices=True),
    "cmath": Benchmark(rows.grade_school_zh, 1098, Hub("weitianwen/cmath"), language="zh"),
    "mgsm_zh": Benchmark(
        rows.word_problem_zh, 250, Hub("juletxara/mgsm", names=("zh",)), language="zh", files=("mgsm_zh/mgsm_zh.jsonl",)
    ),
    "gaokao_cloze": Benchmark(
        rows.cloze_zh,
        118,
        Hub("hails/agieval-gaokao-mathcloze"),
        language="zh",
        files=("agieval/gaokao-mathcloze.jsonl",),
    ),
    "gaokao_qa": Benchmark(
        rows.choice_zh,
        351,
        Hub("hails/agieval-gaokao-mathqa"),
        language="zh",
        choices=True,
        files=("agieval/gaokao-mathqa.jsonl",),
    ),
}  # fmt: skip
#: names of several tasks; the folder of tasks has each as a group of lm-eval
GROUPS = {"math_by_category": tuple(MATH_PARTS)}
TASKS = ("miniature", *BENCHMARKS, *GROUPS)


def tasks_of(config: Config) -> list[str]:
    """``evaluation.tasks`` with the members of each group in its place, each once."""
    return list(dict.fromkeys(one for task in config.evaluation.tasks for one in GROUPS.get(task, (task,))))


def is_own(config: Config, task: str) -> bool:
    """Whether the task is the arm's own test set, ``problems.*``."""
    return task == "miniature"


def language_of(config: Config, task: str) -> str:
    return "en" if is_own(config, task) else _benchmark(task).language


def has_choices(config: Config, task: str) -> bool:
    return not is_own(config, task) and _benchmark(task).choices


def size_of(config: Config, task: str, own: int) -> int:
    """How many questions the task asks; ``own`` is the size of the arm's own test set, where that is not limited."""
    limit = config.evaluation.problems
    if is_own(config, task):
        return limit or own
    return min(limit or _benchmark(task).size, _benchmark(task).size)


def _benchmark(task: str) -> Benchmark:
    if task not in BENCHMARKS:
        raise ConfigError(f"evaluation.tasks={task}: unknown. Use one or more of {', '.join(TASKS)}.")
    return BENCHMARKS[task]


def place_of(config: Config, task: str) -> Path | Hub:
    """The file that holds the rows of a task that is not the arm's own, or the data set.

    Raises:
        ConfigError: an unknown task, or one without a file and without a data set on the hub.
    """
    found = _benchmark(task)
    name = found.whole or task
    given = getattr(config.evaluation.data, name)
    relative = (f"{name}/test.jsonl", *found.files)
    if given == HUB:
        return _hub(found, task)
    if given:
        path = Path(given).expanduser()
        return path / "test.jsonl" if path.is_dir() else path
    folder = Path(config.evaluation.folder).expanduser() if config.evaluation.folder else None
    if folder is not None:
        for file in relative:
            if (folder / file).is_file():
                return folder / file
    return _hub(found, task)


def _hub(found: Benchmark, task: str) -> Hub:
    if found.hub is None:
        name = found.whole or task
        raise ConfigError(
            f"evaluation.tasks={task}: the hub has no data set of it that we know, and evaluation.folder has no "
            f"{name}/test.jsonl. Put the file there, or set evaluation.data.{name}=FILE."
        )
    return found.hub


def _places(config: Config) -> dict[str, Path | Hub]:
    """Where the tasks lie that are not the arm's own.

    Raises:
        ConfigError: as :func:`place_of`, or two tasks would ask the same questions, and count them twice.
    """
    tasks = tasks_of(config)
    places = {task: place_of(config, task) for task in tasks if not is_own(config, task)}
    files = {task: place for task, place in places.items() if isinstance(place, Path) and not _benchmark(task).part}
    if config.problems.source == "jsonl":
        files |= {task: Path(config.problems.test_path).expanduser() for task in tasks if is_own(config, task)}
    asked: dict[Path, str] = {}
    for task, file in files.items():
        other = asked.setdefault(file.resolve(), task)
        if other != task:
            raise ConfigError(
                f"evaluation.tasks={list(config.evaluation.tasks)}: {other} and {task} would both ask the questions of "
                f"{file}. Name another file for one of them (evaluation.data.TASK=FILE), or leave it out."
            )
    return places


def identity(config: Config) -> dict[str, Any]:
    """Of tasks that are not the arm's own: the data set of each, or that it is a file (whose digest is an input)."""
    places = _places(config)
    named = {task: "file" if isinstance(p, Path) else f"{HUB}: {p.path}/{p.split}" for task, p in places.items()}
    return {"benchmarks": named} if places else {}


def files(config: Config) -> tuple[Path, ...]:
    """The files of tasks that are not the arm's own, each once."""
    return tuple(dict.fromkeys(place for place in _places(config).values() if isinstance(place, Path)))


def load(config: Config, task: str) -> list[Problem]:
    """The questions of a task, the first ``evaluation.problems`` of them, each with an id of its own.

    Raises:
        ConfigError: an unknown task, or one without data.
        DataError: a file that cannot be read, a row without its fields, or a data set that cannot be had.
    """
    part = config.evaluation
    if is_own(config, task):
        return distinct(load_problems(config.problems, "test", part.problems, part.problems_seed))
    benchmark, place = _benchmark(task), place_of(config, task)
    found: list[Problem] = []
    for where, row in _lines(place) if isinstance(place, Path) else _remote(place):
        try:
            problem = benchmark.read(row)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            has = ", ".join(sorted(row)) if isinstance(row, dict) else type(row).__name__
            raise DataError(
                f"{where}: not a row of {task} ({error!r}; it has: {has}). {(benchmark.read.__doc__ or '').strip()}"
            ) from error
        if not benchmark.part or problem.category == benchmark.part:
            found.append(problem)
            if part.problems is not None and len(found) == part.problems:
                break
    if not found:
        raise DataError(f"evaluation.tasks={task}: {place} has no row of it. Give the right file.")
    return distinct(found)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                text = decoded(line, f"{path}, line {number}")
                if text.strip():
                    yield f"{path}, line {number}", json.loads(text)
    except OSError as error:
        raise DataError(f"evaluation.data: {path} cannot be read ({error.strerror}). Give an existing file.") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: not a JSON line ({error}). Repair or remove the line.") from error


def _remote(hub: Hub) -> Iterator[tuple[str, dict[str, Any]]]:
    from datasets import load_dataset

    for name in hub.names:
        try:
            dataset = load_dataset(hub.path, name, split=hub.split)
        # the hub's client raises many kinds of errors, of the network and of its own
        except Exception as error:
            raise DataError(
                f"hub data set {hub.path}{f' ({name})' if name else ''}: cannot be had ({error}). Download it where "
                "there is a network, or set evaluation.data.TASK=FILE."
            ) from error
        for number, row in enumerate(dataset):
            yield f"{hub.path}/{name or hub.split}, row {number}", {"subject": name, **row} if name else dict(row)
