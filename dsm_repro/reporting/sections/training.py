"""How the arms came to be: compute, learning curves, data mix."""

from __future__ import annotations

from collections.abc import Mapping

from dsm_repro.config.resolve import TEXT_STAGES
from dsm_repro.reporting.accounts import distinct_artifacts, spent_flops, stage_artifacts, steps
from dsm_repro.reporting.blocks import DASH, Cell, Figure, Section, Table, Text, cells, count, duration, points, si
from dsm_repro.reporting.records import Sweep
from dsm_repro.reporting.sections import difficulty, reward_models, rewards

#: of the stage rl's FLOPs
_PURPOSES = {
    "generate": "Generation",
    "train": "Policy",
    "reference": "Reference",
    "critic": "Critic",
    "reward_model": "Reward model",
}


def compute(sweep: Sweep) -> Section | None:
    blocks: list[object] = []
    if sweep.claim.get("equal"):
        blocks.append(Text(f"Held equal: {sweep.claim['equal']}"))
    tables = (
        _rl(sweep),
        _by_purpose(sweep),
        *rewards.blocks(sweep),
        difficulty.table(sweep),
        reward_models.table(sweep),
        _training(sweep),
    )
    blocks += [t for t in tables if t is not None]
    return Section("compute", "Compute and budget", blocks) if blocks else None


def _rl(sweep: Sweep) -> Table | None:
    rows = []
    for run, artifact in stage_artifacts(sweep, "rl"):
        record = artifact.record
        budget = (run.config.get("rl") or {}).get("budget") or {}
        unit, amount = str(budget.get("unit") or "steps"), budget.get("amount")
        flops, done = spent_flops(record), steps(artifact)
        tokens, seconds = record.get("tokens_generated"), artifact.times[-1]["seconds"] if artifact.times else None
        used = {"flops": flops, "tokens": tokens, "seconds": seconds, "steps": done}.get(unit)
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
                si(tokens) if tokens else DASH,
                si(record["tokens_trained"]) if record.get("tokens_trained") else DASH,
                duration(seconds),
                DASH if share is None else f"{100 * share:.1f}%",
                count(done),
                str(record.get("stopped_by") or DASH),
                f"{first} → {last}",
                rewards.alarm_cell(record),
            )
        )
    if not rows:
        return None
    columns = [
        ("Arm", "<"), ("Seed", ">"), ("Budget", ">"), ("Spent", ">"), ("Tokens drawn", ">"), ("Trained", ">"),
        ("Time", ">"), ("Of budget", ">"), ("Steps", ">"), ("Stopped by", "<"), ("Reward", ">"), ("Alarm", "<"),
    ]  # fmt: skip
    note = (
        "FLOPs count rollouts, reference model, critic, reward model and updates; one multiply-accumulate is 2 FLOPs. "
        "Trained tokens are those with weight in an update, once for each. Time is wall-clock from the first step on."
    )
    return Table("Reinforcement learning beside its budget", columns, rows, note)


def _by_purpose(sweep: Sweep) -> Table | None:
    """Mean FLOPs of the stage rl, and where they went."""
    arms: dict[str, list[Mapping[str, float]]] = {}
    for run, artifact in stage_artifacts(sweep, "rl"):
        flops = artifact.record.get("flops")
        if isinstance(flops, Mapping):
            arms.setdefault(run.arm, []).append({k: float(v) for k, v in flops.items() if k != "total"})
    known = [p for p in _PURPOSES if any(p in each for members in arms.values() for each in members)]
    known += sorted({p for members in arms.values() for each in members for p in each} - set(known))
    if not known:
        return None
    rows = []
    for arm, members in arms.items():
        total = sum(sum(each.values()) for each in members)
        shares = [sum(each.get(purpose, 0.0) for each in members) / total if total else 0.0 for purpose in known]
        rows.append(cells(arm, si(total / len(members), "FLOP"), *(f"{100 * s:.1f}%" if s else DASH for s in shares)))
    columns = [("Arm", "<"), ("FLOPs", ">"), *((_PURPOSES.get(purpose, purpose), ">") for purpose in known)]
    return Table("Where the FLOPs of reinforcement learning went, mean over seeds", columns, rows)


def _training(sweep: Sweep) -> Table | None:
    rows = []
    for stage in (*TEXT_STAGES, "sft"):
        for a, arms, _ in distinct_artifacts(sweep, stage):
            tokens = a.record.get("tokens")
            loss = a.record.get("loss")
            loss = loss.get("last") if isinstance(loss, Mapping) else loss
            rows.append(
                cells(
                    stage,
                    ", ".join(arms),
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
    read = [(stage, *found) for stage in TEXT_STAGES for found in distinct_artifacts(sweep, stage)]
    for stage, artifact, arms, _ in read:
        target, achieved = artifact.record.get("target_shares") or {}, artifact.record.get("achieved_shares") or {}
        epochs = artifact.record.get("epochs") or {}
        for source in dict.fromkeys((*target, *achieved)):
            want, got = target.get(source), achieved.get(source)
            repeated = epochs.get(source) if isinstance(epochs, Mapping) else epochs
            off = want is not None and got is not None and abs(want - got) > 0.01
            rows.append(
                cells(
                    stage,
                    ", ".join(arms),
                    source,
                    DASH if want is None else points(100 * want),
                    DASH if got is None else Cell(points(100 * got), tone="warn" if off else "", bar=float(got)),
                    f"{repeated:.2f}" if isinstance(repeated, int | float) else DASH,
                )
            )
    if not rows:
        return None
    columns = [
        ("Stage", "<"),
        ("Arms", "<"),
        ("Source", "<"),
        ("Target, %", ">"),
        ("Achieved, %", ">"),
        ("Epochs", ">"),
    ]
    note = "Shares of tokens. Marked where the achieved share is more than one point off its target."
    unique = list({tuple(row): row for row in rows}.values())
    return Section("mix", "Data mix", [Table("Shares of the pre-training tokens", columns, unique, note)])
