"""Puts a sweep's page together: the order of its sections, its figures, its verdict in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from dsm_repro.config.resolve import TEXT_STAGES
from dsm_repro.reporting import accounts, at_k, at_k_plots, corpus_plots, curve_plots, heat, plots, verdict
from dsm_repro.reporting.blocks import Figure, Finding, Page, Section
from dsm_repro.reporting.curves import AXES
from dsm_repro.reporting.measures import Results
from dsm_repro.reporting.records import Sweep
from dsm_repro.reporting.sections import account, answers, calibration, corpus, curves, results, training
from dsm_repro.reporting.sections import at_k as sampled

_SMALL_SCALES = {"smoke", "mini"}
#: steps in the running mean of a learning curve
_WINDOW = 9


def _banner(sweep: Sweep) -> str:
    scales = set(sweep.scale.split(", "))
    if not scales & _SMALL_SCALES:
        return ""
    which = "smoke run (a few steps of each stage, to see it work)" if scales == {"smoke"} else "miniature"
    return (
        f"This is the {which}: tiny models trained on made problems. Its numbers are not comparable to the paper's "
        "in size; only the direction of a difference can be looked at."
    )


def _verdict_text(sweep: Sweep, found: Results) -> str:
    decisive = [c for c in found.compared if c.verdict != verdict.DESCRIPTIVE]
    if not decisive:
        return "This sweep describes its arms; it declares no expected order."
    meaning = verdict.meaning(
        found.verdict,
        margins=any(c.expect == "a_not_greater" for c in decisive),
        one_seed=any(c.decides_nothing for c in decisive),
    )
    of = "One comparison" if len(decisive) == 1 else f"Weakest of {len(decisive)} comparisons"
    return f"{of}: {meaning}."


def _findings(found: Results) -> list[Finding]:
    findings = []
    for c in found.compared:
        detail = c.where
        if c.p_holm is not None:
            p = "p < 0.001" if c.p_holm < 0.001 else f"p = {c.p_holm:.3f}"
            detail += f", {p} after Holm"
        findings.append(Finding(c.verdict, c.sentence, detail))
    return findings


def figures(sweep: Sweep, found: Results) -> dict[str, str]:
    """File name -> SVG text, for everything that this sweep has data for."""
    drawn: dict[str, str] = {}
    if any(c.difference is not None for c in found.compared):
        drawn["forest.svg"] = plots.forest(found.compared)
    if found.measured:
        drawn["accuracy.svg"] = plots.accuracies(found, sweep.arms)
    drawn.update(_curves(sweep))
    for column in found.columns:
        if any(v.column == column.id for v in found.categories):
            drawn[f"{heat.heat_name(column.id)}.svg"] = heat.heat_map(found, sweep.arms, column.id)
    drawn.update(at_k_plots.figures(at_k.lines(found), sweep.arms))
    drawn.update(curve_plots.figures(sweep, found))
    drawn.update(corpus_plots.figures(sweep))
    return drawn


def _curves(sweep: Sweep) -> dict[str, str]:
    drawn = {}

    def rl(x: str, y: str) -> list[plots.Curve]:
        return accounts.learning_curves(sweep, "rl", x, y)

    reward = {("mean reward", label): rl(axis, "reward_mean") for axis, label in AXES.items()}
    policy = {("completion tokens", "rl step"): rl("step", "completion_length"), ("KL", "rl step"): rl("step", "kl")}
    for name, panels in (("reward", reward), ("policy", policy)):
        shown = {label: lines for label, lines in panels.items() if lines}
        if shown:
            drawn[f"{name}.svg"] = plots.curves(shown, sweep.arms, name, _WINDOW)
    for stage in (*TEXT_STAGES, "sft"):
        loss = {
            ("loss", label): accounts.learning_curves(sweep, stage, axis, "loss")
            for axis, label in (("tokens", f"{stage} tokens"), ("flops", "FLOPs"))
        }
        if not any(loss.values()):
            loss = {("loss", f"{stage} step"): accounts.learning_curves(sweep, stage, "step", "loss")}
        shown = {label: lines for label, lines in loss.items() if lines}
        if any(_arms_differ(lines) for lines in shown.values()):
            drawn[f"{stage}-loss.svg"] = plots.curves(shown, sweep.arms, f"{stage}-loss", 1)
    return drawn


def _arms_differ(lines: Sequence[plots.Curve]) -> bool:
    """Whether two arms have other curves: where all share theirs, they say nothing about a difference."""
    of_arm: dict[str, set[tuple[float, ...]]] = {}
    for line in lines:
        of_arm.setdefault(line.arm, set()).add(tuple(line.y))
    return len({frozenset(curves) for curves in of_arm.values()}) > 1


_CURVES = {
    "reward.svg": ("Mean reward of the rollouts over generated tokens, FLOPs and seconds",
                   "Mean reward of the rollouts, running mean of 9 steps; every seed is its own line."),
    "policy.svg": ("Mean completion length and KL divergence to the reference policy over steps",
                   "Mean length of the rollouts and KL to the reference policy, running mean of 9 steps."),
    "prior-loss.svg": ("Loss of the first stage of training over tokens and FLOPs", "Loss of training before the mix."),
    "pretrain-loss.svg": ("Pre-training loss over tokens and FLOPs", "Loss of continued pre-training."),
    "sft-loss.svg": ("Fine-tuning loss over tokens and FLOPs", "Loss of supervised fine-tuning."),
}  # fmt: skip


def build(sweep: Sweep, found: Results, drawn: dict[str, str]) -> Page:
    """The page of a sweep, ready for both templates."""
    banner = _banner(sweep)
    forest = []
    if "forest.svg" in drawn:
        alt = "Paired differences between arms with 95% intervals; the numbers are in the comparisons table."
        caption = "Paired differences with their 95% interval; right of the line the first arm is better."
        if any(c.border for c in found.compared):
            caption += " A dotted tick is the margin that a difference is expected to stay below."
        forest = [Section("forest", "Differences at a glance", [Figure("forest.svg", alt, caption)])]
    maps = [(name, column.id) for column in found.columns if (name := f"{heat.heat_name(column.id)}.svg") in drawn]
    learning = [(name, *text) for name, text in _CURVES.items() if name in drawn]
    sections = [
        *forest,
        results.arms(found, accounts.arm_costs(sweep), accounts.shared_by_seeds(sweep), "accuracy.svg" in drawn),
        calibration.section(sweep, banner),
        results.comparisons(found),
        sampled.section(at_k.lines(found), found, drawn),
        curves.section(sweep, found, drawn),
        training.compute(sweep),
        training.learning(learning),
        results.categories(found, maps),
        results.diagnostics(found),
        answers.section(sweep, found),
        training.mix(sweep),
        corpus.corpus(sweep, drawn),
        account.reference(sweep, found, banner),
        account.sharing(sweep),
        account.protocol(found),
        account.hyperparameters(sweep),
        account.provenance(sweep),
        account.failures(sweep),
    ]
    return Page(
        name=sweep.name,
        title=str(sweep.claim.get("title") or sweep.name),
        scale=sweep.scale,
        banner=banner,
        statement=str(sweep.claim.get("statement") or ""),
        verdict=found.verdict,
        verdict_text=_verdict_text(sweep, found),
        findings=_findings(found),
        sections=[s for s in sections if s is not None],
        caveats=[str(c) for c in sweep.claim.get("caveats") or ()],
    )
