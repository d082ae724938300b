"""The multi-step learning-rate schedule of §2.2: a pure function from step to factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsm_repro.config.errors import ConfigError


def multi_step(
    total_steps: int, warmup_steps: int, decay_at: Sequence[float], decay_to: Sequence[float]
) -> Callable[[int], float]:
    """Factor on the peak rate at step ``s``, counted from 0 (§2.2: warm-up, ×0.316 after 80%, ×0.1 after 90%).

    Linear warm-up, (s+1)/warmup_steps, so that the first update already moves the weights; after a
    fraction ``decay_at[i]`` of all steps the factor is ``decay_to[i]``. A warm-up that is longer than
    the fraction goes on inside it: the two factors multiply, and nothing is shortened silently.

    Raises:
        ConfigError: lists of different length, fractions that do not rise within (0, 1), a negative number.
    """
    if len(decay_at) != len(decay_to):
        raise ConfigError(
            f"pretrain.decay_at={list(decay_at)} and pretrain.decay_to={list(decay_to)}: give one factor per fraction."
        )
    if any(not 0 < at < 1 for at in decay_at) or list(decay_at) != sorted(set(decay_at)):
        raise ConfigError(f"pretrain.decay_at={list(decay_at)}: fractions of training, rising, between 0 and 1.")
    if warmup_steps < 0 or any(factor < 0 for factor in decay_to):
        raise ConfigError(
            f"pretrain.warmup_steps={warmup_steps}, pretrain.decay_to={list(decay_to)}: neither may be negative."
        )

    def factor(step: int) -> float:
        warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        decay = 1.0
        for at, to in zip(decay_at, decay_to, strict=True):
            if step >= at * total_steps:
                decay = to
        return warmup * decay

    return factor


def warmup_note(steps: int, warmup_steps: int) -> tuple[str, ...]:
    """A remark for the plan where the warm-up takes more than a tenth of training."""
    if warmup_steps * 10 <= steps:
        return ()
    reached = "never reached" if warmup_steps > steps else f"reached at {warmup_steps / steps:.0%} of training"
    return (f"pretrain.warmup_steps={warmup_steps} of {steps} steps: the peak learning rate is {reached}",)
