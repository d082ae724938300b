"""The truth about real manuals is counted right, the crawl holds them whole, and decisions are judged by it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from _debian import MANUALS, SEED_MANUALS, fetch, find, pages
from _formulas import count_formulas
from _held_out import Counts, Document, average_precision, count, documents, evaluate, splits
from _loop_check import check_domains, check_pages, check_paths, listed
from _manuals_crawl import SEEDS, SUMMARY, TRUTH, Markup, Truth, build, is_mathematical, read_truth

from dsm_repro.config.corpus_schema import ClassifierConfig, ExtractionConfig
from dsm_repro.config.errors import DataError
from dsm_repro.corpus.crawl import Crawl, write_pages
from dsm_repro.corpus.pages import Page, RawPage

SPHINX_IMAGE = (
    '<p>so <img class="math" src="1.png" alt="x \\approx 0.7"/> and <img class="math" src="2.png" alt="x"/></p>'
)
SPHINX_MATHJAX = (
    '<p>Let <span class="math notranslate nohighlight">\\(a &lt; b\\)</span>.</p>'
    '<div class="math notranslate nohighlight">\\[\\int_a^b f(x)\\,dx\\]</div>'
)
GAP = (
    '<p>The group <span class="SimpleMath">G</span>, <span class="SimpleMath">\\(p^n\\)</span>,'
    ' <span class="SimpleMath">0 = -22 * 123 + 41 * 66</span></p>'
)
TEXINFO = (
    "<p>such that <em class='math'>y = x*b</em> is a <em class='math'>t</em>-by-<em class='math'>p</em> matrix:</p>"
    "<pre class='example'><var>sigma</var> = (<var>y</var>-<var>x</var>*<var>beta</var>)</pre>"
)
MATHML = '<math><mi>a</mi><mo>=</mo><mi>b</mi></math> <math display="block"><mi>a</mi></math>'


@pytest.mark.parametrize(
    ("html", "formulas", "symbols"),
    [
        (SPHINX_IMAGE, 1, 1),
        (SPHINX_MATHJAX, 2, 0),
        (GAP, 2, 1),
        # y = x*b, and the product of two variables
        (TEXINFO, 2, 2),
        (MATHML, 1, 1),
        ("<p>where \\(n \\ge 2\\) and \\(k\\)</p>", 1, 1),
        ('<span class="math">a <span>+</span> b</span> c = d', 1, 0),
        ('<p><span class="math">never closed = 1', 1, 0),
    ],
)
def test_formulas_of_every_manual_are_counted_once(html: str, formulas: int, symbols: int) -> None:
    found = count_formulas(html)
    assert (found.formulas, found.symbols) == (formulas, symbols)


@pytest.mark.parametrize(
    "html",
    [
        "<p>use <code>grep '\\(a = b\\)'</code> or <pre>s/\\(x = 1\\)/y/</pre></p>",
        "<script>var x = 1; if (a < b) { c = a^2 }</script><style>a { b: c }</style>",
        "<pre>ProxyPass /<var>path</var> http://<var>host</var>/<var>path</var> <var>key</var>=<var>value</var></pre>",
        "<dl><dt><strong>ols</strong> (<var>y</var> * <var>x</var>)</dt></dl>",
        "<p>If <var>x</var> is a vector and <var>dim</var> is given, x = 1 in plain words</p>",
        "<p>-<var>n</var>, --<var>name</var>-<var>suffix</var></p>",
    ],
)
def test_code_and_names_of_arguments_are_no_formulas(html: str) -> None:
    assert count_formulas(html).formulas == 0


def test_only_what_can_be_seen_is_counted_as_text() -> None:
    assert count_formulas("<title>no</title><script>no()</script><p>four</p>").characters == 4


@pytest.mark.parametrize(
    ("formulas", "characters", "told"),
    [(0, 10, False), (1, 10, None), (2, 10, None), (3, 10, True), (3, 15_000, True), (3, 15_001, None)],
)
def test_a_page_is_mathematical_from_three_formulas_on_if_they_are_dense(
    formulas: int, characters: int, told: bool | None
) -> None:
    assert is_mathematical(Markup(formulas, 50, characters)) is told


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .deb for every manual, with a page of mathematics, one without, and a symbolic link to it."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    out = tmp_path_factory.mktemp("packages")
    for manual in (*MANUALS, *SEED_MANUALS):
        tree = tmp_path_factory.mktemp(manual.package)
        for root, _ in manual.roots:
            (tree / root / "sub dir").mkdir(parents=True)
            (tree / root / "sub dir" / "maths.html").write_text(f"<p>{SPHINX_MATHJAX * 2}</p>")
            (tree / root / "words.html").write_bytes(b"<meta charset=latin-1><p>caf\xe9 without any</p>")
            (tree / root / "alias.html").symlink_to("words.html")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {manual.package}\nVersion: 1:2\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n"
        )
        target = out / f"{manual.package}_1%3a2_all.deb"
        subprocess.run(["dpkg-deb", "-b", str(tree), str(target)], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def crawl(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crawl")
    build(out, packages)
    return out


def test_the_crawl_is_readable_and_holds_every_page_as_it_was(crawl: Path) -> None:
    from dsm_repro.corpus.readers import read_shard
    from dsm_repro.corpus.readers.inputs import find_files

    (file,) = find_files([str(crawl / "gap-doc.warc.gz")], (".warc.gz",), "paths")
    records = list(read_shard("warc", (file.encoded(),), ExtractionConfig()))
    assert all(isinstance(record, RawPage) for record in records)
    found = {record.url: record.body for record in records if isinstance(record, RawPage)}
    assert set(found) == {
        f"https://gap.example/{prefix}{name}"
        for prefix in ("", "policy/")
        for name in ("words.html", "sub%20dir/maths.html")
    }
    assert found["https://gap.example/words.html"] == b"<meta charset=latin-1><p>caf\xe9 without any</p>"


def test_the_truth_labels_every_page_of_every_package(crawl: Path) -> None:
    truth = read_truth(crawl)
    assert len(truth) == 2 * len(MANUALS) + 2
    assert {label.is_math for url, label in truth.items() if "maths" in url} == {True}
    assert {label.is_math for url, label in truth.items() if "words" in url} == {False}
    assert truth["https://scipy.example/words.html"].subject == "mixed"
    summary = json.loads((crawl / SUMMARY).read_text())
    assert [item["pages"] for item in summary if item["package"] == "octave-doc"] == [2]
    assert {item["version"] for item in summary} == {"1:2"}
    assert {label.package for label in read_truth(crawl / SEEDS).values()} == {m.package for m in SEED_MANUALS}


def test_the_same_packages_give_the_same_bytes(packages: Path, crawl: Path, tmp_path: Path) -> None:
    build(tmp_path, packages)
    names = [f"{manual.package}.warc.gz" for manual in MANUALS] + [TRUTH, SUMMARY]
    assert [(tmp_path / name).read_bytes() for name in names] == [(crawl / name).read_bytes() for name in names]


def test_a_lacking_package_is_named_before_anything_is_unpacked(packages: Path, tmp_path: Path) -> None:
    for deb in packages.glob("*.deb"):
        if not deb.name.startswith("gap-doc"):
            (tmp_path / deb.name).symlink_to(deb)
    with pytest.raises(DataError, match="gap-doc"):
        find(MANUALS, tmp_path)


def test_without_apt_the_message_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"apt-get download python-sympy-doc .* --packages"):
        fetch(MANUALS, tmp_path)


def test_a_package_of_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="python-sympy-doc/html"):
        list(pages(MANUALS[0], tmp_path))


def test_each_package_is_held_out_in_half_of_the_splits() -> None:
    chosen = splits()
    assert len(chosen) == len(set(chosen)) == 36
    everything = {manual.package for manual in MANUALS}
    for package in everything:
        assert [sum(package not in split for split in chosen[:count]) for count in (6, 12, 36)] == [3, 6, 18]
    kinds = {frozenset(split) for split in chosen}
    assert all(everything - split in kinds for split in kinds)


def test_measures_of_a_hand_counted_table() -> None:
    found = count([True, True, True, False, False, False], [0.9, 0.5, 0.1, 0.7, 0.2, 0.0])
    assert found == Counts(2, 1, 1, 2)
    assert (found.precision, found.recall, found.f1, found.false_alarms) == (2 / 3, 2 / 3, 2 / 3, 1 / 3)
    nothing = count([False], [0.9])
    assert (nothing.recall, nothing.f1, nothing.false_alarms) == (None, None, 1.0)
    # ranks 1 and 3: (1/1 + 2/3) / 2
    assert average_precision([True, False, True], [0.9, 0.8, 0.7]) == pytest.approx(5 / 6)


def test_a_split_scores_only_the_packages_it_was_not_trained_on(tmp_path: Path) -> None:
    said = {True: "the integral of x ^ 2 is x ^ 3 / 3", False: "install the server and restart the daemon"}
    made = [
        Document(package, is_math, f"{said[is_math]} {number}")
        for package in ("a", "b", "c")
        for is_math in (True, False)
        for number in range(20)
    ]
    config = ClassifierConfig(dim=8, bucket=1_000, positives=1_000, negatives=1_000, max_repeats=100, epochs=5)
    found = evaluate(made, ("a", "b"), config, seed=0, folder=tmp_path)
    assert set(found.by_package) == {"c"}
    assert found.all == Counts(20, 0, 0, 20)
    assert found.average_precision == 1.0


def label(url: str, is_math: bool | None) -> Truth:
    domain = url.split("/")[2]
    package, subject = next((manual.package, manual.subject) for manual in MANUALS if manual.domain == domain)
    return Truth(url, domain, package, subject, is_math, 0, 0, 0)


SCIPY = {
    "https://scipy.example/release.html": False,
    "https://scipy.example/tutorial/a.html": True,
    "https://scipy.example/tutorial/stats/b.html": True,
    "https://scipy.example/tutorial/stats/c.html": None,
    "https://scipy.example/dev/d.html": False,
    "https://scipy.example/dev/e.html": None,
}
LABELS = {
    url: label(url, is_math)
    for url, is_math in {**SCIPY, "https://git.example/f.html": False, "https://gap.example/ref/g.html": True}.items()
}
COLLECTED = {"https://scipy.example/tutorial/a.html", "https://scipy.example/dev/e.html", "https://git.example/f.html"}


def review(path: str, round_number: int, accepted: bool) -> dict[str, object]:
    return {"domain": "scipy.example", "path": path, "round": round_number, "share": 0.5, "accepted": accepted}


def test_paths_are_judged_by_the_labelled_pages_under_them_and_the_last_decision() -> None:
    reviews = [
        review("/", 1, True),
        review("/tutorial/", 1, False),
        review("/tutorial/", 2, True),
        review("/tutorial/stats/", 1, True),
        review("/dev/", 1, True),
    ]
    found = {item.path: item for item in check_paths(list(LABELS), {"reviews": reviews}, LABELS)}
    # the root stands for the pages at the root, not for everything below it
    assert (found["/"].pages, found["/"].labelled, found["/"].should) == (1, 1, False)
    assert (found["/tutorial/"].pages, found["/tutorial/"].labelled, found["/tutorial/"].mathematical) == (3, 2, 2)
    assert (found["/tutorial/"].accepted, found["/tutorial/"].rounds) == (True, (1, 2))
    assert found["/tutorial/stats/"].should is True
    assert (found["/dev/"].should, found["/dev/"].accepted) == (False, True)


def test_domains_and_pages_are_judged_against_manual_and_label() -> None:
    record = {"domains": [{"domain": "git.example"}, {"domain": "scipy.example"}]}
    found = {item.domain: item for item in check_domains(list(LABELS), COLLECTED, record, LABELS)}
    assert set(found) == {"scipy.example", "git.example", "gap.example"}
    assert (found["git.example"].subject, found["git.example"].found) == ("other", True)
    assert (found["gap.example"].subject, found["gap.example"].found) == ("mathematics", False)
    scipy = found["scipy.example"]
    assert (scipy.pages, scipy.labelled, scipy.mathematical, scipy.collected) == (6, 4, 2, 2)
    # scipy's dev/e.html is collected, but nobody can say whether rightly
    assert check_pages(list(LABELS), COLLECTED, LABELS) == Counts(1, 1, 2, 2)


def test_formulas_can_be_cut_out_of_what_the_classifier_reads(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    texts = {
        "https://gap.example/ref/g.html": "the order $p^{n}$ of\n\\[a = b\\]\na group costs 5$",
        "https://scipy.example/dev/e.html": "nobody can tell",
    }
    rows = [Page(url, url.split("/")[2], text, 1, "here") for url, text in texts.items()]
    write_pages(rows, tmp_path / "pages" / "00000.parquet")
    crawl = Crawl.of(tmp_path)
    (whole,) = documents(crawl, LABELS, formulas=True)
    (cut,) = documents(crawl, LABELS, formulas=False)
    assert "p ^ { n }" in whole.line
    assert cut == Document("gap-doc", True, "the order of a group costs 5 $")


def test_paths_with_blanks_and_quotes_survive_the_command_line(tmp_path: Path) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    odd = [tmp_path / "with blank, comma", tmp_path / "it's"]
    (parsed,) = OverridesParser.create().parse_overrides([listed("corpus.paths", odd)])
    assert parsed.key_or_group == "corpus.paths"
    assert [str(item) for item in parsed.value()] == [str(path) for path in odd]  # type: ignore[union-attr]
