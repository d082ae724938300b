"""The equations of §4 and Appendix A.1 as pure functions on tensors: no trainer, no model, no configuration.

Shapes: ``B`` completions (``B`` = questions times ``G``, the completions of one question in ``G``
consecutive rows), ``T`` token positions. ``mask`` is 1 on the tokens that the policy wrote (the
end-of-sequence token included) and 0 on padding and on the output of tools. Log-probabilities are natural
logarithms of the sampled tokens.

Equation and section numbers are those of arXiv:2402.03300. Objectives there are maximised; the
``*_loss`` functions return their negation, to be minimised.
"""

from dsm_repro.rl.objectives.advantages import (
    gae,
    kl_shaped_reward,
    leave_one_out_advantage,
    mean_advantage,
    outcome_advantage,
    overlong_penalty,
    process_advantage,
    whiten,
)
from dsm_repro.rl.objectives.losses import (
    constant_weights,
    grpo_loss,
    output_weights,
    per_output_mean,
    policy_loss,
    token_weights,
    value_loss,
)
from dsm_repro.rl.objectives.paradigm import (
    dpo_coefficient,
    gradient_coefficient,
    ppo_coefficient,
    rft_coefficient,
    sft_coefficient,
)
from dsm_repro.rl.objectives.surrogates import (
    clipped_surrogate,
    clipped_weight_surrogate,
    k3,
    likelihood,
    sequence_surrogate,
)

__all__ = [
    "clipped_surrogate",
    "clipped_weight_surrogate",
    "constant_weights",
    "dpo_coefficient",
    "gae",
    "gradient_coefficient",
    "grpo_loss",
    "k3",
    "kl_shaped_reward",
    "leave_one_out_advantage",
    "likelihood",
    "mean_advantage",
    "outcome_advantage",
    "output_weights",
    "overlong_penalty",
    "per_output_mean",
    "policy_loss",
    "ppo_coefficient",
    "process_advantage",
    "rft_coefficient",
    "sequence_surrogate",
    "sft_coefficient",
    "token_weights",
    "value_loss",
    "whiten",
]
