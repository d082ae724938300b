"""One run of the stage ``reward_model``: solutions drawn, labelled, learned from; then the try on new questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.problemset import each_once, load_problems
from dsm_repro.rl import accounting
from dsm_repro.rl.reward_model import assess, examples, model
from dsm_repro.rl.reward_model.examples import Example
from dsm_repro.rl.reward_model.labels import Labelled, Labeller
from dsm_repro.rl.reward_model.score import to_batch
from dsm_repro.rl.reward_model.train import train
from dsm_repro.rl.rollouts import check_room
from dsm_repro.training.models import load_model, load_tokenizer, model_shape, resolve_device, save_model
from dsm_repro.training.parts import in_parts
from dsm_repro.training.trainer import final_loss, prepare_torch

#: added to ``problems.seed``: the miniature's questions are neither SFT's nor RL's in their order
SEED_OFFSET = 2_000
#: solutions scored at once on held-out questions
SCORING_ROWS = 64


def build(ctx: StageContext, start: Path, completer: Path) -> None:
    """Label solutions of ``completer``, train the model in ``start`` on them, leave model, labels and record.

    Raises:
        ConfigError, DataError: settings, questions or models that cannot work.
    """
    config = ctx.config
    prepare_torch(ctx, config.seeds.reward_model)
    device = resolve_device(config.execution)
    problems = _questions(ctx)
    parts, seconds, grader = _label(ctx, completer, device, problems)
    held_out = examples.held_out_questions([problem.id for problem in problems], config.reward_model.holdout_share)
    found = [replace(example, held_out=example.question in held_out) for part in parts for example in part.examples]
    # with their shares: hard labels follow from them
    examples.write(ctx.out / examples.LABELS_FILE, found)
    labelled = found if config.reward_model.label == "soft" else [example.hardened() for example in found]
    trained, tokenizer = model.initialise(start, device), load_tokenizer(start)
    if load_tokenizer(completer).get_vocab() != tokenizer.get_vocab():
        raise ConfigError(f"{start}: its tokenizer is not that of {completer}, whose token ids the reward model reads.")
    pad_id = int(tokenizer.pad_token_id)
    costs = train(ctx, trained, [example for example in labelled if not example.held_out], pad_id)
    trained.eval()
    judged = _judge(ctx, trained, [example for example in labelled if example.held_out], pad_id)
    save_model(trained, tokenizer, ctx.out / "model", config.base.dtype)
    # of the labelling that an earlier, killed run did: not before, since checkpoints of training add up their own
    ctx.cost.seconds += seconds
    ctx.record(
        {
            **_described(ctx, parts, found),
            "grader": grader,
            "training": {"steps": len(costs.tokens) - 1, "tokens": costs.tokens[-1], "loss": final_loss(ctx)},
            "held_out": judged,
            "flops": {**ctx.cost.flops, "total": ctx.cost.total_flops},
        }
    )


def _questions(ctx: StageContext) -> list[Problem]:
    config, count = ctx.config, ctx.config.reward_model.questions
    problems = load_problems(config.problems, "train", count, config.problems.seed + SEED_OFFSET)
    distinct = each_once(problems)
    if len(distinct) < 2:
        raise ConfigError(
            f"reward_model.questions={count}: {len(distinct)} questions are there, and one is held out. Give more."
        )
    return distinct


def _label(
    ctx: StageContext, completer: Path, device: str, problems: Sequence[Problem]
) -> tuple[list[Labelled], float, str]:
    """All labels, those of a killed run taken up; the seconds that it spent on them; the grader's id."""
    config = ctx.config
    tokenizer = load_tokenizer(completer)
    sampler = load_model(completer, config.base.dtype, device)
    prompts = [formats.prompt(problem.question, "cot", config.prompts) for problem in problems]
    check_room(sampler, tokenizer(prompts)["input_ids"], config.rl.max_completion_length)
    with Grader(config.grader) as grader:
        labeller = Labeller(config, sampler, tokenizer, grader)
        at_once = labeller.questions_at_once
        stored, seconds = in_parts(
            ctx, "labels", -(-len(problems) // at_once),
            lambda number: asdict(labeller(number, problems[number * at_once : (number + 1) * at_once])),
            "batches labelled",
        )  # fmt: skip
        parts = [Labelled(**{**part, "examples": [Example(**each) for each in part["examples"]]}) for part in stored]
        for part in parts:
            ctx.cost.add_flops("generate", part.flops)
            ctx.cost.add_tokens("generate", part.tokens)
        return parts, seconds, grader.id


def _described(ctx: StageContext, parts: Sequence[Labelled], found: Sequence[Example]) -> dict[str, Any]:
    """What was labelled."""
    config = ctx.config.reward_model
    kept = [example for example in found if not example.held_out]
    inner = [label for example in found for label in example.labels[:-1]]
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    return {
        "kind": ctx.config.reward.kind,
        "label": config.label if ctx.config.reward.kind == "process" else "verdict",
        "questions": {
            "train": len({example.question for example in kept}),
            "held_out": len({example.question for example in found if example.held_out}),
        },
        "examples": {"train": len(kept), "held_out": len(found) - len(kept)},
        "verdicts": {**counts},
        "labels": {
            "last": len(found),
            "last_right": sum(example.correct for example in found) / len(found),
            "inner": len(inner),
            # shares of completions that are right, and of steps with at least one that is
            "inner_soft": sum(inner) / len(inner) if inner else None,
            "inner_hard": sum(label > 0 for label in inner) / len(inner) if inner else None,
            "completed": sum(part.completed for part in parts),
        },
        "tokens_generated": ctx.cost.tokens["generate"],
    }


def _judge(ctx: StageContext, trained: PreTrainedModel, held_out: list[Example], pad_id: int) -> dict[str, Any]:
    """On held-out questions: the labels that training knows of its own, and the ranking of whole solutions."""
    shape, scores = model_shape(trained), []
    for start in range(0, len(held_out), SCORING_ROWS):
        rows = held_out[start : start + SCORING_ROWS]
        batch = to_batch(rows, pad_id, trained.device)
        scores += model.scores_at(trained, batch, [list(row.ends) for row in rows], SCORING_ROWS)
        lengths = accounting.Lengths([len(row.prompt) for row in rows], [[len(row.completion)] for row in rows])
        ctx.cost.add_flops("forward", model.score_flops(shape, lengths))
    questions, right = [row.question for row in held_out], [row.correct for row in held_out]
    last = [values[-1] for values in scores]
    result = {
        "last": assess.judged(last, [float(good) for good in right]),
        "ranking": assess.ranking(questions, last, right),
    }
    if ctx.config.reward.kind == "process":
        pairs = [
            (score, label)
            for row, values in zip(held_out, scores, strict=True)
            for score, label in zip(values[:-1], row.labels[:-1], strict=True)
        ]
        if pairs:
            result["inner"] = assess.judged([score for score, _ in pairs], [label for _, label in pairs])
        # how Math-Shepherd ranks: a solution is as good as its worst step
        result["ranking_by_worst_step"] = assess.ranking(questions, [min(values) for values in scores], right)
    return result
