"""The texts of files at an address (``hf://datasets/...``, ``s3://...``), read as a stream.

Most data sets on the hub are read by their id. Some cannot be: those made by a script, which
``datasets`` no longer runs (RedPajama, Proof-Pile-2), and those of which one folder is wanted. Their
files can still be named by a pattern. A stream also spares a run that needs a billion tokens the
download of a data set that has fifty.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.training_schema import SourceSpec

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: how names end, less their compression, which fsspec takes from the ending (.gz, .zst, .bz2, .xz)
JSON_LINES = (".jsonl", ".json")
PARQUET = ".parquet"
#: parquet rows decoded at once
PARQUET_ROWS = 256


def is_address(name: str) -> bool:
    """Whether a source's name is a pattern of files at an address, and not a data set's id or a local folder."""
    return "://" in name


def file_texts(name: str, spec: SourceSpec, seed: int) -> Iterator[str]:
    """Yield the texts of the files that ``spec.name`` matches: the seed orders the files, their rows stay in order.

    Raises:
        ConfigError: no file matches, the address cannot be reached, or files of a kind that is not read.
        DataError: a line that is not JSON, or a row without the text's field.
    """
    from fsspec.core import url_to_fs

    key = f"scale.sources.{name}.name={spec.name}"
    try:
        system, pattern = url_to_fs(spec.name)
        files = sorted(path for path, info in system.glob(pattern, detail=True).items() if info["type"] == "file")
    except Exception as error:  # every file system has its own error types
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{key}: cannot be listed ({reason}). Check the address, the network, and for a gated data set HF_TOKEN."
        ) from error
    if not files:
        raise ConfigError(f"{key}: no file matches. Correct the pattern.")
    odd = next((file for file in files if not file.endswith(PARQUET) and not _is_json_lines(file)), None)
    if odd is not None:
        raise ConfigError(
            f"{key}: {odd} is neither JSON lines nor parquet. Narrow the pattern to files of these kinds."
        )
    random.Random(f"files/{seed}").shuffle(files)
    for file in files:
        yield from (_parquet if file.endswith(PARQUET) else _json_lines)(name, spec, system, file)


def _is_json_lines(file: str) -> bool:
    stem = file.rpartition("/")[2]
    return stem.endswith(JSON_LINES) or stem.rpartition(".")[0].endswith(JSON_LINES)


def _json_lines(name: str, spec: SourceSpec, system: AbstractFileSystem, file: str) -> Iterator[str]:
    # as text: not every decompressor can read by lines
    with system.open(file, "rt", compression="infer", encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row: Any = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{file}, line {number}: not a JSON line ({error}). Repair the file, or narrow the pattern."
                ) from error
            if not isinstance(row, dict) or spec.text_field not in row:
                raise _no_field(name, spec, f"{file}, line {number}", row if isinstance(row, dict) else {})
            yield str(row[spec.text_field])


def _parquet(name: str, spec: SourceSpec, system: AbstractFileSystem, file: str) -> Iterator[str]:
    import pyarrow.parquet as pq

    with system.open(file, "rb") as handle:
        table = pq.ParquetFile(handle)
        if spec.text_field not in table.schema_arrow.names:
            raise _no_field(name, spec, file, table.schema_arrow.names)
        for batch in table.iter_batches(PARQUET_ROWS, columns=[spec.text_field]):
            yield from (str(text) for text in batch.column(0).to_pylist())


def _no_field(name: str, spec: SourceSpec, place: str, known: Any) -> DataError:
    return DataError(
        f"{place}: no field {spec.text_field!r} (it has: {', '.join(sorted(known)) or 'none'}). "
        f"Set scale.sources.{name}.text_field."
    )
