"""Main-text extraction: documents a second and what is kept of mathematics, beside the extractors that pipelines use.

    python benchmarks/extraction.py [--pages 1000] [--rounds 3] [--html FOLDER ...] [--sample 400]

Compared in one run, on the same documents, taking turns:

- ours: :func:`dsm_repro.corpus.extraction.main_text` (formulas, boilerplate, guards), and `extract`, which also
  cleans the URL, detects the encoding and the language and counts tokens: one record from bytes to page;
- datatrove's step `Trafilatura()` as its pipelines run it, with its child process and its defaults;
- resiliparse's `extract_plain_text(main_content=True)` alone, which is the least that extraction can cost.

Documents are pages of the miniature web and, with --html, a sample of saved pages. A document's seconds are
processor seconds of this process and of datatrove's child, so that a busy machine changes both sides alike; the
time that the pipe between datatrove's processes takes is part of its step. The construct table says which of the
ways in which the web writes formulas come out whole, and whether navigation and notices are gone.

Not measured: the quality of main text on real pages at large, memory.

Needs `pip install datatrove trafilatura lxml_html_clean` beside the project. Not in the project's own environment:
datatrove's extra [processing] pulls trafilatura and fasttext back to versions that the project cannot use. A
virtual environment that sees the project's packages through a .pth file does.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dsm_repro.config.corpus_schema import CorpusConfig, WebConfig
from dsm_repro.corpus.extraction import extract, main_text
from dsm_repro.corpus.extraction.decoding import decode
from dsm_repro.corpus.pages import RawPage

PAGE = """<html><head><title>Powers</title></head><body><nav><ul><li><a href="/">Home page</a></li></ul></nav>
<div class="cookie-banner">We use cookies to improve your experience.</div><main><article><h1>Powers of numbers</h1>
<p>This paragraph opens the article and says in a few words what is shown below, so that there is enough text.</p>
{content}
<p>This paragraph closes the article, and it has enough words to count as text of an article about numbers.</p>
</article></main><aside class="sidebar">Advertisement: buy it now</aside>
<footer>Copyright 2020 Example Ltd. All rights reserved.</footer></body></html>"""
BOILERPLATE = ("Home page", "cookies", "Advertisement", "All rights reserved")
_TEX = r"<annotation encoding='application/x-tex'>\frac{1}{2}</annotation>"
_FRACTION = "<math><semantics><mfrac><mn>1</mn><mn>2</mn></mfrac>{note}</semantics></math>"
_LINE = "<p>Here is the formula {} and the sentence goes on.</p>"
#: name -> (markup, a regular expression that its text matches when nothing of it is lost)
CONSTRUCTS: dict[str, tuple[str, str]] = {
    "$…$ and $$…$$": (_LINE.format("$x^2$ or $$x^3$$"), r"\$x\^2\$ or\s+\$\$x\^3\$\$"),
    r"\(…\) and \[…\]": (_LINE.format(r"\(x^2\) or \[x^3\]"), r"\\\(x\^2\\\) or\s+\\\[x\^3\\\]"),
    r"\begin{align}": (_LINE.format(r"\begin{align} a &amp;= b \end{align}"), r"\\begin\{align\} a &= b \\end"),
    "KaTeX with its annotation": (
        _LINE.format(f"<span class='katex'><span class='katex-mathml'>{_FRACTION.format(note=_TEX)}</span>"
                     "<span class='katex-html' aria-hidden='true'>12</span></span>"),
        r"formula (?:\$|\\\()\\frac\{1\}\{2\}(?:\$|\\\)) and",
    ),
    "script type=math/tex": (_LINE.format("<script type='math/tex'>x^2</script>"), r"formula \$?x\^2\$? and"),
    "MathJax 3 container": (
        _LINE.format("<mjx-container><mjx-assistive-mml><math><msup><mi>x</mi><mn>10</mn></msup></math>"
                     "</mjx-assistive-mml></mjx-container>"), r"formula \$?x\^\{?10\}?\$? and",
    ),
    "alttext": (_LINE.format(r"<math alttext='\sqrt{2}'><msqrt><mn>2</mn></msqrt></math>"), r"\\sqrt\{2\}"),
    "bare MathML": (_LINE.format(_FRACTION.format(note="")), r"\\frac\{1\}\{2\}"),
    "image with TeX as alt": (_LINE.format(r"<img class='math' src='1.png' alt='\alpha^2'>"), r"\\alpha\^2"),
    "codecogs address": (_LINE.format("<img src='https://latex.codecogs.com/gif.latex?%5Cbeta%5E2'>"), r"\\beta\^2"),
    "x<sup>10</sup>, a<sub>i</sub>": (_LINE.format("x<sup>10</sup> + a<sub>i</sub>"), r"x\^\{?10\}? \+ a_\{?i\}?"),
    "<i>x</i> ≤ <i>y</i>": (_LINE.format("<i>x</i> ≤ <i>y</i>"), r"x ≤ y"),
    "formulas in a list": ("<ul><li>If $x&gt;1$ then $x^2&gt;1$.</li><li>Or not</li></ul>", r"\$x>1\$ then \$x\^2>1\$"),
    "formulas in a table": ("<table><tr><th>number</th><th>square</th></tr><tr><td>$n$</td><td>$n^2$</td></tr>"
                            "<tr><td>$m$</td><td>$m^2$</td></tr></table>", r"\$n\$[\s|]+\$n\^2\$"),
    "code with indentation": ("<pre>def f(x):\n    return x * 2</pre>", r"def f\(x\):\n    return x \* 2"),
}  # fmt: skip

Record = tuple[str, bytes]
#: texts of documents ("" where there is none)
Extractor = Callable[[Sequence[Record]], list[str]]


def ours(records: Sequence[Record]) -> list[str]:
    return [main_text(decode(body, None)) for _, body in records]


def whole_record(records: Sequence[Record]) -> list[str]:
    config = CorpusConfig()
    return [getattr(extract(RawPage(url, body, True, "f"), config), "text", "") for url, body in records]


def resiliparse(records: Sequence[Record]) -> list[str]:
    from resiliparse.extract.html2text import extract_plain_text

    return [extract_plain_text(decode(body, None), main_content=True, alt_texts=False) for _, body in records]


def datatrove(records: Sequence[Record]) -> list[str]:
    """datatrove's step; its limit of one second is raised, so that it is not the load of the machine that decides."""
    from datatrove.data import Document
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.utils.logging import logger

    logger.remove()
    documents = (Document(decode(body, None), str(number)) for number, (_, body) in enumerate(records))
    texts = {document.id: document.text for document in Trafilatura(timeout=60).run(documents)}
    return [texts.get(str(number), "") for number in range(len(records))]


EXTRACTORS: dict[str, Extractor] = {
    "ours, main text": ours,
    "ours, record to page": whole_record,
    "datatrove Trafilatura": datatrove,
    "resiliparse alone": resiliparse,
}


def processor_seconds() -> float:
    """Of this process and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(records: Sequence[Record], rounds: int) -> dict[str, tuple[float, float]]:
    """Least processor and wall-clock seconds of each extractor, which take turns."""
    best = {name: (float("inf"), float("inf")) for name in EXTRACTORS}
    for run in EXTRACTORS.values():  # models and modules are loaded once in a pipeline
        run(records[:2])
    for _ in range(rounds):
        for name, run in EXTRACTORS.items():
            spent, started = processor_seconds(), time.perf_counter()
            run(records)
            found = processor_seconds() - spent, time.perf_counter() - started
            best[name] = min(best[name][0], found[0]), min(best[name][1], found[1])
    return best


def speed_table(title: str, records: Sequence[Record], rounds: int) -> Table:
    table = Table(title=f"{title}: {len(records)} documents, {sum(len(body) for _, body in records) / 1e6:.1f} MB")
    for heading in ("extractor", "ms/document", "documents/s", "ratio to datatrove", "by wall clock"):
        table.add_column(heading, justify="left" if heading == "extractor" else "right")
    best = measure(records, rounds)
    reference = best["datatrove Trafilatura"]
    for name, (spent, wall) in best.items():
        each = spent / len(records)
        table.add_row(
            name, f"{each * 1e3:.2f}", f"{1 / each:.0f}", f"{reference[0] / spent:.1f}×", f"{reference[1] / wall:.1f}×"
        )
    return table


def construct_table() -> Table:
    names = [name for name in EXTRACTORS if name != "ours, record to page"]
    table = Table(title="constructs that come out whole")
    for heading in ("construct", *names):
        table.add_column(heading, justify="left" if heading == "construct" else "center")
    records = [
        (f"http://e.org/{n}", PAGE.format(content=content).encode())
        for n, (content, _) in enumerate(CONSTRUCTS.values())
    ]
    texts = {name: EXTRACTORS[name](records) for name in names}
    for number, (construct, (_, pattern)) in enumerate(CONSTRUCTS.items()):
        table.add_row(Text(construct), *("yes" if re.search(pattern, texts[name][number]) else "no" for name in names))
    gone = {name: not any(words in text for text in texts[name] for words in BOILERPLATE) for name in names}
    table.add_row("boilerplate is gone", *("yes" if gone[name] else "no" for name in names))
    return table


def miniature_pages(pages: int) -> list[Record]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    from dsm_repro.miniature.web import write_web

    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_web(WebConfig(pages=pages), Path(folder))
        for path in sorted(Path(folder).glob("*.warc.gz")):
            with path.open("rb") as file:
                for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                    found.append((record.headers["WARC-Target-URI"], record.reader.read()))
    return [(url, body) for url, body in found if body.strip()]


def saved_pages(folders: Sequence[Path], sample: int) -> list[Record]:
    files = sorted(path for folder in folders for path in folder.rglob("*.htm*") if path.is_file())
    chosen = random.Random(0).sample(files, min(sample, len(files)))
    return [(f"http://saved.example/{path.name}", path.read_bytes()) for path in sorted(chosen)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1_000, help="pages of the miniature web")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every extractor; the best counts")
    parser.add_argument("--html", type=Path, nargs="*", default=[], help="folders of saved pages to measure as well")
    parser.add_argument("--sample", type=int, default=400, help="saved pages drawn from them")
    arguments = parser.parse_args()
    try:
        import datatrove  # noqa: F401
        import trafilatura  # noqa: F401
    except ImportError as error:
        sys.exit(f"{error}\n\nThis comparison needs `pip install datatrove trafilatura lxml_html_clean` (see --help).")
    console = Console(width=120)
    console.print(construct_table())
    console.print(speed_table("miniature web", miniature_pages(arguments.pages), arguments.rounds))
    if arguments.html:
        console.print(speed_table("saved pages", saved_pages(arguments.html, arguments.sample), arguments.rounds))


if __name__ == "__main__":
    main()
