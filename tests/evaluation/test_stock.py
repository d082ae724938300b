"""Against lm-eval itself: its own gsm8k_cot_zeroshot, and its own back-ends behind our tasks."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.validate import faults
from dsm_repro.evaluation import backends, stage
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning import formats

ROWS = [
    {
        "question": f"Tom has {n} apples and buys {m} more. How many has he?",
        "answer": f"{n}+{m} = {n + m}\n#### {n + m}",
    }
    for n, m in ((3, 4), (10, 8), (900, 336), (5, 5), (1, 1), (20, 2), (30, 3), (4, 40))
]
#: the prompt of gsm8k_cot_zeroshot as a template of ours
STOCK = formats.Template(
    version=1,
    prompts={"cot": "Q: {question}\nA: Let's think step by step."},
    fenced=True,
    call="```output",
    answer="",
    failure="",
)
TOKENS = 12


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(formats.TEMPLATES, "stock", STOCK)
    path = tmp_path / "gsm8k" / "test.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def ours(data: Path, folder: Path, *words: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Record and samples of our evaluation on ``data``."""
    config = compose(
        [
            *("scale=smoke", "pretrain=none", "sft=none", "rl=none", "evaluation.tasks=[gsm8k]"),
            *(f"evaluation.folder={data.parent.parent}", f"evaluation.max_tokens={TOKENS}"),
            *words,
        ]
    )
    config.evaluation.problems = None
    if not any(word.startswith("prompts=") for word in words):
        config.prompts = "stock"
    out = data.parent / f"out{len(list(data.parent.iterdir()))}"
    out.mkdir()
    stage.run(StageContext(config, out, out, {"base": folder.parent}))
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    return json.loads((out / "record.json").read_text()), rows


def stock(data: Path, model: Any) -> dict[str, list[dict[str, Any]]]:
    """Samples of lm-eval's gsm8k_cot_zeroshot on the same file, by its filters."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None and spec.submodule_search_locations
    tasks = Path(spec.submodule_search_locations[0]) / "tasks" / "gsm8k"
    kwargs = {"data_files": {"train": str(data), "test": str(data)}, "cache_dir": str(data.parent / "cache")}
    changed = {
        "task": "gsm8k_cot_zeroshot", "dataset_path": "json", "dataset_name": None, "dataset_kwargs": kwargs,
        "generation_kwargs": {"until": ["Q:"], "do_sample": False, "max_gen_toks": TOKENS},
    }  # fmt: skip
    found = simple_evaluate(
        model=model,
        tasks=[{"group": "here", "task": [changed]}],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        bootstrap_iters=0,
    )
    by_filter: dict[str, list[dict[str, Any]]] = {}
    for sample in sorted(found["samples"]["gsm8k_cot_zeroshot"], key=lambda sample: sample["doc_id"]):
        by_filter.setdefault(sample["filter"], []).append(sample)
    return by_filter


@pytest.fixture
def lively(model_folder: Path, tmp_path: Path) -> Path:
    """A model that does not write the same to every prompt, as an untrained one does."""
    from dsm_repro.training.models import load_model, load_tokenizer, save_model

    model = load_model(model_folder, "float32", "cpu").requires_grad_(False)
    for weight in model.parameters():
        weight *= 8.0 if weight.ndim > 1 else 1.0
    save_model(model, load_tokenizer(model_folder), tmp_path / "lively" / "model")
    return tmp_path / "lively" / "model"


def test_the_same_model_writes_the_same_through_stock_lm_eval_and_through_ours(data: Path, lively: Path) -> None:
    config = compose(["scale=smoke", "evaluation.engine=hf"])
    config.execution.micro_batch = 3
    theirs = stock(data, backends.load(config, lively))["flexible-extract"]
    _, hf = ours(data, lively, "evaluation.engine=hf")
    _, own = ours(data, lively)
    assert [row["question"] for row in own] == [sample["doc"]["question"] for sample in theirs]
    for their, other, row in zip(theirs, hf, own, strict=True):
        written = their["resps"][0][0]
        assert row["prompt"] == other["prompt"] == their["arguments"][0][0]
        assert other["completion"].split("Q:")[0] == written == row["completion"].split("Q:")[0]
    assert len({row["completion"] for row in own}) > 1


#: what a model writes behind the prompt for an answer of {n}; stock's strict and flexible filter, and ours, say right
COMPLETIONS: list[tuple[Callable[[int], str], bool, bool, bool]] = [
    (lambda n: f" Adding gives {n}. The answer is {n}.", True, True, True),
    (lambda n: f" Adding gives {n}. The answer is {n + 1}.", False, False, False),
    # a text without the phrase: the last number
    (lambda n: f" Adding gives {n}", False, True, True),
    (lambda n: f" Adding gives {n} and not {n + 7}", False, False, False),
    # a sign and separators are dropped by all
    (lambda n: f" So he has ${n:,}. The answer is {n:,}.", True, True, True),
    # where the protocols differ: numbers behind the answer, an equal number written otherwise, a box
    (lambda n: f" The answer is {n}. Check: {n}-1={n - 1}", True, False, True),
    (lambda n: f" The answer is {n}.00", False, False, True),
    (lambda n: f" So $\\boxed{{{n}}}$ after 2 steps", False, False, True),
]


def test_verdicts_agree_with_stock_where_the_protocols_do(
    data: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.model import LM

    from dsm_repro.evaluation.answering import Generation
    from dsm_repro.evaluation.model import TransformersLM

    kinds = dict(zip((row["question"] for row in ROWS), COMPLETIONS, strict=True))

    def answer(doc: dict[str, Any]) -> str:
        return kinds[doc["question"]][0](int(doc["answer"].split("####")[-1]))

    class Scripted(LM):
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return [answer(request.doc) for request in requests]

        loglikelihood = loglikelihood_rolling = None

    found = stock(data, Scripted())
    assert [s["exact_match"] for s in found["strict-match"]] == [float(strict) for _, strict, _, _ in COMPLETIONS]
    assert [s["exact_match"] for s in found["flexible-extract"]] == [float(loose) for _, _, loose, _ in COMPLETIONS]

    def written(self: TransformersLM, contexts: Any, stops: Any, asked: Any, on_progress: Any) -> list[Generation]:
        return [Generation(answer(one.request.doc), 5, truncated=False) for one in asked]

    monkeypatch.setattr(TransformersLM, "write", written)
    _, rows = ours(data, model_folder)
    assert [row["correct"] for row in rows] == [right for _, _, _, right in COMPLETIONS]


def test_conversations_with_a_back_end_that_strips_its_stop_string(
    data: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    class Inner:
        def generate_until(self, requests: list[Any], disable_tqdm: bool) -> list[str]:
            asked.extend(request.args for request in requests)
            called = [" Look.\n```python\nprint(3+4)\n```\n", " So \\boxed{7}."]
            return [called["```output\n7\n```" in request.args[0]] for request in requests]

    monkeypatch.setattr(backends, "load", lambda config, folder: Inner())
    record, rows = ours(
        data, model_folder, "prompts=release", "evaluation=tool", "evaluation.engine=hf", "evaluation.max_tokens=200"
    )
    assert rows[0]["correct"] and rows[0]["completion"].endswith("```\n```output\n7\n```\n So \\boxed{7}.")
    assert record["results"]["tool"]["truncated"] == 0 and record["results"]["tool"]["program_accuracy"] == 1 / 8
    assert len(asked) == 16 and asked[0][1] == {"until": ["```output"], "max_gen_toks": 200, "do_sample": False}


def test_a_back_end_that_is_not_installed_is_refused(model_folder: Path) -> None:
    if importlib.util.find_spec("vllm"):
        pytest.skip("vllm is installed here")
    with pytest.raises(ConfigError, match=r"evaluation\.engine=vllm: vllm is not installed"):
        backends.load(compose(["scale=smoke", "evaluation.engine=vllm"]), model_folder)


def test_calls_without_fences_need_our_own_decoder() -> None:
    (said,) = faults(compose(["evaluation=tool", "evaluation.engine=hf"]))
    assert said.startswith("evaluation.engine=hf: it does not tell whether a text ended in a call of the tool")


def test_only_another_engine_enters_the_identity() -> None:
    assert "engine" not in stage.identity(compose([]))
    assert stage.identity(compose(["evaluation.engine=hf"]))["engine"] == "hf"
