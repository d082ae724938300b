"""Direct preference optimisation (arXiv:2305.18290), in the unified paradigm of Appendix A.1: o+, o- ~ pi_sft, rule.

The paper analyses DPO (Eq. 12-14) and runs none, so the options are ours. Eq. 12 divides each output's log-ratio by
its length; Rafailov et al. and ``trl.DPOTrainer`` do not, and neither does this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl.estimators.base import Estimator, Signals, options, require_group

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Options:
    beta: float = 0.1
    pairs_per_question: int = 4
    #: None: half the completions of rl.questions_per_step groups, so that an update learns from as many
    pairs_per_step: int | None = None
    #: None: the pairs of one pass over the questions are all there is, and the budget ends the run
    epochs: int | None = None


@dataclass(frozen=True)
class DPO(Estimator):
    """Pairs of a right and a wrong completion of the same question; no advantage of a single completion exists."""

    #: strength of the implicit KL term
    beta: float
    #: pairs of one question at most, each completion in one of them
    pairs_per_question: int
    pairs_per_step: int
    #: how often a pair is trained on before new completions are drawn
    epochs: int | None

    offline: ClassVar[bool] = True
    has_ratio: ClassVar[bool] = False
    runner: ClassVar[str] = "dsm_repro.rl.preference.run"

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        raise TypeError(f"rl=dpo learns from pairs: a completion has no advantage of its own. It runs in {self.runner}")

    def notes(self, config: RLConfig) -> tuple[str, ...]:
        notes = list(super().notes(config))
        if config.temperature != 1.0 or config.top_p != 1.0:
            notes.append(
                f"rl=dpo draws its pairs at rl.temperature={config.temperature:g}, rl.top_p={config.top_p:g} and its "
                "loss is that of the untempered model"
            )
        return tuple(notes)


def build(config: RLConfig) -> DPO:
    given = options(config, Options)
    if not given.beta > 0.0:
        raise ConfigError(f"rl.options.beta={given.beta:g}: must be greater than 0. Rafailov et al. use 0.1.")
    for name in ("pairs_per_question", "pairs_per_step", "epochs"):
        value = getattr(given, name)
        if value is not None and value < 1:
            raise ConfigError(f"rl.options.{name}={value}: must be at least 1.")
    require_group(config, 2, "a pair is a right and a wrong completion of one question")
    if config.temperature <= 0.0:
        raise ConfigError(
            f"rl.temperature={config.temperature:g}: greedy completions of a question are all the same, so none is "
            "right where another is wrong. Set it above 0."
        )
    if config.updates_per_exploration != 1:
        raise ConfigError(
            f"rl.updates_per_exploration={config.updates_per_exploration}: rl=dpo repeats its pairs by epochs. Set it "
            "to 1, and rl.options.epochs."
        )
    if config.budget.unit == "tokens" and given.epochs is None:
        raise ConfigError(
            "rl.options.epochs=null: with rl.budget.unit=tokens, which counts generated tokens, the run would never "
            "end: after one pass over the questions it repeats its pairs and generates nothing. Set rl.options.epochs."
        )
    per_step = given.pairs_per_step or max(1, config.questions_per_step * config.group_size // 2)
    return DPO(0.0, 0.0, 0.0, given.beta, given.pairs_per_question, per_step, given.epochs)
