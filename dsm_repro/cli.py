"""The command line: ``dsm run | plan | report | ledger | explain | review | grade | execute``, thin: Hydra parses.

Nothing but the standard library is imported until a command needs it, so that ``dsm --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError, DsmError

if TYPE_CHECKING:
    from dsm_repro.pipeline.store import Store

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

#: columns of the table of `dsm review` where the output is no terminal
REVIEW_WIDTH = 140

#: Hydra's own files go into the store, and its loggers are left alone: an alarm of a stage must reach its log
HYDRA_OVERRIDES = (
    "hydra/hydra_logging=none",
    "hydra/job_logging=none",
    "hydra.output_subdir=null",
    "hydra.run.dir=${paths.store}/.hydra",
    "hydra.sweep.dir=${paths.store}/.hydra",
    "hydra.sweep.subdir=.",
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dsm", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

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
    return parser


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Overrides may stand anywhere; argparse alone takes no positional after an option that followed one."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if not all("=" in word and not word.startswith("-") for word in rest) or (rest and "overrides" not in options):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 after an error or a failed arm, 2 for wrong usage."""
    try:
        options = _parse(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        commands = {
            "run": _run,
            "plan": _plan,
            "report": _report,
            "ledger": _ledger,
            "explain": _explain,
            "review": _review,
            "grade": _grade,
            "execute": _execute,
        }
        return commands[options.command](options)
    except DsmError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted. What is finished is in the store: the same command again resumes.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(options: argparse.Namespace) -> int:
    from hydra import main as hydra_main
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from dsm_repro.config import compose
    from dsm_repro.config.messages import explain_hydra_error
    from dsm_repro.config.paths import conf_dir
    from dsm_repro.pipeline.task import run_task

    compose.register_schema()
    overrides = compose.translate(options.overrides)
    # what is wrong is said by who knows the keys: Hydra composes before it calls us
    compose.expand(options.overrides, multirun=options.multirun)
    words = ["--multirun", *HYDRA_OVERRIDES, compose.search_path_override(), *overrides]
    with _hydra_arguments(words):
        try:
            hydra_main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(run_task)()
        except (HydraException, OmegaConfBaseException) as error:
            raise explain_hydra_error(error) from error
        except SystemExit as end:  # the sweeper ends with the code of its outcome
            return int(end.code or 0)
        finally:
            GlobalHydra.instance().clear()
    return 0


@contextmanager
def _hydra_arguments(words: list[str]) -> Iterator[None]:
    """Give ``hydra.main`` its command line, and have it raise errors instead of printing them."""
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0] if argv else "dsm", *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def _plan(options: argparse.Namespace) -> int:
    from dsm_repro import stages
    from dsm_repro.config.compose import expand
    from dsm_repro.pipeline.plan_text import TABLE_WIDTH, render
    from dsm_repro.pipeline.sweeper import prepare

    sweep = expand(options.overrides, multirun=options.multirun)
    _, store, plan = prepare(sweep, stages.registry(), files_may_lack=True)
    if options.json:
        print(plan.to_json())
        return 0
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    for part in render(plan, store.root, options.memory):
        text = isinstance(part, str)
        console.print(part, highlight=False, markup=not text, soft_wrap=text)
    return 0


def _report(options: argparse.Namespace) -> int:
    from dsm_repro.config.compose import compose
    from dsm_repro.config.paths import reports_dir, store_dir
    from dsm_repro.pipeline.index import sweeps_in
    from dsm_repro.reporting.render import render_sweep

    wanted = [word.removeprefix("sweep=") for word in options.overrides if word.startswith("sweep=")]
    rest = [word for word in options.overrides if not word.startswith("sweep=")]
    for word in rest:
        if word.partition("=")[0] not in ("paths.store", "paths.reports"):
            raise ConfigError(
                f"{word}: a report shows what was run, and takes nothing but sweep=NAME, paths.store=… and "
                f"paths.reports=…. Run the sweep with it: dsm run sweep=NAME {word}"
            )
    config = compose(rest)
    store = store_dir(config)
    known = sweeps_in(store)
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"sweep={name}: not in {store} (it has: {', '.join(known) or 'none'}). Run it: dsm run sweep={name}"
            )
    if not known:
        raise ConfigError(f"{store}: no sweep has been run here. Run one (dsm run sweep=…), or set paths.store.")
    for name in wanted or known:
        print(f"report: {render_sweep(store, name, reports_dir(config))}")
    return 0


def _ledger(options: argparse.Namespace) -> int:
    from dsm_repro.reporting.ledger import command

    items = command.select(options.ids, options.table, options.benchmark)
    if options.json or options.csv:
        print(command.as_json(items) if options.json else command.as_csv(items))
    elif not sys.stdout.isatty():
        print(command.as_text(items))
    else:
        from rich.console import Console

        console = Console()
        for table in command.as_tables(items):
            console.print(table, highlight=False)
    return 0


def _explain(options: argparse.Namespace) -> int:
    from dsm_repro.config.compose import compose
    from dsm_repro.config.paths import store_dir
    from dsm_repro.pipeline.store import Store

    store = Store(store_dir(compose(options.overrides)))
    a, b = _only(store, options.key_a), _only(store, options.key_b)
    if a[0] != b[0]:
        print(f"{'/'.join(a)} and {'/'.join(b)} are different stages.")
        return 0
    lines = list(_differences(store, a, b, a[0]))
    print("\n".join(lines) if lines else f"{'/'.join(a)} and {'/'.join(b)} do not differ.")
    return 0


def _review(options: argparse.Namespace) -> int:
    from pathlib import Path

    from dsm_repro.config.compose import compose
    from dsm_repro.corpus.review import review_path
    from dsm_repro.corpus.review_page import existing, html, set_decisions, table

    path = review_path(compose(options.overrides))
    entries = existing(path, options.overrides)
    if options.accept or options.reject:
        decided = set_decisions(path, options.accept, options.reject, options.by)
        print(f"{len(decided)} decided by {options.by} in {path}")
        entries = existing(path, options.overrides)
    if options.html:
        try:
            Path(options.html).write_text(html(entries, path), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--html={options.html}: cannot be written ({error.strerror}). Give a file.") from error
        print(f"samples: {Path(options.html).absolute()}")
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = REVIEW_WIDTH
    console.print(table(entries, path), highlight=False)
    return 0


def _grade(options: argparse.Namespace) -> int:
    from pathlib import Path

    from dsm_repro.reasoning.grading.command import grade_file, table

    graders = [name.strip() for name in options.graders.split(",") if name.strip()]
    print(table(grade_file(Path(options.file), graders, Path(options.out), options.timeout)))
    return 0


def _execute(options: argparse.Namespace) -> int:
    from pathlib import Path

    from dsm_repro.config.compose import compose
    from dsm_repro.reasoning.sandbox.command import execute_file

    counts = execute_file(
        Path(options.file), Path(options.out), compose(options.overrides).sandbox, workers=options.workers
    )
    ended = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    print(f"{counts.total()} programs ({ended or 'none'}): {options.out}")
    return 0


def _only(store: Store, prefix: str) -> tuple[str, str]:
    """The one artifact that a prefix names."""
    found = store.find(prefix)
    if len(found) != 1:
        listed = ", ".join(f"{stage}/{key}" for stage, key in found[:10])
        raise ConfigError(
            f"{prefix}: several artifacts in {store.root} ({listed}). Give more characters."
            if found
            else f"{prefix}: no such artifact in {store.root}. `dsm plan` shows the keys of a sweep."
        )
    return found[0]


def _differences(store: Store, a: tuple[str, str], b: tuple[str, str], path: str) -> Iterator[str]:
    """One line per leaf that differs; a parent that differs is explained in its own leaves."""
    from dsm_repro.pipeline.identity import ABSENT, explain

    for leaf, left, right in explain(_described(store, a), _described(store, b)):
        parent = leaf.removeprefix("parents.")
        if parent != leaf and ABSENT not in (left, right):
            yield from _differences(store, (parent, left), (parent, right), f"{path} < {parent}")
        else:
            yield f"{path}: {leaf}: {left!r} | {right!r}"


def _described(store: Store, key: tuple[str, str]) -> dict[str, object]:
    from dsm_repro.pipeline.store import DESCRIPTION_FIELDS

    manifest = store.load_manifest(*key)
    return {name: manifest[name] for name in DESCRIPTION_FIELDS if name in manifest}
