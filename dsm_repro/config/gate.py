"""The gate, as far as the config alone tells: no training on text that nobody checked against the benchmark.

A source of ``kind: corpus`` is checked by the stage ``corpus`` and again when training starts
(:func:`dsm_repro.reasoning.benchmarks.require_checked`). The miniature's texts pass: they are the manuals
and sources of what is installed, and its problems for training and testing are disjoint by construction.
A file or a hub data set was checked by nobody, so it must be named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dsm_repro.config.resolve import text_phases
from dsm_repro.config.schema import Config

#: kinds of pre-training source that hold what others wrote and nobody compared with a benchmark
UNCHECKED_KINDS = ("jsonl", "hf")
MINIATURE = "miniature/test"
UNCHECKED_KEY = "corpus.decontamination.unchecked"


def benchmark_name(path: str | Path) -> str:
    """``FOLDER/STEM`` of a benchmark's file: ``gsm8k/test``, since most are called ``test``."""
    place = Path(path).expanduser().absolute()
    return "/".join(part for part in (place.parent.name, place.stem) if part)


def evaluated_on(config: Config) -> str:
    """The name of the benchmark that the arm is evaluated on."""
    return MINIATURE if config.problems.source == "miniature" else benchmark_name(config.problems.test_path)


def allowed(config: Config, name: str) -> bool:
    """Whether ``corpus.decontamination.unchecked`` names this benchmark or source."""
    return name in config.corpus.decontamination.unchecked


def unchecked_sources(config: Config) -> list[str]:
    """The sources that the arm reads and nobody checked against its benchmark, in the order of reading."""
    weights = [item for _, phase in text_phases(config) for item in phase.mix.weights.items()]
    return [
        name
        for name, weight in dict(weights).items()
        if weight > 0 and name in config.scale.sources and config.scale.sources[name].kind in UNCHECKED_KINDS
    ]


def gate_faults(config: Config) -> Iterator[str]:
    """One message if the mix has unchecked sources that the config does not allow by name."""
    benchmark = evaluated_on(config)
    refused = [name for name in unchecked_sources(config) if not allowed(config, name)]
    if not refused or allowed(config, benchmark):
        return
    listed = ", ".join(f"{name} ({_place(config, name)})" for name in refused)
    yield (
        f"mix.weights: {listed}: nobody checked this text against {benchmark}, which the arm is evaluated on. "
        f"Curate it (scale.sources.NAME.kind=corpus), or accept it by name: {UNCHECKED_KEY}=[{','.join(refused)}]."
    )


def gate_notes(config: Config) -> tuple[str, ...]:
    """For the reader of a plan: what is trained on unchecked because the config allows it."""
    found = unchecked_sources(config)
    if not found:
        return ()
    return (f"not checked against {evaluated_on(config)}, allowed by {UNCHECKED_KEY}: {', '.join(found)}",)


def _place(config: Config, name: str) -> str:
    source = config.scale.sources[name]
    return f"{source.kind} {source.name}"
