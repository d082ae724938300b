"""Killable worker processes that speak JSON lines: the parent's side.

Graders and sandboxes hand hostile text to processes of their own, so that a wall clock kept *outside*
can end whatever it does. No signal handler and no alarm is used here: any thread may call.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

READ_BYTES = 65_536
#: a worker's answer is never longer; one that is means that the worker is broken
MAX_LINE_BYTES = 16_000_000


class WorkerDiedError(Exception):
    """The process ended, or closed its pipe, before it answered."""


class Worker:
    """One child process; a request and its answer are one JSON line each. Not for two threads at once."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Ctrl-C at the terminal is the parent's to handle.
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._buffer = bytearray()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, message: dict[str, Any], deadline: float) -> None:
        """Write one line. ``deadline`` is on ``time.monotonic()``; raises TimeoutError or WorkerDiedError."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            try:
                data = data[os.write(self._in, data) :]
            except BlockingIOError:
                _wait(self._in, selectors.EVENT_WRITE, deadline)
            except BrokenPipeError:
                raise WorkerDiedError(f"worker {self.process.pid} closed its pipe") from None

    def receive(self, deadline: float) -> dict[str, Any]:
        """Read one line; a line that is no JSON object (cut off by a kill) is passed over."""
        while True:
            while (end := self._buffer.find(b"\n")) >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                if isinstance(message, dict):
                    return message
            if len(self._buffer) > MAX_LINE_BYTES:
                raise WorkerDiedError(f"worker {self.process.pid} wrote a line of more than {MAX_LINE_BYTES} bytes")
            _wait(self._out, selectors.EVENT_READ, deadline)
            data = os.read(self._out, READ_BYTES)
            if not data:
                raise WorkerDiedError(f"worker {self.process.pid} closed its pipe")
            self._buffer += data

    def kill(self) -> None:
        """End the process and take its remains away; harmless if it has ended."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def _wait(fd: int, event: int, deadline: float) -> None:
    with selectors.PollSelector() as selector:
        selector.register(fd, event)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError


class _State:
    """What a pool holds; apart from it so that the finalizer keeps no reference to the pool."""

    def __init__(self, size: int) -> None:
        self.pid = os.getpid()
        self.slots = threading.Semaphore(size)
        self.lock = threading.Lock()
        self.idle: list[Worker] = []
        self.all: list[Worker] = []
        # Workers ask to be killed when the *thread* that started them ends (PR_SET_PDEATHSIG), so they are all
        # started by this one thread, which lives as long as the pool.
        self.spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")

    def close(self) -> None:
        if self.pid != os.getpid():
            # A forked copy: the workers are the parent's.
            return
        self.spawner.shutdown(wait=True)
        with self.lock:
            workers, self.all, self.idle = self.all, [], []
        for worker in workers:
            worker.kill()


class Pool:
    """At most ``size`` workers, started when first needed and used again; safe from any thread and after a fork."""

    def __init__(self, start: Callable[[], Worker], size: int) -> None:
        self._start, self.size = start, size
        self._renew()

    def _renew(self) -> None:
        self._state = _State(self.size)
        self._finalizer = weakref.finalize(self, _State.close, self._state)

    @property
    def started(self) -> int:
        """Workers that now exist."""
        return len(self._state.all) if self._state.pid == os.getpid() else 0

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """A worker for this thread alone; one that is dead afterwards is not used again."""
        if self._state.pid != os.getpid() or not self._finalizer.alive:
            self._renew()
        state = self._state
        with state.slots:
            with state.lock:
                worker = state.idle.pop() if state.idle else None
            if worker is None:
                worker = state.spawner.submit(self._start).result()
                with state.lock:
                    state.all.append(worker)
            try:
                yield worker
            except BaseException:
                # Interrupted between a request and its answer: the next request would read the wrong one.
                worker.kill()
                raise
            finally:
                with state.lock:
                    if worker.alive:
                        state.idle.append(worker)
                    elif worker in state.all:
                        state.all.remove(worker)

    def close(self) -> None:
        """End every worker. A later use starts new ones."""
        self._finalizer()
