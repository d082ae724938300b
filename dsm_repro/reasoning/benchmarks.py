"""The benchmarks that a corpus is checked against: the arm's own test set and every file that the config names.

A benchmark is whole files and not the part of them that an arm happens to be evaluated on, so arms that
differ in ``evaluation.problems`` share a corpus. Its name says where it comes from (``gsm8k/test``), its
id adds a digest of its texts, so two test sets of one name are told apart and a moved file is not.

Questions and worked solutions are both benchmark texts ("any sub-string from the evaluation benchmarks",
§2.1), with two exceptions. A solution below ``ngram`` grams is not looked for as a whole: "12 / 4 = 3" is on
every other page. And of the miniature only the questions are: its solutions are bare arithmetic that its
training problems share (they would remove a third of its web).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.gate import MINIATURE, UNCHECKED_KEY, allowed, benchmark_name, evaluated_on
from dsm_repro.config.schema import Config
from dsm_repro.reasoning.problemset import first_of, load_problems, problem_path

BENCHMARKS_KEY = "corpus.decontamination.benchmarks"
#: fields of a JSON line that hold the text asked, and the text that answers it; the first one there is taken
QUESTION_FIELDS = ("question", "problem", "text")
SOLUTION_FIELDS = ("solution", "cot", "answer")
#: what GSM8K writes into its solutions for a calculator, and its result at the end
_ANNOTATION = re.compile(r"<<[^<>]*>>|####.*", re.DOTALL)
_DIGEST_LENGTH = 12
#: shared questions that an error names
_SHOWN = 5
_WORD = re.compile(r"[^\W_]+|[+\-*/=<>^%]")


@dataclass(frozen=True)
class BenchmarkText:
    """One text of a benchmark; ``part`` is ``question`` or ``solution``, ``id`` is unique with it."""

    benchmark: str
    id: str
    part: str
    text: str


@dataclass(frozen=True)
class Benchmark:
    """The texts of one test set, in order."""

    name: str
    texts: tuple[BenchmarkText, ...]

    @property
    def id(self) -> str:
        """``NAME@DIGEST``: equal digests, equal texts."""
        return f"{self.name}@{digest_of(self.texts)}"


def digest_of(texts: Sequence[BenchmarkText]) -> str:
    """Names the content of a test set, wherever its file lies."""
    rows = [(item.id, item.part, item.text) for item in texts]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:_DIGEST_LENGTH]


def benchmark_files(config: Config) -> tuple[Path, ...]:
    """The files that the texts are read from, each once; all are read, so that a bad one is found before any work.

    Raises:
        DataError: a file that cannot be read, or a line without a text.
        ConfigError: two benchmarks of one name.
    """
    own = () if config.problems.source == "miniature" else (load_own(config),)
    _distinct((*own, *_further(config)))
    return tuple(dict.fromkeys(_own_files(config) + _further_files(config)))


def benchmark_identity(config: Config) -> list[str]:
    """For a stage's identity, without reading or making a text: names in order; the files themselves are inputs."""
    drawn = f" problems={config.evaluation.problems} seed={config.evaluation.problems_seed}"
    own = evaluated_on(config) + (drawn if config.problems.source == "miniature" else "")
    return list(dict.fromkeys((own, *map(benchmark_name, _further_files(config)))))


def benchmark_ids(config: Config) -> list[str]:
    """``NAME@DIGEST`` of every configured benchmark, the arm's own first. Raises as :func:`load_benchmarks`."""
    return [benchmark.id for benchmark in load_benchmarks(config)]


def benchmark_texts(config: Config) -> list[BenchmarkText]:
    """The texts of every configured benchmark. Raises as :func:`load_benchmarks`."""
    return [item for benchmark in load_benchmarks(config) for item in benchmark.texts]


def load_benchmarks(config: Config) -> list[Benchmark]:
    """The arm's own test set, then the files of ``corpus.decontamination.benchmarks``; equal ones once.

    Raises:
        DataError: a file that cannot be read, or a line without a text.
        ConfigError: two benchmarks of one name, or the miniature without a number of problems.
    """
    return _distinct((load_own(config), *_further(config)))


def _distinct(benchmarks: Iterable[Benchmark]) -> list[Benchmark]:
    found: dict[str, Benchmark] = {}
    for benchmark in benchmarks:
        other = found.setdefault(benchmark.name, benchmark)
        if other != benchmark:
            raise ConfigError(
                f"{BENCHMARKS_KEY}: two different benchmarks are called {benchmark.name} (folder and file name "
                "without its ending). Rename the folder of one of them."
            )
    return list(found.values())


def load_own(config: Config) -> Benchmark:
    """What the arm is evaluated on. Raises as :func:`load_benchmarks`."""
    if config.problems.source != "miniature":
        return _from_file(Path(config.problems.test_path).expanduser(), "problems.test_path")
    tested = load_problems(config.problems, "test", config.evaluation.problems, config.evaluation.problems_seed)
    return Benchmark(MINIATURE, tuple(BenchmarkText(MINIATURE, item.id, "question", item.question) for item in tested))


def require_checked(config: Config, corpus: Path) -> None:
    """Refuse a corpus that was not checked against what the arm is evaluated on, unless told so by name.

    ``corpus`` is the artifact of the stage ``corpus``; its record names the benchmarks.

    Raises:
        ConfigError: the benchmark is not among them.
        DataError: the artifact has no record.
    """
    wanted = evaluated_on(config)
    if allowed(config, wanted):
        return
    path = corpus / "record.json"
    try:
        checked = json.loads(path.read_text(encoding="utf-8")).get("benchmark", {}).get("names", [])
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Remove the artifact {corpus} and run again.") from error
    own = load_own(config)
    if digest_of(own.texts) in {name.rpartition("@")[2] for name in checked}:
        return
    fix = (
        "Curate it again under this config"
        if config.problems.source == "miniature"
        else f"Check it ({BENCHMARKS_KEY}=[{config.problems.test_path}])"
    )
    raise ConfigError(
        f"{UNCHECKED_KEY}={list(config.corpus.decontamination.unchecked)}: the corpus {corpus} was checked against "
        f"{', '.join(checked) or 'no benchmark'}, not against {own.id}, which the arm is evaluated on. "
        f"{fix}, or accept it by name: {UNCHECKED_KEY}=[{wanted}]."
    )


def require_disjoint(config: Config, split: str = "train") -> None:
    """Refuse training problems that are test problems, up to letter case and punctuation, unless told so by name.

    ``split``: ``train``, or ``rl`` for the questions of reinforcement learning.

    The miniature's are disjoint by construction. Files that are not there are left to those who read them.

    Raises:
        ConfigError: questions of the split's file stand in ``problems.test_path``.
        DataError: a line without a text.
    """
    named = [problem_path(config.problems, split), problem_path(config.problems, "test")]
    paths = [path.expanduser() for _, path in named]
    if config.problems.source == "miniature" or allowed(config, evaluated_on(config)):
        return
    if not all(path.is_file() for path in paths):
        return
    train, test = (_questions(path, key) for path, (key, _) in zip(paths, named, strict=True))
    shared = sorted(train.keys() & test.keys(), key=lambda key: train[key].id)
    if shared:
        listed = "; ".join(f"{train[key].id} is {test[key].id} ({train[key].text[:60]!r})" for key in shared[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        raise ConfigError(
            f"{named[0][0]}={named[0][1]}: {len(shared)} of its questions are test questions of "
            f"{config.problems.test_path}: {listed}{more}. Remove these lines, or accept them by name: "
            f"{UNCHECKED_KEY}=[{evaluated_on(config)}]."
        )


def _questions(path: Path, key: str) -> dict[str, BenchmarkText]:
    """By their words alone. Not to be changed: it is kept."""
    return _keyed(path, key, *_stamp(path, key))


def _own_files(config: Config) -> tuple[Path, ...]:
    return () if config.problems.source == "miniature" else (Path(config.problems.test_path).expanduser(),)


def _further(config: Config) -> Iterator[Benchmark]:
    return (_from_file(path, BENCHMARKS_KEY) for path in _further_files(config))


def _further_files(config: Config) -> tuple[Path, ...]:
    return tuple(Path(path).expanduser() for path in config.corpus.decontamination.benchmarks)


def _from_file(path: Path, key: str) -> Benchmark:
    return _read(path, key, *_stamp(path, key))


def _stamp(path: Path, key: str) -> tuple[int, ...]:
    """What changes when the file does."""
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, key, error) from error
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unreadable(path: Path, key: str, error: OSError) -> DataError:
    return DataError(f"{key}={path}: cannot be read ({error.strerror}). Give an existing file.")


@lru_cache(maxsize=64)
def _keyed(path: Path, key: str, *stamp: int) -> dict[str, BenchmarkText]:
    texts = _read(path, key, *stamp).texts
    return {" ".join(_WORD.findall(item.text.casefold())): item for item in texts if item.part == "question"}


@lru_cache(maxsize=64)
def _read(path: Path, key: str, *stamp: int) -> Benchmark:
    """Every arm of a sweep asks for the same files, so one that has not been touched is read once a process."""
    name = benchmark_name(path)
    texts: list[BenchmarkText] = []
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    texts += _texts_of(line, name, number, f"{key}={path}, line {number}")
    except OSError as error:
        raise _unreadable(path, key, error) from error
    if not texts:
        raise DataError(f"{key}={path}: the file has no text. Give JSON lines with {' or '.join(QUESTION_FIELDS)}.")
    return Benchmark(name, tuple(texts))


def _texts_of(line: bytes, name: str, number: int, where: str) -> list[BenchmarkText]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not a JSON line ({error}). Repair or remove the line.") from error
    question = first_of(row, QUESTION_FIELDS) if isinstance(row, dict) else ""
    if not question:
        has = ", ".join(sorted(row)) if isinstance(row, dict) else type(row).__name__
        raise DataError(f"{where}: no text under {' or '.join(QUESTION_FIELDS)} (it has: {has}). Name it one of these.")
    item = str(row["id"]) if row.get("id") not in (None, "") else f"line {number}"
    solution = _ANNOTATION.sub("", first_of(row, SOLUTION_FIELDS)).strip()
    return [
        BenchmarkText(name, item, "question", question),
        *([BenchmarkText(name, item, "solution", solution)] if solution else []),
    ]
