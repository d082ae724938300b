"""The peak memory of the stages ``rl``, ``reward_model`` and ``difficulty``, phase by phase: light, for the plan."""

from __future__ import annotations

from dataclasses import replace

from dsm_repro.config.resolve import has_stage, resolve_model
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.device import device_of
from dsm_repro.pipeline.memory import (
    FRAMEWORK_BYTES,
    SCORED_HEAD,
    SCORING_HEAD,
    Held,
    MemoryParts,
    Placement,
    activations,
    copies,
    gradients,
    kept_back,
    passing,
    peak,
    prompt_keys,
    resident,
    tiles,
    without_head,
    writing,
)
from dsm_repro.rl.estimators import Estimator
from dsm_repro.rl.sizes import HEAD_TOKENS, LARGEST_LAID_OUT, rows_at_once
from dsm_repro.training.batching import RECOMPUTE_FROM, split_batch
from dsm_repro.training.batching import rows_at_once as trainer_rows
from dsm_repro.training.planning import in_training, placement_of, prompt_tokens, shape_of, stored

#: the module that trains on preference pairs, in one process
PREFERENCE = "dsm_repro.rl.preference.run"


def rl_processes(config: Config, estimator: Estimator) -> int:
    """Processes that share the stage ``rl``; each holds whole weights."""
    return 1 if estimator.runner == PREFERENCE else placement_of(config).processes


def rl_memory(config: Config, estimator: Estimator) -> MemoryParts | None:
    """The peak of the stage ``rl``: at the rollouts, at scoring with the reference, at the critic's update, or at the
    policy's, with every completion as long as it may be. None where the model's shape is not known."""
    shape = shape_of(resolve_model(config))
    if shape is None:
        return None
    # weights are whole whatever the sharding of the stages before
    place = Placement(rl_processes(config, estimator), "zero1" if config.execution.sharding == "zero1" else "none")
    policy, rl = in_training(config, shape, place, tuned=True), config.rl
    value = replace(policy, shape=without_head(shape))
    prompt, limit = prompt_tokens(config), rl.max_completion_length
    # with adapters, the policy without them
    apart = (estimator.needs_reference or estimator.offline) and policy.adapters is None
    judged = 4.0 * value.shape.parameters
    # between rounds the reward model is trained on
    continued = has_stage(config, "reward_model") and estimator.rounds > 1
    held = replace(
        resident(policy),
        critic=resident(value).total if estimator.needs_critic else 0.0,
        reference=4.0 * shape.parameters if apart else 0.0,
        reward_model=judged * (3 if continued else 1) if has_stage(config, "reward_model") else 0.0,
        framework=FRAMEWORK_BYTES[policy.device],
    )
    questions = -(-rl.questions_per_step // policy.placement.processes)
    # a frozen model's weights are cast for each product anew, and not kept
    writer = replace(policy, weight_bytes=policy.product_bytes) if estimator.offline else policy
    completions = questions * rl.group_size
    rows = min(rows_at_once(config.execution.micro_batch, policy.device), completions)
    if rl.engine == "vllm":
        held, phases = _engine(config, held)
        # what it drew is scored again by the policy
        phases["scoring"] = _scoring(policy, rows, min(rows, questions), prompt, limit)
    else:
        at_once = min(config.execution.sampling_rows or completions, completions)
        # rows in the middle of two groups read both prompts
        read = min(questions, -(-at_once // rl.group_size) + 1)
        drawn = writing(writer, at_once, read, prompt, limit, rl.top_p < 1, laid_out(policy))
        phases = {"rollouts": drawn}
    if estimator.runner == PREFERENCE:
        phases["update"] = _pairs(policy, max(2, config.execution.micro_batch // 2 * 2), prompt + limit)
    else:
        phases |= _passes(policy, value, rows, min(rows, questions), prompt, limit, estimator)
    if continued:
        model = in_training(config, value.shape, Placement())
        rows = rows_at_once(config.execution.micro_batch, policy.device)
        phases["reward model's update"] = MemoryParts(
            reward_model=judged + copies(model) + activations(model, rows * (prompt + limit), False)
        )
    return peak(held, phases)


def laid_out(model: Held) -> bool:
    """Whether rollouts go through ``rl.llama``."""
    return model.device == "cpu" and model.shape.parameters <= LARGEST_LAID_OUT and not model.shape.biases


def _passes(
    policy: Held, value: Held, rows: int, prompts: int, prompt: int, limit: int, estimator: Estimator
) -> dict[str, MemoryParts]:
    """What comes after the rollouts, on ``rows`` completions at once that share ``prompts``."""
    tokens, scored = rows * limit + prompts * prompt, min(rows * limit, HEAD_TOKENS)
    packed = policy.device == "cpu" and not policy.shape.biases
    entries = float(scored * policy.shape.vocab_size)
    passes = {}
    if estimator.needs_reference:
        passes["scoring"] = _scoring(policy, rows, prompts, prompt, limit)
    if estimator.needs_critic:
        kept = activations(value, tokens, False) + prompt_keys(value, rows, prompt, packed)
        passes["critic's update"] = MemoryParts(
            critic=gradients(value, ddp=False) + copies(value), activations=kept, allocator=kept_back(value, kept)
        )
    kept = activations(policy, tokens, False) + prompt_keys(policy, rows, prompt, packed)
    passes["update"] = MemoryParts(
        gradients=gradients(policy, ddp=False),
        copies=copies(policy),
        activations=kept,
        logits=SCORED_HEAD * entries,
        allocator=kept_back(policy, kept),
    )
    return passes


def _scoring(policy: Held, rows: int, prompts: int, prompt: int, limit: int) -> MemoryParts:
    tokens, scored = rows * limit + prompts * prompt, min(rows * limit, HEAD_TOKENS)
    head = SCORING_HEAD.get(policy.dtype, 10)
    return MemoryParts(activations=passing(policy, tokens), logits=head * float(scored * policy.shape.vocab_size))


def _engine(config: Config, held: MemoryParts) -> tuple[MemoryParts, dict[str, MemoryParts]]:
    """vLLM takes its share of the device whatever it draws: throughout, or while it is awake; a server takes none."""
    part = config.execution.generation
    share = (device_of(config.execution).memory_bytes or 0.0) * part.memory_share if part.mode == "colocate" else 0.0
    if part.sleep:
        return held, {"rollouts": MemoryParts(cache=share)}
    return replace(held, cache=share), {"rollouts": MemoryParts()}


def _pairs(policy: Held, rows: int, length: int) -> MemoryParts:
    """TRL's preference trainer, whose head has no logits whole."""
    return MemoryParts(
        gradients=gradients(policy),
        copies=copies(policy),
        activations=activations(policy, rows * length, False),
        logits=tiles(policy, rows * length),
    )


def reward_model_memory(config: Config) -> MemoryParts | None:
    """The peak of the stage ``reward_model``: while solutions are written, or in training. None as above."""
    shape = shape_of(resolve_model(config))
    if shape is None:
        return None
    c, prompt, limit = config.reward_model, prompt_tokens(config), config.rl.max_completion_length
    completer = stored(config, shape)
    drawn = _drawing(config, completer, c.sampling_rows, c.samples)
    model = in_training(config, without_head(shape), Placement())
    length = prompt + limit
    rows, _ = split_batch(c.batch_size, trainer_rows(config.execution.micro_batch, model.device, length))
    held = MemoryParts(framework=FRAMEWORK_BYTES[model.device])
    recompute = shape.parameters >= RECOMPUTE_FROM
    return peak(
        held,
        {
            "labelling": replace(drawn, weights=completer.weight_bytes * shape.parameters),
            "backward pass": replace(
                resident(model),
                gradients=gradients(model),
                copies=copies(model),
                activations=activations(model, rows * length, recompute),
            ),
        },
    )


def difficulty_memory(config: Config) -> MemoryParts | None:
    """The peak of the stage ``difficulty``, which only writes. None as above."""
    shape = shape_of(resolve_model(config))
    if shape is None:
        return None
    part, model = config.difficulty, stored(config, shape)
    weights = MemoryParts(weights=model.weight_bytes * shape.parameters, framework=FRAMEWORK_BYTES[model.device])
    if config.rl.engine == "vllm":
        weights, phases = _engine(config, weights)
        rows = rows_at_once(config.execution.micro_batch, model.device)
        limit = config.rl.max_completion_length
        phases["scoring"] = _scoring(model, rows, min(rows, part.questions), prompt_tokens(config), limit)
    else:
        rows = min(part.sampling_rows, part.questions * part.samples)
        phases = {"answers": _drawing(config, model, rows, part.samples)}
    return peak(weights, phases)


def _drawing(config: Config, model: Held, rows: int, samples: int) -> MemoryParts:
    """``samples`` completions of each question, ``rows`` at once, from a model that is not trained."""
    questions = max(rows // samples, 1)
    return writing(
        model, rows, questions, prompt_tokens(config), config.rl.max_completion_length, config.rl.top_p < 1,
        laid_out(model) and model.weight_bytes == 4,
    )  # fmt: skip
