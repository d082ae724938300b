"""The body of an HTTP message as it was before it was packed for transfer, never more of it than asked for.

FastWARC can unpack too, but at once and whole: 1 MB of gzip became 1 GB in memory.
"""

from __future__ import annotations

import re
import zlib

_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]{0,1000}\r?\n")


class DamagedBodyError(Exception):
    """The body is not what its Content-Encoding says."""


def decoded(body: bytes, transfer: str, encodings: str, limit: int) -> bytes:
    """The first ``limit`` bytes of the unpacked body; ``transfer`` and ``encodings`` are the headers' values.

    A body that breaks off gives what there is of it. One that its archiver has unpacked already is taken
    as it stands, and so is an encoding that browsers do not know either.

    Raises:
        DamagedBodyError: it cannot be unpacked.
    """
    if "chunked" in transfer.lower():
        body = without_chunks(body)
    names = [name.strip().lower() for name in encodings.split(",")]
    for name in reversed(names):
        try:
            body = _unpacked(body, name, limit)
        except _errors() as error:
            raise DamagedBodyError(f"Content-Encoding: {name}: {error}") from error
    return body[:limit]


def without_chunks(body: bytes) -> bytes:
    """A body of ``Transfer-Encoding: chunked`` without the lines that give the chunks' sizes."""
    pieces: list[bytes] = []
    position = 0
    while match := _CHUNK_SIZE.match(body, position):
        size = int(match[1], 16)
        if size == 0:
            break
        pieces.append(body[match.end() : match.end() + size])
        # the line end behind the chunk
        position = match.end() + size + (2 if body[match.end() + size :][:2] == b"\r\n" else 1)
    return b"".join(pieces) if pieces or match else body


def _unpacked(body: bytes, name: str, limit: int) -> bytes:
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(31).decompress(body, limit) if body.startswith(b"\x1f\x8b") else body
    if name == "deflate":
        # some servers send the bare stream, without zlib's header
        header = body[:1] == b"\x78" and len(body) > 1 and int.from_bytes(body[:2], "big") % 31 == 0
        return zlib.decompressobj(15 if header else -15).decompress(body, limit)
    if name == "zstd":
        import zstandard

        if not body.startswith(b"\x28\xb5\x2f\xfd"):
            return body
        return zstandard.ZstdDecompressor().stream_reader(body).read(limit)
    if name == "br":
        import brotli

        return bytes(brotli.Decompressor().process(body, output_buffer_limit=limit))
    return body


def _errors() -> tuple[type[Exception], ...]:
    import brotli
    import zstandard

    return zlib.error, zstandard.ZstdError, brotli.error
