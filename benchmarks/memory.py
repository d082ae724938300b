"""The memory that a plan expects of a stage beside what the stage takes, on a CPU.

    python benchmarks/memory.py                 # all cases, one after another; minutes
    python benchmarks/memory.py --cases rl-grpo sft

Each case is a stage on a model of random weights, in a process of its own. Measured is its highest resident set
(``VmHWM``) above that of the same stage on hardly any model, which is the plan's ``framework``; expected is the
difference of the two plans.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

MEBIBYTE = 2**20
SHAPE = "hidden_size: 384, layers: 6, heads: 6, intermediate_size: 1024, vocab_size: 4096, context_length: 256"
WIDE = "hidden_size: 128, layers: 2, heads: 4, intermediate_size: 384, vocab_size: 32768, context_length: 256"
#: hardly any model, one row at a time
LEAST = "hidden_size: 16, layers: 1, heads: 1, intermediate_size: 16, vocab_size: 512, context_length: 256"
ONE_ROW = ("execution.micro_batch=1", "rl.questions_per_step=1", "rl.group_size=2", "sft.batch_size=2")
#: name -> (shape, stage, overrides)
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "base": (SHAPE, "base", ()),
    "base-bfloat16": (SHAPE, "base", ("base.dtype=bfloat16",)),
    "base-vocabulary": (WIDE, "base", ()),
    "sft": (SHAPE, "sft", ()),
    "sft-bfloat16": (SHAPE, "sft", ("base.dtype=bfloat16",)),
    "sft-vocabulary": (WIDE, "sft", ()),
    "rl-grpo": (SHAPE, "rl", ()),
    "rl-grpo-bfloat16": (SHAPE, "rl", ("base.dtype=bfloat16",)),
    "rl-grpo-vocabulary": (WIDE, "rl", ("rl.group_size=8",)),
    "rl-ppo": (SHAPE, "rl", ("rl=ppo",)),
    "evaluate": (SHAPE, "evaluate", ()),
    "evaluate-bfloat16": (SHAPE, "evaluate", ("base.dtype=bfloat16",)),
    "evaluate-drawn": (WIDE, "evaluate", ("evaluation.samples=2",)),
}
#: what the others are measured against
NOTHING = {stage: f"nothing-{stage}" for stage in ("base", "sft", "rl", "evaluate")}
CASES |= {name: (LEAST, stage, ONE_ROW) for stage, name in NOTHING.items()}
COMMON = (
    "scale=smoke", "execution.device=cpu", "execution.micro_batch=64",
    "sft.packing=true", "sft.max_length=256", "sft.steps=2", "sft.batch_size=16", "sft.examples=200",
    "rl.questions_per_step=4", "rl.group_size=16", "rl.max_completion_length=64", "rl.budget={unit: steps, amount: 2}",
    "rl.snapshots=0", "evaluation.problems=64", "evaluation.max_tokens=96",
)  # fmt: skip


def overrides(case: str) -> list[str]:
    """The config of a case, as words of the command line."""
    shape, _, own = CASES[case]
    # two steps of one full pass
    tiny = f"{{{shape}, tokens: 4096, batch_tokens: 2048, text: {{code: 1.0}}}}"
    return [*COMMON, f"scale.models.coder.tiny={tiny}", *own]


def highest() -> int:
    """The highest resident set that this process has had, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM: this needs Linux")


def run(case: str, folder: Path) -> dict[str, Any]:
    """Run a case here; ``folder/model`` is where its stage starts from. Returns bytes, expected and measured."""
    from dsm_repro import stages
    from dsm_repro.config.compose import compose
    from dsm_repro.config.resolve import model_parent
    from dsm_repro.pipeline.stage import StageContext

    _, name, _ = CASES[case]
    config = compose(overrides(case))
    stage = stages.load(name)
    expected = stage.estimate(config).memory
    assert expected is not None
    (folder / "out").mkdir()
    (folder / "scratch").mkdir()
    parents = {} if name == "base" else {model_parent(config, name): folder}
    context = StageContext(config, folder / "out", folder / "scratch", parents, threads=1)
    stage.run(context)
    return {"case": case, "phase": expected.phase, "expected": expected.total, "measured": highest()}


def make_model(case: str, folder: Path) -> None:
    """A model of random weights, as the stage ``base`` would save it."""
    from dsm_repro.config.compose import compose
    from dsm_repro.miniature.tokenizer import train_tokenizer
    from dsm_repro.pretraining.base_stage import initial_model
    from dsm_repro.training.models import save_model

    config = compose(overrides(case))
    tiny = config.scale.models["coder"].tiny
    assert tiny is not None
    tokenizer = train_tokenizer(512)
    save_model(initial_model(tiny, tokenizer, "tiny"), tokenizer, folder / "model", config.base.dtype)


def apart(case: str) -> dict[str, Any]:
    """A case in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for step in ("--make", "--run"):
            ran = subprocess.run([sys.executable, __file__, step, case, folder], capture_output=True, text=True)
            if ran.returncode:
                raise RuntimeError(f"{case}: {ran.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measured(cases: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each case above hardly any model."""
    nothing: dict[str, dict[str, Any]] = {}
    for case in cases:
        stage = CASES[case][1]
        if stage not in nothing:
            nothing[stage] = apart(NOTHING[stage])
        found, least = apart(case), nothing[stage]
        above = {name: found[name] - least[name] for name in ("expected", "measured")}
        yield {**found, **above, "libraries": least["measured"]}


def main(cases: Sequence[str]) -> None:
    print("| case | at its | expected, MB | measured, MB | expected / measured | libraries, MB |")
    print("|---|---|---|---|---|---|")
    for found in measured(cases):
        ratio = found["expected"] / found["measured"]
        numbers = [f"{found[name] / MEBIBYTE:,.0f}" for name in ("expected", "measured")]
        libraries = f"{found['libraries'] / MEBIBYTE:,.0f}"
        print(f"| {found['case']} | {found['phase']} | {' | '.join(numbers)} | {ratio:.2f} | {libraries} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cases", nargs="+", choices=CASES, default=[name for name in CASES if name not in NOTHING.values()]
    )
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_model(options.make[0], Path(options.make[1]))
    elif options.run:
        print(json.dumps(run(options.run[0], Path(options.run[1]))))
    else:
        main(options.cases)
