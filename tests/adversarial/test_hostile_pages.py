"""No page costs more than a bounded time and memory, and none makes extraction raise."""

from __future__ import annotations

import random
import signal
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsm_repro.config.corpus_schema import CorpusConfig, ExtractionConfig
from dsm_repro.corpus.extraction import extract
from dsm_repro.corpus.extraction.guards import MAX_ATTRIBUTES, PageRefusedError, time_limit
from dsm_repro.corpus.pages import Drop, Page, RawPage

URL = "http://a.example/x"
#: far above what any page below takes, and far below what one takes where a guard is missing
MAX_SECONDS = 6.0


def outcome(body: bytes | str, **limits: float) -> str:
    """The reason of the drop, or "page"."""
    config = CorpusConfig(extraction=ExtractionConfig(**limits))  # type: ignore[arg-type]
    start = time.process_time()
    found = extract(RawPage(URL, body, html=True, source="f"), config)
    assert time.process_time() - start < MAX_SECONDS
    return "page" if isinstance(found, Page) else found.reason


def nested(opening: str, closing: str, depth: int, times: int = 1, inside: str = "text") -> bytes:
    return ((opening * depth + inside + closing * depth) * times).encode()


NAMES = " ".join(f"a{number}" for number in range(10**6))
REFUSED = {
    "a page of 100 MB": (b"<p>" + b"a" * 10**8, "too_large"),
    "100 MB of text": ("é" * 10**8, "too_large"),
    "bytes of two-byte signs": ("é" * 1_500_000, "too_large"),
    "10,000 elements inside one another": (nested("<div>", "</div>", 10_000), "too_deep"),
    "3,000, where the parser cuts off": (b"<p>before" + nested("<div>", "</div>", 3_000), "too_deep"),
    "501": (nested("<div>", "</div>", 501), "too_deep"),
    "1,000,000 unclosed tags": (b"<b>" * 1_000_000, "too_large"),
    "200,000 unclosed tags": (b"<b>" * 200_001, "too_many_elements"),
    "10,000 unclosed superscripts": (b"x<sup>" * 10_000, "too_deep"),
    "nested tables": (b"<table><tr><td>" * 10_000, "too_deep"),
    "a million attributes": (f"<p {NAMES}>x</p>".encode(), "too_large"),
    "100,000 attributes": (f"<p {NAMES[:600_000]}>x</p>".encode(), "too_many_elements"),
    "attributes behind quoted brackets": (
        ("<p " + " ".join(f"a{n}='<>'" for n in range(9_000)) + ">x</p>").encode(), "too_many_elements",
    ),
    "attributes behind a stray quote": (
        ('<p " x=" > ' + " ".join(f"a{n}" for n in range(9_000)) + '" ' + NAMES[:90_000] + ">x").encode(),
        "too_many_elements",
    ),
    "nothing": (b"", "no_text"),
    "blanks": (b" \n\t " * 1_000, "no_text"),
    "an open comment": (b"<!--" * 100_000, "not_parsed"),
    "scripts alone": (b"<script>var x = 1</script>" * 1_000, "no_text"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_page_past_a_limit_is_refused_with_its_reason(name: str) -> None:
    body, reason = REFUSED[name]
    assert outcome(body) == reason


#: pages within the limits that take quadratic time in one parser or another, or in a careless loop over the tree
TRAPS = {
    "500 elements inside one another": nested("<div>", "</div>", 497),
    "formatting elements, reopened in every paragraph": (
        ("".join(f"<font size={n}><p>" for n in range(240)) + "x" + "</p></font>" * 240) * 150
    ).encode(),
    "options": b"<select>" + b"<option>x" * 150_000,
    "superscripts beside one another": b"<p>" + b"x<sup>2</sup>" * 80_000,
    "superscripts inside one another": nested("<sup>", "</sup>", 450, times=80),
    "formulas inside one another": nested("<span class=katex>", "</span>", 450, times=30),
    "sections inside one another": nested("<section id=search>", "</section>", 450, times=100),
    "lists inside one another": nested("<ul><li>x", "</li></ul>", 230, times=60),
    "links to the next page": b"<p>" + b"<a>next</a>" * 100_000,
    "megabytes of dollars": b"<p>" + b"$" * 1_900_000,
    "dollars and words": b"<p>" + b"$a " * 600_000,
    "backslashes": b"<p>" + b"\\[ " * 600_000,
    "less-than signs": b"<p>" + b"< " * 900_000,
    "empty lines": b"<pre>a" + b"\n \n" * 600_000 + b"b",
    "one word": b"<p>" + b"a" * 1_900_000,
    "apostrophes": b"<p>" + b"a'" * 900_000,
    "entities": b"<p>" + b"&amp;" * 390_000,
    "entity bomb": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>' + b"<p>&b;" * 100_000,
    "placeholders": b"<p>" + b"".join(b"Qmx%dz0Q " % number for number in range(150_000)),
    "attributes below the limit": (
        "".join(f"<p {' '.join(f'a{n}' for n in range(MAX_ATTRIBUTES - 10))}>x" for _ in range(60))
    ).encode(),
    "one long attribute": b"<p title='" + b"x " * 900_000 + b"'>text</p>",
    "fractions in fractions": b"<math>" + b"<mfrac><mi>a</mi>" * 400 + b"<mi>b</mi>" + b"</mfrac>" * 400 + b"</math>",
    "comparisons in a script": b"<script>" + b"for (i=0; i<n; i++) { x = a[i] > b } " * 40_000 + b"</script><p>text",
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_page_within_the_limits_is_done_soon(name: str) -> None:
    assert outcome(TRAPS[name]) in {"page", "no_text", "not_parsed"}


ODDITIES = {
    "binary": b"\x00\x01\x02\xff" * 200,
    "nul bytes": b"<p>te\x00xt</p>",
    "lone surrogates": "<p>\ud800 text \udfff</p>",
    "invalid utf-8": b"<p>text \xff\xfe\xc3(</p>",
    "utf-16": "<p>text</p>".encode("utf-16"),
    "xml that declares another encoding": b'<?xml version="1.0" encoding="utf-16"?><html><p>text</p></html>',
    "text that declares an encoding": '<?xml version="1.0" encoding="utf-8"?><html><p>text</p></html>',
    "unclosed": b"<p>unclosed <b>tags <sup>",
    "frames": b"<html><frameset><frame src=a></frameset></html>",
    "two bodies": b"<body><p>a</body><body><p>b</body>",
    "address that is none, of a picture": b"<p>text<img src='http://[latex.php?latex=%zz' alt='x'></p>",
    "empty formulas": b"<p>text<math></math><script type='math/tex'></script><img class=tex alt=''><sup></sup></p>",
    "formula as the root": b"<math><mi>x</mi></math>",
    "control signs": b"<ul><li>a long item</ul>\x07 text<q>&#8;a</q>\x0b<p>\xef\xbf\xbe<sup>&#xFFFE;st</sup>",
    "formula in the head": b"<head><script type='math/tex'>x</script></head><p>text",
}


@pytest.mark.parametrize("name", ODDITIES)
def test_odd_page_is_a_page_that_can_be_written_or_has_no_text(name: str) -> None:
    found = extract(RawPage(URL, ODDITIES[name], html=True, source="f\udc80"), CorpusConfig())
    found.source.encode()
    if isinstance(found, Page):
        found.text.encode()
        assert "\x00" not in found.text
    else:
        assert found.reason == "no_text"


@pytest.mark.parametrize("charset", ["utf-16", "x-nonsense", "", "\x00", "é", "utf-7", "idna", "zlib", "hex"])
def test_declared_charset_of_any_kind(charset: str) -> None:
    found = extract(
        RawPage(URL, "<p>café and text</p>".encode(), html=True, source="f", charset=charset), CorpusConfig()
    )
    assert isinstance(found, Page) and found.text == "café and text"


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "http://[::1", "x" * 100_000, "http://e.org/" + "\ud800" * 9]
)
def test_record_whose_url_is_none(url: str) -> None:
    found = extract(RawPage(url, b"<p>text</p>", html=True, source="f"), CorpusConfig())
    assert isinstance(found, Drop) and found.reason == "bad_url" and len(found.url) < 5_000
    found.url.encode()


FRAGMENTS = (
    "<p>", "</p>", "<math>", "</math>", "<mi>x</mi>", "<mfrac>", "</mfrac>", "</annotation>", "<sup>", "</sup>",
    "<sub>", "</script>", "<ul>", "<li>", "</ul>", "<table>", "<td>", "</table>", "<body>", "</body>", "<html>",
    "<head>", "<title>", "<!--", "-->", "<![CDATA[", "]]>", "<select>", "<option>", "<template>", "<svg>", "<pre>",
    "<q>", "<label>", "<b>", "<font>", "<frameset>", "</div>", "</span>", "$", "$$", "&lt;", "&#0;", "&#8;",
    "&#xD800;", "\\(", "\\[", "x", "≤", "中", "<", ">", '"', "'", " ", "\n", "\x00", "\x07", "\ufffe",
    "<div class='katex'>", "<span class=MathJax>", "<span class=classifier>", "<section id=modal>",
    "<annotation encoding='application/x-tex'>", "<script type='math/tex'>", "<img alt='\\x^2' class=tex>",
    "<a href='#x'>next</a>",
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join))
def test_any_arrangement_of_markup(html: str) -> None:
    found = extract(RawPage(URL, html, html=True, source="f"), CorpusConfig())
    again = extract(RawPage(URL, html, html=True, source="f"), CorpusConfig())
    assert found == again
    assert isinstance(found, Page) or found.reason == "no_text" or found.detail == "no element in it"


def test_random_bytes() -> None:
    draw = random.Random(0)
    for _ in range(100):
        body = bytes(draw.choices(range(256), k=draw.randint(0, 400)))
        found = extract(RawPage(URL, body, html=True, source="f"), CorpusConfig())
        assert isinstance(found, Page) or found.reason in {"no_text", "not_parsed"}


def test_limits_are_those_of_the_configuration() -> None:
    page = nested("<div>", "</div>", 20)
    assert outcome(page, max_depth=23) == "page"
    assert outcome(page, max_depth=15) == "too_deep"
    assert outcome(page, max_page_bytes=len(page)) == "page"
    assert outcome(page, max_page_bytes=len(page) - 1) == "too_large"


def test_slow_page_is_refused_by_processor_time() -> None:
    found = extract(
        RawPage(URL, TRAPS["formulas inside one another"], html=True, source="f"),
        CorpusConfig(extraction=ExtractionConfig(max_seconds=0.05)),
    )
    assert found == Drop(URL, "f", "too_slow", "more than 0.05 processor seconds")


def test_waiting_is_not_counted() -> None:
    with time_limit(0.05):
        time.sleep(0.2)


def test_timer_leaves_no_trace() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(PageRefusedError, match="too_slow"), time_limit(0.02):
        while True:
            pass
    with time_limit(0.02):
        pass
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass


def test_outside_the_main_thread_there_is_no_timer_and_the_other_limits_hold() -> None:
    found: list[str] = []

    def work() -> None:
        found.append(outcome(b"<p>text " * 1_000, max_seconds=1e-6))
        found.append(outcome(nested("<div>", "</div>", 1_000), max_seconds=1e-6))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["page", "too_deep"]
