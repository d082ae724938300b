"""What the rewards of the rl arms were made of, and the alarm where too many answers could not be judged."""

from __future__ import annotations

from collections.abc import Mapping

from dsm_repro.reporting.blocks import DASH, Cell, Table, Text, count, points
from dsm_repro.reporting.deviations import show
from dsm_repro.reporting.diagnostics import Alarm, Diagnostics, Window, alarms, diagnostics
from dsm_repro.reporting.records import Sweep

#: verdicts and ends of completions -> what their column is called
_SHARES = {
    "right": "Right", "wrong": "Wrong", "no_answer": "No answer", "ungradable": "Ungradable", "truncated": "Truncated",
}  # fmt: skip


def blocks(sweep: Sweep) -> list[object]:
    """A warning for every alarm, and the table where an arm has an rl stage."""
    table = _table(diagnostics(sweep))
    return [*(Text(_alarm_text(alarm), "warn") for alarm in alarms(sweep)), *([table] if table else [])]


def alarm_cell(record: Mapping[str, object]) -> Cell:
    """For the table of runs: worst share and step, none, or a dash where the record does not say."""
    if "alarm" not in record:
        return Cell(DASH, tone="muted")
    alarm = record["alarm"]
    if isinstance(alarm, Mapping) and isinstance(alarm.get("worst_share"), int | float):
        return Cell(f"{points(100 * alarm['worst_share'])}% ungradable", f"step {alarm.get('worst_step')}", tone="warn")
    return Cell(show(alarm), tone="warn") if alarm else Cell("none", tone="muted")


def _alarm_text(alarm: Alarm) -> str:
    return (
        f"Alarm, {alarm.arm}, seed {alarm.seed}: too many {alarm.what}. Limit {_percent(alarm.limit)} "
        f"(reward.max_ungradable), worst step {count(alarm.worst_step)} with {_percent(alarm.worst_share)}, "
        f"{count(alarm.steps)} step(s) above the limit. The rule counts an answer that the grader could not judge as "
        "wrong: look at the completions before believing this arm."
    )


def _percent(share: float | None) -> str:
    return DASH if share is None else f"{points(100 * share)}%"


def _table(arms: list[Diagnostics]) -> Table | None:
    """What the rewards were made of, at both ends of each arm."""
    if not arms:
        return None
    everywhere = [w for arm in arms for w in arm.windows]
    tools = any(w.programs is not None for w in everywhere)
    kept = any(w.kept is not None for w in everywhere)
    rows = [_window(arm, w, tools, kept) for arm in arms for w in arm.windows]
    columns = [("Arm", "<"), ("Steps", ">"), *((f"{name}, %", ">") for name in _SHARES.values())]
    if tools:
        columns += [("Programs", ">"), ("Errors", ">"), ("Sandbox failure, %", ">")]
    columns.append(("Zero variance, %", ">"))
    if kept:
        columns.append(("Kept, %", ">"))
    columns.append(("KL", ">"))
    note = (
        "First and last steps that sampled anything, at most 10 each; means over seeds. Right, wrong, no answer and "
        "ungradable are the rule's verdicts, whatever the reward is; truncated: ended by the length limit; these are "
        "shares of completions. Zero variance: groups whose rewards are all equal. KL: to the reference policy, "
        f"per token. {DASH}: not recorded, or the method has none."
    )
    if tools:
        note += " Programs and errors are per completion; sandbox failures (time, memory, output) a share of programs."
    if kept:
        note += " Kept: share of the groups drawn that entered an update."
    return Table("What the rewards were made of", columns, rows, note)


def _window(arm: Diagnostics, w: Window, tools: bool, kept: bool) -> list[Cell]:
    def share(value: float | None, tone: str = "") -> Cell:
        return Cell(DASH, tone="muted") if value is None else Cell(points(100 * value), tone=tone)

    def number(value: float | None, digits: str) -> Cell:
        return Cell(DASH, tone="muted") if value is None else Cell(f"{value:{digits}}")

    ungradable = w.shares["ungradable"]
    over = ungradable is not None and arm.limit is not None and ungradable > arm.limit
    steps = str(w.first_step) if w.first_step == w.last_step else f"{w.first_step}\N{EN DASH}{w.last_step}"
    row = [Cell(arm.arm, small=f"{arm.seeds} seeds" if arm.seeds > 1 else ""), Cell(steps)]
    row += [share(w.shares[name], "warn" if name == "ungradable" and over else "") for name in _SHARES]
    if tools:
        row += [number(w.programs, ".2f"), number(w.program_errors, ".2f"), share(w.sandbox_failure)]
    row.append(share(w.zero_variance))
    if kept:
        row.append(share(w.kept))
    row.append(number(w.kl, ".2g"))
    return row
