"""Reward diagnostics of a report: shares by hand, dashes where nothing was recorded, the alarm on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import synthetic

from dsm_repro.reporting.diagnostics import windows
from dsm_repro.reporting.render import render_sweep

COUNTS = {"completions": 20, "right": 5, "wrong": 10, "no_answer": 4, "ungradable": 1, "truncated": 2}


def line(step: int, **values: Any) -> dict[str, Any]:
    return {"step": step, **COUNTS, "zero_variance_groups": 0.5, "kl": 0.01 * step, **values}


def test_windows_are_shares_of_what_was_sampled() -> None:
    # the second step sampled three times as much as the first: shares are of completions, not means of shares
    first, last = windows([line(1, right=10, wrong=5), line(2, completions=60, right=10), line(3), line(4, kl=None)])
    assert (first.first_step, first.last_step, last.first_step, last.last_step) == (1, 2, 3, 4)
    assert first.shares["right"] == 20 / 80 and last.shares["right"] == 10 / 40
    assert last.shares["ungradable"] == 0.05 and last.shares["truncated"] == 0.1 and last.shares["no_answer"] == 0.2
    assert first.kl == pytest.approx(0.015) and last.kl == pytest.approx(0.03) and first.zero_variance == 0.5
    assert first.programs is first.sandbox_failure is first.kept is None


def test_windows_are_ten_steps_and_do_not_overlap() -> None:
    def ends(steps: int) -> list[tuple[int, int]]:
        return [(w.first_step, w.last_step) for w in windows([line(s) for s in range(1, steps + 1)])]

    assert ends(0) == [] and ends(1) == [(1, 1)] and ends(5) == [(1, 2), (4, 5)]
    assert ends(20) == [(1, 10), (11, 20)] and ends(100) == [(1, 10), (91, 100)]


def test_what_is_not_recorded_is_none_and_what_is_0_is_0() -> None:
    (bare,) = windows([{"step": 1, "reward_mean": 0.5}])
    assert set(bare.shares.values()) == {None} and bare.zero_variance is None and bare.kl is None
    (counted,) = windows([line(1, ungradable=0, kl=0.0)])
    assert counted.shares["ungradable"] == 0.0 and counted.kl == 0.0


def test_steps_that_sampled_nothing_are_passed_over() -> None:
    nothing = dict.fromkeys(COUNTS, 0)
    first, last = windows([line(1), line(2, right=10, wrong=5), *(line(s, **nothing) for s in range(3, 40))])
    assert (first.last_step, last.last_step) == (1, 2) and last.shares["right"] == 0.5


def test_programs_and_kept_groups() -> None:
    called = {"programs": 8, "program_errors": 2, "sandbox_failure": 1, "groups_drawn": 16, "groups_kept": 4}
    (w,) = windows([line(1, **called)])
    assert (w.programs, w.program_errors, w.sandbox_failure, w.kept) == (0.4, 0.1, 0.125, 0.25)
    # the tool was there and nobody called it
    (idle,) = windows([line(1, programs=0, program_errors=0, sandbox_failure=0)])
    assert idle.programs == 0.0 and idle.sandbox_failure is None


def render(
    tmp_path: Path, arms: dict[str, list[dict[str, Any]]], records: dict[str, dict[str, Any]]
) -> tuple[str, str]:
    """Markdown and HTML of a sweep with these metrics; ``records`` is what differs in an arm's record."""
    store = tmp_path / "store"
    synthetic.write_sweep(
        store, arms=dict.fromkeys(arms, 0.5), seeds=(0,), rl_lines=arms, rl_record=records, questions=20
    )
    page = render_sweep(store, "rl_algorithm", tmp_path / "reports")
    return (page.parent / "report.md").read_text(), page.read_text()


def rows(markdown: str, caption: str) -> list[list[str]]:
    body = markdown[markdown.index(f"**{caption}**") :].split("\n\n")[1]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in body.splitlines()]


def table(markdown: str) -> tuple[list[str], list[list[str]]]:
    head, _, *body = rows(markdown, "What the rewards were made of")
    return [name.removesuffix(" |") for name in head], body


def test_the_table_has_a_row_for_each_end_of_each_arm(tmp_path: Path) -> None:
    grpo = [line(s, right=2 + s, wrong=13 - s) for s in range(1, 5)]
    rft = [line(s, kl=None, ungradable=0, no_answer=5) for s in range(1, 5)]
    markdown, html = render(tmp_path, {"GRPO": grpo, "RFT": rft}, {})
    head, body = table(markdown)
    assert head == [
        "Arm", "Steps", "Right, %", "Wrong, %", "No answer, %", "Ungradable, %", "Truncated, %", "Zero variance, %",
        "KL",
    ]  # fmt: skip
    assert body[0] == ["GRPO", "1–2", "17.5", "57.5", "20.0", "5.0", "10.0", "50.0", "0.015"]
    assert body[1][:4] == ["GRPO", "3–4", "27.5", "47.5"]
    # no KL term is not a KL of 0, and nothing ungradable is
    assert body[2][5:] == ["0.0", "10.0", "50.0", "—"]
    assert "What the rewards were made of" in html and "Alarm, " not in html


def test_columns_of_tools_and_of_dynamic_sampling_come_with_those_arms(tmp_path: Path) -> None:
    tools = [line(s, programs=10, program_errors=5, sandbox_failure=1) for s in (1, 2)]
    dapo = [line(s, groups_drawn=8, groups_kept=6) for s in (1, 2)]
    head, body = table(render(tmp_path, {"tool": tools, "DAPO": dapo}, {})[0])
    assert head[7:] == ["Programs", "Errors", "Sandbox failure, %", "Zero variance, %", "Kept, %", "KL"]
    assert body[0][7:] == ["0.50", "0.25", "10.0", "50.0", "—", "0.01"]
    assert body[2][7:] == ["—", "—", "—", "50.0", "75.0", "0.01"]


def test_an_alarm_is_a_warning_with_limit_step_and_share(tmp_path: Path) -> None:
    alarm = {"what": "ungradable answers", "limit": 0.05, "steps": 3, "worst_share": 0.375, "worst_step": 12}
    lines = [line(s, ungradable=7, wrong=4) for s in range(1, 21)]
    markdown, html = render(tmp_path, {"GRPO": lines, "PPO": [line(1), line(2)]}, {"GRPO": {"alarm": alarm}})
    warning = (
        "Alarm, GRPO, seed 0: too many ungradable answers. Limit 5.0% (reward.max_ungradable), worst step 12 with "
        "37.5%, 3 step(s) above the limit."
    )
    assert f"> {warning}" in markdown
    assert re.search(r'<p class="warn">' + re.escape(warning), html)
    budget = {row[0]: row[-1] for row in rows(markdown, "Reinforcement learning beside its budget")[2:]}
    assert budget == {"GRPO": "37.5% ungradable (step 12)", "PPO": "none"}
    # the share itself is marked where it is above the limit
    assert re.search(r't-warn">35\.0<', html) and not re.search(r't-warn">5\.0<', html)


def test_a_record_that_does_not_say_whether_there_was_an_alarm_gets_a_dash(tmp_path: Path) -> None:
    old = [{"step": s, "flops": 1e9 * s, "reward_mean": 0.5} for s in (1, 2)]
    markdown, _ = render(tmp_path, {"GRPO": old}, {})
    assert rows(markdown, "Reinforcement learning beside its budget")[2][-1] == "none"
    store = tmp_path / "store"
    for record in store.glob("rl/*/record.json"):
        content = json.loads(record.read_text())
        del content["alarm"]
        synthetic.rewrite(record, content)
    markdown = (render_sweep(store, "rl_algorithm", tmp_path / "again").parent / "report.md").read_text()
    assert rows(markdown, "Reinforcement learning beside its budget")[2][-1] == "—"
    assert table(markdown)[1] == [["GRPO", "1", *["—"] * 7], ["GRPO", "2", *["—"] * 7]]
