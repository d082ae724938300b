"""URLs: one spelling per page, and the domain a page belongs to.

Two addresses are made one only where they surely mean one page. What slips through is found by its text;
a page that is wrongly taken for another is lost.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urlsplit

#: no server is known to answer longer ones, and crawls cut them off earlier
MAX_URL_CHARACTERS = 4_096
_INDEX_PAGES = ("index.html", "index.htm", "index.php", "default.html")
#: signs that no address may hold as they are; courlan takes some for rests of markup and deletes what is between
_UNSAFE = re.compile(r"""[\s<>"{}|\\^`]""")
_SLASHES = re.compile(r"/{2,}")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HOST = re.compile(r"[^\W_](?:[\w-]*\w)?(?:\.[\w-]+)*|\[[0-9a-f:.]+\]")
#: ``;jsessionid=…`` and ASP.NET's ``/(S(…))``
_PATH_SESSION = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/;]*|/\(s\([0-9a-z]{24}\)\)", re.IGNORECASE)
_SESSION = re.compile(r"(?:php|j|asp)?_?sess(?:ion)?_?id\w*|aspsessionid\w*|cfid|cftoken|oscsid|zenid", re.IGNORECASE)
#: names that also have other uses: the value tells
_MAYBE_SESSION = frozenset(("s", "sid", "session"))
_SESSION_VALUE = re.compile(r"[0-9a-fA-F]{20,}")
#: on courlan's list of trackers, but as often the number of what is shown
_IDENTIFIERS = frozenset(("cid", "eid", "uid", "keyword"))


def clean(url: str) -> str | None:
    """The URL without fragment, trackers, session, login, default port and odd spellings; None if it is no web address.

    Hosts and trackers as courlan has them.
    """
    from courlan import normalize_url

    url = url.strip().partition("#")[0]
    if len(url) > MAX_URL_CHARACTERS:
        return None
    try:
        parts = urlsplit(_ENCODED.sub(_spelled, _UNSAFE.sub(lambda match: quote(match.group()), url)))
        port = parts.port
        host = _host(parts.hostname or "")
        if parts.scheme not in ("http", "https") or host is None:
            return None
        if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
            host = f"{host}:{port}"
        path = _without_dots(_PATH_SESSION.sub("", parts.path))
        found = normalize_url(f"{parts.scheme}://{host}{'' if path == '/' else path}")
    except ValueError:
        return None
    query = _query(parts.query.replace("&amp;", "&"))
    if query and not urlsplit(found).path:
        found += "/"
    return _ENCODED.sub(_spelled, f"{found}?{query}" if query else found)


def dedup_key(cleaned: str) -> str:
    """What two addresses of one page share: no scheme, no ``www.``, no index page, no trailing slash."""
    parts = urlsplit(cleaned)
    directory, _, last = parts.path.rpartition("/")
    path = directory if last.lower() in _INDEX_PAGES else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{domain(cleaned)}{path.rstrip('/')}{query}"


def domain(cleaned: str) -> str:
    """The base URL that §2.1 partitions the crawl by: the host, without ``www.``."""
    return urlsplit(cleaned).netloc.removeprefix("www.")


def directories(cleaned: str) -> tuple[str, ...]:
    """The path's directories from the root down: ``/questions/12/powers`` gives ``("questions", "12")``."""
    parts = [part for part in urlsplit(cleaned).path.split("/")[:-1] if part]
    return tuple(parts)


def _host(name: str) -> str | None:
    name = name.lower().rstrip(".")
    if ":" in name:
        name = f"[{name}]"
    return name if _HOST.fullmatch(name) else None


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4: ``/a/./b//../c`` is ``/a/c``, with doubled slashes made one."""
    path = _SLASHES.sub("/", path)
    if "/." not in path:
        return path
    kept: list[str] = []
    for part in path.split("/")[1:]:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    ends_in_directory = path.endswith(("/.", "/..")) and kept and kept[-1]
    return "/" + "/".join(kept) + ("/" if ends_in_directory else "")


def _query(query: str) -> str:
    """The parameters that select what is shown, sorted; one without a value is kept."""
    kept = []
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        name = name.lower()
        tracker = name not in _IDENTIFIERS and _trackers().search(name)
        session = _SESSION.fullmatch(name) or (name in _MAYBE_SESSION and _SESSION_VALUE.fullmatch(value))
        if not tracker and not session:
            kept.append(quote(item, safe="/%!=:,-+;~"))
    return "&".join(sorted(kept))


@lru_cache
def _trackers() -> re.Pattern[str]:
    from courlan.clean import TRACKERS_RE

    # its words are not closed: ``ga`` would take ``game`` as well
    return re.compile(rf"(?:{TRACKERS_RE.pattern})(?:(?<=_)|(?![a-z]))")


def _spelled(match: re.Match[str]) -> str:
    sign = chr(int(match.group(1), 16))
    return sign if sign in _UNRESERVED else match.group().upper()
