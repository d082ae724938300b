"""From a completion to a verdict, alike for `dsm grade`, reward and evaluation; its rules in the identity of stages."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.config.resolve import has_stage
from dsm_repro.config.rl_schema import RewardConfig
from dsm_repro.evaluation.scoring import Scorer
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.identity import description, explain
from dsm_repro.reasoning import extraction
from dsm_repro.reasoning.answers import answer_to, identity
from dsm_repro.reasoning.grading import Grader, exact, registry, structure
from dsm_repro.reasoning.grading.command import grade_file
from dsm_repro.reasoning.grading.compare import members
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
    ("1, 2", rf"{APART} That is, \boxed{{1}} and \boxed{{2}}", True),
    # a box that holds several is the answer by itself, however they are joined; those before it were steps
    ("1,2", r"\boxed{7}, so \boxed{2, 1}", True),
    (r"3 \pm \sqrt{2}", r"\boxed{7}, so \boxed{3 \pm \sqrt{2}}", True),
    (r"-2 \text{ or } -12", r"\boxed{7}, so \boxed{-12 \text{ or } -2}", True),
    ("1,2", r"\boxed{7}", False),
    # members that have commas of their own
    ("(1,2), (3,4)", r"\boxed{(3,4)} and \boxed{(1,2)}", True),
    ("(1,2), (3,4)", r"\boxed{(3,4)} and \boxed{(2,1)}", False),
    (r"(-\infty,1] \cup (2,3)", r"\boxed{(2,3)} or \boxed{(-\infty,1]}", True),
    (r"(-\infty,1] \cup (2,3)", r"\boxed{(-\infty,1) \cup (2,3)}", False),
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


@pytest.mark.skipif("DSM_DATA" not in os.environ, reason="DSM_DATA names no folder with math/answers.jsonl")
def test_the_members_of_every_answer_of_math_may_be_boxed_apart_or_together(grader: Grader) -> None:
    lines = (Path(os.environ["DSM_DATA"]) / "math/answers.jsonl").read_text(encoding="utf-8").splitlines()
    several = [gold for line in lines if members(gold := json.loads(line)["answer"]) > 1]
    assert len(several) == 236
    wrong = []
    for gold in several:
        boxes = [rf"\boxed{{{member}}}" for member in structure.parse(exact.clean(gold)).members]
        for completion, right in (
            (f"A step: \\boxed{{-77}}. {' and '.join(boxes)}", True),
            (f"A step: \\boxed{{-77}}. \\boxed{{{gold}}}", True),
            (" and ".join(boxes[:-1]), False),
        ):
            if grader.grade(answer_to(gold, completion).answer, gold).correct is not right:
                wrong.append((gold, completion))
    assert wrong == []


def test_what_a_program_prints_is_not_split_by_the_gold_answer() -> None:
    assert answer_to("1,2", "print(1); print(2)", "1\n2\n").answer == "2"


def described(words: list[str]) -> dict[str, dict]:
    """Stage -> all that its key is made of, for every stage of the arm."""
    config, found = compose(words), {}
    for name in filter(partial(has_stage, config), stages()):
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
