"""Two trainers that take turns step by step inside their own loops, and how long each part of a step takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import TrainerCallback


class _NoMoreTurnsError(Exception):
    pass


@dataclass
class Step:
    """Seconds by part; ``total`` is from the loop's ``on_step_begin`` to its ``on_step_end``."""

    total: float = 0.0
    sampling: float = 0.0
    reference: float = 0.0
    processor: float = 0.0
    tokens: int = 0

    @property
    def rest(self) -> float:
        return self.total - self.sampling - self.reference


@dataclass
class Player(TrainerCallback):
    """One side. Its thread runs the trainer's loop and waits at the start of a step until it is its turn."""

    name: str
    threads: int
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.error: BaseException | None = None
        self.stopping = False
        self.step = Step()

    def start(self, trainer: Any) -> None:
        def run() -> None:
            torch.set_num_threads(self.threads)
            try:
                trainer.train()
            except _NoMoreTurnsError:
                return
            except BaseException as error:
                self.error = error
            self.done.release()

        self.thread = threading.Thread(target=run, name=self.name, daemon=True)
        self.thread.start()
        self._wait()

    def play(self) -> Step:
        """Let the loop do one step."""
        self.go.release()
        self._wait()
        return self.steps[-1]

    def stop(self) -> None:
        """Leave the loop before its next step."""
        self.stopping = True
        self.go.release()
        self.thread.join()

    def _wait(self) -> None:
        self.done.acquire()
        if self.error is not None:
            raise self.error

    # called by the loop, in its own thread
    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.done.release()
        self.go.acquire()
        if self.stopping:
            raise _NoMoreTurnsError
        self.step = Step()
        self._began, self._processor = time.perf_counter(), time.process_time()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.step.total = time.perf_counter() - self._began
        self.step.processor = time.process_time() - self._processor
        self.steps.append(self.step)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            setattr(self.step, name, getattr(self.step, name) + time.perf_counter() - began)

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return call


def watch_theirs(trainer: Any, player: Player) -> None:
    """Sampling is ``generate`` with the masking after it; the reference is every scoring pass without a gradient."""
    single, score = trainer._generate_single_turn, trainer._get_per_token_logps_and_entropies

    def generate(*args: Any, **kwargs: Any) -> Any:
        with player.part("sampling"):
            result = single(*args, **kwargs)
        player.step.tokens += sum(map(len, result[0]))
        return result

    def scored(model: Any, *args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled():
            return score(model, *args, **kwargs)
        with player.part("reference"):
            return score(model, *args, **kwargs)

    trainer._generate_single_turn, trainer._get_per_token_logps_and_entropies = generate, scored


def watch_ours(trainer: Any, player: Player) -> None:
    """The same parts."""
    sampler = trainer.task.sampler

    def sample(*args: Any) -> Any:
        with player.part("sampling"):
            drawn = sampler(*args)
        player.step.tokens += int(drawn.batch.lengths.sum())
        return drawn

    object.__setattr__(trainer.task, "sampler", sample)
    trainer._reference_logps = player.timed(trainer._reference_logps, "reference")
