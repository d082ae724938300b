"""Do a sweep's comparisons name arms, modes and metrics that there are, and is what it says text?"""

from __future__ import annotations

from dsm_repro.config.compose import Sweep
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.factor import under
from dsm_repro.config.schema import Config
from dsm_repro.config.sweep_schema import ComparisonConfig, SweepConfig, metric_at_k, recorded_ks


def check_comparisons(sweep: Sweep) -> None:
    """Raise ConfigError for the first comparison that cannot be made, or sentence that YAML reads as something else."""
    _check_texts(sweep.claim)
    arms = sweep.first_of_each()
    names = [arm.name for arm in arms]
    for comparison in sweep.claim.comparisons:
        for name in (comparison.a, comparison.b):
            if name not in names:
                raise ConfigError(
                    f"sweep.comparisons: {name!r} is not an arm of sweep={sweep.name}. Use one of {', '.join(names)}."
                )
        for arm in arms:
            if arm.name in (comparison.a, comparison.b):
                _check_metric(comparison.metric, arm.name, arm.config.evaluation.samples)
        _check_modes(sweep, comparison, {arm.name: arm.config for arm in arms})
        if comparison.expect not in ("a_greater", "b_greater", "a_not_greater", "none"):
            raise ConfigError(
                f"sweep.comparisons.expect={comparison.expect}: unknown. "
                "Use a_greater, b_greater, a_not_greater or none."
            )
        if (comparison.expect == "a_not_greater") != (comparison.margin > 0):
            raise ConfigError(
                f"sweep.comparisons: {comparison.a} against {comparison.b} has expect={comparison.expect} and "
                f"margin={comparison.margin:g}. expect=a_not_greater needs a margin above 0 (points that count as no "
                "gain); no other expectation takes one."
            )


def _check_texts(claim: SweepConfig) -> None:
    """Hydra lets a mapping pass where text is asked for."""
    for key in ("consequences", "reference", "caveats"):
        for number, text in enumerate(getattr(claim, key)):
            if not isinstance(text, str):
                raise ConfigError(
                    f"sweep.{key}[{number}]={text}: not text but a {type(text).__name__}. Quote it in the file of the "
                    "sweep: a colon and a blank in it make a mapping of it."
                )


def _check_modes(sweep: Sweep, comparison: ComparisonConfig, configs: dict[str, Config]) -> None:
    """Raise ConfigError for a mode that an arm is not evaluated in, and for two modes that are not the factor."""
    mode_b = comparison.mode_b or comparison.mode
    if (comparison.a, comparison.mode) == (comparison.b, mode_b):
        raise ConfigError(
            f"sweep.comparisons: {comparison.a} would be compared with itself in mode {mode_b}. Name another arm."
        )
    if mode_b != comparison.mode and not under("evaluation.modes", sweep.claim.factor.split(",")):
        raise ConfigError(
            f"sweep.comparisons.mode_b={mode_b}: {comparison.a} would be compared in mode {comparison.mode}, but "
            f"sweep.factor={sweep.claim.factor}. Two modes are compared only where they are the factor: declare "
            "evaluation.modes, or leave mode_b out."
        )
    for key, name, mode in (("mode", comparison.a, comparison.mode), ("mode_b", comparison.b, mode_b)):
        modes = configs[name].evaluation.modes
        if mode not in modes:
            raise ConfigError(
                f"sweep.comparisons.{key}={mode}: arm {name} is not evaluated in it (evaluation.modes={list(modes)}). "
                "Name one of its modes, or add this one."
            )


def _check_metric(metric: str, arm: str, samples: int) -> None:
    """Raise ConfigError for a metric that does not exist, or that the arm's evaluation does not record."""
    if metric == "accuracy":
        return
    wanted = f"sweep.comparisons.metric={metric}"
    found = metric_at_k(metric)
    if found is None:
        raise ConfigError(f"{wanted}: unknown. Use accuracy, maj@K or pass@K with a number for K, as in maj@32.")
    k = found[1]
    if k > samples:
        fewer = "draws no answers" if samples == 1 else f"draws only {samples} answers"
        raise ConfigError(
            f"{wanted}: arm {arm} {fewer} to each problem (evaluation.samples={samples}). "
            f"Set evaluation.samples ≥ {k}, or a smaller K."
        )
    if samples == 1:
        raise ConfigError(f"{wanted}: arm {arm} draws no answers (evaluation.samples=1). Set evaluation=sampled.")
    if k not in recorded_ks(samples):
        known = ", ".join(map(str, recorded_ks(samples)))
        raise ConfigError(f"{wanted}: K={k} is not recorded for evaluation.samples={samples}. Use one of {known}.")
