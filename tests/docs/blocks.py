"""Fenced blocks of the documentation, and the commands in them.

A block in ``sh`` or ``bash`` is commands. So is one without a language whose first line is a command; any other is an
output or a drawing. In ``console``, what follows ``$`` is a command and the rest its output.
"""

from __future__ import annotations

import re
import shlex
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: on adding a part to the project, with examples
EXTENDING = sorted((ROOT / "docs" / "extending").glob("*.md"))
#: what a copy of the project needs: the code and what it is configured by
PROJECT = ("dsm_repro", "hydra_plugins", "conf", "sweeps", "pyproject.toml")
#: with one of these a block without a language begins, if it holds commands
PROGRAMS = ("dsm", "make", "python", "pip", "bash", "sbatch", "srun", "ray", "accelerate", "torchrun", "git", "cd")
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[\w-]*) *(?P<rest>[^`]*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_SPAN = re.compile(r"(?<!`)`((?:dsm|make|python(?= -m | \S+\.py)) [^`]+)`(?!`)")
#: an ellipsis, or a word for what the reader puts in
_OPEN = re.compile(r"…|\.\.\.|\b[A-Z]{2,}(?:_[A-Z]+)*\b(?!=)")
_ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=.*")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is that of its fence, ``title`` the file that it is or changes, if it says one."""

    path: Path
    line: int
    language: str
    title: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """All pages that hold commands for the reader."""
    named = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")
    return [*(ROOT / name for name in named), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page. Raises ValueError for one that is not closed."""
    opened: tuple[int, re.Match[str]] | None = None
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = _FENCE.match(line)
        if opened is None:
            opened, inside = ((number, found), []) if found else (None, [])
        elif found and found["ticks"] == opened[1]["ticks"] and not found["language"]:
            title = _TITLE.search(opened[1]["rest"])
            text = textwrap.dedent("\n".join(inside)) + "\n"
            yield Block(path, opened[0], opened[1]["language"], title[1] if title else "", text)
            opened = None
        else:
            inside.append(line)
    if opened is not None:
        raise ValueError(f"{path}:{opened[0]}: the block is not closed")


def commands_of(block: Block) -> list[list[str]]:
    """The commands of a block as words, without comments, assignments before them and redirections."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    elif block.language == "":
        first = next((line.split()[0] for line in lines if line.strip()), "")
        lines = lines if first in PROGRAMS else []
    elif block.language not in ("sh", "bash"):
        lines = []
    return [command for line in lines for command in split(line)]


def split(line: str) -> Iterator[list[str]]:
    """The commands of one line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for word in [*lexer, ";"]:
        if set(word) <= set("<>"):
            skip = True
        elif set(word) <= set("|&;"):
            while words and _ASSIGNMENT.fullmatch(words[0]):
                del words[0]
            if words:
                yield words
            words = []
        elif skip:
            skip = False
        else:
            words.append(word)


def spoken(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where, and the words of each command of ours inside a sentence that leaves nothing for the reader to fill in."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fenced ^= bool(_FENCE.match(line))
        for found in () if fenced else _SPAN.finditer(line):
            if not _OPEN.search(found[1]):
                for words in split(found[1]):
                    yield f"{path.relative_to(ROOT)}:{number}", words


def write_files(blocks: Iterator[Block], root: Path) -> None:
    """Make in a copy of the project what titled blocks say: new files, and changes (``diff``) of files that are there.

    A change has no line numbers: each part between ``@@`` lines stands once in the file.

    Raises:
        ValueError: a new file is there already, or a part of a change does not stand in its file once.
    """
    for block in blocks:
        if not block.title:
            continue
        target = root / block.title
        if block.language == "diff":
            text = target.read_text(encoding="utf-8")
            for part in filter(None, block.text.split("@@\n")):
                lines = [line or " " for line in part.splitlines()]
                old = "".join(line[1:] + "\n" for line in lines if line[0] in " -")
                new = "".join(line[1:] + "\n" for line in lines if line[0] in " +")
                if text.count(old) != 1:
                    raise ValueError(f"{block.where}: stands {text.count(old)} times in {block.title}:\n{old}")
                text = text.replace(old, new)
        elif target.exists():
            raise ValueError(f"{block.where}: {block.title} is there already")
        else:
            text = block.text
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def extended_project(root: Path) -> Path:
    """A copy of the project in which the pages on extending it have been followed."""
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, root / name)
    write_files((block for path in EXTENDING for block in blocks_of(path)), root)
    return root
