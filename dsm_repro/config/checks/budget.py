"""Is what a sweep says is held equal (``sweep.equal``) what the budgets of its arms hold equal?"""

from __future__ import annotations

from dsm_repro.config.compose import Arm, Sweep
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.resolve import STAGE_ORDER, has_stage
from dsm_repro.config.rl_schema import BUDGET_UNITS

#: how ``sweep.equal`` refers to the budget
BUDGET = "(rl.budget)"


def check_budget(sweep: Sweep) -> None:
    """Raise ConfigError where ``sweep.equal`` begins with one unit of ``rl.budget`` and an arm counts in another.

    A scale sets the budget's unit and a sweep the sentence, so either can be changed without the other.
    """
    said = sweep.claim.equal.split()
    if BUDGET not in sweep.claim.equal or said[0].lower() not in BUDGET_UNITS:
        return
    for arm in sweep.first_of_each():
        unit = arm.config.rl.budget.unit
        if _comes_to_rl(arm) and unit != said[0].lower():
            raise ConfigError(
                f"rl.budget.unit={unit}: arm {arm.name} of sweep={sweep.name} would be held to equal {unit}, and "
                f"sweep.equal says {said[0]}. Set rl.budget.unit={said[0].lower()} and rl.budget.amount, or say in "
                "sweep.equal what is held equal."
            )


def _comes_to_rl(arm: Arm) -> bool:
    until = arm.config.until
    ends_before = until is not None and STAGE_ORDER.index(until) < STAGE_ORDER.index("rl")
    return has_stage(arm.config, "rl") and not ends_before
