"""URLs: one spelling per page, and the domain a page belongs to."""

from __future__ import annotations

from urllib.parse import urlsplit

_INDEX_PAGES = ("index.html", "index.htm", "index.php", "default.html")


def clean(url: str) -> str | None:
    """The URL without fragment, trackers, default port and odd spellings (courlan); None if it is not a web address."""
    from courlan import normalize_url, scrub_url

    try:
        cleaned = normalize_url(scrub_url(url.split("#", 1)[0]))
        parts = urlsplit(cleaned)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in host):
        return None
    return cleaned


def dedup_key(cleaned: str) -> str:
    """What two addresses of one page share: no scheme, no ``www.``, no index page, no trailing slash."""
    parts = urlsplit(cleaned)
    directory, _, last = parts.path.rpartition("/")
    path = directory if last.lower() in _INDEX_PAGES else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{_netloc(parts.netloc)}{path.rstrip('/')}{query}"


def domain(cleaned: str) -> str:
    """The base URL that §2.1 partitions the crawl by: the host, without ``www.``."""
    return _netloc(urlsplit(cleaned).netloc)


def directories(cleaned: str) -> tuple[str, ...]:
    """The path's directories from the root down: ``/questions/12/powers`` gives ``("questions", "12")``."""
    parts = [part for part in urlsplit(cleaned).path.split("/")[:-1] if part]
    return tuple(parts)


def _netloc(netloc: str) -> str:
    host = netloc.rpartition("@")[2].lower()
    return host.removeprefix("www.")
