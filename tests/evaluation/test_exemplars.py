"""Few-shot prompts: what lm-eval ships in the release's wording, files of one's own, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.evaluation_schema import GraderConfig, SandboxConfig
from dsm_repro.config.validate import faults
from dsm_repro.evaluation import exemplars, stage
from dsm_repro.reasoning.answers import answer_to
from dsm_repro.reasoning.extraction import extract
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.sandbox import Sandbox

WORDS = ("scale=smoke", "evaluation=few_shot", "prompts=release", "pretrain=none", "sft=none", "rl=none")


def asked(config: Any, task: str, mode: str = "cot", language: str = "en", choices: bool = False) -> str:
    wording = exemplars.wording_of(task, language, choices)
    return exemplars.shown(config, task, mode, wording) + wording.question.replace("{question}", "How many?")


def test_gsm8k_has_wei_et_als_eight_in_the_releases_wording() -> None:
    prompt = asked(compose(WORDS), "gsm8k")
    assert prompt.startswith("Q: There are 15 trees in the grove.") and prompt.endswith("\n\n\nQ: How many?\nA:")
    assert prompt.count("Q: ") == 9 and "plant today?\nA: There are 15 trees originally." in prompt
    assert "The answer is 6.\n\n\nQ: If there are 3 cars" in prompt


def test_math_has_minervas_four_however_many_are_wanted() -> None:
    prompt = asked(compose(WORDS), "math_algebra")
    assert prompt.startswith("Problem:\nFind the domain of the expression") and prompt.count("Problem:\n") == 5
    assert prompt.count("I hope it is correct.\n\nProblem:\n") == 4
    assert prompt.endswith("\n\nProblem:\nHow many?\n\nSolution:") and "\n\nSolution:\nThe expressions inside" in prompt
    assert asked(compose([*WORDS, "evaluation.shots=2"]), "math").count("Problem:\n") == 3


def test_a_file_of_ones_own_serves_every_task_and_programs(tmp_path: Path) -> None:
    path = tmp_path / "shots.jsonl"
    path.write_text(json.dumps({"question": "1+1?", "cot": "It is 2.", "program": "print(1+1)"}) + "\n")
    config = compose([*WORDS, f"evaluation.exemplars={path}"])
    assert asked(config, "cmath", language="zh") == "问题：1+1?\n答案：It is 2.\n\n\n问题：How many?\n答案："
    assert asked(config, "sat", choices=True) == "Problem:\n1+1?\nSolution:\nIt is 2.\n\nProblem:\nHow many?\nSolution:"
    assert asked(config, "svamp", "pot") == "Q: 1+1?\nA:\n```python\nprint(1+1)\n```\n\n\nQ: How many?\nA:"
    assert stage.inputs(config)[-1] == path


def test_programs_stand_where_lm_eval_has_words() -> None:
    prompt = asked(compose(WORDS), "gsm8k", "pot")
    assert prompt.count("Q: ") == 9 and prompt.count("```python\n") == 8 and "The answer is" not in prompt
    assert "in total?\nA:\n```python\nleah = 32\n" in prompt and prompt.endswith("\n```\n\n\nQ: How many?\nA:")
    assert asked(compose(WORDS), "math_algebra", "pot").count("Solution:\n```python\n") == 4


@pytest.mark.parametrize("task", ["gsm8k", "math"])
def test_our_programs_print_the_answers_that_the_exemplars_have_in_words(task: str) -> None:
    shown = exemplars.exemplars(compose(WORDS), task, "cot")
    assert len(shown) == {"gsm8k": 8, "math": 4}[task]
    with Sandbox(SandboxConfig(), workers=1) as sandbox, Grader(GraderConfig()) as grader:
        for one, ran in zip(shown, sandbox.run_many([one.program for one in shown]), strict=True):
            # the gold answer is what the words say, and the program's is found as in an evaluation
            gold = extract(one.cot).answer
            assert gold is not None and ran.status == "ok", (one.question, ran)
            assert grader.grade(answer_to(gold, "", ran.stdout).answer, gold).correct, (one.question, ran.stdout)


def test_programs_of_ours_are_named_in_identity_and_protocol_where_they_are_shown() -> None:
    words, programs = compose(WORDS), compose([*WORDS, "evaluation.modes=[cot,pot]"])
    assert "exemplar_programs" not in exemplars.identity(words)
    assert exemplars.identity(programs)["exemplar_programs"] == exemplars.PROGRAMS_VERSION
    assert exemplars.source(programs, "pot") == f"{exemplars.source(words, 'cot')}, our programs/1"
    assert exemplars.source(programs, "cot") == exemplars.source(words, "cot")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lm-eval ships no exemplars for cmath.*evaluation\.exemplars=FILE"):
        asked(compose(WORDS), "cmath")
    # and before any work
    with pytest.raises(ConfigError, match="lm-eval ships no exemplars for cmath"):
        stage.inputs(compose([*WORDS, "evaluation.tasks=[cmath]"]))
    (tmp_path / "words").write_text(json.dumps({"question": "1+1?", "cot": "It is 2."}) + "\n")
    of_words = [*WORDS, f"evaluation.exemplars={tmp_path / 'words'}"]
    with pytest.raises(ConfigError, match=r"has no program, and evaluation\.modes has pot"):
        stage.inputs(compose([*of_words, "evaluation.tasks=[cmath]", "evaluation.modes=[pot]"]))
    with pytest.raises(DataError, match=r"evaluation\.exemplars=nothere: cannot be read"):
        asked(compose([*WORDS, "evaluation.exemplars=nothere"]), "gsm8k")
    (tmp_path / "bad").write_text("[1]\n")
    with pytest.raises(DataError, match="needs JSON lines with question and cot or program"):
        asked(compose([*WORDS, f"evaluation.exemplars={tmp_path / 'bad'}"]), "gsm8k")
    (said,) = faults(compose([*WORDS, "evaluation.shots=0"]))
    assert said.startswith("evaluation.exemplars=lm_eval: none is shown with evaluation.shots=0")


def test_fixed_exemplars_need_no_seed_and_no_training_problems() -> None:
    config = compose(WORDS)
    found = stage.identity(config)
    assert found["seed"] is None and found["exemplars_seed"] is None and found["exemplars"].startswith("lm-eval ")
    drawn = stage.identity(compose([*WORDS, "evaluation.exemplars=train"]))
    assert drawn["seed"] == 0 and drawn["exemplars_seed"] == 0 and "exemplars" not in drawn


def test_an_answer_ends_where_the_model_asks_itself_another_question(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsm_repro.evaluation.answering import Generation
    from dsm_repro.evaluation.model import TransformersLM
    from dsm_repro.pipeline.stage import StageContext

    seen: list[Any] = []

    def decode(self: TransformersLM, prompts: list[list[int]], noise: Any, stops: list[str]) -> list[Generation]:
        seen.extend([self.tokenizer.decode(prompts[0]), stops])
        return [Generation(" The answer is 3.\n\n\nQ: And 5?", 9, truncated=False) for _ in prompts]

    monkeypatch.setattr(TransformersLM, "_decode", decode)
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": "1+2?", "answer": "So.\n#### 3"}) + "\n")
    words = ("evaluation.tasks=[gsm8k]", f"evaluation.folder={tmp_path}", "evaluation.problems=null")
    out = tmp_path / "out"
    out.mkdir()
    stage.run(StageContext(compose([*WORDS, *words]), out, out, {"base": model_folder.parent}))
    record = json.loads((out / "record.json").read_text())
    row = json.loads((out / "samples.jsonl").read_text())
    assert seen[0].endswith("\n\n\nQ: 1+2?\nA:") and seen[1] == ["\nQ:"]
    assert row["completion"] == " The answer is 3.\n\n" and row["extracted"] == "3" and row["correct"]
    protocol = record["protocol"]["cot"]
    assert protocol["prompt"] == "few_shot/q_and_a/cot/1" and re.search(
        r": gsm8k 8 \([0-9a-f]{16}\)$", protocol["exemplars"]
    )
