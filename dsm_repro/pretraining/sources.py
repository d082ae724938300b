"""Reading the texts of a pre-training source: our own corpus, the miniature, jsonl files, a data set, or its files."""

from __future__ import annotations

import glob
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.training_schema import SourceSpec
from dsm_repro.pretraining.remote import file_texts, is_address

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

KINDS = ("corpus", "miniature", "jsonl", "hf")
#: documents handed to the tokenizer at once
TOKENIZER_BATCH = 16


def check_kind(name: str, spec: SourceSpec) -> None:
    """Raises ConfigError for an unknown kind of source."""
    if spec.kind not in KINDS:
        raise ConfigError(f"scale.sources.{name}.kind={spec.kind}: use one of {', '.join(KINDS)}.")


def files_of(name: str, spec: SourceSpec) -> tuple[Path, ...]:
    """The files that a source is read from, sorted (none for text that is not ours to digest).

    Raises:
        ConfigError: a glob that matches nothing.
    """
    if spec.kind == "jsonl":
        found = tuple(sorted(Path(path) for path in glob.glob(spec.name, recursive=True)))  # noqa: PTH207 (the pattern may be absolute)
        if not found:
            raise ConfigError(f"scale.sources.{name}.name={spec.name}: no file matches. Correct the pattern.")
        return found
    if spec.kind == "hf" and Path(spec.name).is_dir():
        return (Path(spec.name),)
    return ()


def texts(name: str, spec: SourceSpec, seed: int, corpus: Path | None, corpus_tokens: float) -> Iterator[str]:
    """Yield a source's documents in an order that depends on the seed.

    ``corpus`` is the artifact of the stage ``corpus``; of its pages those of the highest score are
    taken until their ``tokens`` reach ``corpus_tokens`` (§2.1: rank by score, keep the top).

    Raises:
        ConfigError: an unknown kind, or files that are not there.
        DataError: a file that cannot be read; the message names the line.
    """
    check_kind(name, spec)
    if spec.kind == "corpus":
        if corpus is None:
            raise DataError(f"scale.sources.{name}: the curated corpus is not among the stage's parents.")
        yield from _lines(top_pages(corpus / "pages.jsonl", corpus_tokens), "text", seed)
    elif spec.kind == "miniature":
        from dsm_repro.miniature.text import documents

        for _, text in documents(spec.name, seed):
            yield text
    elif spec.kind == "jsonl":
        places = [(path, offset) for path in files_of(name, spec) for offset in line_offsets(path)]
        yield from _lines(places, spec.text_field, seed)
    elif is_address(spec.name):
        yield from file_texts(name, spec, seed)
    else:
        yield from _dataset(name, spec, seed)


def line_offsets(path: Path) -> list[int]:
    """Where each non-empty line of a file starts, in bytes: a shuffled read then needs no text in memory."""
    offsets, at = [], 0
    try:
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    offsets.append(at)
                at += len(line)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). Correct the path, or put the file there."
        ) from error
    return offsets


def top_pages(path: Path, tokens: float) -> list[tuple[Path, int]]:
    """The places of the first pages whose ``tokens`` sum to ``tokens`` or just above; pages are sorted by score."""
    places: list[tuple[Path, int]] = []
    total = 0.0
    with _opened(path) as file:
        for offset in line_offsets(path):
            if total >= tokens:
                break
            page = _parse(path, offset, _at(file, offset))
            places.append((path, offset))
            total += float(_field(page, "tokens", path, offset))
    return places


def _lines(places: Sequence[tuple[Path, int]], field: str, seed: int) -> Iterator[str]:
    shuffled = list(places)
    random.Random(f"lines/{seed}").shuffle(shuffled)
    files: dict[Path, Any] = {}
    try:
        for path, offset in shuffled:
            if path not in files:
                files[path] = _opened(path)
            yield str(_field(_parse(path, offset, _at(files[path], offset)), field, path, offset))
    finally:
        for file in files.values():
            file.close()


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). Correct the path, or put the file there."
        ) from error


def _at(file: Any, offset: int) -> bytes:
    file.seek(offset)
    return bytes(file.readline())


def _parse(path: Path, offset: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, byte {offset}: not a JSON line ({error}). Repair or remove the line.") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}, byte {offset}: a {type(value).__name__}, not a JSON object. Repair the line.")
    return value


def _field(value: dict[str, Any], field: str, path: Path, offset: int) -> Any:
    if field not in value:
        known = ", ".join(sorted(value))
        raise DataError(f"{path}, byte {offset}: no field {field!r} (it has: {known}). Set the source's text_field.")
    return value[field]


def _dataset(name: str, spec: SourceSpec, seed: int) -> Iterator[str]:
    """Rows of a Hugging Face data set: a folder written by ``save_to_disk``, a folder of files, or a hub id."""
    import datasets

    try:
        folder = Path(spec.name)
        if (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(spec.name)
            data = loaded[spec.split] if isinstance(loaded, datasets.DatasetDict) else loaded
        else:
            data = datasets.load_dataset(spec.name, split=spec.split)
    except (OSError, ValueError, KeyError, RuntimeError, datasets.exceptions.DatasetNotFoundError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"scale.sources.{name}.name={spec.name} (split {spec.split}): no such data set ({reason}). "
            "Set it to a local folder or to an address of its files (hf://datasets/ID/FOLDER/*.parquet), "
            "or check the name and the network."
        ) from error
    if spec.text_field not in data.column_names:
        raise ConfigError(
            f"scale.sources.{name}.text_field={spec.text_field}: {spec.name} has the fields "
            f"{', '.join(data.column_names)}. Use one of these."
        )
    for row in data.select_columns([spec.text_field]).shuffle(seed=seed):
        yield str(row[spec.text_field])


def tokenized(documents: Iterable[str], tokenizer: PreTrainedTokenizerBase, enough: int) -> Iterator[list[int]]:
    """Token ids of documents, without special tokens, until ``enough`` tokens (with one end token each) are given."""
    iterator = iter(documents)
    given = 0
    while batch := list(islice(iterator, TOKENIZER_BATCH)):
        for ids in tokenizer(batch, add_special_tokens=False, return_attention_mask=False)["input_ids"]:
            yield ids
            given += len(ids) + 1
            if given >= enough:
                return


def packed_source(
    documents: Iterable[str], tokenizer: PreTrainedTokenizerBase, length: int, rows_needed: int, whole: bool
) -> Iterator[np.ndarray]:
    """Rows (n × length) of a source: all of them if ``whole``, else reading stops when there are ``rows_needed``."""
    from dsm_repro.pretraining.packing import pack

    left = sys.maxsize if whole else rows_needed
    enough = sys.maxsize if whole else rows_needed * length
    for rows in pack(tokenized(documents, tokenizer, enough), int(tokenizer.eos_token_id), length):  # type: ignore[arg-type]
        yield rows[:left]
        left -= len(rows[:left])
