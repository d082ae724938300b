"""A row of a table (JSON, parquet, Arrow) as a page: which fields count, and what is wrong with a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dsm_repro.corpus.pages import Drop, RawPage

if TYPE_CHECKING:
    import pyarrow as pa

#: names of the fields: the first one that is present and not null is used
URL_FIELDS = ("url", "URL", "source_url")
HTML_FIELDS = ("html", "raw_html")
TEXT_FIELDS = ("text", "content")
FIELDS = (*URL_FIELDS, *HTML_FIELDS, *TEXT_FIELDS)


def page_of_row(row: object, source: str, limit: int) -> RawPage | Drop:
    """The page that a decoded JSON value stands for; ``limit`` is in bytes of its text."""
    if not isinstance(row, dict):
        return Drop("", source, "bad_row", type(row).__name__)
    url = next((valid(row[name]) for name in URL_FIELDS if isinstance(row.get(name), str)), "")
    for names, html in ((HTML_FIELDS, True), (TEXT_FIELDS, False)):
        for name in names:
            body = row.get(name)
            if isinstance(body, str):
                body = valid(body)
                # a character has at most 4 bytes: most texts need not be encoded to be measured
                size = len(body) if len(body) > limit or 4 * len(body) <= limit else len(body.encode())
                if size > limit:
                    return Drop(url, source, "too_large", f"{size} bytes or more")
                return RawPage(url, body, html=html, source=source)
    return no_text(url, source, row)


def pages_of_batch(batch: pa.RecordBatch, first: int, name: str, limit: int) -> Iterator[RawPage | Drop]:
    """The pages of an Arrow batch whose first row is row ``first`` (from 1) of the file ``name``.

    Values are looked at one by one, so that a large one is measured and not decoded, and one that is no
    UTF-8 costs its own row only.
    """
    names = batch.schema.names
    urls = [_Column(batch.column(field)) for field in URL_FIELDS if field in names]
    bodies = [
        (_Column(batch.column(field)), html)
        for fields, html in ((HTML_FIELDS, True), (TEXT_FIELDS, False))
        for field in fields
        if field in names
    ]
    for index in range(batch.num_rows):
        source = f"{name}:{first + index}"
        found = next((column.bytes(index) for column in urls if column.size(index) is not None), b"")
        url = found.decode("utf-8", "replace")
        body = next(((column, html) for column, html in bodies if column.size(index) is not None), None)
        if body is None:
            yield no_text(url, source, names)
            continue
        column, html = body
        size = column.size(index) or 0
        if size > limit:
            yield Drop(url, source, "too_large", f"{size} bytes")
            continue
        data = column.bytes(index)
        try:
            yield RawPage(url, data if column.binary else data.decode(), html=html, source=source)
        except UnicodeDecodeError as error:
            yield Drop(url, source, "invalid_utf8", str(error)[:200])


def no_text(url: str, source: str, names: Any) -> Drop:
    """The drop of a row that has neither text nor HTML."""
    return Drop(url, source, "no_text_field", f"fields {valid(str(sorted(map(str, names))[:8]))}")


def valid(text: str) -> str:
    """The text with a replacement character for each lone surrogate (JSON can spell them, no file can hold them)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class _Column:
    """Text or binary values of one column as bytes; a column of another type has none."""

    def __init__(self, array: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        self._indices: list[int | None] | None = None
        if pa.types.is_dictionary(array.type):
            self._indices = array.indices.to_pylist()
            array = array.dictionary
        kind = array.type
        self.binary = _is_binary(kind)
        self._values: pa.Array | None = None
        self._sizes: list[int | None] = [None] * len(array)
        if self.binary or _is_text(kind):
            wide = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
            self._values = array.cast(pa.large_binary() if wide else pa.binary())
            # offsets of a damaged file can point anywhere
            self._values.validate(full=True)
            self._sizes = pc.binary_length(self._values).to_pylist()

    def size(self, row: int) -> int | None:
        """Bytes of the value; None if there is none."""
        index = row if self._indices is None else self._indices[row]
        return None if index is None else self._sizes[index]

    def bytes(self, row: int) -> bytes:
        index = row if self._indices is None else self._indices[row]
        value: bytes = self._values[index].as_py()  # type: ignore[index]
        return value


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))
