"""The typed configuration: one dataclass per room of the house.

An *arm* is one composed :class:`Config`. Fields under ``execution``, ``paths`` and ``sweep`` never
enter a stage's identity; everything else may (each stage says which part in its ``identity``).

Published values and their sections are in ``conf/recipe/``; the values actually used at a scale are
in ``conf/scale/``; a level of a factor is one file in ``conf/<group>/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from dsm_repro.config.execution_schema import ExecutionConfig
from dsm_repro.config.sweep_schema import SweepConfig


@dataclass
class SeedsConfig:
    """One seed per stage, so that replicates can start at a stage and share its ancestors."""

    corpus: int = 0
    base: int = 0
    prior: int = 0
    pretrain: int = 0
    sft: int = 0
    reward_model: int = 0
    rl: int = 0
    evaluate: int = 0


@dataclass
class TinyModelConfig:
    """A Llama-architecture model made on the spot (the miniature's stand-in for published weights)."""

    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    intermediate_size: int = 384
    vocab_size: int = 512
    context_length: int = 256
    #: text kind -> share of the tokens the model is made from (kinds of ``miniature.text``)
    text: dict[str, float] = field(default_factory=dict)
    tokens: int = 400_000
    batch_tokens: int = 4_096
    learning_rate: float = 1e-3


@dataclass
class ModelSpec:
    """What a base role (``coder``, ``llm``, ``llama2``) means at this scale: published weights or a tiny model."""

    #: hub id, local folder, or package:NAME (an installed Python package that carries the weights);
    #: None means: train ``tiny`` on the spot
    path: str | None = None
    revision: str | None = None
    #: a GGUF file in ``path``, whose quantised weights are converted once
    gguf: str | None = None
    tiny: TinyModelConfig | None = None
    #: for the planner, where the weights are not at hand: parameters, and the shape as the model's config.json has it
    parameters: int | None = None
    hidden_size: int | None = None
    layers: int | None = None
    intermediate_size: int | None = None
    vocab_size: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    #: the output head is the embedding
    tied: bool = False
    #: query, key and value have a bias (Qwen2)
    biases: bool = False


@dataclass
class SourceSpec:
    """Where a named pre-training source comes from at this scale."""

    #: corpus (our own curated corpus) | miniature | jsonl | hf
    kind: str = MISSING
    #: miniature: the kind of text; jsonl: a glob; hf: data set id, local folder, or files at an address
    #: (hf://datasets/ID/FOLDER/*.parquet)
    name: str = ""
    text_field: str = "text"
    split: str = "train"


@dataclass
class BaseConfig:
    role: str = "coder"
    dtype: str = "float32"


@dataclass
class WebConfig:
    """The miniature web (``miniature.web``)."""

    pages: int = 4_000
    seed: int = 0
    #: share of pages that copy test problems verbatim (must be found by decontamination)
    leak_share: float = 0.01
    exact_duplicate_share: float = 0.03
    near_duplicate_share: float = 0.05


@dataclass
class ClassifierConfig:
    """fastText, §2.1."""

    dim: int = 256
    learning_rate: float = 0.1
    word_ngrams: int = 3
    min_count: int = 3
    epochs: int = 3
    bucket: int = 200_000
    #: 1 is bit-deterministic, more is not
    threads: int = 1
    positives: int = 500_000
    negatives: int = 500_000
    holdout_share: float = 0.1
    #: a small seed set is drawn repeatedly to reach ``positives``, but no page more often than this
    max_repeats: int = 20


@dataclass
class MinHashConfig:
    ngram: int = 5
    bands: int = 14
    rows: int = 8
    #: candidates are kept as duplicates when their exact Jaccard similarity reaches this
    jaccard: float = 0.8
    seed: int = 1
    #: datasketch (reference) | rensa (fast); their permutations differ, so they are two identities
    signer: str = "datasketch"


@dataclass
class DecontaminationConfig:
    """§2.1: exact n-grams, against the test questions of the arm and every further benchmark named here."""

    ngram: int = 10
    min_ngram: int = 3
    #: further benchmarks: JSON-lines files with ``question``, ``problem`` or ``text``, and ``solution``, ``cot`` or
    #: ``answer`` where known; named FOLDER/STEM, as in gsm8k/test
    benchmarks: list[str] = field(default_factory=list)
    #: benchmarks (gsm8k/test) and sources of the mix (math) that may go unchecked
    unchecked: list[str] = field(default_factory=list)


@dataclass
class ExtractionConfig:
    """Guards of one page: past them it is dropped with a reason, and the shard goes on."""

    max_page_bytes: int = 2_000_000
    #: elements inside one another
    max_depth: int = 500
    #: processor seconds
    max_seconds: float = 20.0


@dataclass
class CorpusConfig:
    """§2.1. ``reader`` is miniature | warc | wet | html | parquet | jsonl | hf."""

    reader: str = "miniature"
    #: files, folders, globs, any fsspec address; hf: data set ids or local folders
    paths: list[str] = field(default_factory=list)
    #: documents that seed the classifier's positives (jsonl, plain, gz or zst, or parquet, with ``text``);
    #: miniature: its own seed site
    seed_paths: list[str] = field(default_factory=list)
    #: the N of "top N tokens by score"
    top_tokens: int = 1_000_000
    #: trainings of the classifier, each with its own collection (§2.1: four)
    rounds: int = 4
    #: tokens that the rounds collect, relative to ``top_tokens``: 40B of 120B in the first and 89B in the second (§2.1,
    #: §5.1), and in the third nearly all, since 98% of the fourth were known from it; the last round takes all
    volumes: list[float] = field(default_factory=lambda: [0.3333, 0.7417, 1.0])
    domain_threshold: float = 0.10
    stop_overlap: float = 0.98
    #: who accepts URL paths: auto | file (a person edits ``review_file``; see `dsm review`)
    review: str = "auto"
    review_file: str = "review.yaml"
    #: review=auto accepts a path when at least this share of its own pages was collected
    auto_accept_share: float = 0.5
    min_characters: int = 100
    #: ISO 639-1 codes of the languages kept; empty keeps all (the paper's corpus is multilingual)
    languages: list[str] = field(default_factory=list)
    extraction: ExtractionConfig = field(default_factory=ExtractionConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    minhash: MinHashConfig = field(default_factory=MinHashConfig)
    decontamination: DecontaminationConfig = field(default_factory=DecontaminationConfig)
    web: WebConfig = field(default_factory=WebConfig)


@dataclass
class MixConfig:
    """The data mix of continued pre-training (§2.3): shares of tokens by source."""

    name: str = "paper"
    weights: dict[str, float] = field(default_factory=dict)
    #: how many tokens of the ranked corpus the source ``math`` may use, relative to corpus.top_tokens:
    #: 0.5 keeps the better half, 2.0 reaches down to pages of lower score
    math_tokens_factor: float = 1.0
    #: tokens of training on this mix, relative to pretrain.tokens
    tokens_factor: float = 1.0


@dataclass
class PretrainConfig:
    """Continued pre-training, §2.2-2.3."""

    #: false leaves the stage out of the arm's graph
    enabled: bool = True
    tokens: int = 1_000_000
    batch_tokens: int = 4_096
    sequence_length: int = 256
    peak_learning_rate: float = 4.2e-4
    warmup_steps: int = 2_000
    #: multi-step schedule: fraction of training -> factor on the peak
    decay_at: list[float] = field(default_factory=lambda: [0.8, 0.9])
    decay_to: list[float] = field(default_factory=lambda: [0.316, 0.1])
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    #: no source is repeated more often than this; a mix that would need it is refused
    max_epochs: float = 8.0


@dataclass
class ProblemsConfig:
    """Questions with answers and solutions, for SFT, RL and evaluation."""

    #: miniature | jsonl (fields id, question, answer, category, level, cot, program)
    source: str = "miniature"
    train_path: str = ""
    test_path: str = ""
    seed: int = 0
    #: miniature: share of SFT solutions that skip their steps (people differ in care)
    terse_share: float = 0.6


@dataclass
class SFTConfig:
    """Supervised fine-tuning, §3."""

    #: cot | pot | tool | both (cot and pot) | hybrid (both, half of them under a prompt that does not say which) |
    #: given (each problem's own, in words or a program) | none
    format: str = "cot"
    examples: int = 4_000
    steps: int = 500
    batch_size: int = 256
    learning_rate: float = 5e-5
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_length: int = 4_096
    #: several examples in one row, each attending to itself only
    packing: bool = True
    max_grad_norm: float = 1.0


@dataclass
class TuningConfig:
    """Which weights fine-tuning and reinforcement learning train; pre-training trains all."""

    #: full | lora (arXiv:2106.09685: frozen weights with low-rank adapters, merged at the end of a stage)
    method: str = "full"
    rank: int = 16
    #: adapters are scaled by alpha / rank
    alpha: float = 32.0
    #: all-linear (every linear layer but the head), or names of modules, comma-separated: q_proj,v_proj
    targets: str = "all-linear"
    #: how frozen weights are held: none (base.dtype) | nf4 (4 bits, arXiv:2305.14314)
    quantise: str = "none"


@dataclass
class RewardConfig:
    #: rule: 1 if the grader says correct, else 0; outcome, process: the score of a trained model, at the end of the
    #: completion or of each of its steps (§4.1.2-4.1.3)
    kind: str = "rule"
    correct: float = 1.0
    incorrect: float = 0.0
    #: alarm when more than this share of answers could not be graded
    max_ungradable: float = 0.05


@dataclass
class RewardModelConfig:
    """The model behind reward=outcome and reward=process, §4.2; its data as in Math-Shepherd (arXiv:2312.08935)."""

    #: questions of the training split, of which a share is held out
    questions: int = 2_000
    holdout_share: float = 0.1
    #: solutions of the fine-tuned model for each question
    samples: int = 8
    #: N, how often each step is completed (process)
    completions: int = 8
    #: hard: a step is right if any completion is; soft: the share that is (process)
    label: str = "hard"
    temperature: float = 1.0
    #: completions drawn at once; the noise of each depends on it
    sampling_rows: int = 512
    #: the paper gives the rate alone
    learning_rate: float = 2e-5
    epochs: int = 1
    #: solutions in one optimiser step
    batch_size: int = 64
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0


@dataclass
class BudgetConfig:
    #: flops (all purposes together) | tokens (generated) | seconds (wall-clock of the stage's own work, carried over
    #: kills; not deterministic) | steps (gradient updates); defined in ``rl.budget.Ledger.spent``
    unit: str = "steps"
    amount: float = 100


@dataclass
class RLConfig:
    """§4. ``method`` is none or the name of a file in ``rl/estimators/``."""

    method: str = "grpo"
    #: how the policy answers: cot | pot (a program, graded by what it prints) | tool (programs run while it writes)
    mode: str = "cot"
    questions: int = 2_000
    questions_per_step: int = 16
    #: G
    group_size: int = 64
    max_completion_length: int = 1_024
    #: what draws completions: transformers (ours, the same for the same seed) | vllm (not: see ``rl/vllm.py``)
    engine: str = "transformers"
    #: rollout sampling; the paper says "naive nucleus sampling" and gives no values
    temperature: float = 1.0
    top_p: float = 1.0
    learning_rate: float = 1e-6
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    #: mu, gradient updates per exploration stage (§4.2: one)
    updates_per_exploration: int = 1
    #: epsilon of Eq. 1 and 3; the paper gives no value; inert at one update per exploration
    clip_epsilon: float = 0.2
    #: beta of Eq. 2 and 3
    kl_coefficient: float = 0.04
    #: std(r) of §4.1.2: delta degrees of freedom (0 = population) and the guard added to it
    std_ddof: int = 0
    std_guard: float = 1e-8
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    #: save the policy at this many equal shares of the budget before its end; ``evaluate`` then traces accuracy
    #: over tokens, FLOPs and seconds
    snapshots: int = 0
    #: the method's own settings; its YAML lists them
    options: dict[str, Any] = field(default_factory=dict)


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


#: known to the trainers' own integrations
TRACKERS = ("none", "tensorboard", "trackio", "wandb", "mlflow")


@dataclass
class TrackerConfig:
    """Where trainers show their metrics as they train, besides the store: never part of an identity."""

    #: one of TRACKERS
    name: str = "none"
    #: what is kept on this machine
    folder: str = "runs"
    #: internal: the sweep, and the stage with its first arm
    group: str = ""
    run: str = ""


@dataclass
class PathsConfig:
    store: str = "store"
    reports: str = "reports"


@dataclass
class ScaleConfig:
    name: str = "mini"
    #: role -> model
    models: dict[str, ModelSpec] = field(default_factory=dict)
    #: name used in mix.weights -> data set
    sources: dict[str, SourceSpec] = field(default_factory=dict)


@dataclass
class Config:
    seed: int = 0
    seeds: SeedsConfig = field(default_factory=SeedsConfig)
    #: stop after this stage (None: run to the end)
    until: str | None = None
    recipe: str = "paper"
    #: published hyper-parameters, path -> {value, source}; printed beside the values used
    published: dict[str, Any] = field(default_factory=dict)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    #: how a question is put to the model: miniature (short) | release (DeepSeek-Math's own wording)
    prompts: str = "miniature"
    base: BaseConfig = field(default_factory=BaseConfig)
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    #: what is read before the mix, in a stage of its own (§5.1.1); absent without weights
    prior: MixConfig = field(default_factory=lambda: MixConfig(name="none"))
    mix: MixConfig = field(default_factory=MixConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    problems: ProblemsConfig = field(default_factory=ProblemsConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    reward_model: RewardModelConfig = field(default_factory=RewardModelConfig)
    rl: RLConfig = field(default_factory=RLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    tool: ToolConfig = field(default_factory=ToolConfig)
    grader: GraderConfig = field(default_factory=GraderConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    sweep: SweepConfig | None = None
    #: internal: a launched job runs the stage that this file describes
    worker_spec: str | None = None
