"""Where an arm starts from: models by role, the tiny ones made on the spot, and which weights are trained."""

from __future__ import annotations

from dataclasses import dataclass, field


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
class BaseConfig:
    role: str = "coder"
    dtype: str = "float32"


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
