"""What is trained on before reinforcement learning: data sets, mixes, pre-training, problems, fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

#: ``sft.format`` -> the modes whose prompts its examples have
MODES_OF_FORMAT: dict[str, tuple[str, ...]] = {
    "cot": ("cot",),
    "pot": ("pot",),
    "tool": ("tool",),
    "both": ("cot", "pot"),
    "hybrid": ("cot", "pot", "hybrid"),
    "given": ("cot", "pot"),
    "none": (),
}


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
    #: questions of reinforcement learning, where they are others than those of train_path
    rl_path: str = ""
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
