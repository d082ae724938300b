"""The one grader of reward and evaluation: rules in this process, parsers in killable ones.

Answers are hostile input. Nothing here evaluates one: a worker process parses it, a wall clock kept in
this process ends the worker, and the outcome is then *ungradable*, counted and shown apart from wrong.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.reasoning.grading import exact
from dsm_repro.reasoning.grading.algebra import UNKNOWN
from dsm_repro.reasoning.grading.guards import MAX_ANSWER_CHARS, refusal
from dsm_repro.reasoning.grading.registry import RULES_VERSION, rule_set
from dsm_repro.reasoning.grading.verdict import NO_ANSWER, Verdict, correct, incorrect, ungradable
from dsm_repro.reasoning.processes import Pool, Worker, WorkerDiedError

if TYPE_CHECKING:
    # For the type alone: the worker imports this package, and need not import omegaconf.
    from dsm_repro.config.evaluation_schema import GraderConfig

#: importing math-verify on a busy machine, seconds
START_SECONDS = 120.0
#: forking a new child after a kill, seconds
REFORK_SECONDS = 10.0
#: verdicts remembered: rollouts of one question repeat the same few answers
MEMORY = 8_192

_STRING, _NUMBER, _NOT_NUMBER = correct("string"), correct("number"), incorrect("number")


class _ParsingWorker(Worker):
    """A worker process (see ``grading/worker.py``) and the generation of its serving child."""

    def __init__(self, name: str) -> None:
        self._name = name
        # The package may be used from a checkout that is not installed.
        root = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        argv = [sys.executable, "-m", "dsm_repro.reasoning.grading.worker", str(os.getpid())]
        super().__init__(argv, {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"})
        self._ids = itertools.count()
        self._generation = 0
        try:
            self._await_ready(time.monotonic() + START_SECONDS)
        except (WorkerDiedError, TimeoutError):
            self.kill()
            raise ConfigError(
                f"grader.name={name}: its worker process did not start within {START_SECONDS:.0f} s. "
                f"Run `{' '.join(argv)}` to see why."
            ) from None

    def _await_ready(self, deadline: float) -> None:
        while True:
            message = self.receive(deadline)
            if "problem" in message:
                self.kill()
                raise ConfigError(
                    f"grader.name={self._name}: it cannot parse LaTeX here: {message['problem']}. "
                    "Install `math-verify` with `latex2sympy2_extended[antlr4-9-3]`."
                )
            if "ready" in message:
                self._generation = message["ready"]
                return

    def grade(self, prediction: str, gold: str, timeout: float) -> Verdict:
        number = next(self._ids)
        request = {
            "id": number,
            "rules": self._name,
            "prediction": prediction,
            "gold": gold,
            "generation": self._generation,
        }
        deadline = time.monotonic() + timeout
        try:
            self.send(request, deadline)
            while True:
                message = self.receive(deadline)
                if message.get("id") == number:
                    return Verdict(message["status"], message["reason"])
                if "ready" in message:
                    self._generation = message["ready"]
                    return ungradable("worker_died")
        except TimeoutError:
            self._replace_child()
            return ungradable("timeout")
        except WorkerDiedError:
            self.kill()
            return ungradable("worker_died")

    def _replace_child(self) -> None:
        self.process.send_signal(signal.SIGUSR1)
        try:
            self._await_ready(time.monotonic() + REFORK_SECONDS)
        except (WorkerDiedError, TimeoutError):
            self.kill()


class Grader:
    """Decides whether an answer equals the gold answer. Safe from any thread; use it as a context manager.

    Rules, first that applies (``docs/grading.md`` has them with examples):

    1. no prediction, or a blank one: *no_answer*
    2. the same text: *correct*
    3. longer, deeper or larger than ``grading/guards.py`` allows: *ungradable*
    4. both plain numbers: decided exactly (``0.5`` is ``1/2``, ``50`` is not ``0.5``)
    5. units, lists, intervals, words, values far apart: ``grading/compare.py``
    6. what these leave open: the same with math-verify, in a worker process; past ``config.timeout`` seconds
       *ungradable*

    Rules 4 to 6 are those of ``grader.name=math_verify``; the names in ``grading/registry.py`` put the rules of a
    published grader in their place. Workers start at the first answer that needs a parser. Raises ConfigError for an
    unknown ``grader.name``, or if LaTeX cannot be parsed here.
    """

    def __init__(self, config: GraderConfig, workers: int = 1) -> None:
        self._rules = rule_set(config.name)
        if not config.timeout > 0:
            raise ConfigError(f"grader.timeout={config.timeout}: the wall clock must be positive. Set it to, say, 5.")
        self._name, self._timeout = config.name, config.timeout
        self._pool = Pool(partial(_ParsingWorker, config.name), workers)
        self._seen: OrderedDict[tuple[str, str], Verdict] = OrderedDict()

    @property
    def id(self) -> str:
        """Name and versions for the protocol record: equal ids give equal verdicts."""
        versions = [version(library) for library in self._rules.libraries]
        return f"{'/'.join((self._name, *versions))}+dsm{RULES_VERSION}"

    @property
    def workers_started(self) -> int:
        return self._pool.started

    def grade(self, prediction: str | None, gold: str) -> Verdict:
        """The verdict on one answer. Never raises because of what the answer is."""
        verdict = self._cheap(prediction, gold)
        if verdict is not None:
            return verdict
        assert prediction is not None
        return self._parsed(self._rules.prepare(prediction), self._rules.prepare(gold))

    def grade_many(self, pairs: Iterable[tuple[str | None, str]]) -> list[Verdict]:
        """Verdicts on (prediction, gold) pairs, in their order; as many at once as there are workers."""
        pairs = list(pairs)
        verdicts = [self._cheap(prediction, gold) for prediction, gold in pairs]
        if all(verdict is not None for verdict in verdicts):
            return [verdict for verdict in verdicts if verdict is not None]
        open_pairs = list(
            dict.fromkeys(
                (self._rules.prepare(prediction or ""), self._rules.prepare(gold))
                for (prediction, gold), verdict in zip(pairs, verdicts, strict=True)
                if verdict is None
            )
        )
        if self._pool.size == 1:
            found = [self._parsed(*pair) for pair in open_pairs]
        else:
            with ThreadPoolExecutor(self._pool.size) as threads:
                found = list(threads.map(lambda pair: self._parsed(*pair), open_pairs))
        by_pair = dict(zip(open_pairs, found, strict=True))
        return [
            verdict
            if verdict is not None
            else by_pair[self._rules.prepare(prediction or ""), self._rules.prepare(gold)]
            for (prediction, gold), verdict in zip(pairs, verdicts, strict=True)
        ]

    def close(self) -> None:
        """End the workers; the grader may be used again afterwards."""
        self._pool.close()

    def __enter__(self) -> Grader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cheap(self, prediction: str | None, gold: str) -> Verdict | None:
        """Rules 1 to 5; None where a parser is needed."""
        if prediction is None:
            return NO_ANSWER
        if prediction == gold and gold:
            return _STRING
        if self._rules.exact_numbers and len(prediction) <= MAX_ANSWER_CHARS and len(gold) <= MAX_ANSWER_CHARS:
            # Two plain numbers need none of what follows; nearly all answers of word problems are that.
            gold_value = exact.number(gold)
            value = exact.number(prediction) if gold_value is not None else None
            if value is not None and gold_value is not None:
                return _NUMBER if exact.equal_numbers(prediction, value, gold_value) else _NOT_NUMBER
        if not prediction.strip():
            return NO_ANSWER
        if not gold.strip():
            return ungradable("gold_blank")
        for side, text in (("", prediction), ("gold_", gold)):
            if reason := refusal(text):
                return ungradable(side + reason)
        prediction, gold = self._rules.prepare(prediction), self._rules.prepare(gold)
        right, reason = self._rules.judge(prediction, gold, UNKNOWN)
        return None if right is None else correct(reason) if right else incorrect(reason)

    def _parsed(self, prediction: str, gold: str) -> Verdict:
        """Rule 6, remembered."""
        key = (prediction, gold)
        verdict = self._seen.get(key)
        if verdict is None:
            with self._pool.worker() as worker:
                assert isinstance(worker, _ParsingWorker)
                verdict = worker.grade(prediction, gold, self._timeout)
            # What depended on the clock or on memory may go otherwise another time.
            if verdict.status != "ungradable":
                self._seen[key] = verdict
                while len(self._seen) > MEMORY:
                    self._seen.popitem(last=False)
        return verdict
