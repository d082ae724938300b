"""How the arms came to be: compute, learning curves, data mix."""

from __future__ import annotations

from collections.abc import Mapping

from dsm_repro.reporting.accounts import spent_flops, stage_artifacts, steps
from dsm_repro.reporting.blocks import DASH, Cell, Figure, Section, Table, Text, cells, count, points, si
from dsm_repro.reporting.deviations import show
from dsm_repro.reporting.records import Sweep


def compute(sweep: Sweep) -> Section | None:
    blocks: list[object] = []
    if sweep.claim.get("equal"):
        blocks.append(Text(f"Held equal: {sweep.claim['equal']}"))
    blocks += [t for t in (_rl(sweep), _training(sweep)) if t is not None]
    return Section("compute", "Compute and budget", blocks) if blocks else None


def _rl(sweep: Sweep) -> Table | None:
    rows = []
    for run, artifact in stage_artifacts(sweep, "rl"):
        record = artifact.record
        budget = (run.config.get("rl") or {}).get("budget") or {}
        unit, amount = str(budget.get("unit") or "steps"), budget.get("amount")
        flops, done = spent_flops(record), steps(artifact)
        used = flops if unit == "flops" else done
        share = used / float(amount) if used is not None and amount else None
        reward = record.get("reward") or {}
        first, last = (
            f"{reward[k]:.3f}" if isinstance(reward.get(k), int | float) else DASH for k in ("first", "last")
        )
        rows.append(
            cells(
                run.arm,
                str(run.seed),
                si(float(amount), "FLOP") if unit == "flops" and amount else f"{count(amount)} {unit}",
                si(flops, "FLOP"),
                DASH if share is None else f"{100 * share:.1f}%",
                count(done),
                str(record.get("stopped_by") or DASH),
                f"{first} → {last}",
                Cell(show(record["alarm"]), tone="warn") if record.get("alarm") else Cell("none", tone="muted"),
            )
        )
    if not rows:
        return None
    columns = [
        ("Arm", "<"), ("Seed", ">"), ("Budget", ">"), ("Spent", ">"), ("Of budget", ">"), ("Steps", ">"),
        ("Stopped by", "<"), ("Reward", ">"), ("Alarm", "<"),
    ]  # fmt: skip
    note = "FLOPs count rollouts, reference model, critic and updates; one multiply-accumulate is 2 FLOPs."
    return Table("Reinforcement learning beside its budget", columns, rows, note)


def _training(sweep: Sweep) -> Table | None:
    rows = []
    for stage in ("pretrain", "sft"):
        seen: dict[str, list[str]] = {}
        artifacts = {}
        for run, artifact in stage_artifacts(sweep, stage):
            seen.setdefault(artifact.key, []).append(run.arm)
            artifacts[artifact.key] = artifact
        for key, arms in seen.items():
            a = artifacts[key]
            tokens = a.record.get("tokens")
            loss = a.record.get("loss")
            loss = loss.get("last") if isinstance(loss, Mapping) else loss
            rows.append(
                cells(
                    stage,
                    ", ".join(dict.fromkeys(arms)),
                    count(steps(a)),
                    si(float(tokens) if isinstance(tokens, int | float) else a.tokens or None),
                    si(a.flops, "FLOP"),
                    f"{loss:.3f}" if isinstance(loss, int | float) else DASH,
                )
            )
    if not rows:
        return None
    columns = [("Stage", "<"), ("Arms", "<"), ("Steps", ">"), ("Tokens", ">"), ("FLOPs", ">"), ("Last loss", ">")]
    return Table("Pre-training and fine-tuning", columns, rows)


def learning(figures: list[tuple[str, str, str]]) -> Section | None:
    """``figures``: (file, alternative text, caption)."""
    if not figures:
        return None
    return Section("curves", "Learning curves", [Figure(*figure) for figure in figures])


def mix(sweep: Sweep) -> Section | None:
    rows = []
    arms: dict[str, list[str]] = {}
    for run, artifact in stage_artifacts(sweep, "pretrain"):
        arms.setdefault(artifact.key, []).append(run.arm)
    for artifact in {a.key: a for _, a in stage_artifacts(sweep, "pretrain")}.values():
        target, achieved = artifact.record.get("target_shares") or {}, artifact.record.get("achieved_shares") or {}
        epochs = artifact.record.get("epochs") or {}
        for source in dict.fromkeys((*target, *achieved)):
            want, got = target.get(source), achieved.get(source)
            repeated = epochs.get(source) if isinstance(epochs, Mapping) else epochs
            off = want is not None and got is not None and abs(want - got) > 0.01
            rows.append(
                cells(
                    ", ".join(arms[artifact.key]),
                    source,
                    DASH if want is None else points(100 * want),
                    DASH if got is None else Cell(points(100 * got), tone="warn" if off else "", bar=float(got)),
                    f"{repeated:.2f}" if isinstance(repeated, int | float) else DASH,
                )
            )
    if not rows:
        return None
    columns = [("Arms", "<"), ("Source", "<"), ("Target, %", ">"), ("Achieved, %", ">"), ("Epochs", ">")]
    note = "Shares of tokens. Marked where the achieved share is more than one point off its target."
    unique = list({tuple(row): row for row in rows}.values())
    return Section("mix", "Data mix", [Table("Shares of the pre-training tokens", columns, unique, note)])
