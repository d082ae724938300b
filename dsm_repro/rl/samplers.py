"""How an arm's completions are drawn and where their answers stand, by ``rl.mode``."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.exploration import Sampler
from dsm_repro.rl.rewards import RewardFunction
from dsm_repro.rl.rollouts import sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from dsm_repro.reasoning.sandbox import Sandbox


def is_deterministic(rl: RLConfig) -> bool:
    """Whether the same seed gives the same run: not where the clock ends it, or an engine with its own noise draws."""
    return rl.budget.unit != "seconds" and rl.engine == "transformers"


def open_sandbox(ctx: StageContext) -> AbstractContextManager[Sandbox | None]:
    """Where the policy's programs run; None where it writes none.

    Raises:
        ConfigError: programs cannot be isolated on this machine.
    """
    if ctx.config.rl.mode == "cot":
        return nullcontext()
    from dsm_repro.reasoning.sandbox import Sandbox

    return Sandbox(ctx.config.sandbox)


def build_sampler(
    ctx: StageContext, tokenizer: PreTrainedTokenizerBase | None = None, sandbox: Sandbox | None = None
) -> Sampler:
    """Plain sampling, or with the tool, or by vLLM; plain sampling asks for neither tokenizer nor sandbox."""
    if ctx.config.rl.engine == "vllm":
        from dsm_repro.rl.vllm import VLLMSampler, require
        from dsm_repro.training.models import resolve_device

        if tokenizer is None:
            raise TypeError("rl.engine=vllm: the sampler needs the tokenizer")
        require(resolve_device(ctx.config.execution))
        return VLLMSampler(ctx.config.execution.generation, tokenizer, ctx.config.execution.micro_batch)
    if ctx.config.rl.mode != "tool":
        return sample
    from dsm_repro.reasoning.programs import run_distinct
    from dsm_repro.rl.tools import ToolSampler

    if tokenizer is None or sandbox is None:
        raise TypeError("rl.mode=tool: the sampler needs the tokenizer and a sandbox")
    return ToolSampler(tokenizer, ctx.config.prompts, ctx.config.tool, partial(run_distinct, sandbox=sandbox))


def build_answers(
    ctx: StageContext, reward: RewardFunction, tokenizer: PreTrainedTokenizerBase, sandbox: Sandbox | None
) -> RewardFunction:
    """``reward`` on the answers of ``rl.mode``: as it is for words."""
    if sandbox is None:
        return reward
    from dsm_repro.rl.answers import ProgramAnswers, ToolAnswers

    if ctx.config.rl.mode == "pot":
        return ProgramAnswers(reward, sandbox, ctx.config.prompts)
    return ToolAnswers(reward, tokenizer, ctx.config.prompts)
