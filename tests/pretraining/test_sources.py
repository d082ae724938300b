"""Sources: the top of the ranked corpus, shuffled reading, errors that name file and place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.training_schema import SourceSpec
from dsm_repro.pretraining.sources import packed_source, texts, tokenized


class Letters:
    """A tokenizer of one token per character."""

    eos_token_id = 0

    def __call__(self, batch: list[str], **options: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(letter) for letter in text] for text in batch]}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    pages = [{"text": f"page {i}", "score": 1 - i / 10, "tokens": 100} for i in range(10)]
    (tmp_path / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    return tmp_path


def read(spec: SourceSpec, seed: int = 0, corpus: Path | None = None, tokens: float = 0.0) -> list[str]:
    return list(texts("it", spec, seed, corpus, tokens))


@pytest.mark.parametrize(("tokens", "pages"), [(300, 3), (301, 4), (0, 0), (5_000, 10)])
def test_the_corpus_gives_its_best_pages_up_to_the_budget(corpus: Path, tokens: int, pages: int) -> None:
    assert set(read(SourceSpec(kind="corpus"), 0, corpus, tokens)) == {f"page {i}" for i in range(pages)}


def test_the_order_depends_on_the_seed(corpus: Path) -> None:
    spec = SourceSpec(kind="corpus")
    assert read(spec, 1, corpus, 1_000) == read(spec, 1, corpus, 1_000) != read(spec, 2, corpus, 1_000)


def test_jsonl_files_by_pattern(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"body": name, "n": 1}) + "\n\n")
    spec = SourceSpec(kind="jsonl", name=str(tmp_path / "*.jsonl"), text_field="body")
    assert sorted(read(spec)) == ["a", "b"]


def test_a_line_that_is_not_json_names_file_and_place(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    with pytest.raises(DataError, match=r"x\.jsonl, byte 17: not a JSON line"):
        read(SourceSpec(kind="jsonl", name=str(tmp_path / "x.jsonl")))


def test_a_missing_field_lists_the_fields_there_are(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"content": "fine"}\n')
    with pytest.raises(DataError, match=r"no field 'text' \(it has: content\)"):
        read(SourceSpec(kind="jsonl", name=str(tmp_path / "x.jsonl")))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (SourceSpec(kind="jsonl", name="/nowhere/*.jsonl"), "no file matches"),
        (SourceSpec(kind="tape"), "use one of corpus"),
        (SourceSpec(kind="miniature", name="poems"), "poems"),
    ],
)
def test_a_source_that_cannot_be_is_refused(spec: SourceSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(spec)


def test_a_missing_corpus_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pages\.jsonl: cannot be read"):
        read(SourceSpec(kind="corpus"), 0, tmp_path, 10)


def test_reading_stops_when_there_is_enough() -> None:
    asked: list[int] = []

    def endless():
        while True:
            asked.append(1)
            yield "x" * 99

    (rows,) = packed_source(endless(), Letters(), 50, 40, whole=False)  # type: ignore[arg-type]
    assert rows.shape == (40, 50)
    assert len(asked) < 200
    assert sum(len(ids) + 1 for ids in tokenized(endless(), Letters(), 1_000)) == 1_000  # type: ignore[arg-type]


def test_a_whole_source_is_read_to_the_end() -> None:
    (rows,) = packed_source(iter(["x" * 9] * 20), Letters(), 10, 3, whole=True)  # type: ignore[arg-type]
    assert rows.shape == (20, 10)
