"""The stage ``sft``: supervised fine-tuning on worked solutions, programs, or both (§3)."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dsm_repro.config.resolve import model_parent, tuning_identity
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import MODES_OF_FORMAT
from dsm_repro.finetuning.data import check_format
from dsm_repro.pipeline.plan_text import amount
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.reasoning import answers
from dsm_repro.reasoning.benchmarks import require_disjoint
from dsm_repro.reasoning.formats import template_id
from dsm_repro.reasoning.problemset import problem_files
from dsm_repro.reasoning.programs import limits
from dsm_repro.training.available import problems_there, shortage_note
from dsm_repro.training.planning import trainer_memory, training_estimate

#: tokens of an example, for the plan: measured on the miniature's, guessed for others
EXAMPLE_TOKENS = {"miniature": 50, "jsonl": 300}
#: and of the longest one
LONGEST_EXAMPLE = {"miniature": 128}
#: epochs that a plan remarks on: as many as pretrain.max_epochs allows by default
MOST_EPOCHS = 8.0


def parents(config: Config) -> tuple[str, ...]:
    return (model_parent(config, "sft"),)


def identity(config: Config) -> Any:
    check_format(config.sft.format)
    modes = MODES_OF_FORMAT[config.sft.format]
    problems: dict[str, Any] = {"source": config.problems.source}
    if config.problems.source == "miniature":
        problems["seed"] = config.problems.seed
        if "cot" in modes:
            problems["terse_share"] = config.problems.terse_share
    described = {
        "sft": asdict(config.sft),
        "problems": problems,
        "prompts": [template_id(mode, config.prompts) for mode in modes],
        "dtype": config.base.dtype,
        "seed": config.seeds.sft,
        **tuning_identity(config),
    }
    if "tool" in modes:
        # the examples hold what the sandbox made of the programs, and the grader drops those that are wrong
        described |= {
            "output_characters": config.tool.output_characters,
            "sandbox": limits(config.sandbox),
            "grader": answers.identity(config.grader),
        }
    return described


def inputs(config: Config) -> tuple[Path, ...]:
    """The training problems. Raises ConfigError, before any work, where test problems are among them."""
    require_disjoint(config)
    return problem_files(config.problems, "train")


def estimate(config: Config) -> Estimate:
    c = config.sft
    length = c.max_length if c.packing else min(c.max_length, EXAMPLE_TOKENS.get(config.problems.source, c.max_length))
    # a packed row is full; of single examples the longest decides, which is shorter on the miniature than it may be
    longest = (
        c.max_length if c.packing else min(c.max_length, LONGEST_EXAMPLE.get(config.problems.source, c.max_length))
    )
    memory = trainer_memory(config, c.batch_size, longest, fused=True, tuned=True)
    tokens = c.steps * c.batch_size * length
    notes = (*shortage_note(config, "train", "sft.examples", c.examples), *_repetition_note(config, tokens))
    expected = training_estimate(config, tokens, length, memory=memory, tuned=True)
    return replace(expected, notes=(*expected.notes, *notes))


def _repetition_note(config: Config, tokens: float) -> tuple[str, ...]:
    """A note where the examples are gone through more often than ``MOST_EPOCHS``. Only a note, since how many of them
    a packed row holds is a guess."""
    c = config.sft
    there = problems_there(config, "train")
    examples = c.examples if there is None else min(c.examples, there)
    drawn = c.steps * c.batch_size * 1.0
    if c.packing:
        drawn = tokens / min(c.max_length, EXAMPLE_TOKENS.get(config.problems.source, c.max_length))
    epochs = drawn / examples if examples else 0.0
    if epochs <= MOST_EPOCHS:
        return ()
    return (
        f"{amount(tokens)} tokens from {examples:,} examples, about {epochs:.0f} epochs: sft.steps={c.steps} of "
        f"sft.batch_size={c.batch_size} {'packed rows' if c.packing else 'examples'}",
    )


def run(ctx: StageContext) -> None:
    from dsm_repro.finetuning.run import fine_tune

    fine_tune(ctx, model_parent(ctx.config, "sft"))


STAGE = Stage(
    name="sft", version=1, parents=parents, identity=identity, run=run, estimate=estimate, inputs=inputs,
    shared=lambda config: True,
)  # fmt: skip
