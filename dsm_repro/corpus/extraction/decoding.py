"""Bytes to text: byte order mark, then UTF-8 if the bytes are that, then what the server or the page declares."""

from __future__ import annotations

import codecs
import re

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
#: bytes looked at for UTF-16 without a mark
_PROBE_BYTES = 2_000
#: with one bad byte in this many, a declared encoding is wrong rather than the page damaged
_BYTES_PER_ERROR = 100
#: encodings that write text in 7-bit bytes, which also are valid UTF-8
_SEVEN_BIT = ("iso2022", "hz")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(body: bytes | str, charset: str | None) -> str:
    """The page's text without NUL signs and lone surrogates; bytes that mean nothing become U+FFFD.

    Valid UTF-8 is read as that whatever is declared: text of another encoding is hardly ever valid
    UTF-8 by chance, while servers that declare ISO-8859-1 for everything are common.
    """
    text = body if isinstance(body, str) else _decoded(body, charset)
    return well_formed(text.replace("\x00", ""))


def well_formed(text: str) -> str:
    """``text`` as it can be written in UTF-8: a lone surrogate becomes U+FFFD."""
    # a file name that is no UTF-8, or a JSON escape such as "\\ud800", brings surrogates
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _decoded(body: bytes, charset: str | None) -> str:
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    if (unmarked := _unmarked_utf16(body)) is not None:
        return body.decode(unmarked, "replace")
    from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

    declared = map_encoding_to_html5(charset, False) if charset else None
    if declared is None or not declared.startswith(_SEVEN_BIT):
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError:
            pass
    for candidate in (declared, detect_encoding(body, from_html_meta=True), detect_encoding(body)):
        # ASCII text declared UTF-16 would have ended above
        if candidate is not None and not candidate.startswith("utf-16"):
            text = body.decode(candidate, "replace")
            if text.count("\ufffd") * _BYTES_PER_ERROR <= len(body):
                return text
    return body.decode("utf-8", "replace")


def _unmarked_utf16(body: bytes) -> str | None:
    """UTF-16 by its NULs: Latin text has one in every second byte."""
    probe = body[: _PROBE_BYTES & ~1]
    for name, zeros in (("utf-16-le", probe[1::2]), ("utf-16-be", probe[0::2])):
        if len(zeros) > 4 and zeros.count(0) > 0.7 * len(zeros):
            return name
    return None
