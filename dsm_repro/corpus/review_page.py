"""The review file for a person to look at: a table in the terminal, or one HTML page with samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.corpus.review import AUTO
from dsm_repro.corpus.review_entry import Entry
from dsm_repro.corpus.review_file import decide, read_entries

if TYPE_CHECKING:
    from rich.table import Table


def existing(path: Path, overrides: Sequence[str]) -> list[Entry]:
    """The file's entries, those that wait first, each part by falling effect.

    Raises:
        ConfigError: there is no file; says what makes it. DataError: it cannot be read.
    """
    if not path.exists():
        words = " ".join(["until=corpus", "corpus.review=file", *overrides])
        raise ConfigError(f"{path.absolute()}: no such file. `dsm run {words}` writes it when paths wait for review.")
    return sorted(read_entries(path), key=lambda entry: (entry.accept is not None, entry.rank))


def set_decisions(path: Path, accepted: Sequence[str], rejected: Sequence[str], by: str) -> list[Entry]:
    """Decide on paths, each given as DOMAIN/PATH or with ``*`` for any characters; returns what was decided.

    A pattern with ``*`` touches only what waits. Of several patterns that match, the longest decides.

    Raises:
        ConfigError: no name is given, or a pattern matches nothing; nothing is changed then.
    """
    if not by or by == AUTO:
        raise ConfigError(f"--by={by}: who decides? Give a person's name: --by NAME")
    patterns = [*((word, True) for word in accepted), *((word, False) for word in rejected)]
    patterns.sort(key=lambda pair: (-len(pair[0]), pair[0]))
    entries = read_entries(path)
    for word, _ in patterns:
        if not any(_matches(word, entry) for entry in entries):
            raise ConfigError(f"{word}: no such path waits in {path}. `dsm review` lists them, as DOMAIN/PATH.")
    for word in set(accepted) & set(rejected):
        raise ConfigError(f"{word}: both accepted and rejected. Give it once.")
    return decide(path, _chooser(patterns), by)


def _chooser(patterns: Sequence[tuple[str, bool]]) -> Callable[[Entry], bool | None]:
    return lambda entry: next((accept for word, accept in patterns if _matches(word, entry)), None)


def _matches(word: str, entry: Entry) -> bool:
    if "*" in word:
        # fnmatch has more signs than `*`, which an address may contain
        pattern = "".join(f"[{sign}]" if sign in "[?" else sign for sign in word)
        return entry.accept is None and fnmatchcase(f"{entry.domain}{entry.path}", pattern)
    return f"{entry.domain}{entry.path}".rstrip("/") == word.rstrip("/")


def table(entries: Sequence[Entry], path: Path) -> Table:
    """Paths with their figures and decisions, in the order given."""
    from rich.markup import escape
    from rich.table import Table

    waiting = sum(entry.accept is None for entry in entries)
    shown = Table(title=f"{path}: {waiting} of {len(entries)} URL paths wait for a decision", title_justify="left")
    shown.add_column("DOMAIN/PATH", overflow="fold")
    for name in ("would join", "collected", "share"):
        shown.add_column(name, justify="right", no_wrap=True)
    for name in ("accept", "by"):
        shown.add_column(name)
    for entry in entries:
        accept = "[yellow]?[/]" if entry.accept is None else "[green]yes[/]" if entry.accept else "[red]no[/]"
        shown.add_row(
            escape(_printable(f"{entry.domain}{entry.path}")),
            f"{entry.effect:,}",
            f"{entry.collected:,} of {entry.pages:,}",
            f"{entry.share:.0%}",
            accept,
            escape(_printable(entry.by)),
        )
    return shown


def _printable(text: str) -> str:
    """An address may hold what a terminal obeys."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def html(entries: Sequence[Entry], path: Path) -> str:
    """One self-contained page with the samples of every path, in the order given."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dsm_repro.corpus", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    waiting = sum(entry.accept is None for entry in entries)
    return environment.get_template("review.html.j2").render(entries=entries, waiting=waiting, file=str(path)) + "\n"
