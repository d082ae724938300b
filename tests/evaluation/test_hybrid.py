"""Who chooses between words and a program: the model from a neutral prompt, or rules on the question."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.validate import faults
from dsm_repro.evaluation import router, stage
from dsm_repro.evaluation.taskdata import test_problems as problems_of
from dsm_repro.finetuning.data import examples, prompts_of
from dsm_repro.miniature.problems import problems
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning import formats

PROBLEMS = problems("train", 160, 0)


@pytest.mark.parametrize(
    ("question", "mode", "rule"),
    [
        ("Prove that the sum of two odd numbers is even.", "cot", "words"),
        ("Find the perimeter of a 3 by 4 cm rectangle.", "cot", "words"),
        ("Solve 2*x + 3 = 11 for x.", "pot", "symbolic"),
        ("Evaluate $\\int_0^1 x^2 dx$.", "pot", "symbolic"),
        ("Sam has 3 apples and buys 4. Total?", "pot", "numerical"),
        ("How many ways are there?", "pot", "numerical"),
        ("一共有多少个苹果？", "pot", "numerical"),
        ("证明这个数是偶数。", "cot", "words"),
        ("Which of these is a prime?", "cot", "else"),
    ],
)
def test_the_rules_of_the_router(question: str, mode: str, rule: str) -> None:
    assert router.route(question) == (mode, rule)


def test_hybrid_examples_are_those_of_both_and_half_of_each_kind_do_not_say_which() -> None:
    both, hybrid = (examples(PROBLEMS, name, "miniature", 0.5, 0) for name in ("both", "hybrid"))
    assert [e.target for e in hybrid] == [e.target for e in both] and [e.mode for e in hybrid] == [e.mode for e in both]
    kinds = Counter(zip((e.mode for e in hybrid), prompts_of(PROBLEMS, "hybrid"), strict=True))
    assert kinds == {("cot", "cot"): 40, ("pot", "pot"): 40, ("cot", "hybrid"): 40, ("pot", "hybrid"): 40}
    neutral = next(e for e, asked in zip(hybrid, prompts_of(PROBLEMS, "hybrid"), strict=True) if asked == "hybrid")
    assert neutral.prompt.endswith("\nSolution:")


@pytest.mark.parametrize("template", [name for name in formats.TEMPLATES if not formats.is_chat(name)])
def test_the_choice_is_read_off_what_was_written(template: str) -> None:
    problem = PROBLEMS[0]
    assert formats.chosen(formats.cot_target(problem.cot, template), template) == "cot"
    assert formats.chosen(formats.pot_target(problem.program, template), template) == "pot"


def test_model_and_rules_choose_in_one_evaluation(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsm_repro.evaluation.answering import Generation
    from dsm_repro.evaluation.model import TransformersLM

    words = ("scale=smoke", "evaluation=hybrid", "pretrain=none", "sft=none", "rl=none", "evaluation.problems=16")
    config = compose(words)
    known = {p.question: p for p in problems_of(config)["miniature"]}

    def write(self: TransformersLM, contexts: Any, stops: Any, asked: Any, on_progress: Any) -> list[Generation]:
        """Left to itself the model writes programs for algebra alone, and its words are wrong."""
        made = []
        for context in contexts:
            question, _, asks = context.prompt.rpartition("\n")
            problem = known[question]
            program = asks == "Program:" or (asks == "Solution:" and problem.category == "Algebra")
            text = formats.pot_target(problem.program, "miniature") if program else " \\boxed{-99}"
            made.append(Generation(text, 3, truncated=False))
        return made

    monkeypatch.setattr(TransformersLM, "write", write)
    stage.run(StageContext(config, tmp_path, tmp_path, {"base": model_folder.parent}))
    results = json.loads((tmp_path / "record.json").read_text())["results"]
    algebra = sum(p.category == "Algebra" for p in known.values()) / len(known)
    assert algebra > 0 and results["hybrid"]["accuracy"] == pytest.approx(algebra)
    assert results["hybrid"]["by_choice"]["pot"] == {"n": round(16 * algebra), "accuracy": 1.0}
    routed = sum(router.route(question)[0] == "pot" for question in known) / len(known)
    assert results["router"]["accuracy"] == pytest.approx(routed) and 0 < routed < 1
    assert (results["cot"]["accuracy"], results["pot"]["accuracy"]) == (0.0, 1.0)
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert {row["rule"] for row in rows if row["mode"] == "router"} >= {"words", "numerical"}
    protocol = json.loads((tmp_path / "record.json").read_text())["protocol"]
    assert protocol["router"]["prompt"] == "router/1: miniature/cot/1, miniature/pot/1"
    assert protocol["hybrid"]["sandbox"] is not None


def test_hybrid_configs_are_sound_and_take_no_exemplars() -> None:
    assert not faults(compose(["sft=hybrid", "evaluation=hybrid"]))
    (said,) = faults(compose(["sft=hybrid", "evaluation=hybrid", "evaluation.shots=1"]))
    assert "leave hybrid, router out of evaluation.modes" in said
