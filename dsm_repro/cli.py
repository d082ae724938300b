"""The command line: ``dsm run | plan | report | ledger | explain | review | grade | execute``, thin: Hydra parses.

Nothing but the standard library is imported until a command needs it, so that ``dsm --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dsm_repro.arguments import parse
from dsm_repro.config.errors import ConfigError, DsmError

if TYPE_CHECKING:
    from argparse import Namespace

    from dsm_repro.config.compose import Sweep

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 after an error or a failed arm, 2 for wrong usage."""
    try:
        options = parse(arguments)
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


def _run(options: Namespace) -> int:
    from hydra import main as hydra_main
    from hydra.core.global_hydra import GlobalHydra

    from dsm_repro.config import compose
    from dsm_repro.config.messages import HYDRA_ERRORS, explain_hydra_error
    from dsm_repro.config.paths import conf_dir
    from dsm_repro.pipeline.task import run_task

    compose.register_schema()
    overrides = compose.translate(options.overrides)
    # what is wrong is said by who knows the keys: Hydra composes before it calls us
    _expand(options)
    words = ["--multirun", *HYDRA_OVERRIDES, compose.search_path_override(), *overrides]
    with _hydra_arguments(words):
        try:
            hydra_main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(run_task)()
        except HYDRA_ERRORS as error:
            raise explain_hydra_error(error) from error
        except SystemExit as end:  # the sweeper ends with the code of its outcome
            return int(end.code or 0)
        finally:
            GlobalHydra.instance().clear()
    return 0


def _expand(options: Namespace) -> Sweep:
    """The arms that the words ask for; raises ConfigError, also for a published number that the ledger lacks."""
    from dsm_repro.config.compose import expand

    sweep = expand(options.overrides, several=options.multirun)
    if sweep.claim.reference:
        from dsm_repro.reporting.ledger import lookup

        # Hydra lets a mapping pass where text is asked for, which whoever checks the arms has a message for
        lookup(wanted for wanted in sweep.claim.reference if isinstance(wanted, str))
    return sweep


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


def _plan(options: Namespace) -> int:
    from dsm_repro import stages
    from dsm_repro.pipeline.plan_text import TABLE_WIDTH, render
    from dsm_repro.pipeline.sweeper import prepare

    sweep = _expand(options)
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


def _report(options: Namespace) -> int:
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


def _ledger(options: Namespace) -> int:
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


def _explain(options: Namespace) -> int:
    from dsm_repro.config.compose import compose
    from dsm_repro.config.paths import store_dir
    from dsm_repro.pipeline.explain import why
    from dsm_repro.pipeline.store import Store

    store = Store(store_dir(compose(options.overrides)))
    print(why(store, options.key_a, options.key_b))
    return 0


def _review(options: Namespace) -> int:
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


def _grade(options: Namespace) -> int:
    from pathlib import Path

    from dsm_repro.reasoning.grading.command import grade_file, table

    graders = [name.strip() for name in options.graders.split(",") if name.strip()]
    print(table(grade_file(Path(options.file), graders, Path(options.out), options.timeout)))
    return 0


def _execute(options: Namespace) -> int:
    from pathlib import Path

    from dsm_repro.config.compose import compose
    from dsm_repro.reasoning.sandbox.command import execute_file

    counts = execute_file(
        Path(options.file), Path(options.out), compose(options.overrides).sandbox, workers=options.workers
    )
    ended = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    print(f"{counts.total()} programs ({ended or 'none'}): {options.out}")
    return 0
