"""Algorithm 1, the outer iterations of §4.1.4: what changes when a round begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.budget import Ledger
from dsm_repro.rl.estimators import Estimator
from dsm_repro.rl.estimators.grpo_iterative import IterativeGRPO
from dsm_repro.rl.experience import Exploration, Metrics
from dsm_repro.rl.rewards import RewardFunction

if TYPE_CHECKING:
    from dsm_repro.rl.distributed import Processes
    from dsm_repro.rl.reward_model.continued import Continued, Reservoir

#: in a checkpoint
ROUNDS_STATE = "rounds.pt"


class Rounds(Protocol):
    """Called by the trainer around every exploration stage."""

    def before(self, policy: Any, reference: Any) -> dict[str, float]:
        """May begin a round: reset ``reference`` to ``policy``, train the reward model on. FLOPs spent, by purpose."""
        ...

    def after(self, found: Exploration) -> None:
        """Sees what was explored; may add to its metrics."""
        ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


class IterativeRounds:
    """Rounds of equal shares of ``rl.budget``.

    Round r (from 0) begins with the first exploration that finds r/I of the budget spent. Then the reference becomes
    the policy as it is and, where the reward is a model's, this model is trained on what the policy wrote since the
    last round. What the reward model's training costs counts against the budget.
    """

    def __init__(
        self, ctx: StageContext, estimator: IterativeGRPO, processes: Processes, continued: Continued | None
    ) -> None:
        self.ctx, self.estimator, self.processes, self.continued = ctx, estimator, processes, continued
        self.round = 0
        self.explorations = 0
        self.told: Metrics = {}
        self.reference: Any = None
        #: weights of a killed run's reference, until there is a reference to put them into
        self.waiting: dict[str, Any] | None = None
        self.reservoir = self._new_reservoir()

    def _new_reservoir(self) -> Reservoir | None:
        if self.continued is None:
            return None
        from dsm_repro.rl.reward_model.continued import Reservoir

        size = self.ctx.config.reward_model.batch_size
        seed = f"rl/rounds/{self.ctx.config.seeds.rl}/{self.round}"
        return Reservoir(max(self.estimator.reward_steps * size, 1), seed)

    @property
    def spent_share(self) -> float:
        """Of the budget, before the exploration that comes; all processes see the first one's."""
        budget, cost = self.ctx.config.rl.budget, self.ctx.cost
        steps = float(self.explorations * self.ctx.config.rl.updates_per_exploration)
        spent = {"steps": steps, "flops": cost.total_flops, "tokens": cost.tokens.get("generate", 0.0)}
        return self.processes.first(lambda: spent[budget.unit] / budget.amount)

    def before(self, policy: Any, reference: Any) -> dict[str, float]:
        self.reference = reference
        if self.waiting is not None:
            reference.load_state_dict(self.waiting)
            self.waiting = None
        self.told = {} if self.continued is None else {"reward_model_loss": None}
        due = min(int(self.spent_share * self.estimator.rounds), self.estimator.rounds - 1)
        if due <= self.round:
            return {}
        self.round = due
        if reference is not None:
            reference.load_state_dict(policy.state_dict())
        return self._train_reward()

    def _train_reward(self) -> dict[str, float]:
        steps = self.estimator.reward_steps
        if self.continued is None or self.reservoir is None or steps == 0:
            return {}
        seed = f"rl/rounds/{self.ctx.config.seeds.rl}/{self.round}"
        batches = self.continued.batches(self.reservoir.kept, steps, self.estimator.replay_share, seed)
        losses, flops = self.continued.train(batches)
        self.told["reward_model_loss"] = sum(losses) / len(losses)
        self.reservoir = self._new_reservoir()
        return {"reward_model": flops}

    def after(self, found: Exploration) -> None:
        self.explorations += 1
        found.metrics["round"] = self.round
        found.metrics.update(self.told)
        if self.reservoir is not None:
            from dsm_repro.rl.reward_model.continued import seen_examples

            for example in seen_examples(found):
                self.reservoir.add(example)

    def save(self, folder: Path) -> None:
        """Where the rounds stand: number, reference, reward model with its optimiser, and what was seen."""
        import torch

        begun = self.round > 0
        state = {
            "round": self.round,
            "explorations": self.explorations,
            "reference": self.reference.state_dict() if begun and self.reference is not None else None,
            "reward_model": self.continued.state() if begun and self.continued is not None else None,
            "seen": self.reservoir.state() if self.reservoir is not None else None,
        }
        torch.save(state, folder / ROUNDS_STATE)

    def load(self, folder: Path) -> None:
        import torch

        state = torch.load(folder / ROUNDS_STATE, map_location="cpu", weights_only=True)
        self.round, self.explorations, self.waiting = state["round"], state["explorations"], state["reference"]
        self.reservoir = self._new_reservoir()
        if self.reservoir is not None:
            self.reservoir.restore(state["seen"])
        if self.continued is not None and state["reward_model"] is not None:
            self.continued.restore(state["reward_model"])


def build_rounds(ctx: StageContext, estimator: Estimator, reward: RewardFunction, ledger: Ledger) -> Rounds | None:
    """None for a method of one round.

    Raises:
        ConfigError: a budget of which nobody knows during the run what share is spent.
        DataError: a reward model's artifact without its labels.
    """
    if not isinstance(estimator, IterativeGRPO):
        return None
    unit = ctx.config.rl.budget.unit
    if unit not in ("steps", "flops", "tokens"):
        raise ConfigError(
            f"rl.budget.unit={unit}: rl={ctx.config.rl.method} begins a round when a share of the budget is spent, and "
            "a resumed run must begin it at the same step. Use rl.budget.unit=flops, tokens or steps."
        )
    from accelerate import PartialState

    from dsm_repro.rl.distributed import Processes
    from dsm_repro.training.models import resolve_device

    device = resolve_device(ctx.config.execution)
    state = PartialState(cpu=device == "cpu")
    processes = Processes(state.process_index, state.num_processes, state.device)
    return IterativeRounds(ctx, estimator, processes, _continued(ctx, reward))


def _continued(ctx: StageContext, reward: RewardFunction) -> Continued | None:
    config = ctx.config
    if config.reward.kind == "rule":
        return None
    from dsm_repro.rl.reward_model.continued import Continued
    from dsm_repro.rl.reward_model.examples import LABELS_FILE, read
    from dsm_repro.rl.reward_model.score import ModelReward
    from dsm_repro.training.models import load_tokenizer

    if not isinstance(reward, ModelReward):
        raise TypeError(f"reward.kind={config.reward.kind} is {type(reward).__name__}, which has no model to train on")
    folder = ctx.parents["reward_model"]
    history = [example for example in read(folder / LABELS_FILE) if not example.held_out]
    if config.reward_model.label == "hard":
        history = [example.hardened() for example in history]
    pad_id = int(load_tokenizer(folder / "model").pad_token_id)
    return Continued(reward.model, config.reward_model, history, pad_id, reward.rows, config.base.dtype == "bfloat16")
