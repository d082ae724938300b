"""How a running sweep is shown: a live grid of arms x stages on a terminal, plain lines elsewhere.

A thread reads the progress files that the workers write, so the view does not care where they run.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from dsm_repro.pipeline.graph import Node
from dsm_repro.pipeline.index import BLOCKED, DONE, FAILED, FINISHED, HIT, PREEMPTED, RUNNING, WAITING, Index
from dsm_repro.pipeline.plan_text import amount, duration
from dsm_repro.pipeline.progress import read_progress

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

POLL_SECONDS = 0.5
#: between two plain lines about the same stages
PLAIN_SECONDS = 10.0

UNDER_WAY = (WAITING, RUNNING)
SYMBOLS = {
    HIT: "[green]stored[/]", DONE: "[green]done[/]", RUNNING: "[yellow]running[/]", WAITING: "[dim]waiting[/]",
    FAILED: "[bold red]failed[/]", BLOCKED: "[red]blocked[/]", PREEMPTED: "[yellow]preempted[/]",
}  # fmt: skip


def describe(progress: Mapping[str, Any]) -> str:
    """``12/400 steps · 2.3/s · 3 min left`` from one progress file."""
    done, total, unit = float(progress["done"]), float(progress["total"]), str(progress["unit"])
    if total <= 0:
        return duration(time.time() - float(progress["started"]))
    elapsed = float(progress["updated"]) - float(progress["first_at"])
    rate = (done - float(progress["first_done"])) / elapsed if elapsed > 0 else 0.0
    text = f"{amount(done) if done else 0}/{amount(total)} {unit}"
    return f"{text} · {amount(rate)}/s · {duration((total - done) / rate)} left" if rate > 0 else text


def in_order(arms: Sequence[Mapping[str, str]]) -> list[str]:
    """The stages of all arms, each where the longest way to it puts it: an arm may leave some out."""
    places: dict[str, int] = {}
    for arm in arms:
        for place, stage in enumerate(arm):
            places[stage] = max(place, places.get(stage, 0))
    return sorted(places, key=lambda stage: places[stage])


def _duplicate_stderr() -> TextIO:
    sys.stderr.flush()
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace")
    except (OSError, ValueError):  # replaced by a stream without a descriptor (a notebook, a test)
        return sys.stderr


class LiveView:
    """A context manager around a sweep; ``watching`` goes around each wave."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._live: Live | None = None
        self._watched: list[Node] = []
        self._progress: dict[str, Mapping[str, Any]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dsm-liveview", daemon=True)
        self._said_at = time.monotonic()
        self._began = time.monotonic()
        #: stderr as it is now: a stage that runs in this process has its output sent to a file
        self._stream = _duplicate_stderr()

    def __enter__(self) -> LiveView:
        if self._stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self._grid(), console=Console(file=self._stream), refresh_per_second=4)
            self._live.start()
        else:
            to_do = sum(state == WAITING for state in self._index.states.values())
            expected = duration(self._index.plan.seconds)
            self._say(f"{self._index.sweep.name}: {to_do} of {len(self._index.states)} stages to do, about {expected}")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._live is not None:
            self._live.update(self._grid())
            self._live.stop()
        else:
            finished = sum(state in FINISHED for state in self._index.states.values())
            took = duration(time.monotonic() - self._began)
            self._say(f"{self._index.sweep.name}: {finished} of {len(self._index.states)} stages done, in {took}")

    @contextmanager
    def watching(self, nodes: Sequence[Node]) -> Iterator[None]:
        """Show these stages as they run, and how they ended; that is to be noted inside."""
        self._watched = list(nodes)
        try:
            yield
        finally:
            watched, self._watched = self._watched, []
            for node in watched:
                if self._live is None:
                    state = self._index.states[node.id]
                    self._say(f"{'not finished' if state in UNDER_WAY else state}: {self._name(node)}")

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._progress = {f"{p['stage']}/{p['key']}": p for p in read_progress(self._index.store.root)}
            for node in list(self._watched):
                self._notice(node)
            if self._live is not None:
                self._live.update(self._grid())
            elif time.monotonic() - self._said_at >= PLAIN_SECONDS:
                for node in self._watched:
                    if node.id in self._progress:
                        self._say(f"  {self._name(node)}: {describe(self._progress[node.id])}")

    def _notice(self, node: Node) -> None:
        """Move a watched stage from waiting to running, and from running to done as it is published."""
        # the sweep itself notes how stages ended, at any moment, and has the last word
        if self._index.store.path(node.stage, node.key).exists():
            self._index.set(node, DONE, after=UNDER_WAY)
        elif node.id in self._progress and self._index.set(node, RUNNING, after=(WAITING,)) and self._live is None:
            self._say(f"start: {self._name(node)}")

    def _name(self, node: Node) -> str:
        arms = [self._index.sweep.arms[i] for i in node.arms]
        names = list(dict.fromkeys(arm.name for arm in arms))
        who = f"{names[0]}, seed {arms[0].seed}" if len(arms) == 1 else ", ".join(names)
        shared = f" (shared by {len(arms)} runs)" if len(arms) > 1 else ""
        return f"{node.stage} {node.key[:8]} [{who}]{shared}"

    def _say(self, line: str) -> None:
        self._said_at = time.monotonic()
        print(line, file=self._stream, flush=True)

    def _grid(self) -> Table:
        from rich.table import Table

        took = duration(time.monotonic() - self._began)
        expected = duration(self._index.plan.seconds)
        table = Table(title=f"{self._index.sweep.name} · {took} (planned: about {expected})", title_justify="left")
        stages = in_order(self._index.graph.arms)
        for column in ("arm", "seed", *stages):
            table.add_column(column)
        shown: set[str] = set()
        for arm, keys in zip(self._index.sweep.arms, self._index.graph.arms, strict=True):
            table.add_row(arm.name, str(arm.seed), *(self._cell(stage, keys, shown) for stage in stages))
        return table

    def _cell(self, stage: str, keys: Mapping[str, str], shown: set[str]) -> str:
        if stage not in keys:
            return ""
        id = f"{stage}/{keys[stage]}"
        state = self._index.states[id]
        if state == RUNNING and id in shown:
            return "[dim]shared[/]"
        if state == RUNNING and id in self._progress:
            shown.add(id)
            return f"[yellow]{describe(self._progress[id])}[/]"
        return SYMBOLS[state]
