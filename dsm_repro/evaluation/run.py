"""One evaluation: lm-eval on our tasks with our model, its samples and its protocol written out."""

from __future__ import annotations

import json
import logging
import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from dsm_repro.config.resolve import runs_programs
from dsm_repro.evaluation import backends, exemplars, router, sampled
from dsm_repro.evaluation.answering import AnsweringLM, Generation
from dsm_repro.evaluation.backends import BackendLM
from dsm_repro.evaluation.conversation import Conversation, ToolLoop
from dsm_repro.evaluation.model import Decoding, TransformersLM
from dsm_repro.evaluation.protocol import protocol, wording
from dsm_repro.evaluation.scoring import SCORER, Scorer
from dsm_repro.evaluation.summary import summary
from dsm_repro.evaluation.taskdata import SUBJECT, Subject, drawn_shots, problems_digest, test_problems
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.programs import run_distinct
from dsm_repro.reasoning.sandbox import Sandbox
from dsm_repro.reasoning.tokenizer_check import check_tokenizer
from dsm_repro.training.models import load_model, load_tokenizer, resolve_device
from dsm_repro.training.planning import base_shape

logger = logging.getLogger(__name__)

TASKS = Path(__file__).parent / "tasks"


def evaluate(ctx: StageContext, model_folder: Path) -> dict[str, Any]:
    """Evaluate the model in ``model_folder``; writes ``samples.jsonl``, returns the record.

    With ``evaluation.samples`` above 1 each problem is also answered that often (``at_k.jsonl``); what the first
    answer gives is the same with and without.

    Raises:
        ConfigError: a sandbox is needed and none can be had.
    """
    config = ctx.config
    part = config.evaluation
    problems = test_problems(config)
    everything = [problem for found in problems.values() for problem in found]
    digest = problems_digest(everything)
    protocols = {}
    with _Session(ctx, model_folder, problems, part.samples) as session:
        rows = session.answer()
        drawn = session.draw() if part.samples > 1 else []
        for mode in part.modes:
            protocols[mode] = protocol(config, mode, session.grader, session.sandbox, len(everything))
            protocols[mode]["problems_digest"] = digest
    _write(ctx.out / "samples.jsonl", rows)
    results = {mode: summary([r for r in rows if r["mode"] == mode]) for mode in part.modes}
    if beyond := sum("beyond_context" in row for row in rows):
        logger.warning(
            "evaluate: %d of %d answers end behind the model's context, and say nothing of it. Lower evaluation.shots "
            "or evaluation.max_tokens, or take a model of a longer context.", beyond, len(rows),
        )  # fmt: skip
    if drawn:
        _write(ctx.out / "at_k.jsonl", drawn)
        for mode, result in results.items():
            result["at_k"] = sampled.summary([r for r in drawn if r["mode"] == mode])
    return {"results": results, "protocol": protocols}


def accuracy_of(ctx: StageContext, model_folder: Path, problems: dict[str, list[Problem]]) -> dict[str, list[bool]]:
    """Whether the first answer of the model in ``model_folder`` is right: mode -> a flag for each problem, in order.

    ``problems``: task -> its problems; each task adds its flags. Writes nothing.
    """
    with _Session(ctx, model_folder, problems) as session:
        rows = session.answer()
    return {mode: [r["correct"] for r in rows if r["mode"] == mode] for mode in ctx.config.evaluation.modes}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w") as f:
        f.writelines(json.dumps(row, sort_keys=True) + "\n" for row in rows)


class _Session:
    """A model with its problems, grader and sandbox, asked task by task and mode by mode."""

    def __init__(
        self, ctx: StageContext, model_folder: Path, problems: dict[str, list[Problem]], samples: int = 1
    ) -> None:
        self.ctx, self.config, self.problems = ctx, ctx.config, problems
        part = self.config.evaluation
        self.runs = [(task, mode) for task in problems for mode in part.modes]
        asked = sum(map(len, problems.values())) * len(part.modes)
        self.total = asked * (1 if samples == 1 else 1 + samples)
        self.done = 0
        self.tokenizer = load_tokenizer(model_folder)
        for kind in dict.fromkeys(kind for mode in part.modes for kind in router.KINDS_OF.get(mode, (mode,))):
            check_tokenizer(self.tokenizer, self.config.prompts, kind, f"base.role={self.config.base.role}")
        if part.engine == "transformers":
            self.model = load_model(model_folder, self.config.base.dtype, resolve_device(self.config.execution))
        else:
            self.backend = backends.load(self.config, model_folder)

    def __enter__(self) -> _Session:
        with ExitStack() as stack:
            self.grader = stack.enter_context(Grader(self.config.grader))
            needed = runs_programs(self.config)
            self.sandbox = stack.enter_context(Sandbox(self.config.sandbox)) if needed else None
            self.scorer = Scorer(self.grader, self.sandbox, self.config.prompts)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def answer(self) -> list[dict[str, Any]]:
        """Every problem once: the rows of ``samples.jsonl``."""
        part = self.config.evaluation
        lm = self._lm(part.temperature, part.top_p)
        rows = []
        for task, mode in self.runs:
            for sample in self._run(lm, task, mode, 1):
                generation = lm.generations[(_name(task), sample["doc_id"], 0)]
                rows.append(_row(task, mode, sample, self.scorer, generation))
        return rows

    def draw(self) -> list[dict[str, Any]]:
        """Every problem ``evaluation.samples`` times: the rows of ``at_k.jsonl``."""
        part = self.config.evaluation
        lm = self._lm(part.sample_temperature, part.sample_top_p)
        rows = []
        for task, mode in self.runs:
            for sample in self._run(lm, task, mode, part.samples):
                name = sample["doc"]["id"]
                ends = [lm.generations[(_name(task), sample["doc_id"], i)] for i in range(part.samples)]
                counted = sampled.row(self.scorer.counted[(mode, name)], sum(end.truncated for end in ends))
                rows.append({"task": task, "mode": mode, "id": name, **counted})
        return rows

    def _lm(self, temperature: float, top_p: float) -> AnsweringLM:
        decoding = Decoding(
            max_tokens=self.config.evaluation.max_tokens,
            temperature=temperature,
            top_p=top_p,
            batch=self.config.execution.micro_batch,
            seed=self.config.seeds.evaluate,
        )

        def on_progress(in_task: int) -> None:
            self.ctx.progress(self.done + in_task, self.total, "answers")

        loop = None
        if self.sandbox is not None:
            loop = ToolLoop(self.config.prompts, self.config.tool, partial(run_distinct, sandbox=self.sandbox))
        cost = self.ctx.cost
        if self.config.evaluation.engine != "transformers":
            shape = base_shape(self.config)
            return BackendLM(self.backend, self.tokenizer, shape, decoding, cost, on_progress, loop)
        return TransformersLM(self.model, self.tokenizer, decoding, cost, on_progress, loop)

    def _run(self, lm: AnsweringLM, task: str, mode: str, repeats: int) -> list[dict[str, Any]]:
        """One lm-eval run, each document answered ``repeats`` times; its samples in the order of the documents."""
        from lm_eval.evaluator import evaluate as lm_evaluate
        from lm_eval.tasks import TaskManager
        from transformers import set_seed

        name, config = _name(task), self.config
        changed: dict[str, Any] = {}
        if repeats > 1:
            every = [{"name": "every", "filter": [{"function": "take_first_k", "k": repeats}]}]
            changed |= {"repeats": repeats, "filter_list": every}
        if exemplars.is_fixed(config):
            changed["generation_kwargs"] = {"until": [wording(config, task).stop]}
        # a group of one is the way that lm-eval lets a caller override a task's settings
        asked: str | dict[str, Any] = {"group": "dsm_changed", "task": [{"task": name, **changed}]} if changed else name
        # lm-eval warns at every task that a custom data set can be given arguments, and that seeds are set
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        tokens = SUBJECT.set(Subject(config, self.problems, mode)), SCORER.set(self.scorer)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # its simple_evaluate also asks the machine what is installed, which takes longer than a tiny model
                asked_tasks = TaskManager(include_path=str(TASKS), include_defaults=False).load([asked])
                for each in asked_tasks["tasks"].values():
                    each.set_config(key="num_fewshot", value=drawn_shots(config))
                    each.set_fewshot_seed(seed=config.evaluation.problems_seed)
                set_seed(config.seeds.evaluate)
                results = lm_evaluate(lm, asked_tasks, log_samples=True, bootstrap_iters=0)
        finally:
            SUBJECT.reset(tokens[0])
            SCORER.reset(tokens[1])
        self.done += len(self.problems[task]) * repeats
        return sorted(results["samples"][name], key=lambda sample: sample["doc_id"])


def _name(task: str) -> str:
    return f"dsm_{task}"


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
        **({"beyond_context": True} if generation.beyond_context else {}),
        "gold": document["answer"],
        **scorer.scored[(mode, document["id"])],
        **({} if generation.conversation is None else _conversed(generation.conversation)),
    }


def _conversed(held: Conversation) -> dict[str, Any]:
    """What a sample of the mode ``tool`` has besides: its last program, and how it went."""
    return {
        "program": held.programs[-1] if held.programs else None,
        "execution": held.executions[-1].status if held.executions and held.executions[-1] is not None else None,
        "calls": len(held.programs),
        "rounds": held.rounds,
        # (who wrote it, the text), in turn
        "passages": [["model" if passage.written else "tool", passage.text] for passage in held.passages],
    }
