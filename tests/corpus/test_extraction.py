"""Every construct that pages write formulas with survives extraction, and the boilerplate does not."""

from __future__ import annotations

import pytest

from dsm_repro.corpus.extraction import extract, main_text
from dsm_repro.corpus.pages import Drop, Page, RawPage

FRAME = """<!DOCTYPE html><html><head><title>Powers</title><style>.a {{color: red}}</style>
<script>var tracking = 'no script text';</script></head><body>
<header><nav><ul><li><a href="/">Home page</a></li><li><a href="/about">About us</a></li></ul></nav></header>
<div class="cookie-banner">We use cookies to improve your experience. Accept all</div>
<main><article><h1>Powers of numbers</h1>
<p>This paragraph opens the article and says in a few words what is shown below.</p>
<p>Here is the formula {formula} and the sentence goes on.</p>
<p>This paragraph closes the article, and it has enough words to count as text.</p></article></main>
<aside class="sidebar">Advertisement: buy it now</aside>
<footer>Copyright 2020 Example Ltd. All rights reserved. <a href="/privacy">Privacy policy</a></footer></body></html>"""
BOILERPLATE = (
    "Home page",
    "About us",
    "cookies",
    "Advertisement",
    "All rights reserved",
    "Privacy policy",
    "tracking",
    "color",
)

MATHML = "<math><semantics><mrow><mfrac><mn>1</mn><mn>2</mn></mfrac></mrow>{note}</semantics></math>"
NOTE = '<annotation encoding="application/x-tex">\\frac{1}{2}</annotation>'
CONSTRUCTS = {
    "dollar": ("$a_1 + b^2 &lt; 3$", "the formula $a_1 + b^2 < 3$ and"),
    "parentheses": (r"\(\frac{1}{2}\)", r"the formula \(\frac{1}{2}\) and"),
    "brackets": (r"\[ \int_0^1 x\,dx \]", r"\[ \int_0^1 x\,dx \]"),
    "double dollar": (r"$$x \ge 2$$", r"the formula $$x \ge 2$$ and"),
    "tex annotation": (MATHML.format(note=NOTE), r"the formula $\frac{1}{2}$ and"),
    "katex": (
        f'<span class="katex"><span class="katex-mathml">{MATHML.format(note=NOTE)}</span>'
        '<span class="katex-html" aria-hidden="true"><span>12</span></span></span>',
        r"the formula $\frac{1}{2}$ and",
    ),
    "mathjax 2 script": (
        '<span class="MathJax_Preview">x2</span><span class="MathJax"><nobr>x2</nobr></span>'
        '<script type="math/tex">x^2</script>',
        "the formula $x^2$ and",
    ),
    "mathjax 2 display": ('<script type="math/tex; mode=display">x^2</script>', "the formula $$x^2$$ and"),
    "mathjax 3": (
        '<mjx-container class="MathJax" display="true"><mjx-math>xx</mjx-math><mjx-assistive-mml>'
        "<math><msup><mi>x</mi><mn>10</mn></msup></math></mjx-assistive-mml></mjx-container>",
        "the formula $$x^{10}$$ and",
    ),
    "alttext": ('<math alttext="\\sqrt{2}"><msqrt><mn>2</mn></msqrt></math>', r"the formula $\sqrt{2}$ and"),
    "bare mathml": (MATHML.format(note=""), r"the formula $\frac{1}{2}$ and"),
    "wikipedia": (
        f'<span class="mwe-math-element"><span style="display: none;">{MATHML.format(note="")}</span>'
        '<img class="mwe-math-fallback-image-inline" alt="{\\displaystyle y_{0}}" src="/svg/1"></span>',
        "the formula $y_{0}$ and",
    ),
    "image alt": ('<img src="eq1.png" alt="\\alpha^2">', r"the formula $\alpha^2$ and"),
    "codecogs": ('<img src="https://latex.codecogs.com/gif.latex?%5Cbeta%20&plus;1" alt="eq">', r"$\beta +1$"),
    "wordpress": ('<img src="https://s0.wp.com/latex.php?latex=x%5E2%2By&bg=ffffff" alt="" class="latex">', "$x^2+y$"),
    "sup": ("x<sup>10</sup>", "the formula x^{10} and"),
    "sub and sup": ("a<sub>n<sup>2</sup></sub>", "the formula a_{n^{2}} and"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_construct_is_kept_and_boilerplate_is_gone(name: str) -> None:
    source, expected = CONSTRUCTS[name]
    if name == "codecogs":
        source = source.replace("&plus;", "%2B")
    text = main_text(FRAME.format(formula=source))
    assert expected in text
    assert text.count("the formula") == 1 and "and the sentence goes on." in text
    assert [words for words in BOILERPLATE if words in text] == []


def test_formula_is_not_written_twice() -> None:
    source = CONSTRUCTS["katex"][0]
    assert "12" not in main_text(FRAME.format(formula=source))


def test_superscript_that_is_no_power() -> None:
    text = main_text(FRAME.format(formula="of the 3<sup>rd</sup> kind<sup>[12]</sup>"))
    assert "of the 3rd kind and" in text


def test_a_page_that_contains_the_placeholder_word() -> None:
    text = main_text(FRAME.format(formula="Qmx0z0Q and x<sup>2</sup>"))
    assert "Qmx0z0Q and x^{2} and" in text


def test_mathml_constructs() -> None:
    from lxml import html

    from dsm_repro.corpus.mathml import mathml_to_tex

    table = {
        "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>": "x_{1}^{2}",
        "<mroot><mi>x</mi><mn>3</mn></mroot>": r"\sqrt[3]{x}",
        "<mi>sin</mi><mo>&ApplyFunction;</mo><mi>&theta;</mi>": r"\sin \theta",
        "<munderover><mo>&sum;</mo><mrow><mi>i</mi><mo>=</mo></mrow><mi>n</mi></munderover>": r"\sum_{i=}^{n}",
        "<msup><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></msup>": "{a+b}^{2}",
        "<mfenced><mi>a</mi><mi>b</mi></mfenced>": "(a, b)",
        "<mn>7</mn><mo>&#x22C5;</mo><mn>8</mn><mo>&#x2212;</mo><mn>1</mn>": r"7\cdot 8-1",
        "<menclose notation='box'><mn>5</mn></menclose>": r"\boxed{5}",
        "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr></mtable>": r"\begin{matrix} 1 & 2 \end{matrix}",
    }
    for source, expected in table.items():
        assert mathml_to_tex(html.fromstring(f"<math>{source}</math>")) == expected


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("<p>café π</p>".encode(), None),
        ('<meta charset="iso-8859-1"><p>café</p>'.encode("latin-1"), None),
        ("<p>café</p>".encode("latin-1"), "iso-8859-1"),
        ("<p>café</p>".encode() + b"\xff\xfe", "utf-8"),
    ],
)
def test_charsets(body: bytes, charset: str | None) -> None:
    page = extract(RawPage("http://a.example/x", body, html=True, source="f", charset=charset))
    assert isinstance(page, Page) and "caf" in page.text and "Ã" not in page.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\x01\x02\xff" * 200,
        b"<div>" * 10_000 + b"deep" + b"</div>" * 10_000,
        b'<?xml version="1.0" encoding="utf-16"?><html><p>declared wrongly</p></html>',
        b"<math>" * 2_000,
        b"<p>unclosed <b>tags <sup>",
    ],
)
def test_hostile_page_is_a_page_or_a_counted_drop(body: bytes) -> None:
    outcome = extract(RawPage("http://a.example/x", body, html=True, source="f"))
    assert isinstance(outcome, Page) or (isinstance(outcome, Drop) and outcome.reason in ("no_text", "not_parsed"))
