"""Why two artifacts are not the same: the leaves in which their descriptions differ, back to where it began."""

from __future__ import annotations

from collections.abc import Iterator

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.identity import ABSENT, explain
from dsm_repro.pipeline.store import DESCRIPTION_FIELDS, Store


def why(store: Store, prefix_a: str, prefix_b: str) -> str:
    """What makes the artifacts that two prefixes of keys name differ, a line for each leaf.

    Raises ConfigError for a prefix that names none or several.
    """
    a, b = _only(store, prefix_a), _only(store, prefix_b)
    if a[0] != b[0]:
        return f"{'/'.join(a)} and {'/'.join(b)} are different stages."
    return "\n".join(_differences(store, a, b, a[0])) or f"{'/'.join(a)} and {'/'.join(b)} do not differ."


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
    for leaf, left, right in explain(_described(store, a), _described(store, b)):
        parent = leaf.removeprefix("parents.")
        if parent != leaf and ABSENT not in (left, right):
            yield from _differences(store, (parent, left), (parent, right), f"{path} < {parent}")
        else:
            yield f"{path}: {leaf}: {left!r} | {right!r}"


def _described(store: Store, key: tuple[str, str]) -> dict[str, object]:
    manifest = store.load_manifest(*key)
    return {name: manifest[name] for name in DESCRIPTION_FIELDS if name in manifest}
