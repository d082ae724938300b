"""Debian's manuals as a crawl: one WARC file and one domain per package, and the truth about every page."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from _debian import MANUALS, SEED_MANUALS, Manual, fetch, find, pages, unpack, version
from _formulas import Markup, count_formulas

#: from this many formulas on a page can be mathematical …
MIN_FORMULAS = 3
#: … if one comes on every so many visible characters: an index or a change log may hold some too
CHARACTERS_PER_FORMULA = 5_000

TRUTH, SUMMARY = "truth.jsonl", "manuals.json"
#: below the crawl's folder, laid out as it is
SEEDS = "seeds"
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_DATE = "2024-03-01T00:00:00Z"


@dataclass(frozen=True)
class Truth:
    """``is_math`` is None where the rule cannot tell: such a page is neither trained on nor scored."""

    url: str
    domain: str
    package: str
    #: of the whole manual: mathematics | other | mixed
    subject: str
    is_math: bool | None
    formulas: int
    symbols: int
    characters: int


def is_mathematical(markup: Markup) -> bool | None:
    """True from three formulas on, dense enough; False without any; None between."""
    if not markup.formulas:
        return False
    dense = markup.characters <= CHARACTERS_PER_FORMULA * markup.formulas
    return True if markup.formulas >= MIN_FORMULAS and dense else None


def build(out: Path, packages: Path | None) -> None:
    """Write ``<package>.warc.gz``, ``truth.jsonl`` and ``manuals.json`` under ``out``, those of seeds in ``seeds/``.

    The same packages give the same bytes.

    Raises:
        DataError: a package cannot be had, or is not what it should be.
    """
    wanted = (*MANUALS, *SEED_MANUALS)
    debs = find(wanted, packages) if packages is not None else fetch(wanted, out / "packages")
    for manuals, folder in ((MANUALS, out), (SEED_MANUALS, out / SEEDS)):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / TRUTH).open("w", encoding="utf-8") as truth:
            summary = [_write(manual, debs[manual.package], folder, out / "unpacked", truth) for manual in manuals]
        (folder / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _write(manual: Manual, deb: Path, folder: Path, unpacked: Path, truth: TextIO) -> dict[str, object]:
    """The WARC file of a manual, and its part of the truth; returns what there is to say about it."""
    tree = unpack(deb, unpacked)
    labels: Counter[str] = Counter()
    with (folder / f"{manual.package}.warc.gz").open("wb") as warc:
        warc.write(_record("warcinfo", manual.domain, b"software: dsm_repro benchmarks/manuals.py\r\n"))
        for url, path in pages(manual, tree):
            body = path.read_bytes()
            # no charset in the header: the page itself has to say it, as a static server leaves it
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
            warc.write(_record("response", url, head.encode() + body))
            row = judge(url, manual, body.decode("utf-8", "replace"))
            labels[str(row.is_math)] += 1
            truth.write(json.dumps(asdict(row), sort_keys=True) + "\n")
    return {
        "package": manual.package, "version": version(deb), "domain": manual.domain, "subject": manual.subject,
        "pages": labels.total(), "mathematical": labels["True"], "untold": labels["None"],
    }  # fmt: skip


def judge(url: str, manual: Manual, html: str) -> Truth:
    """What the rule says about a page."""
    markup = count_formulas(html)
    return Truth(
        url=url, domain=manual.domain, package=manual.package, subject=manual.subject,
        is_math=is_mathematical(markup), **asdict(markup),
    )  # fmt: skip


def read_truth(folder: Path) -> dict[str, Truth]:
    """Labels by the address as curation spells it."""
    from dsm_repro.corpus.url import clean

    rows: Iterator[Truth] = (Truth(**json.loads(line)) for line in (folder / TRUTH).open(encoding="utf-8"))
    return {clean(row.url) or row.url: row for row in rows}


def _record(kind: str, target: str, content: bytes) -> bytes:
    """One WARC record as a gzip member without a time of its own."""
    from fastwarc.warc import WarcRecord, WarcRecordType

    record = WarcRecord()
    response = kind == "response"
    record.init_headers(WarcRecordType.response if response else WarcRecordType.warcinfo)
    record.set_bytes_content(content)
    for name, value in {
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(_NAMESPACE, f'{kind}/{target}')}>",
        "WARC-Date": _DATE,
        "WARC-Target-URI" if response else "WARC-Filename": target,
        "Content-Type": "application/http; msgtype=response" if response else "application/warc-fields",
    }.items():
        record.headers[name] = value
    buffer = io.BytesIO()
    record.write(buffer, checksum_data=True)
    return gzip.compress(buffer.getvalue(), compresslevel=6, mtime=0)
