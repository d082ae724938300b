"""The file in which a person decides on URL paths: a YAML list, sorted by effect.

What a person wrote stays as it was written, comments included: an entry is rewritten only while it
reads as this module wrote it. A line of comment above an entry belongs to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DataError
from dsm_repro.corpus.review_entry import Entry, fault, read_entry, refuse_duplicates

HEADER = """\
# URL paths of mathematical domains, put up for review (§2.1); those that would add most pages come first.
#   accept: yes  the pages under this path that were not collected join the classifier's positives
#   accept: no   they do not; where several paths hold a page, the longest decides
#   by:          who decided
# Look at the samples with `dsm review --html FILE`. Then run the command that stopped here again.
# Paths of your own may be added: domain, path, accept, by.

"""
_ACCEPT, _BY = re.compile(r"^( +)accept:[^#\n]*?(\s*#.*)?$"), re.compile(r"^( +)by:[^#\n]*?(\s*#.*)?$")


@dataclass(frozen=True)
class _Block:
    """An entry and its lines in the file."""

    entry: Entry
    text: str


def read_entries(path: Path) -> list[Entry]:
    """The file's entries; none where there is no file.

    Raises:
        DataError: the file cannot be read; says the line and what to write there.
    """
    return [block.entry for block in _read(path)[1]]


def merge(path: Path, proposed: Sequence[Entry]) -> None:
    """Add undecided paths to the file, or refresh their figures; sort it. Atomic; what a person wrote stays."""
    with _locked(path):
        header, blocks = _read(path)
        known = {block.entry.key: block for block in blocks}
        for entry in proposed:
            old = known.get(entry.key)
            if old is None or old.text == _text_of(old.entry):
                known[entry.key] = _Block(entry, _text_of(entry))
        _write(path, header, known.values())


def decide(path: Path, choose: Callable[[Entry], bool | None], by: str) -> list[Entry]:
    """Set the decision of every entry for which ``choose`` gives one; returns those entries as they are now."""
    with _locked(path):
        header, blocks = _read(path)
        changed = []
        for index, block in enumerate(blocks):
            accept = choose(block.entry)
            if accept is not None:
                entry = replace(block.entry, accept=accept, by=by)
                blocks[index] = _Block(entry, _decided(block.text, entry))
                changed.append(entry)
        _write(path, header, blocks)
    return changed


def _text_of(entry: Entry) -> str:
    """An entry as this module writes it, with a blank line after it."""
    told: dict[str, Any] = {
        "domain": entry.domain,
        "path": entry.path,
        "pages": entry.pages,
        "collected": entry.collected,
        "share": round(entry.share, 3),
        "effect": entry.effect,
        "samples": [vars(sample) for sample in entry.samples],
        "accept": entry.accept,
        "by": entry.by or None,
    }
    return _dumped([told]) + "\n"


def _dumped(value: object) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes nothing for None, and the words that the header names."""

    Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))
    Dumper.add_representer(
        bool, lambda dumper, yes: dumper.represent_scalar("tag:yaml.org,2002:bool", "yes" if yes else "no")
    )
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1 << 30)
    return "".join(f"{line.rstrip(' ')}\n" for line in text.splitlines())


def _decided(text: str, entry: Entry) -> str:
    """The entry's lines with its decision in them; all else stays as it is."""
    lines = text.splitlines()
    for key, pattern, value in (("accept", _ACCEPT, "yes" if entry.accept else "no"), ("by", _BY, _scalar(entry.by))):
        for index, line in enumerate(lines):
            if found := pattern.match(line):
                lines[index] = f"{found[1]}{key}: {value}{found[2] or ''}"
                break
        else:
            lines.append(f"  {key}: {value}")
    edited = "".join(f"{line}\n" for line in lines)
    # a person's own layout (`{...}`, folded lines) may not bear it: then the entry is written anew
    return edited if _says(edited, entry) else _text_of(entry)


def _says(text: str, entry: Entry) -> bool:
    import yaml

    try:
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        return read_entry(Path(), root.value[0]) == entry
    except (yaml.YAMLError, DataError):
        return False


def _scalar(name: str) -> str:
    return _dumped([name]).removeprefix("- ").rstrip("\n")


def _write(path: Path, header: str, blocks: Any) -> None:
    ordered = sorted(blocks, key=lambda block: block.entry.rank)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(header + "".join(block.text for block in ordered))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two arms may meet new paths at once."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


def _read(path: Path) -> tuple[str, list[_Block]]:
    """What stands before the first entry, and the entries."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return HEADER, []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Give a UTF-8 file, or set corpus.review_file.") from error
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise fault(path, mark.line if mark else 0, f"not YAML ({problem}). Correct this line or the one above") from (
            error
        )
    if root is None:
        return text if text.endswith("\n") or not text else f"{text}\n", []
    if isinstance(root, yaml.SequenceNode) and not root.value:
        return HEADER, []
    if not isinstance(root, yaml.SequenceNode):
        raise fault(path, root.start_mark.line, "not a list. Write each path as an entry: '- domain: ...'")
    entries = [read_entry(path, node) for node in root.value]
    refuse_duplicates(path, entries, root.value)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    starts = _starts(path, lines, [node.start_mark.line for node in root.value])
    ends = [*starts[1:], len(lines)]
    blocks = [_Block(entry, "".join(lines[start:end])) for entry, start, end in zip(entries, starts, ends, strict=True)]
    return "".join(lines[: starts[0]]), blocks


def _starts(path: Path, lines: Sequence[str], marks: Sequence[int]) -> list[int]:
    """First line of every entry: that of its dash, or of the comment right above it."""
    starts: list[int] = []
    for line in marks:
        start = line
        while start > 0 and not lines[start].startswith("-"):
            start -= 1
        if (starts and start <= starts[-1]) or not lines[start].startswith("-"):
            raise fault(path, line, "not an entry of its own. Write each path as '- domain: ...' at the line's start")
        while start > 0 and lines[start - 1].startswith("#"):
            start -= 1
        starts.append(start)
    return starts
