"""Questions by how often they are solved: what is measured, which are explored, and where the stage stands."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from reward_world import judged_by_text
from rl_world import make_config, make_context, make_model_folder

from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.resolve import has_stage
from dsm_repro.config.schema import Config
from dsm_repro.config.validate import faults
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl import rewards
from dsm_repro.rl.difficulty import run as running
from dsm_repro.rl.difficulty.band import FILE, PassRate, read, write
from dsm_repro.rl.difficulty.stage import STAGE
from dsm_repro.rl.questions import candidates, load_questions
from dsm_repro.rl.stage import STAGE as RL_STAGE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


@pytest.fixture(autouse=True)
def _judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random model is never right; the rule is, of what it wrote."""
    monkeypatch.setattr(rewards, "verdicts", judged_by_text)
    monkeypatch.setattr(rewards, "answers_in", lambda texts, problems: texts)


def config(questions: int = 7, samples: int = 3, rows: int = 6) -> Config:
    made = make_config()
    made.difficulty.method = "pass_rate"
    made.difficulty.questions, made.difficulty.samples, made.difficulty.sampling_rows = questions, samples, rows
    return made


def measured(root: Path, made: Config, folder: Path) -> StageContext:
    ctx = make_context(root, copy.deepcopy(made), folder)
    STAGE.run(ctx)
    return ctx


def explored(tmp_path: Path, made: Config, right: list[int]) -> list[str]:
    """Ids of what RL explores where so many answers to each question were right."""
    ids = [question.id for question in candidates(made)]
    write(tmp_path, [PassRate(id, count, made.difficulty.samples) for id, count in zip(ids, right, strict=True)])
    ctx = StageContext(made, tmp_path, tmp_path, {"difficulty": tmp_path}, threads=1)
    return [question.id for question in load_questions(ctx)]


# measuring


def test_every_question_is_answered_and_the_record_counts_what_came_of_it(tmp_path: Path, folder: Path) -> None:
    ctx = measured(tmp_path, config(), folder)
    rates, record = read(ctx.out), json.loads((ctx.out / "record.json").read_text())
    assert [rate.id for rate in rates] == [question.id for question in candidates(config())]
    assert {rate.drawn for rate in rates} == {3} and len({rate.right for rate in rates}) > 1
    right = [rate.right for rate in rates]
    assert record["by_right"] == [right.count(number) for number in range(4)] and sum(record["by_right"]) == 7
    assert record["pass_rate"] == pytest.approx(sum(right) / 21)
    assert record["verdicts"]["right"] == sum(right) and sum(record["verdicts"].values()) == 21
    assert record["flops"]["total"] == record["flops"]["generate"] > 0
    assert 0 < record["tokens_generated"] <= 21 * 6
    assert not (ctx.out / "model").exists()


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured(tmp_path / "whole", config(), folder)
    drawn: list[str] = []
    real = running.noise_of

    def noise_or_die(label: str) -> int:
        drawn.append(label)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return real(label)

    monkeypatch.setattr(running, "noise_of", noise_or_die)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path / "killed", config(), folder)
    resumed = measured(tmp_path / "killed", config(), folder)
    # two questions of three answers at once, and the last alone: no batch is drawn twice
    assert [label.rpartition("/")[2] for label in drawn] == ["0", "1", "2", "2", "3"]
    for name in (FILE, "record.json"):
        assert (resumed.out / name).read_bytes() == (whole.out / name).read_bytes()
    assert resumed.cost.flops == whole.cost.flops and resumed.cost.tokens == whole.cost.tokens


def test_another_seed_draws_other_answers(tmp_path: Path, folder: Path) -> None:
    made = config()
    first = measured(tmp_path / "first", made, folder)
    made.seeds.difficulty = 1
    second = measured(tmp_path / "second", made, folder)
    assert read(first.out) != read(second.out)


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(tmp_path: Path, folder: Path) -> None:
    made = config()
    made.rl.max_completion_length = 250
    with pytest.raises(ConfigError, match=r"longest prompt .* the model's context is 256 tokens"):
        measured(tmp_path, made, folder)


# choosing


def test_the_band_holds_its_ends_and_keeps_the_order(tmp_path: Path) -> None:
    made = config(samples=10)
    ids = [question.id for question in candidates(made)]
    assert explored(tmp_path, made, [0, 1, 10, 8, 9, 5, 0]) == [ids[1], ids[3], ids[5]]
    made.difficulty.at_most = 1.0
    assert explored(tmp_path, made, [0, 1, 10, 8, 9, 5, 0]) == ids[1:6]
    # no more than RL wants, from the first on
    made.rl.questions = 2
    assert explored(tmp_path, made, [0, 1, 10, 8, 9, 5, 0]) == ids[1:3]


def test_two_questions_of_one_id_are_both_tried_and_one_with_two_solutions_once(tmp_path: Path) -> None:
    made = config()
    lines = [("1", "1+1?"), ("1", "2+2?"), ("3", "3+3?"), ("3", "3+3?")]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"id": i, "question": q, "answer": "2"}) + "\n" for i, q in lines))
    made.problems.source, made.problems.train_path = "jsonl", str(path)
    made.rl.questions_per_step = 3
    assert [question.question for question in candidates(made)] == ["1+1?", "2+2?", "3+3?"]
    made.difficulty.at_least, made.difficulty.at_most = 0.1, 0.9
    assert explored(tmp_path, made, [1, 2, 1]) == ["1", "1/2", "3"]


def test_too_few_in_the_band_names_the_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at_least=0\.1, difficulty\.at_most=0\.8: of 7 questions .* 1 lie between"):
        explored(tmp_path, config(), [0, 1, 3, 3, 0, 0, 0])


def test_fewer_questions_than_a_step_takes_are_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    made = config(questions=1)
    with pytest.raises(ConfigError, match=r"difficulty\.questions=1: .* rl\.questions_per_step=2"):
        STAGE.run(make_context(tmp_path, made, tmp_path / "none" / "model"))
    assert any("difficulty.questions=1" in message for message in faults(made))


@pytest.mark.parametrize("damaged", [None, "{", '{"id": "a"}\n', "[1]\n"])
def test_a_damaged_file_of_pass_rates_is_named(tmp_path: Path, damaged: str | None) -> None:
    if damaged is not None:
        (tmp_path / FILE).write_text(damaged)
    with pytest.raises(DataError, match=r"pass_rates\.jsonl: cannot be read .* Delete the artifact"):
        read(tmp_path)


# where it stands in an arm


def test_pass_rates_of_other_questions_are_refused(tmp_path: Path) -> None:
    made = config()
    first, *others = [question.id for question in candidates(made)]
    write(tmp_path, [PassRate(id, 1, 3) for id in (f"{first}-", *others)])
    ctx = StageContext(made, tmp_path, tmp_path, {"difficulty": tmp_path}, threads=1)
    with pytest.raises(DataError, match=rf"pass_rates\.jsonl: has no pass rate of question '{first}'\. Delete the"):
        load_questions(ctx)


def test_it_is_in_the_graph_of_arms_with_reinforcement_learning_that_ask_for_it() -> None:
    made = compose(["rl=grpo"])
    assert not has_stage(made, "difficulty") and RL_STAGE.parents(made) == ("sft",)
    made.difficulty.method = "pass_rate"
    assert has_stage(made, "difficulty") and STAGE.parents(made) == ("sft",)
    assert RL_STAGE.parents(made) == ("sft", "difficulty")
    made.reward.kind = "outcome"
    assert RL_STAGE.parents(made) == ("sft", "difficulty", "reward_model")
    made.sft.format = "none"
    assert STAGE.parents(made) == ("pretrain",)
    made.rl.method = "none"
    assert not has_stage(made, "difficulty")


def test_what_changes_the_answers_changes_the_key_and_the_band_only_rls() -> None:
    made = compose(["rl=grpo", "difficulty=pass_rate"])
    for change, own, of_rl in (
        ("difficulty.at_most=0.5", False, True),
        ("rl.learning_rate=1", False, True),
        ("difficulty.samples=3", True, False),
        ("seeds.difficulty=9", True, False),
        ("rl.temperature=0.5", True, True),
        ("rl.mode=pot", True, True),
        ("execution.micro_batch=1", False, False),
    ):
        other = compose(["rl=grpo", "difficulty=pass_rate", change])
        assert (STAGE.identity(other) != STAGE.identity(made)) is own, change
        assert (RL_STAGE.identity(other) != RL_STAGE.identity(made)) is of_rl, change
    # and where nothing is chosen the band is not there to matter
    assert "band" not in RL_STAGE.identity(compose(["rl=grpo", "difficulty.at_most=0.5"]))


def test_settings_that_cannot_work_are_named() -> None:
    made = compose(["rl=grpo", "difficulty=pass_rate"])
    assert faults(made) == []
    made.difficulty.samples, made.difficulty.at_least, made.difficulty.at_most = 0, -1.0, 2.0
    found = "\n".join(faults(made))
    for key in ("difficulty.samples=0", "difficulty.at_least=-1.0", "difficulty.at_most=2.0"):
        assert key in found
    made.difficulty.samples, made.difficulty.at_least, made.difficulty.at_most = 4, 0.3, 0.4
    assert any("lies no share of difficulty.samples=4 answers" in message for message in faults(made))
    made.difficulty.method = "guess"
    assert any("difficulty.method=guess" in message for message in faults(made))
    made.difficulty.method = "none"
    assert faults(made) == []


def test_planning_loads_no_heavy_library_and_twice_the_answers_are_twice_the_flops() -> None:
    code = (
        "import sys; from dsm_repro.config.compose import compose; from dsm_repro.rl.difficulty.stage import STAGE;"
        "c = compose(['rl=grpo', 'difficulty=pass_rate', 'scale=mini']); one = STAGE.estimate(c); STAGE.identity(c);"
        "c.difficulty.samples *= 2; two = STAGE.estimate(c);"
        "assert two.flops == 2 * one.flops > 0 and one.memory is not None, one;"
        "assert not {'torch', 'transformers', 'trl', 'datasets', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
