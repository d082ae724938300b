"""A small web written as a real crawl: WARC files, a seed corpus, and the truth about every page.

About half of the pages work through problems of ``miniature.problems``; some do it badly. The rest is
real prose and real code from what is installed, and templated shops, news and chatter. There are copies
under other addresses, copies with small edits, pages that leak test problems, and defective ones.
Formulas come in the encodings of the real web (``web_markup.ENCODINGS``), pages in frames with
navigation, cookie notices and footers.

What is *not* like the real web: it is small, in English, its mathematics is elementary, and a page's
formulas are written by generators and not by people.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dsm_repro.config.corpus_schema import WebConfig
from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature import web_sites
from dsm_repro.miniature.problems import Problem, problems
from dsm_repro.miniature.web_markup import FORMULA
from dsm_repro.miniature.web_page import Page
from dsm_repro.miniature.web_plan import LEAKED_PER_PAGE, leak_pages, plan_pages, seed_pages
from dsm_repro.miniature.web_templates import render

PAGES_PER_FILE = 1_000
#: documents in the seed corpus, relative to the mathematical pages
SEED_SHARE = 0.15
#: distinct training problems on the web; a larger web shows some of them more than once
MAX_PROBLEMS = 12_000
#: the web draws its problems apart from fine-tuning, which uses the small seeds
PROBLEM_SEED_OFFSET = 1_000_003
#: leaked problems are the first ones of the test set under this seed (the default ``problems.seed``)
LEAK_SEED = 0
MIN_PAGES = 50

_CRAWL_START = datetime(2024, 3, 1, tzinfo=UTC)
_WARC_INFO = b"software: dsm_repro.miniature\r\nformat: WARC File Format 1.1\r\n"
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


def write_web(config: WebConfig, out: Path) -> None:
    """Write ``crawl-*.warc.gz``, ``seed.jsonl`` and ``truth.jsonl`` under ``out``.

    - WARC: one ``response`` record per page, 1,000 to a file, each in its own gzip member.
    - seed: {"url", "text"}, good mathematics from sites outside the crawl.
    - truth: {"url", "domain", "is_math", "quality", "kind", "problems", "duplicate_of", "duplicate",
      "leak_of", "defect"}, one line per page in the order of the crawl. No stage may learn from it.

    The same config and the same installed text (``text.fingerprint``) give the same bytes.

    Raises:
        ConfigError: fewer than 50 pages, or shares that leave no room for originals.
    """
    if config.pages < MIN_PAGES:
        raise ConfigError(f"corpus.web.pages={config.pages}: a web needs at least {MIN_PAGES} pages. Raise it.")
    wanted = min(MAX_PROBLEMS, 16 + 4 * config.pages)
    train = problems("train", wanted, PROBLEM_SEED_OFFSET + config.seed)
    leaks = leak_pages(config)
    test = problems("test", leaks * LEAKED_PER_PAGE[1], LEAK_SEED) if leaks else []
    pages = plan_pages(config, train, test)

    out.mkdir(parents=True, exist_ok=True)
    links = _links(pages)
    for number, start in enumerate(range(0, len(pages), PAGES_PER_FILE)):
        with (out / f"crawl-{number:05d}.warc.gz").open("wb") as file:
            file.write(_record("warcinfo", f"crawl-{number:05d}.warc.gz", _WARC_INFO, start))
            for index, page in enumerate(pages[start : start + PAGES_PER_FILE], start):
                file.write(_record("response", page.url, _response(page, links, config.seed), index))
    _write_lines(out / "truth.jsonl", map(_truth, pages))
    mathematical = sum(page.is_math for page in pages)
    _write_lines(out / "seed.jsonl", seed_documents(config, train, max(1, round(SEED_SHARE * mathematical))))


def _links(pages: Sequence[Page]) -> dict[str, list[tuple[str, str]]]:
    """The pages of each site as (address, title): what its pages may recommend."""
    found: dict[str, list[tuple[str, str]]] = {domain: [] for domain in web_sites.SITES}
    for page in pages:
        if page.duplicate is None and page.leak_of is None and page.defect is None:
            found[page.domain].append((page.url, page.title))
    return found


def _response(page: Page, links: dict[str, list[tuple[str, str]]], seed: int) -> bytes:
    """The HTTP response: status line, headers, body."""
    whole = page.duplicate in ("url", "exact")
    # an exact copy is the original's page to the byte; a near one on a mirror keeps only its content
    origin = web_sites.SITES[page.origin or page.domain]
    site = origin if whole else web_sites.SITES[page.domain]
    canonical = page.duplicate_of if whole and page.duplicate_of else page.url
    rng = random.Random(f"web/response/{seed}/{canonical}")
    candidates = [link for link in links[site.domain] if link[0] != canonical]
    recommended = rng.sample(candidates, k=min(3, len(candidates)))
    body = render(page, site, origin.encoding, canonical, recommended).encode()
    status, content_type = "200 OK", "text/html; charset=utf-8"
    match page.defect:
        case "bad_utf8":
            middle = body.index(b"</h1>")
            body = body[:middle] + b" \xff\xfe caf\xe9 " + body[middle:]
        case "unclosed_tags":
            for tag in (b"</p>", b"</div>", b"</li>", b"</a>"):
                body = body.replace(tag, b"")
        case "empty":
            body = b""
        case "not_found":
            status = "404 Not Found"
        case "binary":
            content_type, body = "application/pdf", b"%PDF-1.4\n" + rng.randbytes(400)
    head = (
        f"HTTP/1.1 {status}\r\nServer: nginx\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def _record(kind: str, target: str, content: bytes, index: int) -> bytes:
    """One WARC record as a gzip member without a time of its own."""
    from fastwarc.warc import WarcRecord, WarcRecordType

    record = WarcRecord()
    response = kind == "response"
    record.init_headers(WarcRecordType.response if response else WarcRecordType.warcinfo)
    record.set_bytes_content(content)
    moment = (_CRAWL_START + timedelta(seconds=index)).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(_NAMESPACE, f'{kind}/{target}')}>",
        "WARC-Date": moment,
        "WARC-Target-URI" if response else "WARC-Filename": target,
        "Content-Type": "application/http; msgtype=response" if response else "application/warc-fields",
    }
    for name, value in headers.items():
        record.headers[name] = value
    buffer = io.BytesIO()
    record.write(buffer, checksum_data=True)
    return gzip.compress(buffer.getvalue(), compresslevel=6, mtime=0)


def _truth(page: Page) -> dict[str, object]:
    return {
        "url": page.url,
        "domain": page.domain,
        "is_math": page.is_math,
        "quality": page.quality,
        "kind": page.kind,
        "problems": list(page.problems),
        "duplicate_of": page.duplicate_of,
        "duplicate": page.duplicate,
        "leak_of": list(page.leak_of) if page.leak_of else None,
        "defect": page.defect,
    }


def seed_documents(config: WebConfig, train: list[Problem], count: int) -> Iterator[dict[str, str]]:
    """Yield ``count`` documents {"url", "text"} of the seed sites: good mathematics, no markup, no test problem."""
    for page in seed_pages(config, train, count):
        site = next(site for site in web_sites.SEED_SITES if site.domain == page.domain)
        lines = [page.title]
        for block in page.blocks:
            dollars = site.encoding == "dollar" and block.kind == "problem"
            lines.append(FORMULA.sub(lambda match: f"${match.group()}$", block.text) if dollars else block.text)
        yield {"url": page.url, "text": "\n".join(lines)}


def _write_lines(path: Path, rows: Iterator[dict[str, object]] | Iterator[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
