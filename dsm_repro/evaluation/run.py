"""One evaluation: lm-eval on our tasks with our model, its samples and its protocol written out."""

from __future__ import annotations

import json
import logging
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dsm_repro.config.schema import Config
from dsm_repro.evaluation.model import Decoding, Generation, TransformersLM
from dsm_repro.evaluation.scoring import SCORER, Scorer
from dsm_repro.evaluation.taskdata import SUBJECT, problems_digest, test_problems
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.sandbox import Sandbox
from dsm_repro.training.models import load_model, load_tokenizer, resolve_device

TASKS = Path(__file__).parent / "tasks"


def evaluate(ctx: StageContext, model_folder: Path) -> dict[str, Any]:
    """Evaluate the model in ``model_folder``; writes ``samples.jsonl``, returns the record.

    Raises:
        ConfigError: a sandbox is needed and none can be had.
    """
    config = ctx.config
    modes = list(config.evaluation.modes)
    device = resolve_device(config.execution)
    model = load_model(model_folder, config.base.dtype, device)
    tokenizer = load_tokenizer(model_folder)
    problems = test_problems(config)
    decoding = Decoding(
        max_tokens=config.evaluation.max_tokens,
        temperature=config.evaluation.temperature,
        top_p=config.evaluation.top_p,
        batch=config.execution.micro_batch,
        seed=config.seeds.evaluate,
    )
    total = len(problems) * len(modes) * len(config.evaluation.tasks)
    done = [0]

    def on_progress(in_task: int) -> None:
        ctx.progress(done[0] + in_task, total, "problems")

    lm = TransformersLM(model, tokenizer, decoding, ctx.cost, on_progress)
    with ExitStack() as stack:
        grader = stack.enter_context(Grader(config.grader))
        sandbox = stack.enter_context(Sandbox(config.sandbox)) if "pot" in modes else None
        scorer = Scorer(grader, sandbox, config.prompts)
        rows: list[dict[str, Any]] = []
        for task in config.evaluation.tasks:
            for mode in modes:
                rows += _run_task(config, problems, task, mode, lm, scorer)
                done[0] += len(problems)
        protocol = {mode: _protocol(config, mode, grader, sandbox, len(problems)) for mode in modes}
    digest = problems_digest(problems)
    for entry in protocol.values():
        entry["problems_digest"] = digest
    with (ctx.out / "samples.jsonl").open("w") as f:
        f.writelines(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    return {"results": {mode: _summary([r for r in rows if r["mode"] == mode]) for mode in modes}, "protocol": protocol}


def _run_task(
    config: Config, problems: list[Problem], task: str, mode: str, lm: TransformersLM, scorer: Scorer
) -> list[dict[str, Any]]:
    """One lm-eval run; its samples in the order of the documents."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    name = f"dsm_{task}_{mode}"
    # lm-eval warns at every task that a custom data set can be given arguments, and that seeds are set
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tokens = SUBJECT.set((config, problems)), SCORER.set(scorer)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = simple_evaluate(
                model=lm,
                tasks=[name],
                num_fewshot=config.evaluation.shots,
                task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
                log_samples=True,
                bootstrap_iters=0,
                random_seed=config.seeds.evaluate,
                numpy_random_seed=config.seeds.evaluate,
                torch_random_seed=config.seeds.evaluate,
                fewshot_random_seed=config.evaluation.problems_seed,
            )
    finally:
        SUBJECT.reset(tokens[0])
        SCORER.reset(tokens[1])
    samples = sorted(results["samples"][name], key=lambda sample: sample["doc_id"])
    return [_row(task, mode, sample, scorer, lm.generations[(name, sample["doc_id"], 0)]) for sample in samples]


def _row(task: str, mode: str, sample: dict[str, Any], scorer: Scorer, generation: Generation) -> dict[str, Any]:
    document = sample["doc"]
    return {
        "task": task,
        "mode": mode,
        "id": document["id"],
        "category": document["category"],
        "level": document["level"],
        "question": document["question"],
        "prompt": sample["arguments"]["gen_args_0"]["arg_0"]
        if isinstance(sample["arguments"], dict)
        else sample["arguments"][0][0],
        "completion": generation.text,
        "tokens": generation.tokens,
        "truncated": generation.truncated,
        "gold": document["answer"],
        **scorer.scored[(mode, document["id"])],
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and shares of one mode. ``truncated``, ``no_answer`` and ``ungradable`` are shares of all problems."""
    categories = sorted({row["category"] for row in rows})
    by_category = {name: [row["correct"] for row in rows if row["category"] == name] for name in categories}
    executions = [row["execution"] for row in rows if row["execution"] is not None]

    def share(count: int) -> float:
        return count / len(rows)

    return {
        "n": len(rows),
        "accuracy": share(sum(row["correct"] for row in rows)),
        "by_category": {name: {"n": len(c), "accuracy": sum(c) / len(c)} for name, c in by_category.items()},
        "no_answer": share(sum(row["status"] == "no_answer" for row in rows)),
        "ungradable": share(sum(row["status"] == "ungradable" for row in rows)),
        "truncated": share(sum(row["truncated"] for row in rows)),
        "mean_tokens": sum(row["tokens"] for row in rows) / len(rows),
        "executions": {status: executions.count(status) for status in sorted(set(executions))},
    }


def _protocol(config: Config, mode: str, grader: Grader, sandbox: Sandbox | None, n: int) -> dict[str, Any]:
    """Everything that makes two accuracies comparable."""
    from importlib.metadata import version

    warmth, nucleus = config.evaluation.temperature, config.evaluation.top_p
    return {
        "task": ", ".join(config.evaluation.tasks),
        "prompt": formats.template_id(mode, config.prompts),
        "prompt_text": formats.prompt("{question}", mode, config.prompts),
        "shots": config.evaluation.shots,
        "decoding": "greedy" if warmth == 0 else f"temperature {warmth}, top-p {nucleus}",
        "max_tokens": config.evaluation.max_tokens,
        "extractor": "release order/1",
        "grader": grader.id,
        "sandbox": sandbox.backend if sandbox is not None and mode == "pot" else None,
        "engine": f"lm-eval {version('lm-eval')}, transformers {version('transformers')}",
        "n": n,
    }
