"""The process that parses answers: ``python -m dsm_repro.reasoning.grading.worker PARENT_PID``.

The first process imports math-verify once (a second or two) and forks a child that serves; it never
sees an answer itself. The parent ends a child that takes too long by SIGUSR1 to the first process,
which kills it and forks the next one in milliseconds. Everything dies with the parent: by death signal
on Linux, elsewhere by the end of standard input.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import resource
import signal
import sys
from functools import lru_cache
from typing import Any

from dsm_repro.reasoning.grading import exact_values
from dsm_repro.reasoning.grading.algebra import Algebra
from dsm_repro.reasoning.grading.registry import rule_set
from dsm_repro.reasoning.linux import die_with_parent, virtual_memory

#: address space that one answer may add, bytes: far more than any honest answer needs
MEMORY_BYTES = 1_000_000_000
_MIXED = re.compile(r"(\d)\s*(?=\\frac)")
#: math-verify takes a lone i for the imaginary unit and the i of 5i for a variable
_IMAGINARY = re.compile(r"(?<=\d)i(?![A-Za-z])")
#: a comma that groups digits
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def _reply(out: int, message: dict[str, Any]) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(out, data) :]


class _UnparsedError(Exception):
    """``gold_unparsed``, or ``unparsed`` for the prediction."""


class _Parsing(Algebra):
    """math-verify and SymPy on LaTeX, with their own alarms off: the wall clock is the parent's."""

    def equal(self, prediction: str, gold: str) -> bool:
        from math_verify import verify

        golds = _parse(gold)
        if not golds:
            raise _UnparsedError("gold_unparsed")
        predictions = _parse_whole(prediction)
        if not predictions:
            return False
        exactly = exact_values.equal(prediction, gold, predictions[0], golds[0])
        if exactly is not None:
            return exactly
        if not verify(golds, predictions, timeout_seconds=None, raise_on_error=True):
            return False
        return exact_values.agree(predictions[0], golds[0])

    def difference_is_zero(self, prediction: str, gold: str) -> bool:
        from sympy import simplify

        a, b = _expression(prediction), _expression(gold)
        try:
            return a is not None and b is not None and bool(simplify(a - b) == 0)
        except exact_values.NO_VALUE:
            return False

    def values_close(self, prediction: str, gold: str, tolerance: float) -> bool:
        from sympy import N

        try:
            a, b = (float(N(_expression(text))) for text in (prediction, gold))
            return math.isclose(a, b, abs_tol=tolerance)
        except exact_values.NO_VALUE:
            return False


def _parse(text: str) -> list[Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    return parse(
        _delimited(text), extraction_config=[LatexExtractionConfig(), ExprExtractionConfig()], parsing_timeout=None
    )


def _parse_whole(text: str) -> list[Any]:
    """A prediction as one formula: where that cannot be read, no number or fraction in it is looked for."""
    from math_verify import LatexExtractionConfig, parse

    return parse(
        _delimited(text),
        extraction_config=[LatexExtractionConfig()],
        extraction_mode="first_match",
        parsing_timeout=None,
    )


def _delimited(text: str) -> str:
    # The answer is already extracted: math delimiters around it make the whole of it the candidate.
    inside = _IMAGINARY.sub(" i", text.replace("\\$", "").replace("$", "").replace("\n", " "))
    return f"${inside}$"


@lru_cache(maxsize=64)
def _expression(text: str) -> Any:
    """What the LaTeX parser reads; None if it cannot. Its grammar builds trees: no text is run as a program."""
    from latex2sympy2_extended import latex2sympy

    if "," in _GROUPED.sub("", text):
        # A list; the parser would read `0,1` as a number.
        return None
    try:
        # SymPy's own parser, which the published graders use, has no mixed numbers.
        return latex2sympy(_MIXED.sub(r"\1 \\cdot ", text), normalization_config=None)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # the library raises many kinds
        return None


def judge(rules: str, prediction: str, gold: str) -> tuple[str, str]:
    """(status, reason) by the rule set of that name, with a parser behind it."""
    try:
        right, reason = rule_set(rules).judge(prediction, gold, _Parsing())
        return ("correct" if right else "incorrect"), reason
    except _UnparsedError as error:
        return "ungradable", str(error)
    except (MemoryError, RecursionError, OverflowError) as error:
        return "ungradable", type(error).__name__
    except Exception as error:  # the library raises many kinds on forms that it cannot compare
        return "incorrect", f"not_comparable:{type(error).__name__}"


def self_check() -> str | None:
    """What is wrong with the LaTeX parser; None if it works. A wrong antlr makes it fail without a word."""
    # asked of the parser itself: our rules know the first pair without it
    for prediction, gold in ((r"\frac12", "1/2"), (r"2\sqrt{2}", r"\sqrt{8}")):
        try:
            right, why = _Parsing().equal(prediction, gold), "they are read as different"
        except ImportError:
            raise
        except Exception as error:  # whatever a broken library raises is what is wrong
            right, why = False, f"{type(error).__name__}: {error}"
        if not right:
            return f"{prediction} does not equal {gold} ({why})"
    return None


def _serve(requests: int, out: int, generation: int) -> None:
    """Answer requests until their pipe closes. Runs in the forked child."""
    if sys.platform.startswith("linux"):
        limit = virtual_memory() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _reply(out, {"ready": generation})
    buffer = b""
    while True:
        end = buffer.find(b"\n")
        if end < 0:
            data = os.read(requests, 65_536)
            if not data:
                return
            buffer += data
            continue
        line, buffer = buffer[:end], buffer[end + 1 :]
        try:
            request = json.loads(line)
        except ValueError:
            continue
        if request["generation"] != generation:
            # Written for a child that was killed before it could read it.
            continue
        status, reason = judge(request["rules"], request["prediction"], request["gold"])
        _reply(out, {"id": request["id"], "status": status, "reason": reason})


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    # What libraries print must not reach the pipe of answers.
    out = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    try:
        problem = self_check()
    except ImportError as error:
        problem = str(error)
    if problem is not None:
        _reply(out, {"problem": problem})
        return

    child = 0

    def end_child(signum: int, frame: object) -> None:
        if child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGUSR1, end_child)
    # a batch system tells every process of a job that it will end: ours ends with its parent, who may have work to save
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    generation = 0
    while True:
        generation += 1
        me = os.getpid()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            try:
                die_with_parent(me)
                _serve(0, out, generation)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        child = 0
        if os.WIFEXITED(status):
            # Its input ended, or it could not go on: nothing was killed, so nothing is waiting.
            return
        os.write(out, b"\n")


if __name__ == "__main__":
    main()
