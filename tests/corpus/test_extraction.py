"""Every construct that pages write formulas with survives extraction wherever it stands, and boilerplate does not."""

from __future__ import annotations

import pytest

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.extraction import extract, main_text
from dsm_repro.corpus.extraction.decoding import decode
from dsm_repro.corpus.pages import Page, RawPage

FRAME = """<!DOCTYPE html><html><head><title>Powers</title><style>.a {{color: red}}</style>
<script>var tracking = 'no script text';</script></head><body>
<header><nav><ul><li><a href="/">Home page</a></li><li><a href="/about">About us</a></li></ul></nav></header>
<div id="menu"><a href="/shop">Our shop</a> <a href="/maps">Our maps</a></div>
<div class="cookie-banner">We use cookies to improve your experience. Accept all</div>
<main><article><h1>Powers of numbers</h1>
<p>This paragraph opens the article and says in a few words what is shown below.</p>
{content}
<p>This paragraph closes the article, and it has enough words to count as text.</p>
<div class="share-buttons"><a href="/tweet">Tweet it</a> <a href="/like">Like it</a></div>
<div class="related-posts"><h3>You may also like</h3><ul><li><a href="/r">Ten cats</a></li></ul></div></article></main>
<aside class="sidebar">Advertisement: buy it now</aside>
<p class="pager"><a href="/2">Previous</a> | <a href="/4">Next</a> | <a href="/toc">Contents</a></p>
<footer>Copyright 2020 Example Ltd. All rights reserved. <a href="/privacy">Privacy policy</a></footer></body></html>"""
BOILERPLATE = (
    "Home page", "About us", "Our shop", "cookies", "Tweet it", "You may also like", "Ten cats", "Advertisement",
    "Previous", "All rights reserved", "Privacy policy", "tracking", "color",
)  # fmt: skip
CONTEXTS = {
    "paragraph": "<p>Here is the formula {formula} and the sentence goes on.</p>",
    "list item": "<ul><li>Here is the formula {formula} and the sentence goes on.</li><li>Another one.</li></ul>",
    "numbered item": "<ol><li>Here is the formula {formula} and the sentence goes on.</li></ol>",
    "table cell": "<table><tr><th>n</th><td>Here is the formula {formula} and the sentence goes on.</td></tr></table>",
    "heading": "<h2>Here is the formula {formula} and the sentence goes on.</h2>",
    "definition": "<dl><dt>Power</dt><dd>Here is the formula {formula} and the sentence goes on.</dd></dl>",
    "quotation": "<blockquote>Here is the formula {formula} and the sentence goes on.</blockquote>",
    "caption": "<figure><img src=x.png><figcaption>Here is the formula {formula} and the sentence goes on."
    "</figcaption></figure>",
    "theorem": '<div class="theorem" id="thm-3">Here is the formula {formula} and the sentence goes on.</div>',
}

MATHML = "<math{attributes}><semantics><mrow><mfrac><mn>1</mn><mn>2</mn></mfrac></mrow>{note}</semantics></math>"
NOTE = '<annotation encoding="application/x-tex">\\frac{1}{2}</annotation>'
ANNOTATED = MATHML.format(attributes="", note=NOTE)
BARE = MATHML.format(attributes="", note="")
KATEX = (
    f'<span class="katex"><span class="katex-mathml">{ANNOTATED}</span>'
    '<span class="katex-html" aria-hidden="true"><span>12</span></span></span>'
)
#: name -> (markup, what stands between "the formula" and "and the sentence")
CONSTRUCTS = {
    "dollar": ("$a_1 + b^2 &lt; 3$", "$a_1 + b^2 < 3$"),
    "parentheses": (r"\(\frac{1}{2}\)", r"\(\frac{1}{2}\)"),
    "brackets": (r"\[ \int_0^1 x\,dx \]", r"\[ \int_0^1 x\,dx \]"),
    "double dollar": (r"$$x \ge 2$$", r"$$x \ge 2$$"),
    "align": (
        "\\begin{align} a &amp;= b \\\\ c &amp;= d \\end{align}", r"\begin{align} a &= b \\ c &= d \end{align}",
    ),
    "tex annotation": (ANNOTATED, r"$\frac{1}{2}$"),
    "display annotation": (MATHML.format(attributes=' display="block"', note=NOTE), r"$$\frac{1}{2}$$"),
    "katex": (KATEX, r"$\frac{1}{2}$"),
    "katex display": (f'<span class="katex-display">{KATEX}</span>', r"$$\frac{1}{2}$$"),
    "mathjax 2 script": (
        '<span class="MathJax_Preview">x2</span><span class="MathJax"><nobr>x2</nobr></span>'
        '<script type="math/tex">x^2</script>', "$x^2$",
    ),
    "mathjax 2 display": ('<script type="math/tex; mode=display">x^2</script>', "$$x^2$$"),
    "script in cdata": ('<script type="math/tex">% <![CDATA[\nx<y %]]></script>', "$x<y$"),
    "mathjax 3": (
        '<mjx-container class="MathJax" display="true"><mjx-math>xx</mjx-math><mjx-assistive-mml>'
        "<math><msup><mi>x</mi><mn>10</mn></msup></math></mjx-assistive-mml></mjx-container>", "$$x^{10}$$",
    ),
    "mathjax 4": ('<mjx-container><mjx-math data-latex="x^{10}">x10</mjx-math></mjx-container>', "$x^{10}$"),
    "data-tex": ('<span class="ztext-math" data-tex="x^{10}">x10</span>', "$x^{10}$"),
    "alttext": ('<math alttext="\\sqrt{2}"><msqrt><mn>2</mn></msqrt></math>', r"$\sqrt{2}$"),
    "alttext with line ends": ('<math alttext="x_{%\n2}"><mi>x</mi></math>', "$x_{ 2}$"),
    "bare mathml": (BARE, r"$\frac{1}{2}$"),
    "mathml with a prefix": ("<m:math><m:msup><m:mi>x</m:mi><m:mn>2</m:mn></m:msup></m:math>", "$x^{2}$"),
    "wikipedia": (
        f'<span class="mwe-math-element"><span style="display: none;">{BARE}</span>'
        '<img class="mwe-math-fallback-image-inline" alt="{\\displaystyle y_{0}}" src="/svg/1"></span>', "$y_{0}$",
    ),
    "image alt": ('<img src="eq1.png" alt="\\alpha^2">', r"$\alpha^2$"),
    "sphinx image": ('<img class="math" src="../_images/math/3c.png" alt="a_p">', "$a_p$"),
    "codecogs": ('<img src="https://latex.codecogs.com/gif.latex?%5Cbeta%20%2B1" alt="eq">', r"$\beta +1$"),
    "codecogs drawing": ('<img src="https://latex.codecogs.com/svg.image?\\inline&space;\\dpi{110}x^2">', "$x^2$"),
    "wordpress": ('<img src="https://s0.wp.com/latex.php?latex=x%5E2%2By&bg=ffffff" alt="" class="latex">', "$x^2+y$"),
    "zhihu": ('<img src="https://www.zhihu.com/equation?tex=x%5E2" alt="">', "$x^2$"),
    "google chart": ('<img src="//chart.apis.google.com/chart?cht=tx&chl=x%5E2">', "$x^2$"),
    "sphinx span": (r'<span class="math notranslate nohighlight">\(\mathbf{A}\)</span>', r"\(\mathbf{A}\)"),
    "gapdoc span": (r'<span class="SimpleMath">\([4,2,1,1]\)</span>', r"\([4,2,1,1]\)"),
    "gapdoc text": ('<span class="SimpleMath"><var class="Arg">x</var> ≤ <var class="Arg">y</var></span>', "x ≤ y"),
    "sup": ("x<sup>10</sup>", "x^{10}"),
    "sub": ("a<sub>i</sub>", "a_{i}"),
    "sub and sup": ("a<sub>n<sup>2</sup></sub>", "a_{n^{2}}"),
    "texinfo": ("<var>x</var><sup>2</sup>", "x^{2}"),
    "math in sup": ("e<sup><math><mi>x</mi></math></sup>", "e^{x}"),
    "ordinary power after a note": ("2<sup>n</sup><sup><a href='#n1'>1</a></sup>", "2^{n}"),
    "unicode superscripts": ("x² + y₁", "x² + y₁"),
    "sign between variables": ("<i>x</i> ≤ <i>y</i>", "x ≤ y"),
    "sign in a tag of its own": ("a<span> ∑ </span>b<b>→</b>c", "a ∑ b→c"),
}  # fmt: skip


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", CONSTRUCTS)
def test_construct_is_kept_and_boilerplate_is_gone(name: str, context: str) -> None:
    source, expected = CONSTRUCTS[name]
    text = main_text(FRAME.format(content=CONTEXTS[context].format(formula=source)))
    assert f"the formula {expected} and the sentence" in " ".join(text.split())
    assert text.count("the formula") == 1
    assert [words for words in BOILERPLATE if words in text] == []


def test_display_formula_in_its_own_block() -> None:
    blocks = {
        '<div class="math notranslate nohighlight">\n\\[\\int_0^1 f\\]</div>': r"\[\int_0^1 f\]",
        '<div class="math"><p><img src="m/0d.png" alt="{}_pF_q\\left(\\begin{matrix} a \\\\ b \\end{matrix}\n| z'
        ' \\right)"/></p></div>': r"$${}_pF_q\left(\begin{matrix} a \\ b \end{matrix} | z \right)$$",
        '<p class="pcenter">χ^[λ](g) = ( ∑_{ρ ∈ S_n} λ(ρ) ) / n! ,</p>': "χ^[λ](g) = ( ∑_{ρ ∈ S_n} λ(ρ) ) / n! ,",
    }
    for source, expected in blocks.items():
        assert expected in main_text(FRAME.format(content=source))


def test_code_keeps_its_indentation() -> None:
    code = "def f(x):\n    if x <= 1:\n        return 1\n    return x * f(x - 1)"
    marked = code.replace("<", "&lt;").replace("return", '<span class="k">return</span>').replace("def", "<b>def</b>")
    for source in (f"<pre>{marked}</pre>", f'<div class="highlight"><pre><code class="py">{marked}</code></pre></div>'):
        assert code in main_text(FRAME.format(content=source))


def test_a_bar_between_pages_that_holds_a_formula_is_none() -> None:
    for formula, text in (("x<sup>2</sup>", "x^{2}"), ("$y^2$", "$y^2$"), ("<math><mi>z</mi></math>", "$z$")):
        bar = f'<div><a href="2.html">Next</a> {formula} <a href="0.html">Up</a></div>'
        assert text in main_text(FRAME.format(content=bar))


def test_lists_near_the_body_are_text_and_menus_are_not() -> None:
    page = """<body><h1>Groups</h1><p>A group is a set with an operation that has these properties.</p>
    <ul><li><p>It is associative (see <a href="a.html">Associativity</a>), so that brackets do not matter.</p></li>
    <li>There is a neutral element, usually written as <a href="e.html">e</a> or as 1.</li></ul>
    <ul><li><a href="1.html">Rings and fields</a></li><li><a href="2.html">Vector spaces</a></li></ul></body>"""
    text = main_text(page)
    assert "associative (see Associativity)" in text and "a neutral element, usually written as e or" in text
    assert "Rings and fields" not in text


def test_a_section_on_modal_logic_is_no_popup() -> None:
    text = main_text(
        '<body><div><div class="section" id="modal-logic"><h2 id="modal-logic">Modal logic</h2><p>The formula $p$ '
        'is necessary.</p></div><section id="binary-search"><h2>Binary search</h2><p>It halves the interval.</p>'
        '</section><dl><dt id="scipy.optimize.line_search">line_search(f)</dt><dd>Finds a step.</dd></dl></div></body>'
    )
    for words in ("Modal logic", "$p$ is necessary", "It halves", "line_search(f)", "Finds a step"):
        assert words in text


def test_main_text_that_loses_the_formulas_is_not_trusted() -> None:
    # the rules take this for a sign-in box
    maths = "".join(f"<p>Then <i>x</i><sup>{power}</sup> is continuous on the line.</p>" for power in range(9))
    text = main_text(f'<body><div><div><div><div class="user-info">{maths}</div></div></div></div><p>End.</p></body>')
    assert "x^{7}" in text


def test_formula_is_not_written_twice() -> None:
    assert "12" not in main_text(FRAME.format(content=f"<p>{KATEX}</p>"))


def test_wrapper_of_several_formulas_is_not_one() -> None:
    other = KATEX.replace("{1}{2}", "{3}{4}")
    text = main_text(FRAME.format(content=f'<div class="katex"><p>First {KATEX}</p><p>second {other}</p></div>'))
    assert r"First $\frac{1}{2}$" in text and r"second $\frac{3}{4}$" in text


def test_superscript_that_is_no_power() -> None:
    notes = 'of the 3<sup>rd</sup> kind<sup>[12]</sup> is<sup class="reference"><a href="/x">a</a></sup> known'
    assert "of the 3rd kind is known" in main_text(FRAME.format(content=f"<p>{notes}</p>"))
    assert "f^{[n+1]}" in main_text(FRAME.format(content="<p>f<sup>[n+1]</sup></p>"))
    passage = "a remark that was set high by its author, " * 10
    assert passage.strip() in main_text(FRAME.format(content=f"<p>See <sup>{passage}</sup></p>"))


def test_a_page_that_contains_what_looks_like_a_placeholder() -> None:
    for word in ("Qmx0z0Q", "Qmx0123456789abcdefz0Q", "Q&#109;x0123456789abcdefz7Q"):
        text = main_text(FRAME.format(content=f"<p>{word} and x<sup>2</sup></p>"))
        assert f"{word.replace('&#109;', 'm')} and x^{{2}}" in text


def test_style_sheets_signs_are_written_out() -> None:
    text = main_text(
        FRAME.format(
            content="<p>He said <q>hello</q>.</p><dl><dt><strong>M</strong>"
            '<span class="classifier">int</span></dt><dd>Length.</dd></dl>'
        )
    )
    assert "said “hello”." in text and "M : int" in text


MATHML_TABLE = {
    "<mfrac><mi>a</mi><msup><mi>b</mi><mn>2</mn></msup></mfrac>": r"\frac{a}{b^{2}}",
    "<mfrac linethickness='0'><mi>n</mi><mi>k</mi></mfrac>": r"\binom{n}{k}",
    "<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt>": r"\sqrt{x+1}",
    "<mroot><mi>x</mi><mn>3</mn></mroot>": r"\sqrt[3]{x}",
    "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>": "x_{1}^{2}",
    "<mi>sin</mi><mo>&ApplyFunction;</mo><mi>&theta;</mi>": r"\sin \theta",
    "<munderover><mo>&sum;</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><mi>i</mi>":
        r"\sum_{i=1}^{n}i",
    "<munder><mi>lim</mi><mrow><mi>x</mi><mo>→</mo><mn>0</mn></mrow></munder>": r"\lim_{x\to 0}",
    "<msubsup><mo>∫</mo><mn>0</mn><mi>π</mi></msubsup>": r"\int_{0}^{\pi }",
    "<mover><mi>v</mi><mo>→</mo></mover>": r"\vec{v}",
    "<msup><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></msup>": "{a+b}^{2}",
    "<mfenced><mi>a</mi><mi>b</mi></mfenced>": "(a, b)",
    "<mfenced open='[' close=')'><mn>0</mn><mn>1</mn></mfenced>": "[0, 1)",
    "<mfenced open='{' close=''><mi>a</mi></mfenced>": r"\{a",
    "<mn>7</mn><mo>&#x22C5;</mo><mn>8</mn><mo>&#x2212;</mo><mn>1</mn>": r"7\cdot 8-1",
    "<menclose notation='box'><mn>5</mn></menclose>": r"\boxed{5}",
    "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd><mtd><mn>4</mn></mtd></mtr>"
    "</mtable>": r"\begin{matrix} 1 & 2 \\ 3 & 4 \end{matrix}",
    "<mmultiscripts><mi>F</mi><mi>q</mi><none/><mprescripts/><mi>p</mi><none/></mmultiscripts>": "{}_{p}F_{q}",
    "<mi>x</mi><mtext> if </mtext><mi>y</mi>": r"x\text{ if }y",
}  # fmt: skip


@pytest.mark.parametrize("source", MATHML_TABLE)
def test_mathml_constructs(source: str) -> None:
    from lxml import html

    from dsm_repro.corpus.extraction.mathml import mathml_to_tex

    assert mathml_to_tex(html.fromstring(f"<math>{source}</math>")) == MATHML_TABLE[source]


GERMAN, RUSSIAN, KOREAN = (
    "Größe – „x“",
    "Пусть дано число, такое что сумма равна",
    "가능한 모든 값의 합을",
)
ENCODED = {
    "utf-8": ("é π".encode(), None, "é π"),
    "utf-8 with a mark": (b"\xef\xbb\xbf" + "é π".encode(), "iso-8859-1", "é π"),
    "utf-8 declared as latin": ("é π".encode(), "iso-8859-1", "é π"),
    "utf-16 with a mark": ("é π".encode("utf-16"), None, "é π"),
    "utf-16 without": ("a long line of Latin letters".encode("utf-16-be"), None, "a long line of Latin letters"),
    "latin by the server": (GERMAN.encode("cp1252"), "iso-8859-1", GERMAN),
    "latin declared as utf-8": (("é" * 300).encode("latin-1"), "utf-8", "é" * 300),
    "cyrillic by the page": (b'<meta charset="windows-1251">' + RUSSIAN.encode("cp1251"), None, RUSSIAN),
    "korean by the page": (b'<meta charset="euc-kr">' + KOREAN.encode("euc-kr"), None, KOREAN),
    "japanese in seven bits": ("実数 x".encode("iso-2022-jp"), "iso-2022-jp", "実数 x"),
    "page that says it is utf-16": (b'<meta charset="utf-16">' + b"plain text \xe9", None, "plain text \xe9"),
    "charset that there is none of": ("é π".encode(), "x-nonsense\x00", "é π"),
    "a few bad bytes": ("é".encode() * 300 + b"\xff\xfe", "utf-8", "é" * 300 + "\ufffd\ufffd"),
    "nul bytes": (b"a\x00b", None, "ab"),
    "surrogates": ("a\ud800b", None, "a\ufffdb"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCODED)
def test_encodings(name: str) -> None:
    body, charset, expected = ENCODED[name]
    assert decode(body, charset).removeprefix('<meta charset="windows-1251">').endswith(expected)


def test_page_has_language_source_type_and_tokens() -> None:
    paragraph = "Let us find all the numbers that satisfy the equation, and prove that there are no others."
    raw = RawPage("https://www.docs.example:443/a?utm_source=x#y", f"<p>{paragraph} x<sup>2</sup></p>", True, "f@1")
    page = extract(raw, CorpusConfig())
    assert page == Page(
        "https://www.docs.example/a", "docs.example", f"{paragraph} x^{{2}}", 24, "f@1", "en", "documentation"
    )


def test_plain_text_is_only_tidied() -> None:
    page = extract(RawPage("http://a.example/x", "a < b  \r\n\r\n\r\n\r\n  c\x07\u200b", False, "f"), CorpusConfig())
    assert isinstance(page, Page) and page.text == "a < b\n\n  c"
