"""Evaluation, and what judges an answer: benchmarks, sandbox, tool, grader."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class BenchmarkPlacesConfig:
    """Of each benchmark FILE | FOLDER | hub, where it is not to be looked for in ``folder`` and then on the hub."""

    gsm8k: str | None = None
    svamp: str | None = None
    #: its categories, too
    math: str | None = None
    math500: str | None = None
    ocw: str | None = None
    sat: str | None = None
    mmlu_stem: str | None = None
    cmath: str | None = None
    mgsm_zh: str | None = None
    gaokao_cloze: str | None = None
    gaokao_qa: str | None = None


@dataclass
class EvaluationConfig:
    """lm-eval on tasks x modes."""

    tasks: list[str] = field(default_factory=lambda: ["miniature"])
    #: where test sets lie: FOLDER/TASK/test.jsonl, or as in the release's evaluation/datasets
    folder: str = ""
    data: BenchmarkPlacesConfig = field(default_factory=BenchmarkPlacesConfig)
    #: cot (in words) | pot (a program, graded by what it prints) | tool (programs run while it writes) |
    #: hybrid (cot or pot as the model chooses) | router (cot or pot by rules on the question)
    modes: list[str] = field(default_factory=lambda: ["cot"])
    #: test problems of each task, the first ones of a file; None = the whole test set
    problems: int | None = 800
    #: rl.snapshots > 0: the first so many of them are asked along the way, all of them if None
    curve_problems: int | None = None
    problems_seed: int = 0
    shots: int = 0
    #: what shots show: train (drawn from the training problems) | lm_eval (those that it ships) | FILE (JSON lines with
    #: question and cot or program); the latter two in the release's wording for base models
    exemplars: str = "train"
    max_tokens: int = 1_024
    temperature: float = 0.0
    top_p: float = 1.0
    #: answers drawn for each problem besides the one above, for Maj@K and Pass@K (§5.2.2); 1 draws none
    samples: int = 1
    sample_temperature: float = 0.7
    sample_top_p: float = 1.0
    #: transformers (our own decoder: same answers in any batch) | hf | vllm (lm-eval's back-ends)
    engine: str = "transformers"


@dataclass
class SandboxConfig:
    """Where model-written programs run."""

    #: auto | bwrap | userns | sandlock | subprocess
    backend: str = "auto"
    timeout: float = 10.0
    memory_mb: int = 512
    output_bytes: int = 10_000
    #: plain subprocess with limits only: no isolation from a hostile program
    allow_unsandboxed: bool = False


@dataclass
class ToolConfig:
    """Tool-integrated answers (§3.1): values of the DeepSeek-Math release's evaluation loop."""

    #: how often the model may write; after each time, the program that it calls is run
    rounds: int = 2
    #: a longer output loses its middle: its first and last half of this many characters stay
    output_characters: int = 100


@dataclass
class GraderConfig:
    name: str = "math_verify"
    #: wall clock per answer, seconds; the worker process is killed past it
    timeout: float = 5.0
