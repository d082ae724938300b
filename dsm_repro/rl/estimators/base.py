"""What a method is made of. The trainer is the same for all; a method says how completions become gradients.

What stands in :class:`Estimator` is Eq. 3's choice; a method's file overrides what it does differently. A method's
numbers are the fields of its dataclass: they are its identity, so two arms whose methods have equal fields are one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Steps:
    """Process rewards of B outputs: each step's reward, and the position of its last token (0-based, ascending)."""

    rewards: Sequence[Sequence[float]]
    ends: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Signals:
    """What an estimator may know of a batch of rollouts; B rows, groups in consecutive rows, T tokens."""

    #: (B,) reward of each completion
    rewards: Tensor
    #: (B, T) 1 on the tokens that the policy wrote
    mask: Tensor
    #: (B, T) log pi_theta of the sampled tokens, as sampled
    logps: Tensor
    #: (B, T) log pi_ref, None where no KL term is wanted
    ref_logps: Tensor | None
    group_size: int
    #: (B,) whether the rule says that the answer is right, whatever the reward is
    correct: Tensor | None = None
    #: the limit on a completion's tokens
    max_length: int = 0
    #: where the reward judges steps
    steps: Steps | None = None

    def rows(self, index: Tensor, width: int) -> Signals:
        """Some of the completions at their own width, for estimators that look at one completion at a time."""
        ref_logps = None if self.ref_logps is None else self.ref_logps[index, :width]
        correct = None if self.correct is None else self.correct[index]
        return Signals(
            self.rewards[index], self.mask[index, :width], self.logps[index, :width], ref_logps, self.group_size,
            correct, self.max_length,
        )  # fmt: skip


@dataclass(frozen=True)
class Estimator:
    """A policy-gradient method: advantages, surrogate, and the weight of each token."""

    #: epsilon below and above 1 in the clip of Eq. 3; without effect while the ratio is 1
    clip_low: float
    clip_high: float
    #: beta of the KL term inside the loss (Eq. 3); 0 where the method puts it elsewhere or has none
    loss_kl_coefficient: float

    #: values, and so a critic
    needs_critic: ClassVar[bool] = False
    #: rewards of steps (§4.1.3), so a process reward model
    needs_steps: ClassVar[bool] = False
    #: completions come from the model that the stage starts from, not from the policy as it is
    offline: ClassVar[bool] = False
    #: the module whose ``train(ctx, start)`` runs the method
    runner: ClassVar[str] = "dsm_repro.rl.run"
    #: whether a ratio pi_theta / pi_old enters, and so a clip
    has_ratio: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The file of the method; another one than ``rl.method`` where that comes down to it."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def needs_reference(self) -> bool:
        """Whether log pi_ref is wanted at all."""
        return self.loss_kl_coefficient != 0.0

    @property
    def rounds(self) -> int:
        """Outer iterations of Algorithm 1."""
        return 1

    @property
    def attempts(self) -> int:
        """How often an exploration may draw further questions until enough groups are kept."""
        return 1

    def keep(self, rewards: Tensor, correct: Tensor | None = None) -> Tensor:
        """(Q,) which groups enter the update, from their (Q, G) rewards and whether the rule says that they are right.

        ``rewards`` are as :meth:`shape` left them.
        """
        return rewards.new_ones(rewards.shape[0]).bool()

    def shape(self, signals: Signals) -> Tensor:
        """(B,) rewards as the method sees them, before groups are kept and advantages estimated."""
        return signals.rewards

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """(B, T) advantages of the whole batch; ``values`` is (B, T) where the method has a critic."""
        raise NotImplementedError

    def returns(self, signals: Signals, values: Tensor) -> Tensor:
        """(B, T) what the critic should have said; each row depends on that row alone."""
        raise TypeError(f"{type(self).__name__} has no critic, so nothing to regress a value on")

    def critic_learning_rate(self, learning_rate: float) -> float:
        """The critic's rate, from the policy's."""
        raise TypeError(f"{type(self).__name__} has no critic")

    def surrogate(self, logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        """(B, T) what is maximised at each token, before weights and KL term."""
        return objectives.clipped_surrogate(logps, old_logps, advantages, self.clip_low, self.clip_high)

    def weights(self, mask: Tensor, max_length: int) -> Tensor:
        """(B, T) weight of each token, from the mask of the whole batch."""
        return objectives.output_weights(mask)

    def identity(self, updates_per_exploration: int) -> dict[str, Any]:
        """The method's numbers that matter: the clip does not while the ratio is 1."""
        fields = dict(vars(self))
        if not self.clips(updates_per_exploration):
            del fields["clip_low"], fields["clip_high"]
        return fields

    def clips(self, updates_per_exploration: int) -> bool:
        """Whether the ratio can leave 1."""
        return self.has_ratio and (updates_per_exploration > 1 or self.offline)

    def notes(self, config: RLConfig) -> tuple[str, ...]:
        """Remarks for the plan: what cannot matter here."""
        notes, updates = [], config.updates_per_exploration
        if self.has_ratio and not self.clips(updates):
            notes.append("the clip range is inert at one update per exploration: the ratio is 1")
        if self.name != config.method:
            settings = ", ".join(f"{key}={value}" for key, value in self.identity(updates).items())
            notes.append(
                f"rl={config.method} at rl.updates_per_exploration={updates} is rl={self.name} with {settings}: "
                "the gradients are equal, so such arms are one run"
            )
        if config.kl_coefficient != 0.0 and not self.needs_reference:
            notes.append(f"rl.kl_coefficient is not used by rl={config.method}")
        return tuple(notes)


def no_options(config: RLConfig) -> None:
    """Raises ConfigError where ``rl.options`` is given to a method that has none."""
    if config.options:
        raise ConfigError(f"rl.options.{next(iter(config.options))}: rl={config.method} has no options. Remove it.")


def options(config: RLConfig, kind: type[T]) -> T:
    """``rl.options`` as the method's own dataclass.

    Raises:
        ConfigError: an option that the method does not have, or one of another type.
    """
    from dataclasses import fields

    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in config.options:
        if name not in known:
            raise ConfigError(f"rl.options.{name}: rl={config.method} has no such option. It has {', '.join(known)}.")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), dict(config.options))
    except OmegaConfBaseException as error:
        raise ConfigError(f"rl.options: {str(error).splitlines()[0]}. Give a value of the option's type.") from error
    return OmegaConf.to_object(merged)  # type: ignore[return-value]


def require_group(config: RLConfig, least: int, why: str) -> None:
    """Raises ConfigError where a group is too small for the method."""
    if config.group_size < least:
        raise ConfigError(
            f"rl.group_size={config.group_size}: a group needs at least {least} completions ({why}). "
            "Raise rl.group_size, or use rl=ppo."
        )
