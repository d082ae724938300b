"""Review of URL paths: by rule, and by a person through a file that keeps what the person wrote."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dsm_repro.cli import main
from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.corpus.crawl import Crawl, write_pages
from dsm_repro.corpus.domains import Prefix
from dsm_repro.corpus.loop import curate, reviews
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.review import ByFile, ByShare, ReviewNeeded, review_inputs, reviewer
from dsm_repro.corpus.review_entry import Entry, Sample
from dsm_repro.corpus.review_file import decide, merge, read_entries
from dsm_repro.corpus.review_page import existing, html, set_decisions, table

HOSTILE = "</li><script>alert(1)</script> {{ 7*7 }} & \u202e # no: comment\t'\"\u2028- domain: x"


def entry(path: str, effect: int = 5, domain: str = "a.example", **more: object) -> Entry:
    parts = tuple(part for part in path.split("/") if part)
    values = {"pages": 20, "collected": 10, "samples": (Sample(f"http://a.example{path}1", "Title", "Text"),)}
    return Entry(domain, parts, effect=effect, **{"accept": None, "by": "", **values, **more})  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "review.yaml"
    merge(path, [entry("/small/", 1), entry("/large/", 9), entry("/", 9)])
    return path


def test_the_rule_accepts_from_the_share_on_and_signs_as_auto() -> None:
    proposed = [Prefix("a.example", ("x",), 10, 5, 5, ()), Prefix("a.example", ("y",), 10, 4, 6, ())]
    config = Config()
    config.corpus.auto_accept_share = 0.5
    decided = reviewer(config)(proposed, None)  # type: ignore[arg-type]
    assert [(item.accepted, item.by) for item in decided] == [(True, "auto"), (False, "auto")]
    assert review_inputs(config) == ()


def test_entries_come_by_effect_and_read_back_as_they_were(file: Path) -> None:
    assert read_entries(file) == [entry("/", 9), entry("/large/", 9), entry("/small/", 1)]
    before = file.read_bytes()
    merge(file, read_entries(file))
    assert file.read_bytes() == before


def test_hostile_samples_read_back(file: Path) -> None:
    hostile = entry(
        "/x'y\"#: z/", samples=(Sample("http://a.example/?q=# - a: b", HOSTILE, "yes"), Sample("", "", "~"))
    )
    merge(file, [hostile])
    assert hostile in read_entries(file)


def test_what_a_person_wrote_survives_new_paths(file: Path) -> None:
    text = file.read_text()
    first, _, rest = text.partition("- domain: a.example\n  path: /large/")
    mine = (
        "# asked Bob about this one\n- domain: a.example\n  path: /large/   # the big one\n  accept:    yes  # sure\n"
        "  by: Ann\n  # and a last word\n"
    )
    start = rest.index("- domain")  # keeps the third entry
    file.write_text("# my own header\n\n" + first.partition("\n\n")[2] + mine + rest[start:])
    merge(file, [entry("/new/", 7), entry("/large/", 3), entry("/small/", 100)])
    written = file.read_text()
    assert written.startswith("# my own header\n\n")
    assert mine in written
    # the decided entry gives no effect, so it stands last; what nobody touched has its new figures
    assert [(item.path, item.effect) for item in read_entries(file)] == [
        ("/small/", 100),
        ("/", 9),
        ("/new/", 7),
        ("/large/", 0),
    ]


def test_a_touched_undecided_entry_keeps_its_comment(file: Path) -> None:
    file.write_text(file.read_text().replace("  accept:\n", "  accept:  # ask Bob\n", 1))
    merge(file, [entry("/", 50)])
    assert "accept:  # ask Bob" in file.read_text()


def test_decisions_are_written_into_the_lines_that_are_there(file: Path) -> None:
    file.write_text(file.read_text().replace("  accept:\n", "  accept:  # ask Bob\n", 1))
    changed = decide(file, lambda item: item.path == "/" or None, "Ann: of: the # lab")
    assert [(item.path, item.accept, item.by) for item in changed] == [("/", True, "Ann: of: the # lab")]
    assert [(item.accept, item.by) for item in read_entries(file)] == [
        (True, "Ann: of: the # lab"),
        (None, ""),
        (None, ""),
    ]
    assert "accept: yes  # ask Bob" in file.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "- {domain: a.example, path: /x/, effect: 3}  # a word\n",
        "- domain: a.example\n  path: /x/\n",
        "-\n  by: >-\n    Ben\n  accept:\n  path: /x/\n  domain: a.example",
        "- domain: a.example\n  path: /x/\n  samples:\n  - url: |\n      accept:\n      by:\n    title: accept\n",
    ],
)
def test_an_entry_in_a_persons_own_layout_can_be_decided(tmp_path: Path, text: str) -> None:
    path = tmp_path / "review.yaml"
    path.write_text(text)
    (before,) = read_entries(path)
    decide(path, lambda item: False, "Ann")
    assert read_entries(path) == [replace(before, accept=False, by="Ann")]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("- domain: [a\n- b: c\n", 2, "not YAML"),
        ("domain: a.example\n", 1, "not a list"),
        ("- a.example/x\n", 1, "not an entry"),
        ("\n- domain: a.example\n", 2, "no path"),
        ("- domain: a.example\n  path: x/\n", 2, "must start with /"),
        ("- domain: a.example\n  path: /x/\n  acept: yes\n", 3, "acept: no such key"),
        ("- domain: a.example\n  path: /x/\n  accept: maybe\n  by: Ann\n", 3, "maybe: write yes or no"),
        ("- domain: a.example\n  path: /x/\n  accept: 1\n  by: Ann\n", 3, "1: write yes or no"),
        ("- domain: a.example\n  path: /x/\n  accept: [yes]\n  by: Ann\n", 3, "write yes or no"),
        ("- domain: a.example\n  path: /x/\n  accept: yes\n", 3, "by is empty"),
        ("- domain: a.example\n  path: /x/\n  accept: yes\n  by: auto\n", 4, "Write a person's name"),
        ("- domain: a.example\n  path: /x/\n  accept: yes\n  by: no\n", 4, "write a name"),
        ("- domain: a.example\n  path: /x/\n  pages: 0x1F\n", 3, "0x1F: write a whole number"),
        ("- domain: a.example\n  path: /x/\n  path: /y/\n", 3, "second time"),
        ("- domain: a.example\n  path: /x/\n- domain: www.A.example\n  path: /x\n", 3, "stands on line 1 already"),
        ("- domain: a.example\n  path: /x/\n  samples: http://a.example\n", 3, "samples"),
        ("- domain: a.example\n  path: /x/\n  samples:\n  - link: x\n", 4, "samples"),
        ("[{domain: a.example, path: /x/}]\n", 1, "at the line's start"),
        ("- domain: a.example\n  path: /x/\n---\n- domain: b.example\n", 3, "not YAML"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_an_error_with_line_and_fix(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "review.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        merge(path, [entry("/new/")])
    assert str(error.value).startswith(f"{path}, line {line}: ")
    assert said in str(error.value)
    assert path.read_text() == text


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "review.yaml").write_bytes(b"\xff\xfe- domain")
    with pytest.raises(DataError, match="cannot be read"):
        read_entries(tmp_path / "review.yaml")


@pytest.mark.parametrize("text", ["", "# nothing yet", "[]\n"])
def test_a_file_without_entries_can_be_filled(tmp_path: Path, text: str) -> None:
    path = tmp_path / "review.yaml"
    path.write_text(text)
    merge(path, [entry("/new/")])
    assert read_entries(path) == [entry("/new/")]


def test_a_kill_while_writing_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        merge(file, [entry("/new/")])
    assert file.read_bytes() == before


# what a stage does

FORUM = [f"http://forum.example/q/{number}" for number in range(6)] + [
    f"http://forum.example/tagged/{number}" for number in range(4)
]
NEWS = [f"http://news.example/story/{number}" for number in range(20)]


def loop(
    folder: Path, review: ByFile | ByShare, best: tuple[list[str], ...] = (), more: Sequence[str] = ()
) -> list[dict]:
    """Rounds on a small crawl; in the first, three of six questions are collected."""
    urls = [*FORUM, *NEWS, *more]
    pages = [Page(url, url.split("/")[2], f"Page {n}\n\nwith a text of {n}", 10, "test") for n, url in enumerate(urls)]
    folder.mkdir(exist_ok=True)
    write_pages(pages, folder / "pages.parquet")
    by_round = best or (FORUM[:3], FORUM[:6], FORUM[:6])

    def score(model: Path) -> np.ndarray:
        chosen = by_round[int(model.parent.name.removeprefix("round-")) - 1]
        return np.float32([0.9 if url in chosen else 0.1 for url in urls])

    config = CorpusConfig(top_tokens=30, rounds=len(by_round), volumes=[1.0], stop_overlap=1.1)
    config.classifier.dim, config.classifier.bucket, config.classifier.min_count = 4, 100, 1
    crawl = Crawl([folder / "pages.parquet"])
    clean = [True] * len(urls)
    _, rounds = curate(crawl, clean, ["x = 1", "x = 2"], config, 0, folder / "loop", score, review)
    return reviews(rounds)


def test_undecided_paths_stop_the_loop_and_go_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "review.yaml"
    with pytest.raises(ReviewNeeded) as error:
        loop(tmp_path / "a", ByFile(path), (FORUM[:3], FORUM[:3]))
    said = str(error.value)
    assert "2 URL paths (7 pages) wait" in said and str(path) in said
    assert "dsm review corpus.review_file=" in said and "same command" in said
    tagged, questions = read_entries(path)
    assert (tagged.path, tagged.pages, tagged.collected, tagged.effect) == ("/tagged/", 4, 0, 4)
    assert (questions.path, questions.effect, questions.share) == ("/q/", 3, 0.5)
    assert questions.samples[0] == Sample(FORUM[3], "Page 3", "with a text of 3")
    assert all(item.accept is None for item in (tagged, questions))
    # asking again changes nothing
    before = path.read_bytes()
    with pytest.raises(ReviewNeeded, match="2 URL paths"):
        loop(tmp_path / "a", ByFile(path), (FORUM[:3], FORUM[:3]))
    assert path.read_bytes() == before


def test_a_persons_decisions_hold_in_all_rounds(tmp_path: Path) -> None:
    path = tmp_path / "review.yaml"
    merge(path, [entry("/q/", domain="forum.example"), entry("/tagged/", domain="forum.example")])
    set_decisions(path, ["forum.example/q"], ["forum.example/tagged/"], "Ann")
    before = path.read_bytes()
    decided = loop(tmp_path / "a", ByFile(path), (FORUM[:3], FORUM[:2] + NEWS[:1], FORUM[:3]))
    assert [(item["round"], item["path"], item["accepted"], item["by"]) for item in decided] == [
        (1, "/tagged/", False, "Ann"),
        (1, "/q/", True, "Ann"),
        (2, "/tagged/", False, "Ann"),
        (2, "/q/", True, "Ann"),
    ]
    assert path.read_bytes() == before


def test_a_path_that_a_person_adds_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "review.yaml"
    path.write_text(
        "- {domain: forum.example, path: /q/, accept: yes, by: Ann}\n"
        "- {domain: forum.example, path: /tagged/, accept: no, by: Ann}\n"
        # two pages are too few to be proposed
        "- {domain: forum.example, path: /q/deep/er, accept: no, by: Ann}\n"
    )
    deep = [f"http://forum.example/q/deep/er/{number}" for number in range(2)]
    decided = loop(tmp_path / "a", ByFile(path), (FORUM[:3], FORUM[:3]), more=deep)
    assert {item["path"]: (item["pages"], item["accepted"]) for item in decided} == {
        "/q/": (8, True),
        "/tagged/": (4, False),
        "/q/deep/er/": (2, False),
    }
    trained = (tmp_path / "a" / "loop" / "round-2" / "classifier.txt").read_text().splitlines()
    positive = {row for row in trained if row.startswith("__label__math")}
    assert "__label__math page 3 with a text of 3" in positive
    assert not any("with a text of 3" in row and row.endswith(("30", "31")) for row in positive)


def test_a_new_path_in_a_later_round_waits(tmp_path: Path) -> None:
    path = tmp_path / "review.yaml"
    path.write_text("- {domain: forum.example, path: /q/, accept: yes, by: Ann}\n")
    with pytest.raises(ReviewNeeded, match="1 URL paths"):
        loop(tmp_path / "a", ByFile(path))
    set_decisions(path, [], ["*"], "Ben")
    assert [item["by"] for item in loop(tmp_path / "b", ByFile(path), (FORUM[:3], FORUM[:3]))] == ["Ben", "Ann"]


def test_the_file_enters_the_key_once_it_is_there(file: Path, tmp_path: Path) -> None:
    config = Config()
    config.corpus.review, config.corpus.review_file = "file", str(tmp_path / "not-yet.yaml")
    assert review_inputs(config) == ()
    config.corpus.review_file = str(file)
    assert review_inputs(config) == (file,)
    file.write_text("- domain: a.example\n")
    with pytest.raises(DataError, match="line 1"):  # before any work
        review_inputs(config)


# what `dsm review` does


def test_patterns_touch_only_what_waits_and_the_longest_decides(file: Path) -> None:
    set_decisions(file, ["a.example/small"], [], "Ann")
    done = set_decisions(file, ["a.example/lar*"], ["*"], "Ben")
    assert {item.path: item.accept for item in done} == {"/": False, "/large/": True}
    assert {item.path: item.by for item in read_entries(file)} == {"/": "Ben", "/large/": "Ben", "/small/": "Ann"}
    set_decisions(file, [], ["a.example/small/"], "Cem")  # a path named in full can be decided anew
    assert next(item for item in read_entries(file) if item.path == "/small/").accept is False


@pytest.mark.parametrize(
    ("accepted", "rejected", "by", "said"),
    [
        (["a.example/"], [], "", "--by NAME"),
        (["a.example/"], [], "auto", "--by NAME"),
        (["a.example/typo"], [], "Ann", "a.example/typo: no such path"),
        (["b*"], [], "Ann", "no such path"),
        (["a.example/["], [], "Ann", "no such path"),
        (["a.example/"], ["a.example/"], "Ann", "both accepted and rejected"),
    ],
)
def test_decisions_that_cannot_be_taken(
    file: Path, accepted: list[str], rejected: list[str], by: str, said: str
) -> None:
    before = file.read_bytes()
    with pytest.raises(ConfigError) as error:
        set_decisions(file, accepted, rejected, by)
    assert said in str(error.value)
    assert file.read_bytes() == before


def test_the_page_is_one_file_that_shows_samples_and_runs_nothing(file: Path) -> None:
    samples = Sample("javascript:alert(1)", HOSTILE, HOSTILE), Sample("http://a.example/<i>")
    merge(file, [entry("/<b>/", 99, samples=samples)])
    page = html(existing(file, []), file)

    class Seen(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: set[str] = set()
            self.links: list[str] = []
            self.text = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            self.links += [value or "" for name, value in attrs if name in ("href", "src")]

        def handle_data(self, data: str) -> None:
            self.text += data

    seen = Seen()
    seen.feed(page)
    assert not seen.tags & {"script", "img", "iframe", "link", "i", "b", "form"}
    assert all(link.startswith("http://a.example/") for link in seen.links)
    assert "javascript:alert(1)" in seen.text and "{{ 7*7 }}" in seen.text
    assert "4 wait for a decision, 0 are decided" in seen.text
    assert seen.text.index("a.example/<b>/") < seen.text.index("a.example/large/")


def test_the_table_shows_an_address_that_a_terminal_would_obey(tmp_path: Path) -> None:
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    hostile = entry("/\x1b[31m[red]/", by="Ann", accept=True)
    console.print(table([hostile, entry("/small/")], tmp_path / "review.yaml"))
    shown = console.export_text()
    assert "\x1b" not in shown and "\ufffd[31m[red]/" in shown
    assert "1 of 2 URL paths wait" in shown


def test_the_command_lists_decides_and_writes_the_page(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"corpus.review_file={file}"
    assert main(["review", where, "--html", str(tmp_path / "page.html"), "--accept", "*large*", "--by", "Ann"]) == 0
    shown = capsys.readouterr().out
    assert "1 decided by Ann" in shown
    assert shown.index("a.example/small/") < shown.index("a.example/large/")  # what waits stands first
    assert "accepted by Ann" in (tmp_path / "page.html").read_text()
    assert main(["review", where, "--html", str(tmp_path / "no" / "page.html")]) == 1
    assert main(["review", f"corpus.review_file={tmp_path}/other.yaml"]) == 1
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert f"`dsm run until=corpus corpus.review=file corpus.review_file={tmp_path}/other.yaml`" in said
