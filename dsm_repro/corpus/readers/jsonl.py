"""JSON lines, plain, gzip or zstandard, with ``url`` and ``text`` or ``html``."""

from __future__ import annotations

import json
from collections.abc import Iterator

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers.compression import DamagedStreamError, Decompressed
from dsm_repro.corpus.readers.inputs import InputFile, disk_error, opened
from dsm_repro.corpus.readers.rows import page_of_row, valid

SUFFIXES = tuple(kind + packed for kind in (".jsonl", ".json", ".ndjson") for packed in ("", ".gz", ".zst"))
#: JSON may spell a byte as \u00xx; the other fields of a row get a megabyte
_ESCAPE = 6
_OTHER_FIELDS = 1_000_000
_SKIP_BYTES = 1 << 20


def read(file: InputFile, guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """Every line in order; ``source`` holds the line's number. A longer line than a page can need is skipped unread.

    Raises:
        DataError: the file cannot be opened or the disk fails.
    """
    longest = _ESCAPE * guards.max_page_bytes + _OTHER_FIELDS
    number = 0
    with opened(file) as handle:
        try:
            lines = Decompressed(handle)
            while line := lines.readline(longest + 1):
                number += 1
                source = f"{file.name}:{number}"
                if len(line) > longest:
                    yield Drop("", source, "too_large", f"a line of {len(line) + _skip_line(lines, line)} bytes")
                elif line.strip():
                    yield _page(line, source, guards.max_page_bytes)
        except DamagedStreamError as error:
            yield Drop("", f"{file.name}:{number + 1}", error.reason, str(error)[:200])
            return
        except OSError as error:
            raise disk_error(file, error) from error
    if number == 0:
        yield Drop("", file.name, "empty_file")


def _page(line: bytes, source: str, limit: int) -> RawPage | Drop:
    try:
        row = json.loads(line)
    except UnicodeDecodeError as error:
        return Drop("", source, "invalid_utf8", str(error)[:200])
    except RecursionError:
        return Drop("", source, "bad_json", "nested too deep")
    except ValueError as error:
        return Drop("", source, "bad_json", valid(str(error)[:200]))
    return page_of_row(row, source, limit)


def _skip_line(lines: Decompressed, begun: bytes) -> int:
    """Read to the end of the line that has begun; returns the bytes passed."""
    passed = 0
    last = begun
    while not last.endswith(b"\n") and (last := lines.readline(_SKIP_BYTES)):
        passed += len(last)
    return passed
