"""The files, folders and optional libraries that a run uses: are they there? A plan needs none, a run does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from glob import glob
from importlib.util import find_spec
from pathlib import Path

from dsm_repro.config.compose import Sweep
from dsm_repro.config.model_path import missing
from dsm_repro.config.resolve import CURATION, has_stage, resolve_model, resolve_source, text_phases
from dsm_repro.config.schema import Config

Check = Callable[[Config], Iterator[str]]


def _no_file(key: str, path: str) -> Iterator[str]:
    if not path:
        yield f"{key}: no file given. Set {key}=PATH."
    elif not glob(str(Path(path).expanduser()), recursive=True):  # noqa: PTH207 - pathlib has no absolute patterns
        yield f"{key}={path}: no such file (seen from {Path.cwd()}). Give a path or a glob that matches."


#: how the files that scales name under DSM_DATA are made (docs/data.md)
_GSM8K = "python -m dsm_repro.reasoning.published openai/gsm8k --name main --split"
_REFT = "python -m dsm_repro.reasoning.reft_files"
MADE_BY = {
    "gsm8k/train.jsonl": f"{_GSM8K} train",
    "gsm8k/test.jsonl": f"{_GSM8K} test",
    "svamp/train.jsonl": f"{_REFT} svamp_nl.json svamp_python_sdp.json",
    "svamp/test.jsonl": f"{_REFT} svamp_test_set.json",
}


def _no_problems(key: str, path: str) -> Iterator[str]:
    """As ``_no_file``, for one file of problems; of those that the scales name, the command that makes it."""
    if not path:
        yield f"{key}: no file given. Set {key}=FILE."
    elif not Path(path).expanduser().is_file():
        command = MADE_BY.get("/".join(Path(path).parts[-2:]))
        made = f"mkdir -p {Path(path).parent}; {command} --out {path}"
        fix = f"Make it ({made}) or set DSM_DATA to the folder that has it" if command else "Give a file"
        yield f"{key}={path}: no such file (seen from {Path.cwd()}). {fix}; docs/data.md says where problems come from."


def find_corpus_files(config: Config) -> Iterator[str]:
    if config.corpus.reader != "miniature":
        for path in config.corpus.paths:
            yield from _no_file("corpus.paths", path)
    for path in config.corpus.seed_paths:
        yield from _no_file("corpus.seed_paths", path)


def find_model(config: Config) -> Iterator[str]:
    spec = resolve_model(config)
    if spec.path is None:
        return
    key = f"scale.models.{config.base.role}"
    why = missing(spec.path, spec.gguf)
    if why is not None:
        yield f"{key}.path={spec.path}: {why}"
    if spec.gguf is not None and find_spec("gguf") is None:
        yield f"{key}.gguf={spec.gguf}: reading it needs the library gguf. pip install 'dsm-repro[gguf]'."


def find_sources(config: Config) -> Iterator[str]:
    for name in dict.fromkeys(name for _, phase in text_phases(config) for name in phase.mix.weights):
        source = resolve_source(config, name)
        if source.kind == "jsonl":
            yield from _no_file(f"scale.sources.{name}.name", source.name)


def find_problems(config: Config) -> Iterator[str]:
    if config.problems.source == "jsonl" and (has_stage(config, "sft") or has_stage(config, "rl")):
        yield from _no_problems("problems.train_path", config.problems.train_path)
        if config.problems.rl_path and has_stage(config, "rl"):
            yield from _no_problems("problems.rl_path", config.problems.rl_path)


def find_benchmarks(config: Config) -> Iterator[str]:
    for path in config.corpus.decontamination.benchmarks:
        yield from _no_file("corpus.decontamination.benchmarks", path)
    if config.problems.source == "jsonl":
        yield from _no_problems("problems.test_path", config.problems.test_path)


def find_tracker(config: Config) -> Iterator[str]:
    name = config.tracker.name
    if name != "none" and find_spec(name) is None:
        yield f"tracker={name}: the library is not installed here. pip install 'dsm-repro[{name}]', or tracker=none."


def find_deepspeed(config: Config) -> Iterator[str]:
    if config.execution.sharding == "zero3" and find_spec("deepspeed") is None:
        yield (
            "execution.sharding=zero3: DeepSpeed is not installed here. pip install 'dsm-repro[deepspeed]', or use "
            "execution.sharding=fsdp2, which needs nothing more."
        )


def find_engine(config: Config) -> Iterator[str]:
    if has_stage(config, "rl") and config.rl.engine == "vllm" and find_spec("vllm") is None:
        yield "rl.engine=vllm: not installed here. pip install 'dsm-repro[vllm]', or rl.engine=transformers."


FILE_CHECKS: tuple[Check, ...] = (
    find_corpus_files,
    find_benchmarks,
    find_model,
    find_sources,
    find_problems,
    find_tracker,
    find_deepspeed,
    find_engine,
)
#: curation alone (``until=crawl``, ``until=corpus``) asks for no model and no problems
CORPUS_FILES_ONLY: tuple[Check, ...] = (find_corpus_files, find_benchmarks)


def missing_files(config: Config) -> list[str]:
    """Files and folders that a run would read and that are not there; call for a config without faults."""
    checks = CORPUS_FILES_ONLY if config.until in CURATION else FILE_CHECKS
    return [message for check in checks for message in check(config)]


def missing_files_of(sweep: Sweep) -> list[str]:
    """The missing files of all arms, each once."""
    return list(dict.fromkeys(message for arm in sweep.first_of_each() for message in missing_files(arm.config)))
