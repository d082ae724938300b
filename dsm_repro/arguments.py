"""The words of the command line: its commands, their options and their help. The standard library alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

DESCRIPTION = """\
Ablations of DeepSeekMath's recipe: corpus, pre-training, fine-tuning, reinforcement learning, evaluation.

What to type next:
  dsm plan sweep=rl_algorithm                 what the flagship ablation would do, and cost
  dsm run sweep=rl_algorithm                  run it (again: it resumes), and render its report
  dsm run sweep=rl_algorithm scale=smoke      the same in a few minutes, to see it work
  dsm run -m rl=grpo,ppo seed=0,1,2           your own arms: the cross product of the values
  dsm run until=corpus corpus=warc 'corpus.paths=[crawl/*.warc.gz]' 'corpus.seed_paths=[seed.jsonl]'
                                              only curate a corpus, from your own crawl
  dsm review --html review.html               look at URL paths that wait for a decision (corpus.review=file)
  dsm report                                  render the reports again from what is in the store
  dsm ledger 'paper.t5.*'                     the published numbers, with n, standard error, protocol and source
  dsm grade answers.jsonl --graders math_verify,deepseek --out verdicts.jsonl
                                              one or more graders on your own file of answers
  dsm execute programs.jsonl --out out.jsonl  run model-written programs (id, program) in the sandbox
  dsm explain KEY_A KEY_B                     why two artifacts are not the same
"""

OVERRIDES = "overrides of the configuration, as Hydra takes them: sweep=NAME, GROUP=LEVEL, KEY=VALUE"


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    made = argparse.ArgumentParser(
        prog="dsm", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="run one arm, a sweep (sweep=NAME), or your own arms (-m)")
    plan = commands.add_parser("plan", help="say what `dsm run` with the same words would do; spends nothing")
    for command in (run, plan):
        command.add_argument("-m", "--multirun", action="store_true", help="one arm for each of several values (a=x,y)")
        command.add_argument("overrides", nargs="*", metavar="OVERRIDE", help=OVERRIDES)
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.add_argument("--memory", action="store_true", help="also say of what the memory of each stage consists")

    report = commands.add_parser("report", help="render reports from the store (sweep=NAME, or all)")
    report.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="sweep=NAME; paths.store=…; paths.reports=…")

    ledger = commands.add_parser("ledger", help="print the published numbers that reports are set beside")
    ledger.add_argument("ids", nargs="*", metavar="ID", help="ids, or patterns of them: 'paper.t5.*' (all without any)")
    ledger.add_argument("--table", default="", metavar="TABLE", help="only of this: 'Table 5', 'Figure 5', 'deep dive'")
    ledger.add_argument("--benchmark", default="", metavar="NAME", help="only of this: gsm8k, math, …")
    form = ledger.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a list of objects as JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")

    explain = commands.add_parser("explain", help="print the leaves in which two artifacts' identities differ")
    explain.add_argument("key_a", metavar="KEY_A", help="a key, a prefix of one, or STAGE/KEY")
    explain.add_argument("key_b", metavar="KEY_B")
    explain.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="paths.store=…")

    review = commands.add_parser("review", help="list the URL paths that wait for a decision, and decide on them")
    review.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="corpus.review_file=…")
    review.add_argument("--html", metavar="FILE", help="also write a page with samples of every path")
    for word in ("accept", "reject"):
        review.add_argument(
            f"--{word}",
            action="append",
            default=[],
            metavar="DOMAIN/PATH",
            help=f"{word} a path (* stands for any characters, in what waits); may be given several times",
        )
    review.add_argument("--by", default="", metavar="NAME", help="who decides")

    grade = commands.add_parser("grade", help="grade a file of answers, with one or more graders beside each other")
    grade.add_argument("file", metavar="FILE.jsonl", help="lines with id, gold, and prediction or completion")
    grade.add_argument(
        "--graders", default="math_verify", help="math_verify, deepseek, minerva, hendrycks; a,b for two"
    )
    grade.add_argument("--out", required=True, metavar="OUT.jsonl", help="one line for each verdict")
    grade.add_argument("--timeout", type=float, default=5.0, help="wall clock for one answer, seconds")
    execute = commands.add_parser("execute", help="run a file of model-written Python programs in the sandbox")
    execute.add_argument("file", metavar="FILE.jsonl", help="one JSON object a line, with id and program")
    execute.add_argument(
        "--out", required=True, metavar="OUT.jsonl", help="id, status, stdout, error, seconds, backend"
    )
    execute.add_argument("--workers", type=int, default=2, metavar="N", help="programs at once (2)")
    execute.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="sandbox.timeout=…; sandbox.memory_mb=…")
    return made


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What the words (``sys.argv`` without any) ask for. Raises SystemExit for ``--help`` and for wrong usage.

    Overrides may stand anywhere; argparse alone takes no positional after an option that followed one.
    """
    made = parser()
    options, rest = made.parse_known_args(arguments)
    if not all("=" in word and not word.startswith("-") for word in rest) or (rest and "overrides" not in options):
        made.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    return options
