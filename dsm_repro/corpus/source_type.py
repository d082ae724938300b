"""What kind of place a page comes from, guessed from its address and a few marks of the software behind it.

A heuristic for the composition shown in the report; nothing is kept or dropped by it. Rules are tried
in order, sites before markup before paths, because a site is the surest sign and a path the weakest.
Addresses that say nothing, and there are many, are ``other``.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

OTHER = "other"

#: a host is of the site that it ends in
_SITES = {
    "question_answer": "stackexchange.com stackoverflow.com mathoverflow.net superuser.com askubuntu.com quora.com "
    "zhihu.com answers.yahoo.com brainly.com segmentfault.com",
    "encyclopedia": "wikipedia.org wiktionary.org wikibooks.org wikiversity.org britannica.com mathworld.wolfram.com "
    "ncatlab.org encyclopediaofmath.org planetmath.org proofwiki.org oeis.org baike.baidu.com fandom.com",
    "paper": "arxiv.org jstor.org ams.org springer.com sciencedirect.com projecteuclid.org hal.science biorxiv.org "
    "semanticscholar.org doi.org plos.org mdpi.com frontiersin.org nature.com",
    "code": "github.com gitlab.com bitbucket.org sourceforge.net codeberg.org kaggle.com pastebin.com leetcode.com "
    "rosettacode.org",
    "documentation": "readthedocs.io readthedocs.org docs.rs",
    "course": "khanacademy.org coursera.org edx.org brilliant.org libretexts.org openstax.org purplemath.com",
    "forum": "reddit.com artofproblemsolving.com physicsforums.com",
    "blog": "wordpress.com blogspot.com medium.com substack.com tumblr.com cnblogs.com csdn.net jianshu.com "
    "hatenablog.com livejournal.com",
    "shop": "amazon.com ebay.com etsy.com aliexpress.com",
    "news": "bbc.co.uk bbc.com cnn.com nytimes.com theguardian.com reuters.com quantamagazine.org",
}
_OF_SITE = {site: name for name, sites in _SITES.items() for site in sites.split()}
_OF_FIRST_LABEL = {
    "doc": "documentation", "docs": "documentation", "manual": "documentation", "developer": "documentation",
    "ocw": "course", "course": "course", "courses": "course", "learn": "course", "moodle": "course",
    "forum": "forum", "forums": "forum", "community": "forum", "discuss": "forum", "board": "forum",
    "blog": "blog", "blogs": "blog", "shop": "shop", "store": "shop", "news": "news",
}  # fmt: skip

#: markup is looked for in the head of the page: around these words
_HEAD_CHARACTERS = 20_000
_HINTS = (
    "generator", "schema.org/", '"@type"', "og:type", "citation_", "ltx_document", "question2answer", "woocommerce",
    "cdn.shopify.com", "_static/d",
)  # fmt: skip
_MARK_CHARACTERS, _MAX_MARKS = 80, 20
_GENERATORS = {
    "forum": "discourse|vbulletin|phpbb|xenforo|mybb|flarum",
    "encyclopedia": "mediawiki",
    "documentation": "sphinx|doxygen|mkdocs|docutils|docbook|docusaurus|gitbook|makeinfo|javadoc|asciidoc|rustdoc",
    "course": "moodle",
    "shop": "prestashop",
    "blog": "blogger|ghost|hexo|jekyll|hugo",
}
_KINDS = {
    "question_answer": "qapage", "forum": "discussionforumposting", "course": "course", "shop": "product",
    "news": "newsarticle", "blog": "blogposting",
}  # fmt: skip
_SIGNS = {
    "question_answer": "question2answer",
    "documentation": r"_static/(?:documentation_options|doctools)\.js",
    "shop": r"og:type[^>]{0,40}product|woocommerce|cdn\.shopify\.com",
    "paper": "citation_(?:doi|title|author)|ltx_document",
}
_PATHS = {
    "question_answer": r"/(?:questions?|answers?|q|qa|ask)/",
    "forum": r"/(?:forums?|threads?|topics?|viewtopic|showthread|discussion|t|boards?|lounge|off-topic)[/.]",
    "encyclopedia": r"/(?:wiki|encyclopa?edia|glossary)/",
    "shop": r"/(?:shop|store|products?|p|cart|item)/",
    "course": r"/(?:courses?|lectures?|lessons?|chapter-?\d*|syllabus|homework|exercises?|worksheets?|unit\d+)[/.-]"
    r"|/math\d{2,3}[a-z]?/|/hw\d",
    "documentation": r"/(?:docs?|documentation|manual|reference|api|man\d?|htmlman|en/(?:stable|latest))/",
    "paper": r"/(?:abs|pdf|papers?|article-abstract|preprints?)/",
    "blog": r"/(?:blog|posts?|archives)/|^/(?:19|20)\d\d/(?:\d\d/)?[\w-]+",
    "code": r"/(?:blob|tree|commit|gist|snippets?|src)/",
    "news": r"/(?:news|story|stories|press)/",
}

#: every value of :func:`source_type`
SOURCE_TYPES = (*_SITES, OTHER)


def source_type(url: str, html: str | None) -> str:
    """One of :data:`SOURCE_TYPES` for a cleaned URL and, where there is one, the page's markup."""
    parts = urlsplit(url)
    return _of_host(parts.hostname or "") or _of_markup(html or "") or _of_path(parts.path) or OTHER


def _of_host(host: str) -> str | None:
    labels = host.removeprefix("www.").split(".")
    for start in range(len(labels) - 1):
        if (found := _OF_SITE.get(".".join(labels[start:]))) is not None:
            return found
    return _OF_FIRST_LABEL.get(labels[0])


def _of_markup(html: str) -> str | None:
    marks = _marks(html[:_HEAD_CHARACTERS].lower())
    return next((name for name, rule in _MARKUP_RULES if rule.search(marks)), None) if marks else None


def _of_path(path: str) -> str | None:
    return next((name for name, rule in _PATH_RULES if rule.search(path)), None)


def _marks(head: str) -> str:
    """What stands around the hints: rules on the whole head would cost more than parsing the page."""
    found: list[str] = []
    for hint in _HINTS:
        place = head.find(hint)
        while place >= 0 and len(found) < _MAX_MARKS:
            found.append(head[max(0, place - _MARK_CHARACTERS) : place + _MARK_CHARACTERS])
            place = head.find(hint, place + 1)
    return "\n".join(found)


def _markup_rule(name: str) -> re.Pattern[str]:
    rules = []
    if made_with := _GENERATORS.get(name):
        named = r"name=[\"']?generator"
        rules.append(rf"{named}[\"']?\s[^>]*(?:{made_with})|(?:{made_with})[^>]*{named}")
    if kind := _KINDS.get(name):
        rules.append(rf"schema\.org/{kind}\b|\"@type\"\s*:\s*\"{kind}\"")
    if sign := _SIGNS.get(name):
        rules.append(sign)
    return re.compile("|".join(rules))


_MARKUP_RULES = tuple((name, _markup_rule(name)) for name in dict.fromkeys((*_KINDS, *_GENERATORS, *_SIGNS)))
_PATH_RULES = tuple((name, re.compile(rule, re.IGNORECASE)) for name, rule in _PATHS.items())
