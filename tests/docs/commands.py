"""What is done with a command of the documentation: composed and planned, run, or parsed by whoever would run it."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import re
import tomllib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from dsm_repro import cli, stages
from dsm_repro.arguments import parse
from dsm_repro.config.compose import compose, expand
from dsm_repro.config.paths import sweep_names
from dsm_repro.pipeline.sweeper import prepare
from dsm_repro.reasoning.grading.registry import rule_set

ROOT = Path(__file__).resolve().parents[2]

#: programs that are not ours, with arguments of theirs alone
FOREIGN = frozenset(
    ("accelerate", "apt-get", "cat", "cd", "export", "git", "head", "ls", "mkdir", "nvidia-smi", "ray", "sacct",
     "sbatch", "scancel", "scontrol", "sinfo", "source", "squeue", "tail", "tee", "tensorboard", "vllm")
)  # fmt: skip
#: programs that start another one, which is checked
WRAPPERS = frozenset(("accelerate", "env", "nohup", "salloc", "srun", "time", "torchrun", "exec"))
#: launchers of Hydra that pyproject.toml names, with the plugin that brings each
LAUNCHERS = {
    "basic": "hydra",
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "submitit_slurm": "hydra_plugins.hydra_submitit_launcher",
}
#: what stands in for an address on another machine: nothing is asked of the network
REMOTE, LOCAL = re.compile(r"\b\w+://[^,\]'\"]+"), "crawl/a.warc.gz"


class WrongCommandError(Exception):
    """The command would not do what its page says."""


def make_example_files(folder: Path) -> None:
    """The files that the pages' commands name and that a plan has to see."""
    (folder / "crawl").mkdir(exist_ok=True)
    (folder / LOCAL).touch()
    (folder / "seed.jsonl").touch()
    (folder / "data" / "svamp").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "svamp" / "test.jsonl").write_text('{"question": "One and one?", "answer": "2"}\n')


def check(words: Sequence[str]) -> None:
    """Raises WrongCommandError, or the error that the command itself would end with."""
    program = Path(words[0]).name
    inner = _inner(words) if program in WRAPPERS else None
    if inner:
        return check(inner)
    known: dict[str, Callable[[Sequence[str]], None]] = {
        "dsm": lambda rest: check_dsm(tuple(rest)),
        "make": check_make,
        "python": check_python,
        "python3": check_python,
        "pip": check_pip,
        "bash": check_script,
    }
    if program in known:
        return known[program](words[1:])
    if program not in FOREIGN:
        raise WrongCommandError(f"{program}: nobody knows how to check it (tests/docs/commands.py)")
    return None


def _inner(words: Sequence[str]) -> list[str] | None:
    """The command of ours that a wrapper starts: from ``dsm`` or ``python`` on, or after ``-m`` of a launcher."""
    for number, word in enumerate(words[1:], 1):
        if Path(word).name in ("dsm", "python", "python3"):
            return list(words[number:])
        if word.startswith("dsm_repro") and words[number - 1] in ("-m", "--module"):
            return ["python", "-m", *words[number:]]
    return None


@functools.cache
def check_dsm(arguments: tuple[str, ...]) -> None:
    """Parse as ``dsm`` does; then plan what would be run, and run what only reads."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            options = parse(arguments)
        except SystemExit as end:
            if end.code:
                raise WrongCommandError(said.getvalue().splitlines()[-1]) from end
            return  # --help
        overrides = getattr(options, "overrides", [])
        _require_sweep(overrides)
        if options.command in ("run", "plan"):
            _plan(overrides, options.multirun)
        elif options.command == "ledger":
            cli._ledger(options)
        elif options.command == "grade":
            for name in options.graders.split(","):
                rule_set(name, "--graders")
        else:
            compose([word for word in overrides if not word.startswith("sweep=")])


def _plan(overrides: Sequence[str], multirun: bool) -> None:
    """A sweep without a further word is composed and checked by tests/config/test_compose.py, as every one is."""
    if not multirun and [word.partition("=")[0] for word in overrides] == ["sweep"]:
        return
    words = [REMOTE.sub(LOCAL, w) if w.startswith("corpus.") else w for w in _without_absent_launcher(overrides)]
    _, _, plan = prepare(expand(words, several=multirun), stages.registry(), files_may_lack=True)
    if not plan.rows:
        raise WrongCommandError("there would be nothing to do")


def _require_sweep(overrides: Sequence[str]) -> None:
    names = [word.removeprefix("sweep=") for word in overrides if word.startswith("sweep=")]
    if unknown := set(names) - set(sweep_names()):
        raise WrongCommandError(f"no such sweep: {unknown}")


def _without_absent_launcher(overrides: Sequence[str]) -> list[str]:
    """Less what chooses a launcher of Hydra, where the extra that brings it is not installed here."""
    name = next((word.partition("=")[2] for word in overrides if word.startswith("hydra/launcher=")), "basic")
    if name not in LAUNCHERS:
        raise WrongCommandError(f"hydra/launcher={name}: Hydra has none of this name that pyproject.toml asks for")
    if importlib.util.find_spec(LAUNCHERS[name]) is not None:
        return list(overrides)
    return [word for word in overrides if not word.startswith("hydra")]


def check_make(targets: Sequence[str]) -> None:
    found = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    if unknown := set(targets) - found:
        raise WrongCommandError(f"make has no target {unknown}")


def check_python(arguments: Sequence[str]) -> None:
    """A module of ours, a module of pip's or venv's, or a file of the repository; its options are its own."""
    if arguments[0] == "-m":
        module, rest = arguments[1], arguments[2:]
        if module == "pip":
            return check_pip(rest)
        if module == "dsm_repro":
            return check_dsm(tuple(rest))
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.submodule_search_locations is not None and module != "pytest":
            spec = importlib.util.find_spec(f"{module}.__main__")
        if spec is None or spec.origin is None:
            raise WrongCommandError(f"there is no module {module} to run")
        if module.startswith("dsm_repro."):
            _options_are_in(rest, Path(spec.origin).read_text(encoding="utf-8"), module)
        elif module == "pytest":
            check_script([word for word in rest if "/" in word])
        return None
    path = ROOT / arguments[0]
    if not path.is_file():
        raise WrongCommandError(f"there is no file {arguments[0]}")
    return _options_are_in(arguments[1:], path.read_text(encoding="utf-8"), arguments[0])


def _options_are_in(arguments: Sequence[str], text: str, name: str) -> None:
    for word in arguments:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in text:
            raise WrongCommandError(f"{name} has no option {option}")


def check_pip(arguments: Sequence[str]) -> None:
    """Extras are those of pyproject.toml, files of requirements are there."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if arguments[0] != "install":
        raise WrongCommandError(f"pip {arguments[0]}: only `install` is looked at")
    for previous, word in pairwise(arguments):
        wanted = re.search(r"(?:^\.|dsm-repro)\[([\w,-]+)\]", word)
        if wanted and (unknown := set(wanted[1].split(",")) - set(extras)):
            raise WrongCommandError(f"pyproject.toml has no extra {unknown}")
        if previous == "-r" and not (ROOT / word).is_file():
            raise WrongCommandError(f"there is no file {word}")


def check_script(paths: Sequence[str]) -> None:
    for path in paths:
        if not path.startswith("-") and not (ROOT / path).exists():
            raise WrongCommandError(f"there is no file {path}")
