"""Typed readers of what a sweep left in the store: its index, and each stage's manifest, cost and records.

A run that failed, waits, or lost an artifact is read as such and shown by the report; only an index
that cannot be read stops it. Records are compared with the digests of their manifest, so a file that was
edited by hand is reported as damaged and its numbers are not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DataError, StoreError
from dsm_repro.config.resolve import MODEL_STAGES, STAGE_ORDER
from dsm_repro.pipeline.store import MANIFEST, manifest_defect

#: artifact files the report reads; the digests of these are checked
_READ = ("record.json", "metrics.jsonl", "samples.jsonl", "at_k.jsonl", "cost.json", "curve.json", "times.jsonl")

#: a file changed by hand may keep its size, and then a run alone does not see it
_MADE_ANEW = "Move the artifact's folder away and run the sweep again: it is made anew."


@dataclass(frozen=True)
class Artifact:
    """One published stage, as the report needs it."""

    stage: str
    key: str
    manifest: dict[str, Any]
    record: dict[str, Any]
    cost: dict[str, Any]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    #: an evaluation that drew several answers: their votes, a row per problem
    at_k: list[dict[str, Any]] = field(default_factory=list)
    #: an evaluation along the stage rl, and the seconds of that stage's steps
    curve: dict[str, Any] = field(default_factory=dict)
    times: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return float(self.manifest.get("seconds") or self.cost.get("seconds") or 0.0)

    @property
    def flops(self) -> float:
        return float(sum((self.cost.get("flops") or {}).values()))

    @property
    def tokens(self) -> float:
        return float(sum((self.cost.get("tokens") or {}).values()))


@dataclass(frozen=True)
class Failure:
    """Why a run has no result."""

    stage: str
    message: str
    traceback: str = ""
    #: failed | blocked | damaged | missing
    kind: str = "failed"


@dataclass(frozen=True)
class Run:
    """One arm under one seed."""

    arm: str
    seed: int
    overrides: tuple[str, ...]
    config: dict[str, Any]
    #: stage -> key, in pipeline order
    keys: dict[str, str]
    states: dict[str, str]
    #: what the store has of them
    artifacts: dict[str, Artifact]
    failure: Failure | None

    @property
    def label(self) -> str:
        return f"{self.arm}, seed {self.seed}"

    @property
    def evaluation(self) -> Artifact | None:
        return self.artifacts.get("evaluate")

    @property
    def model(self) -> str:
        """Key of the stage that made the model which is evaluated."""
        return next((self.keys[stage] for stage in reversed(MODEL_STAGES) if stage in self.keys), "")

    @property
    def status(self) -> str:
        """done | failed | blocked | damaged | missing | unfinished | stopped (before evaluation, on purpose)."""
        if self.failure is not None:
            return self.failure.kind
        if self.evaluation is not None:
            return "done"
        open_states = [s for s in self.states.values() if s not in ("hit", "done")]
        return "unfinished" if open_states else "stopped"


@dataclass(frozen=True)
class Sweep:
    """The index of a sweep and everything it points to."""

    name: str
    claim: dict[str, Any]
    runs: tuple[Run, ...]
    plan: dict[str, Any]
    started: str
    finished: str
    #: false for arms that were given on the command line (``dsm run -m a=b,c``) instead of by a sweep file
    declared: bool = True

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.arm for run in self.runs))

    @property
    def scale(self) -> str:
        names = {str((run.config.get("scale") or {}).get("name", "")) for run in self.runs} - {""}
        return ", ".join(sorted(names)) or "unknown"

    def artifacts(self) -> dict[tuple[str, str], Artifact]:
        """Every artifact once, by (stage, key), in the order of first use."""
        return {(s, a.key): a for run in self.runs for s, a in run.artifacts.items()}

    def damage(self) -> list[str]:
        """What is wrong with the store: each damaged or missing artifact once, in the order of first use."""
        failures = [run.failure for run in self.runs if run.failure is not None]
        return list(dict.fromkeys(f.message for f in failures if f.kind in ("damaged", "missing")))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Run the sweep first, or correct its name or paths.store.") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}). Run the sweep again: what is done is kept.") from error


def _lines(data: bytes, path: Path) -> list[dict[str, Any]]:
    try:
        # one call for all lines: half the time of one call for each
        return list(json.loads(b"[" + b",".join(line for line in data.splitlines() if line.strip()) + b"]"))
    except ValueError as error:
        raise StoreError(f"{path}: a line is not JSON ({error}). {_MADE_ANEW}") from error


def _checked(path: Path, digests: dict[str, str]) -> bytes | None:
    """A file's bytes, None where the artifact has no such file; these very bytes are compared with the digest.

    Raises ``StoreError`` where they are not what was published.
    """
    listed = path.name in digests
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if listed:
            raise StoreError(f"{path}: listed in {MANIFEST} but missing. {_MADE_ANEW}") from None
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}). {_MADE_ANEW}") from error
    if not listed:
        raise StoreError(f"{path}: not listed in {MANIFEST}, so it was put there later. {_MADE_ANEW}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != digests[path.name]:
        raise StoreError(
            f"{path}: the file was changed: its sha256 is {digest}, that in {MANIFEST} {digests[path.name]}. "
            f"{_MADE_ANEW}"
        )
    return data


def read_artifact(folder: Path, stage: str, key: str) -> Artifact:
    """Read one published artifact.

    Raises ``DataError`` where it is not in the store and ``StoreError`` where the manifest is not that of this
    artifact, or a file is missing, does not match the manifest's digest, or cannot be parsed; both name the file.
    """
    manifest = _json(folder / MANIFEST)
    defect = manifest_defect(manifest, stage, key)
    if defect is not None:
        raise StoreError(f"{folder / MANIFEST}: {defect}. {_MADE_ANEW}")
    content = {name: data for name in _READ if (data := _checked(folder / name, manifest["files"])) is not None}

    def single(name: str) -> dict[str, Any]:
        if name not in content:
            return {}
        try:
            return dict(json.loads(content[name]))
        except (ValueError, TypeError) as error:
            raise StoreError(f"{folder / name}: not a JSON object ({error}). {_MADE_ANEW}") from error

    return Artifact(
        stage=stage,
        key=key,
        manifest=manifest,
        record=single("record.json"),
        cost=single("cost.json"),
        metrics=_lines(content.get("metrics.jsonl", b""), folder / "metrics.jsonl"),
        samples=_lines(content.get("samples.jsonl", b""), folder / "samples.jsonl"),
        at_k=_lines(content.get("at_k.jsonl", b""), folder / "at_k.jsonl"),
        curve=single("curve.json"),
        times=_lines(content.get("times.jsonl", b""), folder / "times.jsonl"),
    )


def in_order(stages: Iterable[str]) -> list[str]:
    """Stage names in pipeline order, unknown ones last."""
    return sorted(stages, key=lambda s: (STAGE_ORDER.index(s) if s in STAGE_ORDER else len(STAGE_ORDER), s))


class _Reader:
    """Reads each artifact once, however many runs share it."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.seen: dict[tuple[str, str], Artifact | Failure] = {}

    def __call__(self, stage: str, key: str) -> Artifact | Failure:
        if (stage, key) not in self.seen:
            self.seen[stage, key] = self._read(stage, key)
        return self.seen[stage, key]

    def _read(self, stage: str, key: str) -> Artifact | Failure:
        folder = Path(stage) / key
        try:
            return read_artifact(self.store / folder, stage, key)
        except DataError:
            return Failure(stage, f"{folder}: the index calls it done, but the store does not have it.", kind="missing")
        except StoreError as error:
            return Failure(stage, str(error).replace(f"{self.store}/", ""), kind="damaged")


def _run(arm: dict[str, Any], read: _Reader) -> Run:
    keys = {stage: str(arm["stages"][stage]) for stage in in_order(arm.get("stages") or {})}
    states = dict(arm.get("states") or {})
    failure: Failure | None = None
    if arm.get("error"):
        error = arm["error"]
        failure = Failure(str(error.get("stage", "")), str(error.get("message", "")), str(error.get("traceback") or ""))
    artifacts: dict[str, Artifact] = {}
    for stage, key in keys.items():
        state = states.get(stage, "waiting")
        if state in ("hit", "done"):
            got = read(stage, key)
            if isinstance(got, Artifact):
                artifacts[stage] = got
            elif failure is None:
                failure = got
        elif state in ("failed", "blocked") and failure is None:
            message = "failed without a message" if state == "failed" else "not run, because a stage before it failed"
            failure = Failure(stage, message, kind=state)
    if failure is not None and failure.stage in keys:
        # results of a later stage cannot be trusted when an earlier artifact is damaged
        later = list(keys)[list(keys).index(failure.stage) :]
        artifacts = {stage: a for stage, a in artifacts.items() if stage not in later}
    return Run(
        arm=str(arm["name"]),
        seed=int(arm.get("seed") or 0),
        overrides=tuple(str(o) for o in arm.get("overrides") or ()),
        config=dict(arm.get("config") or {}),
        keys=keys,
        states=states,
        artifacts=artifacts,
        failure=failure,
    )


def read_sweep(store_root: Path, name: str) -> Sweep:
    """Read ``<store>/sweeps/<name>/arms.json`` and the records that it points to.

    Raises ``DataError`` if there is no such sweep, ``StoreError`` if its index cannot be read.
    """
    path = Path(store_root) / "sweeps" / name / "arms.json"
    index = _json(path)
    if not isinstance(index, dict) or not isinstance(index.get("arms"), list):
        raise StoreError(f"{path}: has no list of arms. Run the sweep again: what is done is kept.")
    read = _Reader(Path(store_root))
    try:
        runs = tuple(_run(arm, read) for arm in index["arms"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path}: an arm is not as expected ({error!r}). Run the sweep again.") from error
    return Sweep(
        name=str(index.get("name") or name),
        claim=dict(index.get("sweep") or {}),
        runs=runs,
        plan=dict(index.get("plan") or {}),
        started=str(index.get("started") or ""),
        finished=str(index.get("finished") or ""),
        declared=bool(index.get("declared", True)),
    )
