"""The graders by name. All run the same way: rules here, a parser only in a worker that can be killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dsm_repro.config.errors import ConfigError
from dsm_repro.reasoning.grading import compare, deepseek, exact, hendrycks, minerva
from dsm_repro.reasoning.grading.algebra import Algebra

#: raised when a rule of ours changes a verdict, whichever grader it belongs to
RULES_VERSION = 3

#: (prediction, gold, algebra) to whether it is right, None for "ask a worker", and the rule that said so
Judge = Callable[[str, str, Algebra], tuple["bool | None", str]]


@dataclass(frozen=True)
class RuleSet:
    judge: Judge
    #: plain numbers are decided exactly, before the rules
    exact_numbers: bool = False
    #: what both answers are turned into before the rules see them
    prepare: Callable[[str], str] = str
    #: distributions whose version may change a verdict
    libraries: tuple[str, ...] = ()


RULE_SETS = {
    "math_verify": RuleSet(compare.judge, exact_numbers=True, prepare=exact.clean, libraries=("math-verify",)),
    "deepseek": RuleSet(deepseek.judge, libraries=("sympy", "latex2sympy2_extended")),
    "minerva": RuleSet(minerva.judge, libraries=("sympy", "latex2sympy2_extended")),
    "hendrycks": RuleSet(hendrycks.judge),
}


def rule_set(name: str, key: str = "grader.name") -> RuleSet:
    if name not in RULE_SETS:
        raise ConfigError(f"{key}={name}: no such grader. Use one of {', '.join(RULE_SETS)}.")
    return RULE_SETS[name]
