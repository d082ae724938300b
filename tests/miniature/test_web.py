from __future__ import annotations

import base64
import collections
import gzip
import hashlib
import json
import random
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.corpus_schema import WebConfig
from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature import web, web_plan, web_sites
from dsm_repro.miniature.problems import problems
from dsm_repro.miniature.web_markup import ENCODINGS, FORMULA, encode
from dsm_repro.miniature.web_maths import math_page
from dsm_repro.miniature.web_mistakes import spoil
from dsm_repro.miniature.web_page import Page, jaccard, shingles

PAGES = 600
CONFIG = WebConfig(pages=PAGES)


def planned(config: WebConfig) -> list[Page]:
    train = problems("train", min(web.MAX_PROBLEMS, 16 + 4 * config.pages), web.PROBLEM_SEED_OFFSET + config.seed)
    return web_plan.plan_pages(config, train, problems("test", 4 * web_plan.leak_pages(config), web.LEAK_SEED))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("web")
    web.write_web(CONFIG, out)
    return out


@pytest.fixture(scope="module")
def pages() -> list[Page]:
    return planned(CONFIG)


@pytest.fixture(scope="module")
def truth(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]


def read_warc(path: Path) -> Iterator[tuple[Message, bytes]]:
    """Read a WARC file by its specification, without the library that wrote it; block digests are checked."""
    data = gzip.decompress(path.read_bytes())
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        version, _, fields = head.partition(b"\r\n")
        assert version == b"WARC/1.1"
        headers = message_from_bytes(fields)
        length = int(headers["Content-Length"])
        block, data = rest[:length], rest[length:].removeprefix(b"\r\n\r\n")
        digest = base64.b32encode(hashlib.sha1(block, usedforsecurity=False).digest()).decode()
        assert headers["WARC-Block-Digest"] == f"sha1:{digest}"
        yield headers, block


@pytest.fixture(scope="module")
def bodies(folder: Path) -> dict[str, tuple[str, str, bytes]]:
    """What an independent reader finds: url -> (status, content type, body)."""
    found = {}
    for path in sorted(folder.glob("crawl-*.warc.gz")):
        for headers, block in read_warc(path):
            if headers["WARC-Type"] == "response":
                head, _, body = block.partition(b"\r\n\r\n")
                status, _, fields = head.partition(b"\r\n")
                http = message_from_bytes(fields)
                assert headers["WARC-Target-URI"] not in found
                assert int(http["Content-Length"]) == len(body)
                found[headers["WARC-Target-URI"]] = (status.decode().split()[1], http["Content-Type"], body)
    return found


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    small = WebConfig(pages=80)
    for name, config in (("a", small), ("b", small), ("c", WebConfig(pages=80, seed=1))):
        web.write_web(config, tmp_path / name)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert not set(digests(tmp_path / "a").values()) & set(digests(tmp_path / "c").values())


def test_every_page_has_its_record_and_every_record_its_truth(truth, bodies) -> None:  # type: ignore[no-untyped-def]
    assert len(truth) == PAGES
    assert {row["url"] for row in truth} == set(bodies)


def test_pages_are_html_but_for_the_declared_defects(truth, bodies) -> None:  # type: ignore[no-untyped-def]
    for row in truth:
        status, content_type, body = bodies[row["url"]]
        if row["defect"] is None:
            assert (status, content_type) == ("200", "text/html; charset=utf-8")
            assert b"<h1" in body and b"cookie" in body and b'rel="canonical"' in body
            body.decode()
    by_defect = {row["defect"]: bodies[row["url"]] for row in truth if row["defect"]}
    assert set(by_defect) == set(web_plan.DEFECTS)
    assert by_defect["empty"][2] == b"" and by_defect["not_found"][0] == "404"
    assert by_defect["binary"][1] == "application/pdf" and b"</p>" not in by_defect["unclosed_tags"][2]
    with pytest.raises(UnicodeDecodeError):
        by_defect["bad_utf8"][2].decode()


def test_about_half_is_mathematics_in_the_declared_shares(truth) -> None:  # type: ignore[no-untyped-def]
    share = {quality: count / PAGES for quality, count in collections.Counter(r["quality"] for r in truth).items()}
    assert share["good"] == pytest.approx(0.45, abs=0.04)
    assert share["low"] == pytest.approx(0.08, abs=0.02)
    kinds = collections.Counter(row["kind"] for row in truth)
    assert sum(kinds[kind] for kind in web_sites.PROSE) / PAGES == pytest.approx(0.20, abs=0.03)
    assert sum(kinds[kind] for kind in web_sites.CODE) / PAGES == pytest.approx(0.12, abs=0.03)
    assert sum(kinds[kind] for kind in web_sites.FILLER) / PAGES == pytest.approx(0.15, abs=0.03)
    assert all((row["quality"] is not None) == row["is_math"] for row in truth)


def test_copies_come_in_the_configured_numbers(truth) -> None:  # type: ignore[no-untyped-def]
    count = collections.Counter(row["duplicate"] for row in truth)
    assert count["url"] + count["exact"] == round(PAGES * CONFIG.exact_duplicate_share)
    assert count["near"] == round(PAGES * CONFIG.near_duplicate_share)
    assert sum(row["leak_of"] is not None and row["duplicate"] is None for row in truth) == round(PAGES * 0.01)
    urls = {row["url"] for row in truth}
    assert all(row["duplicate_of"] in urls for row in truth if row["duplicate"])


def test_exact_copies_are_equal_to_the_byte(truth, bodies) -> None:  # type: ignore[no-untyped-def]
    copies = [row for row in truth if row["duplicate"] in ("url", "exact")]
    assert copies
    for row in copies:
        assert bodies[row["url"]] == bodies[row["duplicate_of"]]


def test_near_copies_differ_and_stay_above_the_threshold(pages: list[Page]) -> None:
    by_url = {page.url: page for page in pages}
    for page in pages:
        if page.duplicate == "near":
            original = by_url[str(page.duplicate_of)]
            assert page.main_text != original.main_text
            assert jaccard(page.main_text, original.main_text) >= 0.85


def test_pages_that_are_no_copies_do_not_look_like_copies(pages: list[Page]) -> None:
    holders: dict[tuple[str, ...], list[int]] = collections.defaultdict(list)
    originals = [page for page in pages if page.duplicate is None and page.defect is None]
    sets = [shingles(page.main_text) for page in originals]
    for index, found in enumerate(sets):
        for shingle in found:
            holders[shingle].append(index)
    shared: collections.Counter[tuple[int, int]] = collections.Counter()
    for indices in holders.values():
        shared.update((a, b) for i, a in enumerate(indices) for b in indices[i + 1 :])
    worst = max(count / (len(sets[a]) + len(sets[b]) - count) for (a, b), count in shared.items())
    assert worst < 0.6


def test_leaks_hold_test_questions_verbatim_and_no_other_page_does(pages: list[Page]) -> None:
    test = {problem.id: problem for problem in problems("test", 200, web.LEAK_SEED)}
    leaks = [page for page in pages if page.leak_of]
    assert leaks
    for page in leaks:
        assert 2 <= len(page.leak_of or ()) <= 4
        for leaked in page.leak_of or ():
            assert test[leaked].question in page.main_text and test[leaked].cot in page.main_text
    clean = "\n".join(page.main_text for page in pages if page.leak_of is None)
    assert not [problem.question for problem in test.values() if problem.question in clean]


def test_leaked_questions_are_readable_in_the_html(pages: list[Page], bodies) -> None:  # type: ignore[no-untyped-def]
    test = {problem.id: problem for problem in problems("test", 200, web.LEAK_SEED)}
    for page in pages:
        if page.leak_of and web_sites.SITES[page.origin or page.domain].encoding == "plain":
            body = bodies[page.url][2].decode()
            assert all(test[leaked].question in body for leaked in page.leak_of)


def test_problems_fill_most_of_a_good_page(pages: list[Page]) -> None:
    for page in pages:
        if page.quality == "good" and page.duplicate is None:
            assert 2 <= len(page.problems) <= 8
            taught = sum(len(block.text) for block in page.blocks if block.kind in ("problem", "code"))
            assert taught >= 0.6 * len(page.main_text)


def test_good_solutions_are_right_and_low_ones_wrong(pages: list[Page]) -> None:
    known = {problem.question: problem.answer for problem in problems("train", 16 + 4 * PAGES, web.PROBLEM_SEED_OFFSET)}
    seen: collections.Counter[str] = collections.Counter()
    for page in pages:
        for block in page.blocks:
            if block.kind != "problem" or page.leak_of or "\n" not in block.text:
                continue
            question, solution = block.text.split("\n")
            boxed = re.findall(r"\\boxed\{([^{}]*)\}", solution)
            seen[str(page.quality)] += 1
            if page.quality == "good":
                assert boxed == [known[question]]
            else:
                assert boxed != [known[question]]
    assert seen["low"] > 100 and seen["good"] > 500


def test_low_quality_sits_mostly_on_answer_sites(truth) -> None:  # type: ignore[no-untyped-def]
    low = [row["domain"] for row in truth if row["quality"] == "low"]
    farms = {"homeworkanswerz.example", "quicksolve.example", "cheatsheets4u.example"}
    assert sum(domain in farms for domain in low) / len(low) > 0.7


def test_every_kind_of_mistake_is_made_and_carried_through() -> None:
    rng, kinds = random.Random(0), collections.Counter()
    for problem in problems("train", 400, 5):
        solution, kind = spoil(problem, rng)
        kinds[kind] += 1
        assert ("boxed" in solution) == (kind != "truncated")
        assert f"\\boxed{{{problem.answer}}}" not in solution
    assert set(kinds) == {"dropped_carry", "off_by_one", "wrong_operation", "truncated"}


def test_sites_mix_mathematics_with_other_paths(truth) -> None:  # type: ignore[no-untyped-def]
    by_domain: dict[str, set[bool]] = collections.defaultdict(set)
    for row in truth:
        by_domain[row["domain"]].add(row["is_math"])
    assert len(by_domain) >= 28
    assert sum(len(values) == 2 for values in by_domain.values()) >= 8
    forum = [row for row in truth if row["domain"] == "askmaths.example" and row["defect"] is None]
    assert all(("/questions/" in row["url"]) == row["is_math"] for row in forum if "/print/" not in row["url"])


def test_seed_documents_are_good_mathematics_from_other_sites(folder: Path, truth) -> None:  # type: ignore[no-untyped-def]
    seeds = [json.loads(line) for line in (folder / "seed.jsonl").read_text().splitlines()]
    mathematical = sum(row["is_math"] for row in truth)
    assert len(seeds) == pytest.approx(0.15 * mathematical, abs=1)
    hosts = {seed["url"].split("/")[2] for seed in seeds}
    assert hosts == {"seedforum.example", "seedbook.example"} and not hosts & {row["domain"] for row in truth}
    assert all(set(seed) == {"url", "text"} and len(seed["text"]) > 100 for seed in seeds)
    assert any("$" in seed["text"] for seed in seeds)


def test_each_record_is_its_own_gzip_member_without_a_time(folder: Path) -> None:
    data = (folder / "crawl-00000.warc.gz").read_bytes()
    assert data[4:8] == b"\0\0\0\0"
    assert gzip.decompress(data).count(b"WARC-Type: response") == PAGES


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_loses_a_number_or_a_word(encoding: str) -> None:
    line = "Evaluate x^2 + 6*x + 23 at x = 3, then 75%6=3 and \\boxed{50} & (3,5) < 4."
    out = encode(line, encoding)
    assert "Evaluate" in out and "&amp;" in out and "&lt;" in out
    for number in ("2", "6", "23", "75", "50"):
        assert number in re.sub(r"#x\w+;", "", out)
    assert len(FORMULA.findall(line)) == 5
    marker = {"plain": "x^2 + 6*x + 23", "dollar": "$x^2 + 6*x + 23$", "parenthesis": r"\(x^2 + 6*x + 23\)",
              "script": '<script type="math/tex">x^2', "annotated_mathml": 'encoding="application/x-tex">x^2',
              "mathml": "<msup><mi>x</mi><mn>2</mn></msup>", "image": 'alt="x^2', "sup": "x<sup>2</sup>",
              "katex": 'class="katex-html"'}[encoding]  # fmt: skip
    assert marker in out


def test_dates_names_and_slugs_are_no_formulas() -> None:
    assert not FORMULA.findall("Posted 2021, by x-ray fan-club no. 5; 3 shirts, 2 hats (see page 7).")


def test_titles_and_blocks_follow_the_seed() -> None:
    dealt = problems("train", 4, 2)
    assert math_page("qa", dealt, random.Random(1)) == math_page("qa", dealt, random.Random(1))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (WebConfig(pages=10), "corpus.web.pages=10"),
        (WebConfig(pages=100, near_duplicate_share=0.7), "near_duplicate_share"),
    ],
)
def test_a_web_that_cannot_be_is_refused(config: WebConfig, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        web.write_web(config, tmp_path)


def test_a_wrong_solution_states_the_answer_that_its_last_line_gives() -> None:
    rng = random.Random(1)
    for problem in problems("train", 400, 6):
        solution, kind = spoil(problem, rng)
        if kind != "truncated" and problem.category != "Number Theory":
            last = re.search(r"=(-?\d+)\. \\boxed\{(-?\d+)\}$", solution)
            assert last is not None and last.group(1) == last.group(2)
