"""What one page may cost. A page past a limit is refused with a reason, so that a shard always finishes.

The parsers are C and Rust code that no signal interrupts, so what they are given is bounded before they run:
bytes, elements, attributes of one tag, and nesting, in which their time is quadratic. The timer is for
our own loops. None of the limits is near what a page written for people needs.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

#: a page of 2 MB with 10 bytes to every tag
MAX_ELEMENTS = 200_000
#: parsers compare each attribute of a tag with those before it: 2,000 take 30 ms, 30,000 take 6 s
MAX_ATTRIBUTES = 2_000
#: a shorter page has no room for a costly number of attributes
_ATTRIBUTE_SCAN_CHARACTERS = 20_000

_START_TAG = re.compile(r"<[a-zA-Z]")
#: one attribute as HTML's tokenizer sees it; possessive, so that a scan is linear from every start tag
_ATTRIBUTE = r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+)?+)?+"""
#: in a script, a comparison may pass for a tag: of 16,310 pages of manuals and 1,150 scripts none was refused for it
_CROWDED_TAG = re.compile(rf"<[a-zA-Z][^\s/>]*+(?:{_ATTRIBUTE}){{{MAX_ATTRIBUTES}}}")


class PageRefusedError(Exception):
    """A page past a limit. ``reason`` is counted, ``detail`` is for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class _TimeIsUp(BaseException):
    pass


def check_size(body: bytes | str, limit: int) -> None:
    """Refuse a page of more than ``limit`` bytes (``too_large``)."""
    size = len(body)
    if size <= limit and isinstance(body, str) and not body.isascii():
        size = len(body.encode("utf-8", "replace"))
    if size > limit:
        raise PageRefusedError("too_large", f"{size} bytes, at most {limit}")


def check_source(html: str) -> int:
    """Number of start tags in a page; refuse one with too many tags, or too many attributes in one tag."""
    # scripts and comments may hold what looks like a tag: an upper bound is all that is needed
    elements = len(_START_TAG.findall(html))
    if elements > MAX_ELEMENTS:
        raise PageRefusedError("too_many_elements", f"{elements} tags, at most {MAX_ELEMENTS}")
    if len(html) > _ATTRIBUTE_SCAN_CHARACTERS and _CROWDED_TAG.search(html):
        raise PageRefusedError("too_many_elements", f"a tag with {MAX_ATTRIBUTES} attributes or more")
    return elements


def check_depth(root: etree._Element, elements: int, limit: int) -> None:
    """Refuse a tree with more than ``limit`` elements inside one another (``too_deep``)."""
    if elements > limit and _deeper_than(limit)(root):
        raise PageRefusedError("too_deep", f"more than {limit} elements inside one another")


@lru_cache
def _deeper_than(depth: int) -> etree.XPath:
    from lxml import etree

    # level after level in C: linear in the elements
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Refuse what takes more processor time than this (``too_slow``).

    Processor seconds of this process outside the kernel, so that a loaded machine decides as an idle one.
    Signals reach only a process's main thread: in any other thread there is no timer, and only the
    limits on size, elements and depth hold.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGVTALRM, _stop)
    outer, _ = signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    except _TimeIsUp:
        raise PageRefusedError("too_slow", f"more than {seconds:g} processor seconds") from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, outer)
        signal.signal(signal.SIGVTALRM, previous)


def _stop(signum: int, frame: FrameType | None) -> None:
    raise _TimeIsUp
