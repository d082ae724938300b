"""Folders of HTML, laid out as ``wget -r -E`` leaves them, so that the path gives the address."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers.inputs import InputFile, disk_error, opened
from dsm_repro.corpus.readers.remote import path_of

SUFFIXES = (".html", ".htm", ".xhtml")


def read(file: InputFile, guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """One saved page.

    Raises:
        DataError: the file cannot be opened or the disk fails.
    """
    url = html_url(file.address)
    with opened(file) as handle:
        try:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(0)
            if size == 0:
                yield Drop(url, file.name, "empty_file")
            elif size > guards.max_page_bytes:
                yield Drop(url, file.name, "too_large", f"{size} bytes")
            else:
                yield RawPage(url, handle.read(), html=True, source=file.name)
        except OSError as error:
            raise disk_error(file, error) from error


def html_url(address: str) -> str:
    """The part of the path that looks like an address: from the last directory with a dot in its name on."""
    if address.startswith(("http://", "https://")):
        return address
    parts = [part for part in path_of(address).split("/") if part]
    sites = [index for index, part in enumerate(parts[:-1]) if "." in part.strip(".")]
    start = sites[-1] if sites else len(parts) - 2
    return "http://" + "/".join(parts[max(start, 0) :])
