"""The sites of the miniature web: who publishes what under which path.

Every host ends in ``.example``, which no real site can own. Paths say what a page is about, as on the
real web: ``/questions/`` of a forum is mathematics and its ``/users/`` is not, so the rule of §2.1 (find
the domain, then annotate its paths) has something to find.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

GOOD = ("qa", "textbook", "encyclopedia", "course", "blog_maths", "exercises")
LOW = ("answers", "qa_low")
PROSE = ("article", "manual", "essay")
CODE = ("code_docs", "gist", "code_blog")
FILLER = ("shop", "news", "chatter", "recipe", "travel", "member", "tag", "notice")

#: share of the pages that are originals, by kind; good maths 45%, low 8%, prose 20%, code 12%, templated 15%
SHARES: dict[str, float] = {
    "qa": 0.13, "textbook": 0.09, "encyclopedia": 0.07, "course": 0.06, "blog_maths": 0.05, "exercises": 0.05,
    "answers": 0.07, "qa_low": 0.01,
    "article": 0.09, "manual": 0.07, "essay": 0.04,
    "code_docs": 0.06, "gist": 0.03, "code_blog": 0.03,
    "shop": 0.04, "news": 0.03, "chatter": 0.02, "recipe": 0.02, "travel": 0.01, "member": 0.015, "tag": 0.005,
    "notice": 0.01,
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A host, its looks, how it writes formulas, and the paths of each kind of page that it has."""

    domain: str
    name: str
    #: a layout of ``web_templates.LAYOUTS``
    layout: str
    #: an encoding of ``web_markup.ENCODINGS``
    encoding: str
    #: kind -> (weight among the sites that have it, path with {id} {slug} {chapter} {section} {user} {year})
    sections: dict[str, tuple[float, str]]
    scheme: str = "https"


def _site(domain: str, name: str, layout: str, encoding: str, **sections: tuple[float, str]) -> Site:
    return Site(domain, name, layout, encoding, sections)


_ALL = (
    # forums
    _site(
        "askmaths.example",
        "Ask Maths",
        "forum",
        "plain",
        qa=(4, "/questions/{id}/{slug}"),
        qa_low=(2, "/questions/{id}/{slug}"),
        member=(3, "/users/{id}/{user}"),
        tag=(3, "/tags/{slug}-{id}"),
        chatter=(1, "/lounge/{id}"),
    ),
    _site(
        "mathstack.example",
        "MathStack",
        "forum",
        "dollar",
        qa=(3, "/questions/{id}/{slug}"),
        member=(3, "/users/{id}/{user}"),
        tag=(3, "/questions/tagged/{slug}-{id}"),
        notice=(1, "/help/{slug}-{id}"),
    ),
    _site(
        "proofboard.example",
        "The Proof Board",
        "forum",
        "parenthesis",
        qa=(1, "/t/{slug}/{id}"),
        member=(1, "/u/{user}{id}"),
    ),
    _site(
        "numberforum.example",
        "Number Forum",
        "forum",
        "plain",
        qa=(2, "/viewtopic/{id}"),
        exercises=(1, "/problem-of-the-week/{id}"),
        chatter=(2, "/off-topic/{id}"),
    ),
    # textbooks
    _site(
        "openalgebra.example",
        "Open Algebra",
        "book",
        "plain",
        textbook=(4, "/chapter-{chapter}/section-{section}-{id}.html"),
        notice=(1, "/about/{slug}-{id}.html"),
    ),
    _site(
        "freetextbooks.example",
        "Free Textbooks",
        "book",
        "annotated_mathml",
        textbook=(1, "/maths/chapter-{chapter}/section-{section}-{id}.html"),
        essay=(2, "/history/chapter-{chapter}/section-{section}-{id}.html"),
    ),
    _site(
        "stepbook.example",
        "Step by Step",
        "book",
        "plain",
        textbook=(3, "/book/{chapter}/{section}/{id}"),
        exercises=(2, "/exercises/{chapter}/{id}"),
    ),
    _site(
        "classroomnotes.example",
        "Classroom Notes",
        "book",
        "script",
        textbook=(1, "/notes/unit{chapter}/lesson{section}-{id}.html"),
        notice=(1, "/teachers/{slug}-{id}.html"),
    ),
    # encyclopedias
    _site(
        "en.openpedia.example",
        "Openpedia",
        "wiki",
        "annotated_mathml",
        encyclopedia=(1, "/wiki/{slug}_{id}"),
        article=(4, "/wiki/{slug}_{id}"),
    ),
    _site(
        "mathworld.example",
        "World of Maths",
        "wiki",
        "plain",
        encyclopedia=(4, "/topics/{slug}-{id}.html"),
        notice=(1, "/contact/{slug}-{id}.html"),
    ),
    _site(
        "knowledgebase.example",
        "Knowledge Base",
        "wiki",
        "sup",
        encyclopedia=(1, "/mathematics/{slug}/{id}"),
        article=(3, "/culture/{slug}/{id}"),
        manual=(1, "/technology/{slug}/{id}"),
    ),
    # university courses
    _site(
        "www.northuni.example",
        "University of the North",
        "plain",
        "plain",
        course=(3, "/~{user}/math101/hw{id}.html"),
        essay=(2, "/~{user}/writing/{slug}-{id}.html"),
        notice=(2, "/admissions/{slug}-{id}.html"),
    ),
    _site(
        "math.lakeside.example",
        "Lakeside Mathematics",
        "plain",
        "dollar",
        course=(2, "/courses/{year}/algebra/solutions-{id}.html"),
        member=(1, "/people/{user}{id}.html"),
    ),
    _site(
        "cs.hillcollege.example",
        "Hill College Computing",
        "plain",
        "plain",
        course=(1, "/discrete/hw{id}.html"),
        code_docs=(1, "/labs/{slug}-{id}.html"),
        gist=(1, "/src/{slug}-{id}.html"),
    ),
    # blogs
    _site("chalkdust-blog.example", "Chalk Dust", "blog", "katex", blog_maths=(1, "/{year}/{slug}-{id}")),
    _site(
        "sundayscribbles.example",
        "Sunday Scribbles",
        "blog",
        "plain",
        blog_maths=(2, "/maths/{year}/{slug}-{id}"),
        essay=(2, "/life/{year}/{slug}-{id}"),
        recipe=(1, "/kitchen/{year}/{slug}-{id}"),
    ),
    _site(
        "blogring.example",
        "Blogring",
        "blog",
        "image",
        blog_maths=(1, "/{user}/{slug}-{id}"),
        essay=(2, "/{user}/{slug}-{id}"),
        travel=(2, "/{user}/{slug}-{id}"),
        code_blog=(1, "/{user}/{slug}-{id}"),
    ),
    _site(
        "devdiary.example",
        "Dev Diary",
        "blog",
        "plain",
        code_blog=(3, "/posts/{year}/{slug}-{id}"),
        blog_maths=(0.5, "/puzzles/{year}/{slug}-{id}"),
    ),
    # exercise sheets
    _site(
        "worksheetbarn.example",
        "Worksheet Barn",
        "shop",
        "plain",
        exercises=(3, "/sheets/grade-{chapter}/{slug}-{id}"),
        shop=(1, "/store/{slug}-{id}"),
    ),
    _site(
        "quizmill.example",
        "Quiz Mill",
        "plain",
        "mathml",
        exercises=(1, "/quiz/{id}"),
        notice=(1, "/terms/{slug}-{id}"),
    ),
    # homework answers: much of it wrong
    _site(
        "homeworkanswerz.example",
        "Homework Answerz",
        "forum",
        "plain",
        answers=(4, "/answer/{id}"),
        qa=(0.4, "/expert/{id}"),
        member=(1, "/profile/{user}{id}"),
    ),
    _site(
        "quicksolve.example",
        "QuickSolve",
        "forum",
        "sup",
        answers=(2, "/q/{slug}-{id}"),
        shop=(0.5, "/premium/{slug}-{id}"),
    ),
    _site(
        "cheatsheets4u.example",
        "Cheat Sheets 4 U",
        "blog",
        "plain",
        answers=(2, "/solutions/{slug}/{id}"),
        chatter=(1, "/comments/{id}"),
    ),
    # code
    _site(
        "docs.libhub.example",
        "LibHub Docs",
        "wiki",
        "plain",
        code_docs=(3, "/en/stable/api/{slug}-{id}.html"),
        manual=(3, "/en/stable/guide/{slug}-{id}.html"),
    ),
    _site("pastecorner.example", "Paste Corner", "plain", "plain", gist=(3, "/{user}/{id}")),
    # everything else
    _site(
        "dailycourier.example",
        "The Daily Courier",
        "blog",
        "plain",
        news=(3, "/{year}/{slug}-{id}.html"),
        article=(2, "/features/{slug}-{id}.html"),
    ),
    _site(
        "valleynews.example",
        "Valley News",
        "blog",
        "plain",
        news=(2, "/story/{id}/{slug}"),
        travel=(1, "/travel/{slug}-{id}"),
    ),
    _site(
        "shop.gadgetcellar.example",
        "Gadget Cellar",
        "shop",
        "plain",
        shop=(3, "/product/{slug}/{id}"),
        notice=(1, "/pages/{slug}-{id}"),
    ),
    _site("homegoods.example", "Home Goods", "shop", "plain", shop=(3, "/p/{id}-{slug}")),
    _site("spoonandpan.example", "Spoon and Pan", "blog", "plain", recipe=(4, "/recipes/{slug}-{id}")),
    _site(
        "chatterbox.example", "Chatterbox", "forum", "plain", chatter=(4, "/thread/{id}"), member=(2, "/member/{id}")
    ),
    _site(
        "readinghall.example",
        "Reading Hall",
        "book",
        "plain",
        article=(2, "/library/{slug}-{id}.html"),
        manual=(2, "/handbooks/{slug}-{id}.html"),
        essay=(1, "/essays/{slug}-{id}.html"),
    ),
    # copies other people's pages
    _site("pagemirror.example", "Page Mirror", "plain", "plain", mirror=(1, "/cache/{id}/{slug}")),
)

SITES: dict[str, Site] = {site.domain: site for site in _ALL}
MIRROR = "pagemirror.example"

#: hosts of the seed corpus; not in the crawl
SEED_SITES = (
    _site("seedforum.example", "Seed Forum", "forum", "dollar", qa=(1, "/questions/{id}/{slug}")),
    _site(
        "seedbook.example", "Seed Book", "book", "plain", textbook=(1, "/chapter-{chapter}/section-{section}-{id}.html")
    ),
)

_USERS = ("hartley", "okonkwo", "mvance", "lindq", "pereira", "tanaka", "osullivan", "dubois", "kaplan", "rossi")


def choose_site(kind: str, rng: random.Random) -> Site:
    """Draw a site among those that publish a kind of page, by its weight."""
    having = [site for site in _ALL if kind in site.sections]
    return rng.choices(having, weights=[site.sections[kind][0] for site in having])[0]


def make_url(site: Site, kind: str, title: str, number: int, rng: random.Random) -> str:
    """Fill in the path of a kind of page; ``number`` is unique, so the address is."""
    slug = "-".join(re.findall(r"[a-z0-9]+", title.lower())[:8]) or "page"
    path = site.sections[kind][1].format(
        id=number, slug=slug, chapter=rng.randint(1, 9), section=rng.randint(1, 7), user=rng.choice(_USERS),
        year=rng.randint(2015, 2023),
    )  # fmt: skip
    return f"{site.scheme}://{site.domain}{path}"
