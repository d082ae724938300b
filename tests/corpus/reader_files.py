"""Small files in every format, and what a reader makes of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from dsm_repro.config.corpus_schema import CorpusConfig, ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import InputFile, plan_shards, read_shard

LIMIT = 10_000
GUARDS = ExtractionConfig(max_page_bytes=LIMIT)


def write_warc(path: Path, count: int = 5, kind: str = "response", compress: bool = True) -> list[int]:
    """Records with 40 paragraphs each; returns their offsets."""
    offsets = []
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=compress)
        for number in range(count):
            offsets.append(file.tell())
            payload = io.BytesIO(f"<p>page {number}</p>".encode() * 40)
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            http = headers if kind == "response" else None
            writer.write_record(
                writer.create_warc_record(f"http://e.example/{number}", kind, payload=payload, http_headers=http)
            )
    return offsets


def record(
    number: int, http: bytes = b"", *, length: int | None = None, kind: bytes = b"response", **headers: str
) -> bytes:
    """One record without compression, written by hand, so that it can be wrong."""
    http = http or b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"<p>page</p>" * 40
    said = {
        "WARC-Type": kind.decode(),
        "WARC-Record-ID": f"<urn:uuid:{number}>",
        "WARC-Target-URI": f"http://e.example/{number}",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(http) if length is None else length),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return b"WARC/1.0\r\n" + head.encode("latin-1") + b"\r\n" + http + b"\r\n\r\n"


def items(reader: str, *paths: Path, guards: ExtractionConfig = GUARDS) -> list[RawPage | Drop]:
    """Everything the reader makes of these files."""
    return list(read_shard(reader, [InputFile(str(path), path.name).encoded() for path in paths], guards))


def read(reader: str, *paths: Path) -> tuple[list[str], list[str]]:
    """Last part of the URLs read, and the reasons of the drops."""
    found = items(reader, *paths)
    return page_names(found), reasons(found)


def page_names(found: Sequence[RawPage | Drop]) -> list[str]:
    return [item.url.rpartition("/")[2] for item in found if isinstance(item, RawPage)]


def reasons(found: Sequence[RawPage | Drop]) -> list[str]:
    return [item.reason for item in found if isinstance(item, Drop)]


def in_shards(reader: str, paths: Sequence[Path | str], shard_bytes: int) -> list[list[RawPage | Drop]]:
    """What each shard of these paths holds."""
    config = CorpusConfig(reader=reader, paths=[str(path) for path in paths])
    return [list(read_shard(reader, shard.inputs, GUARDS)) for shard in plan_shards(config, shard_bytes)]
