"""From a completion to a verdict, alike for `dsm grade`, reward and evaluation; its rules in the identity of stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.schema import GraderConfig, RewardConfig
from dsm_repro.evaluation.scoring import Scorer
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.identity import description, explain
from dsm_repro.reasoning import extraction
from dsm_repro.reasoning.answers import answer_to, identity
from dsm_repro.reasoning.grading import Grader, registry
from dsm_repro.reasoning.grading.command import grade_file
from dsm_repro.rl.rewards import Completions, RuleReward
from dsm_repro.stages import load
from dsm_repro.stages import registry as stages

APART = r"Either \boxed{1} or \boxed{2}."
CASES = [
    ("1,2", APART, True),
    ("2, 1", APART, True),
    (r"\{1,2\}", rf"First \boxed{{7}}. {APART}", True),
    ("1,3", APART, False),
    ("1,2,3", APART, False),
    # one answer is wanted: the last box is it, those before it were steps
    ("2", APART, True),
    ("1", APART, False),
    # a tuple is one answer, and so is a number with a comma for thousands
    ("(1,2)", APART, False),
    ("1,002", r"\boxed{1} \boxed{1002}", True),
]


@pytest.mark.parametrize(("gold", "completion", "right"), CASES)
def test_several_boxes_are_one_answer_in_evaluation_reward_and_dsm_grade(
    grader: Grader, tmp_path: Path, gold: str, completion: str, right: bool
) -> None:
    problem = Problem("id", "", 0, "", gold, "", "", "")
    sample = Scorer(grader, None, "release").score({"mode": "cot", "id": "id", "answer": gold}, completion)
    assert sample["correct"] is right

    reward = RuleReward(RewardConfig(correct=1.0, incorrect=0.0), grader)
    assert reward(Completions([completion], [problem], None)).correct == [right]  # type: ignore[arg-type]

    answers, out = tmp_path / "answers.jsonl", tmp_path / "out.jsonl"
    answers.write_text(json.dumps({"id": 1, "gold": gold, "completion": completion}))
    grade_file(answers, ["math_verify"], out, timeout=5.0)
    row = json.loads(out.read_text())
    assert (row["verdict"] == "correct") is right
    assert row["extracted"] == sample["extracted"] == answer_to(gold, completion).answer


def test_what_a_program_prints_is_not_split_by_the_gold_answer() -> None:
    assert answer_to("1,2", "print(1); print(2)", "1\n2\n").answer == "2"


def described(words: list[str]) -> dict[str, dict]:
    """Stage -> all that its key is made of, for every stage of the arm."""
    config, found = compose(words), {}
    for name in stages():
        stage = load(name)
        found[name] = description(stage, config, dict.fromkeys(stage.parents(config), "0" * 16))
    return found


@pytest.mark.parametrize(
    ("words", "grading"),
    [
        (["reward=process", "rl=grpo_process"], {"reward_model", "rl", "evaluate"}),
        # the examples of fine-tuning with the tool are graded, too
        (["sft=tool", "rl.mode=tool", "evaluation=tool", "reward=outcome"], {"sft", "reward_model", "rl", "evaluate"}),
    ],
)
@pytest.mark.parametrize(
    ("module", "constant", "leaf"),
    [(registry, "RULES_VERSION", "rules"), (extraction, "VERSION", "extraction")],
    ids=["grader", "extractor"],
)
def test_other_rules_make_another_artifact_of_the_stages_that_grade_and_of_no_other(
    monkeypatch: pytest.MonkeyPatch, words: list[str], grading: set[str], module: object, constant: str, leaf: str
) -> None:
    before, old = described(words), getattr(module, constant)
    monkeypatch.setattr(module, constant, old + 1)
    differences = {name: explain(before[name], after) for name, after in described(words).items()}
    assert {name for name, leaves in differences.items() if leaves} == grading
    # what `dsm explain` prints
    assert all(differences[name] == [(f"identity.grader.{leaf}", old, old + 1)] for name in grading)


def test_the_identity_of_grading_has_the_settings_and_the_versions() -> None:
    assert identity(GraderConfig(name="deepseek", timeout=3.0)) == {
        "name": "deepseek",
        "timeout": 3.0,
        "rules": registry.RULES_VERSION,
        "extraction": extraction.VERSION,
    }
