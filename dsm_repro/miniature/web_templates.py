"""The frames around a page's content: head, navigation, sidebar, cookie notice, footer, in six layouts."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING

from dsm_repro.miniature.web_markup import encode
from dsm_repro.miniature.web_page import Block, Page
from dsm_repro.miniature.web_sites import Site

if TYPE_CHECKING:
    from jinja2 import Environment

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ title }} - {{ site.name }}</title>
<link rel="canonical" href="{{ canonical }}">
<meta name="description" content="{{ site.name }}: {{ title }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/static/{{ site.layout }}.css">
{% if site.encoding in ("dollar", "parenthesis", "script") %}<script src="/static/MathJax.js?config=TeX-AMS"></script>
{% elif site.encoding == "katex" %}<link rel="stylesheet" href="/static/katex.min.css">
{% endif %}<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments);}</script>
</head>
<body class="{{ site.layout }}">
<div class="cookie-banner" role="dialog">We use cookies to improve your experience. <button>Accept all</button>
 <a href="/privacy">Privacy policy</a></div>
"""
_FOOT = """<footer class="site-footer"><p>&copy; 2023 {{ site.name }}. All rights reserved.</p>
<ul><li><a href="/about">About</a></li><li><a href="/contact">Contact</a></li>
<li><a href="/terms">Terms of service</a></li><li><a href="/sitemap">Site map</a></li></ul></footer>
<script async src="/static/app.js"></script>
</body>
</html>
"""
_RELATED = """<ul>{% for link, words in links %}<li><a href="{{ link }}">{{ words }}</a></li>{% endfor %}</ul>"""

LAYOUTS: dict[str, str] = {
    "forum": """<header class="top-bar"><a href="/" class="logo">{{ site.name }}</a><nav>
<a href="/questions">Questions</a> <a href="/tags">Tags</a> <a href="/users">Users</a>
<a href="/login">Log in</a></nav></header>
<div class="container"><main id="content"><article class="post"><h1>{{ title }}</h1>
<div class="post-body">
{{ content }}
</div></article></main>
<aside class="sidebar"><h4>Related</h4>"""
    + _RELATED
    + """<h4>Hot network threads</h4>
<p class="stats">{{ views }} views, asked {{ date }} by {{ author }}</p></aside></div>
""",
    "book": """<nav class="toc"><a href="/">{{ site.name }}</a><ol><li><a href="/preface">Preface</a></li>
<li><a href="/contents">Contents</a></li><li><a href="/index">Index</a></li></ol></nav>
<main><section class="chapter"><h1>{{ title }}</h1>
{{ content }}
</section></main>
<div class="pager"><a rel="prev" href="/contents">Previous</a> <a rel="next" href="/index">Next</a></div>
<aside class="see-also"><h4>See also</h4>"""
    + _RELATED
    + """</aside>
""",
    "wiki": """<div id="mw-navigation" class="navigation"><ul><li><a href="/">Main page</a></li>
<li><a href="/random">Random article</a></li><li><a href="/help">Help</a></li><li><a href="/login">Log in</a>
</li></ul></div>
<div id="content" class="mw-body" role="main"><h1 id="firstHeading">{{ title }}</h1>
<div id="bodyContent">
{{ content }}
</div></div>
<div class="navbox related">"""
    + _RELATED
    + """</div><div class="printfooter">This page was last edited on {{ date }}.</div>
""",
    "blog": """<header><a class="brand" href="/">{{ site.name }}</a><nav class="menu"><ul>
<li><a href="/">Home</a></li><li><a href="/archive">Archive</a></li><li><a href="/subscribe">Subscribe</a></li>
</ul></nav></header>
<main><article class="entry"><header><h1>{{ title }}</h1>
<p class="byline">By {{ author }} on <time datetime="{{ date }}">{{ date }}</time></p></header>
<div class="entry-content">
{{ content }}
</div></article></main>
<aside class="widget"><h4>Popular posts</h4>"""
    + _RELATED
    + """<form class="newsletter"><label>Get our newsletter</label><input type="email"></form></aside>
<div class="share"><a href="#">Share</a> <a href="#">Tweet</a> <a href="#">Pin</a></div>
""",
    "plain": """<table width="100%" class="nav"><tr><td><a href="/">{{ site.name }}</a></td>
<td><a href="/news">News</a></td><td><a href="/people">People</a></td></tr></table>
<h1>{{ title }}</h1>
<div class="main">
{{ content }}
</div>
<hr><div class="links">"""
    + _RELATED
    + """</div><address>{{ author }}, last changed {{ date }}</address>
""",
    "shop": """<header class="shop-header"><a href="/">{{ site.name }}</a><nav><a href="/new">New in</a>
<a href="/sale">Sale</a> <a href="/cart">Cart (0)</a></nav></header>
<main><div class="product"><h1>{{ title }}</h1>
<div class="description">
{{ content }}
</div><button class="buy">Add to cart</button></div></main>
<aside class="recommendations"><h4>You may also like</h4>"""
    + _RELATED
    + """</aside>
""",
}


@cache
def _environment() -> Environment:
    from jinja2 import DictLoader, Environment

    pages = {name: _HEAD + body + _FOOT for name, body in LAYOUTS.items()}
    return Environment(loader=DictLoader(pages), autoescape=True)


def render(page: Page, site: Site, encoding: str, canonical: str, links: list[tuple[str, str]]) -> str:
    """Return the HTML document of a page in a site's frame, its formulas in an encoding of ``web_markup.ENCODINGS``.

    ``canonical`` is the address that the page names as its own; ``links`` are (address, words) of pages
    that it recommends.
    """
    from markupsafe import Markup

    content = Markup("\n".join(_block(block, encoding) for block in page.blocks))
    template = _environment().get_template(site.layout)
    return template.render(
        site=site, title=page.title, canonical=canonical, content=content, links=links, date=page.date, **page.frame
    )


def _block(block: Block, encoding: str) -> str:
    if block.kind == "code":
        return f"<pre><code>{html.escape(block.text, quote=False)}</code></pre>"
    if block.kind == "heading":
        return f"<h2>{html.escape(block.text, quote=False)}</h2>"
    if block.kind == "problem":
        lines = "<br>\n".join(encode(line, encoding) for line in block.text.split("\n"))
        return f'<div class="example"><p>{lines}</p></div>'
    return f"<p>{html.escape(block.text, quote=False)}</p>"
