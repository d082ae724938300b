"""A world for tests: a 2-layer model, a tokenizer of its own, and a stage context over them."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.config.rl_schema import BudgetConfig
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.rewards import Completions, Rewards

if TYPE_CHECKING:
    from torch import nn

    from dsm_repro.rl.trainer import PolicyGradientTrainer


def make_model_folder(folder: Path, layers: int = 2, hidden: int = 32, context: int = 256) -> Path:
    """A randomly initialised Llama with a byte-level tokenizer, saved as a parent stage would."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<eos>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=context, tie_word_embeddings=True,
            pad_token_id=0, bos_token_id=None, eos_token_id=1, initializer_range=0.2,
        )
    )  # fmt: skip
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def make_config(method: str = "grpo", steps: int = 3) -> Config:
    config = Config()
    config.rl.method = method
    config.rl.questions, config.rl.questions_per_step, config.rl.group_size = 6, 2, 4
    config.rl.max_completion_length = 6
    config.rl.learning_rate = 1e-2
    config.rl.options = {"critic_rate_factor": 1.0} if method == "ppo" else {}
    config.rl.budget = BudgetConfig("steps", steps)
    config.execution.device = "cpu"
    config.execution.micro_batch = 3
    return config


def make_context(root: Path, config: Config, model: Path) -> StageContext:
    """A stage context whose parent ``sft`` holds ``model``; folders that exist are kept, as after a kill."""
    out, scratch = root / "out", root / "scratch"
    out.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    return StageContext(config, out, scratch, {"sft": model.parent}, threads=1)


def in_double(model: nn.Module) -> nn.Module:
    """``model`` in float64 throughout: Llama's norm computes in float32 whatever the weights are."""
    import torch
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    def forward(self: LlamaRMSNorm, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    for module in model.modules():
        if isinstance(module, LlamaRMSNorm):
            module.forward = types.MethodType(forward, module)  # type: ignore[method-assign]
    return model.double()


def length_reward(completions: Completions) -> Rewards:
    """A reward with variance in every group, without a grader: how many vowels and digits a completion has."""
    values = [float(sum(c in "aeiou0123456789" for c in text) + len(text) % 3) for text in completions.texts]
    counts = {"right": 0, "wrong": len(values), "no_answer": 0, "ungradable": 0}
    return Rewards(values, counts, [value > 2 for value in values])


def make_trainer(folder: Path, scratch: Path, config: Config, double: bool = True) -> PolicyGradientTrainer:
    """The real trainer on the model in ``folder``, in float64 unless told otherwise, with a reward that varies."""
    from transformers import PrinterCallback

    from dsm_repro.miniature.problems import Problem
    from dsm_repro.rl import estimators
    from dsm_repro.rl.arguments import grpo_config
    from dsm_repro.rl.critic import Critic
    from dsm_repro.rl.exploration import Task
    from dsm_repro.rl.rollouts import sample
    from dsm_repro.rl.trainer import PolicyGradientTrainer
    from dsm_repro.training.models import load_model, load_tokenizer

    estimator = estimators.build(config.rl)
    model = load_model(folder, "float32", "cpu")
    if double:
        in_double(model)
    args = grpo_config(config.rl, config.base.dtype, "cpu", config.seeds.rl, scratch)
    critic = reference = None
    if estimator.needs_critic:
        critic = Critic(load_model(folder, "float32", "cpu").base_model)
        if double:
            in_double(critic)
    if estimator.needs_reference or estimator.offline:
        reference = load_model(folder, "float32", "cpu")
    prompts = ["2+2?", "What is 7*6?", "1", "Is 91 prime?", "9-8-7?", "0/5"]
    task = Task([Problem(text, "", 0, text, "", "", "", "") for text in prompts], prompts, length_reward, sample)
    trainer = PolicyGradientTrainer(
        model, load_tokenizer(folder), args, config.rl, task, estimator, critic, reference,
        config.execution.micro_batch, lambda step, metrics, flops: False, lambda checkpoint: None,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    if double and trainer.reference is not None:
        in_double(trainer.reference)
    return trainer
