"""One run of the stage ``difficulty``: every question answered some times by the model that RL starts from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.tokenizer_check import check_tokenizer
from dsm_repro.rl import accounting
from dsm_repro.rl.difficulty.band import PassRate, write
from dsm_repro.rl.questions import candidates
from dsm_repro.rl.rewards import STATUSES, Completions, RuleReward
from dsm_repro.rl.rollouts import Sampling, check_room, noise_of
from dsm_repro.rl.samplers import build_answers, build_sampler, open_sandbox
from dsm_repro.training.models import (
    end_tokens,
    load_model,
    load_tokenizer,
    model_shape,
    resolve_device,
)
from dsm_repro.training.parts import in_parts
from dsm_repro.training.trainer import prepare_torch


def measure(ctx: StageContext, start: Path) -> None:
    """Draw and grade the answers of the model in ``start``, leave ``pass_rates.jsonl`` and the record.

    An answer is right where the rule says so, whatever rewards it later; its noise depends on the seed and on the
    batch of questions that it is drawn in.

    Raises:
        ConfigError, DataError: settings, questions or a model that cannot work.
        Preempted: the process is to end; the batches that were drawn are kept.
    """
    config, rl, part = ctx.config, ctx.config.rl, ctx.config.difficulty
    prepare_torch(ctx, config.seeds.difficulty)
    questions = candidates(config)
    prompts = [formats.prompt(question.question, rl.mode, config.prompts) for question in questions]
    model, tokenizer = load_model(start, config.base.dtype, resolve_device(config.execution)), load_tokenizer(start)
    check_tokenizer(tokenizer, config.prompts, rl.mode, f"base.role={config.base.role}")
    encoded = [list(ids) for ids in tokenizer(prompts)["input_ids"]]
    check_room(model, encoded, rl.max_completion_length)
    ends, shape, pad_id = end_tokens(model, tokenizer), model_shape(model), int(tokenizer.pad_token_id)
    sampling = Sampling(rl.max_completion_length, rl.temperature, rl.top_p)
    at_once = max(part.sampling_rows // part.samples, 1)
    with Grader(config.grader) as grader, open_sandbox(ctx) as sandbox:
        sampler = build_sampler(ctx, tokenizer, sandbox)
        answers = build_answers(ctx, RuleReward(config.reward, grader), tokenizer, sandbox)

        def batch(number: int) -> dict[str, Any]:
            chosen = slice(number * at_once, (number + 1) * at_once)
            noise = noise_of(f"difficulty/{config.seeds.difficulty}/{number}")
            drawn = sampler(model, encoded[chosen], part.samples, sampling, ends, pad_id, noise).batch
            lengths = drawn.lengths.tolist()
            rows = zip(drawn.completion_ids.tolist(), lengths, strict=True)
            texts = tokenizer.batch_decode([ids[:length] for ids, length in rows], skip_special_tokens=True)
            asked = [question for question in questions[chosen] for _ in range(part.samples)]
            verdicts = answers(Completions(texts, asked, drawn))
            groups = range(0, len(asked), part.samples)
            spent = accounting.Lengths(
                [len(ids) for ids in encoded[chosen]], [lengths[i : i + part.samples] for i in groups]
            )
            return {
                "right": [sum(verdicts.correct[i : i + part.samples]) for i in groups],
                "counts": verdicts.counts,
                "flops": accounting.generate(shape, spent),
                "tokens": spent.completion_tokens,
            }

        stored, seconds = in_parts(ctx, "answers", -(-len(questions) // at_once), batch, "batches answered")
        grader_id, backend = grader.id, None if sandbox is None else sandbox.backend
    right = [count for each in stored for count in each["right"]]
    write(ctx.out, [PassRate(q.id, count, part.samples) for q, count in zip(questions, right, strict=True)])
    counts: Counter[str] = Counter()
    for each in stored:
        ctx.cost.add_flops("generate", each["flops"])
        ctx.cost.add_tokens("generate", each["tokens"])
        counts.update(each["counts"])
    # of earlier, killed runs
    ctx.cost.seconds += seconds
    ctx.record(
        {
            "questions": len(questions),
            "samples": part.samples,
            "mode": rl.mode,
            "pass_rate": sum(right) / (len(right) * part.samples),
            #: questions with so many right answers, from none on
            "by_right": [right.count(number) for number in range(part.samples + 1)],
            "verdicts": {status: counts[status] for status in STATUSES.values()},
            "grader": grader_id,
            **({} if backend is None else {"sandbox": backend}),
            "flops": {**ctx.cost.flops, "total": ctx.cost.total_flops},
            "tokens_generated": ctx.cost.tokens["generate"],
        }
    )
