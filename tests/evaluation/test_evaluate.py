"""The evaluation stage on a model that knows nothing and on one whose answers are known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.schema import Config
from dsm_repro.evaluation import stage as evaluation
from dsm_repro.evaluation.answering import _cut
from dsm_repro.evaluation.model import TransformersLM
from dsm_repro.evaluation.taskdata import test_problems as problems_of
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.extraction import VERSION
from dsm_repro.reasoning.grading.registry import RULES_VERSION


def run(model_folder: Path, out: Path, config: Config) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    out.mkdir(parents=True)
    ctx = StageContext(config, out, out, {"base": model_folder.parent})
    evaluation.run(ctx)
    record = json.loads((out / "record.json").read_text())
    return record, [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def small(modes: list[str], tokens: int = 12) -> Config:
    config = Config()
    config.pretrain.enabled = False
    config.sft.format = "none"
    config.rl.method = "none"
    config.evaluation.modes = modes
    config.evaluation.problems = 16
    config.evaluation.max_tokens = tokens
    config.execution.micro_batch = 5
    return config


def test_two_runs_give_the_same_samples_and_batches_do_not_matter(model_folder: Path, tmp_path: Path) -> None:
    config = small(["cot"])
    first = run(model_folder, tmp_path / "a", config)
    assert first == run(model_folder, tmp_path / "b", config)
    config.execution.micro_batch = 16
    assert first == run(model_folder, tmp_path / "c", config)


def test_every_problem_is_scored_once_and_the_summary_is_theirs(model_folder: Path, tmp_path: Path) -> None:
    record, samples = run(model_folder, tmp_path / "a", small(["cot"]))
    assert [s["id"] for s in samples] == [p.id for p in problems_of(small(["cot"]))["miniature"]]
    result = record["results"]["cot"]
    assert result["n"] == 16
    assert result["truncated"] == sum(s["truncated"] for s in samples) / 16
    assert result["accuracy"] == sum(s["status"] == "correct" for s in samples) / 16
    assert record["protocol"]["cot"]["decoding"] == "greedy"


@pytest.mark.parametrize(
    ("mode", "completion", "correct"),
    [
        ("cot", lambda p: " " + p.cot, True),
        ("cot", lambda p: f" so \\boxed{{{int(p.answer) + 1}}}", False),
        ("pot", lambda p: "\n" + p.program, True),
        ("pot", lambda p: "\nprint(1/0)", False),
        ("pot", lambda p: f"\n# the answer is {p.answer}\npass", False),
    ],
)
def test_verdicts_on_known_completions(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, completion: Any, correct: bool
) -> None:
    from dsm_repro.evaluation.answering import Generation

    config = small([mode])
    known = {p.question: completion(p) for p in problems_of(config)["miniature"]}

    def answer(self: TransformersLM, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        for request in requests:
            text = known[request.doc["question"]]
            self.generations[(request.task_name, request.doc_id, request.idx)] = Generation(text, 3, False)
        return [known[request.doc["question"]] for request in requests]

    monkeypatch.setattr(TransformersLM, "generate_until", answer)
    record, samples = run(model_folder, tmp_path / "a", config)
    assert record["results"][mode]["accuracy"] == float(correct), samples[0]


def test_truncation_is_where_no_end_of_text_came(model_folder: Path, tmp_path: Path) -> None:
    _, samples = run(model_folder, tmp_path / "a", small(["cot"], tokens=4))
    assert all(s["tokens"] <= 4 for s in samples)
    assert all(s["truncated"] == (s["tokens"] == 4) for s in samples if s["truncated"])


def test_greedy_evaluation_does_not_depend_on_the_seed() -> None:
    one, two = small(["cot"]), small(["cot"])
    two.seeds.evaluate = 7
    assert evaluation.identity(one) == evaluation.identity(two)
    one.evaluation.temperature = two.evaluation.temperature = 0.7
    assert evaluation.identity(one) != evaluation.identity(two)


#: identities of this stage as artifacts are stored under; a new setting may enter only where it is used
COT = {
    "tasks": ["miniature"], "modes": ["cot"], "problems": 800, "problems_seed": 0, "shots": 0, "max_tokens": 1024,
    "temperature": 0.0, "top_p": None, "prompts": "miniature", "source": "miniature", "exemplars_seed": None,
    "dtype": "float32", "sandbox": None, "seed": None,
    "grader": {"name": "math_verify", "timeout": 5.0, "rules": RULES_VERSION, "extraction": VERSION},
}  # fmt: skip
SANDBOX = {"timeout": 10.0, "memory_mb": 512, "output_bytes": 10_000}


@pytest.mark.parametrize(
    ("modes", "expected"), [(["cot"], COT), (["pot"], {**COT, "modes": ["pot"], "sandbox": SANDBOX})]
)
def test_identities_of_stored_evaluations_are_what_they_were(modes: list[str], expected: dict[str, Any]) -> None:
    config = Config()
    config.rl.method, config.evaluation.modes = "none", modes
    assert evaluation.identity(config) == expected


def test_the_tools_settings_are_part_of_the_identity_only_where_it_is_called() -> None:
    one, two = small(["tool"]), small(["tool"])
    two.tool.rounds = 5
    assert evaluation.identity(one) != evaluation.identity(two)
    one.evaluation.modes = two.evaluation.modes = ["cot", "pot"]
    assert evaluation.identity(one) == evaluation.identity(two)


def test_stop_strings_cut_at_the_first() -> None:
    assert _cut("a\n\nb stop", ["stop", "\n\n"]) == "a"
    assert _cut("abc", []) == "abc"


def test_answers_behind_the_models_context_are_counted_and_told(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record, samples = run(model_folder, tmp_path / "fits", small(["cot"]))
    assert "beyond_context" not in record["results"]["cot"] and not any("beyond_context" in s for s in samples)
    settings = json.loads((model_folder / "config.json").read_text())
    short = tmp_path / "short" / "model"
    shutil.copytree(model_folder, short)
    lengths = sorted(len(s["prompt"]) for s in samples)
    # a token is at most a few characters: some prompts fit, others do not
    (short / "config.json").write_text(json.dumps({**settings, "max_position_embeddings": lengths[8]}))
    record, samples = run(short, tmp_path / "does not", small(["cot"]))
    beyond = [bool(s.get("beyond_context")) for s in samples]
    assert 0 < sum(beyond) < 16 and record["results"]["cot"]["beyond_context"] == sum(beyond) / 16
    assert f"{sum(beyond)} of 16 answers end behind the model's context" in caplog.text
