"""Plain, gzip and zstandard files as one stream of bytes, told apart by their first bytes.

No call holds more than a few tens of megabytes, whatever a compressed file would grow to.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
#: four bytes of compressed data can stand for a block of 128 KiB, so a kilobyte for 32 MiB
_ZSTD_FEED = 1_024
_BUFFER = 1 << 17


class DamagedStreamError(Exception):
    """The compressed stream breaks off or is no stream of its kind; ``reason`` is gzip_damaged or zst_damaged."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Decompressed:
    """Lines of a file, with a bound; ``kind`` is gzip, zst or plain."""

    def __init__(self, file: BinaryIO) -> None:
        magic = file.read(4)
        file.seek(0)
        self.kind = "gzip" if magic.startswith(GZIP_MAGIC) else "zst" if _is_zstd(magic) else "plain"
        self._stream: BinaryIO = file
        if self.kind == "gzip":
            self._stream = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
        elif self.kind == "zst":
            self._stream = io.BufferedReader(_ZstdFrames(file), _BUFFER)  # type: ignore[assignment]

    def readline(self, limit: int) -> bytes:
        """At most ``limit`` bytes of the next line; empty at the end.

        Raises:
            DamagedStreamError: the compressed data is damaged here. OSError: the machine cannot read the file.
        """
        try:
            return self._stream.readline(limit)
        except (EOFError, zlib.error) as error:
            raise DamagedStreamError(f"{self.kind}_damaged", str(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise DamagedStreamError(f"{self.kind}_damaged", str(error)) from error


class _ZstdFrames(io.RawIOBase):
    """Frames of a file one after another. The library's own reader takes a truncated file for a whole one."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file = file
        self._error = zstandard.ZstdError
        self._context = zstandard.ZstdDecompressor()
        self._frame = self._context.decompressobj()
        self._begun = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            data = self._file.read(_ZSTD_FEED)
            if not data:
                if self._begun:
                    raise EOFError("the last frame breaks off")
                return 0
            self._ready = memoryview(self._decompress(data))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decompress(self, data: bytes) -> bytes:
        out = []
        try:
            while data:
                self._begun = True
                out.append(self._frame.decompress(data))
                data = b""
                if self._frame.eof:
                    data = self._frame.unused_data
                    self._frame = self._context.decompressobj()
                    self._begun = False
        except self._error as error:
            raise EOFError(str(error)) from error
        return b"".join(out)


def _is_zstd(magic: bytes) -> bool:
    # the second form is a skippable frame, with which seekable files begin
    return magic == ZSTD_MAGIC or (magic[1:] == b"\x2a\x4d\x18" and magic[:1] in b"PQRSTUVWXYZ[\\]^_")
