"""Nothing is trained on text that nobody checked against the benchmark, unless the config says so by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.gate import benchmark_name, evaluated_on, gate_notes
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import MixConfig, SourceSpec
from dsm_repro.config.validate import faults
from dsm_repro.corpus.decontamination import BenchmarkIndex, benchmark_state
from dsm_repro.evaluation.stage import STAGE as EVALUATE
from dsm_repro.finetuning.stage import STAGE as SFT
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pretraining.stage import STAGE as PRETRAIN
from dsm_repro.reasoning.benchmarks import benchmark_ids, benchmark_texts, require_checked, require_disjoint

QUESTIONS = ("A ship sails 12 miles a day. How far in a week?", "How many legs have 7 cats?")


def mixed(**kinds: str) -> Config:
    made = compose([])
    made.mix.weights = dict.fromkeys(kinds, 1 / len(kinds))
    made.scale.sources = {name: SourceSpec(kind=kind, name=f"data/{name}") for name, kind in kinds.items()}
    return made


def write(path: Path, *questions: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"question": text, "answer": "1", "cot": "x"}) + "\n" for text in questions))
    return str(path)


def on_files(tmp_path: Path, train: tuple[str, ...] = ("Other?",), test: tuple[str, ...] = QUESTIONS) -> Config:
    made = Config()
    made.problems.source = "jsonl"
    made.problems.train_path = write(tmp_path / "gsm" / "train.jsonl", *train)
    made.problems.test_path = write(tmp_path / "gsm" / "test.jsonl", *test)
    return made


def corpus_checked_against(folder: Path, config: Config) -> Path:
    index = BenchmarkIndex.build(benchmark_texts(config), config.corpus.decontamination)
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps({"benchmark": benchmark_state(index, [])}))
    return folder


def test_name_of_a_benchmark_is_its_folder_and_file() -> None:
    assert benchmark_name("/data/gsm8k/test.jsonl") == "gsm8k/test"
    assert benchmark_name("/test.jsonl") == "test"
    assert evaluated_on(Config()) == "miniature/test"


def test_source_that_is_not_of_our_corpus_must_be_named() -> None:
    made = mixed(math="corpus", code="hf", notes="jsonl", prose="miniature")
    (said,) = faults(made)
    for part in ("code (hf data/code)", "notes (jsonl data/notes)", "miniature/test", "unchecked=[code,notes]"):
        assert part in said
    assert "\n" not in said and "math" not in said and "prose" not in said
    made.corpus.decontamination.unchecked = ["code"]
    (said,) = faults(made)
    assert "unchecked=[notes]" in said and "code" not in said
    made.corpus.decontamination.unchecked = ["code", "notes"]
    assert faults(made) == []


def test_what_was_accepted_is_said_in_the_plan() -> None:
    made = mixed(math="corpus", code="hf")
    made.corpus.decontamination.unchecked = ["code"]
    (note,) = gate_notes(made)
    assert "code" in note and "miniature/test" in note and "math" not in note
    assert note in PRETRAIN.estimate(made).notes
    assert gate_notes(compose([])) == ()


def test_benchmark_accepted_by_name_opens_the_gate_for_every_source() -> None:
    made = mixed(math="hf", code="hf")
    made.corpus.decontamination.unchecked = ["miniature/test"]
    assert faults(made) == []
    made.problems.source, made.problems.test_path = "jsonl", "elsewhere/gsm8k/test.jsonl"
    (said,) = faults(made)
    assert "gsm8k/test" in said


def test_arm_without_pretraining_and_source_without_weight_pass() -> None:
    made = mixed(math="hf")
    made.pretrain.enabled = False
    assert faults(made) == []
    made = mixed(math="corpus", code="hf")
    made.mix = MixConfig(weights={"math": 1.0})
    assert faults(made) == []


def test_the_miniature_passes_as_it_is() -> None:
    assert faults(compose([])) == []


def test_corpus_checked_against_the_benchmark_passes_wherever_the_file_lies_now(tmp_path: Path) -> None:
    made = on_files(tmp_path)
    corpus = corpus_checked_against(tmp_path / "corpus", made)
    require_checked(made, corpus)
    made.evaluation.problems = 1
    require_checked(made, corpus)
    made.problems.test_path = write(tmp_path / "moved" / "renamed.jsonl", *QUESTIONS)
    require_checked(made, corpus)


def test_corpus_checked_against_another_benchmark_is_refused_by_name(tmp_path: Path) -> None:
    made = on_files(tmp_path)
    corpus = corpus_checked_against(tmp_path / "corpus", made)
    other = on_files(tmp_path / "other", test=(*QUESTIONS, "One more?"))
    with pytest.raises(ConfigError) as error:
        require_checked(other, corpus)
    said = str(error.value)
    for part in (str(corpus), benchmark_ids(made)[0], benchmark_ids(other)[0], "unchecked=[gsm/test]"):
        assert part in said
    assert f"corpus.decontamination.benchmarks=[{other.problems.test_path}]" in said
    other.corpus.decontamination.unchecked = ["gsm/test"]
    require_checked(other, corpus)
    # a corpus checked against both, because the config named the other file, passes too
    made.corpus.decontamination.benchmarks = [write(tmp_path / "b" / "test.jsonl", *QUESTIONS, "One more?")]
    other.corpus.decontamination.unchecked = []
    require_checked(other, corpus_checked_against(tmp_path / "both", made))


def test_pretraining_refuses_before_it_loads_a_model(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{}")
    made = compose([])
    ctx = StageContext(made, tmp_path, tmp_path, {"corpus": tmp_path, "base": tmp_path / "nothing"})
    with pytest.raises(ConfigError, match=r"checked against no benchmark, not against miniature/test@"):
        PRETRAIN.run(ctx)
    (tmp_path / "record.json").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        PRETRAIN.run(ctx)


def test_other_miniature_problems_are_another_benchmark(tmp_path: Path) -> None:
    made = Config()
    made.evaluation.problems = 16
    corpus = corpus_checked_against(tmp_path / "corpus", made)
    require_checked(made, corpus)
    made.evaluation.problems_seed = 1
    with pytest.raises(ConfigError, match="miniature/test"):
        require_checked(made, corpus)


def test_training_questions_that_are_test_questions_are_refused_before_any_work(tmp_path: Path) -> None:
    copied = QUESTIONS[0].upper().replace(".", " ;").replace("?", "")
    made = on_files(tmp_path, train=("Other?", copied, "How many legs have 8 cats?"))
    for stage in (SFT, EVALUATE):
        made.evaluation.shots = 1
        with pytest.raises(ConfigError) as error:
            stage.inputs(made)
        said = str(error.value)
        assert "1 of its questions are test questions" in said and "line 2 is line 1" in said
        assert "unchecked=[gsm/test]" in said
    made.evaluation.shots = 0
    EVALUATE.inputs(made)
    made.corpus.decontamination.unchecked = ["gsm/test"]
    SFT.inputs(made)


def test_disjoint_problems_pass_and_another_number_is_another_question(tmp_path: Path) -> None:
    require_disjoint(on_files(tmp_path, train=("How many legs have 8 cats?", "3 * 4?"), test=("3 + 4?", *QUESTIONS)))
    require_disjoint(Config())


def test_files_that_are_not_there_are_left_to_those_who_name_them() -> None:
    made = Config()
    made.problems.source, made.problems.train_path, made.problems.test_path = "jsonl", "no/train.jsonl", "no/test.jsonl"
    require_disjoint(made)
