"""One path of the review file: what it says, and what is wrong with it, by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DataError
from dsm_repro.corpus.domains import Directory, path_of
from dsm_repro.corpus.review import AUTO

_KEYS = ("domain", "path", "pages", "collected", "share", "effect", "samples", "accept", "by")


@dataclass(frozen=True)
class Sample:
    url: str
    title: str = ""
    excerpt: str = ""


@dataclass(frozen=True)
class Entry:
    """A path and its decision; ``accept`` is None while there is none."""

    domain: str
    directory: Directory
    #: pages under the path, those collected, and those that would join the positives
    pages: int
    collected: int
    effect: int
    samples: tuple[Sample, ...]
    accept: bool | None
    by: str

    @property
    def path(self) -> str:
        return path_of(self.directory)

    @property
    def share(self) -> float:
        return self.collected / self.pages if self.pages else 0.0

    @property
    def rank(self) -> tuple[int, str, str]:
        """The largest effect first."""
        return (-self.effect, self.domain, self.path)

    @property
    def key(self) -> tuple[str, Directory]:
        return (self.domain, self.directory)


def read_entry(path: Path, node: Any) -> Entry:
    """The entry that a YAML node holds. Raises :class:`DataError` that says the line and what to write there."""
    values = _mapping(path, node)
    unknown = [key for key in values if key not in _KEYS]
    if unknown:
        raise fault(path, values[unknown[0]].start_mark.line, f"{unknown[0]}: no such key. Use {', '.join(_KEYS)}")
    for key in ("domain", "path"):
        if key not in values:
            raise fault(path, node.start_mark.line, f"the entry has no {key}. Add `{key}: ...`")
    said = {key: _value(path, key, value) for key, value in values.items() if key != "samples"}
    if not said["path"].startswith("/"):
        raise fault(path, values["path"].start_mark.line, f"path: {said['path']}: must start with /")
    accept, by = said.get("accept"), said.get("by") or ""
    if accept is not None and not by:
        raise fault(path, values["accept"].start_mark.line, "accept is set, but by is empty. Write `by: YOUR NAME`")
    if by == AUTO:
        raise fault(path, values["by"].start_mark.line, f"by: {AUTO} means the rule. Write a person's name")
    return Entry(
        domain=said["domain"].lower().removeprefix("www."),
        directory=tuple(part for part in said["path"].split("/") if part),
        pages=said.get("pages") or 0,
        collected=said.get("collected") or 0,
        effect=said.get("effect") or 0,
        samples=_samples(path, values.get("samples")),
        accept=accept,
        by=by,
    )


def _samples(path: Path, node: Any) -> tuple[Sample, ...]:
    import yaml

    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise fault(path, node.start_mark.line, "samples: not a list of `url`, `title`, `excerpt`")
    found = []
    for item in node.value:
        values = {key: value.value for key, value in _mapping(path, item).items()}
        if not set(values) <= {"url", "title", "excerpt"} or not all(isinstance(v, str) for v in values.values()):
            raise fault(path, item.start_mark.line, "samples: each has `url`, `title` and `excerpt`")
        found.append(Sample(values.get("url", ""), values.get("title", ""), values.get("excerpt", "")))
    return tuple(found)


def _mapping(path: Path, node: Any) -> dict[str, Any]:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise fault(path, node.start_mark.line, "not an entry. Write `domain: ...`, `path: ...` and so on, one a line")
    found: dict[str, Any] = {}
    for key, value in node.value:
        if key.value in found:
            raise fault(path, key.start_mark.line, f"{key.value}: for the second time in this entry. Delete one")
        found[key.value] = value
    return found


#: what a key's value must be: tags of YAML, how it is read, what to write
_TEXT = ({"str"}, str, "a text")
_NUMBER = ({"int"}, int, "a whole number, or nothing")
_FORMS: dict[str, tuple[set[str], Callable[[str], Any], str]] = {
    "domain": _TEXT,
    "path": _TEXT,
    "pages": _NUMBER,
    "collected": _NUMBER,
    "effect": _NUMBER,
    "share": ({"float", "int"}, float, "a number, or nothing"),
    "accept": ({"bool"}, lambda word: word.lower() in ("yes", "true", "on"), "yes or no, or nothing"),
    "by": ({"str"}, str, "a name, or nothing"),
}


def _value(path: Path, key: str, node: Any) -> Any:
    tags, read, wanted = _FORMS[key]
    tag = str(node.tag).rpartition(":")[2]
    if tag == "null" and key not in ("domain", "path"):
        return None
    if tag not in tags or not isinstance(node.value, str):
        shown = node.value if isinstance(node.value, str) else "..."
        raise fault(path, node.start_mark.line, f"{key}: {shown}: write {wanted}")
    try:
        return read(node.value)
    except ValueError:  # YAML knows more ways to write a number
        raise fault(path, node.start_mark.line, f"{key}: {node.value}: write {wanted}") from None


def refuse_duplicates(path: Path, entries: Sequence[Entry], nodes: Sequence[Any]) -> None:
    """Raise :class:`DataError` where a path stands twice."""
    seen: dict[tuple[str, Directory], int] = {}
    for entry, node in zip(entries, nodes, strict=True):
        line = node.start_mark.line
        if entry.key in seen:
            raise fault(
                path, line, f"{entry.domain}{entry.path} stands on line {seen[entry.key] + 1} already. Delete one"
            )
        seen[entry.key] = line


def fault(path: Path, line: int, said: str) -> DataError:
    """An error in the file; ``line`` counts from 0."""
    return DataError(f"{path}, line {line + 1}: {said}.")
