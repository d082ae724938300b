"""Which pages the miniature web has: originals by their shares, then copies, leaks and defects."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from dsm_repro.config.corpus_schema import WebConfig
from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature import text, web_sites
from dsm_repro.miniature.problems import Problem
from dsm_repro.miniature.web_filler import filler_page, remark
from dsm_repro.miniature.web_maths import FEWEST, MOST, ProblemSupply, math_page
from dsm_repro.miniature.web_page import Block, Page, jaccard, pieces

#: share of the pages that are defective, and how
DEFECT_SHARE = 0.01
DEFECTS = ("bad_utf8", "unclosed_tags", "empty", "not_found", "binary")
#: a near-duplicate shares at least this part of its original's 5-word shingles; §2.1's MinHash looks for 0.8
NEAR_JACCARD = 0.87
LEAKED_PER_PAGE = (2, 4)

_MIXED_KINDS = ("course", "exercises", "blog_maths")
_AUTHORS = ("J. Hartley", "M. Okonkwo", "A. Vance", "S. Lind", "R. Pereira", "K. Tanaka", "editor", "guest", "admin")


def leak_pages(config: WebConfig) -> int:
    """How many pages copy test problems."""
    return round(config.pages * config.leak_share)


def plan_pages(config: WebConfig, train: list[Problem], test: list[Problem]) -> list[Page]:
    """Return the ``config.pages`` pages of the web, in the order of the crawl.

    ``train`` feeds the mathematical pages; ``test`` is leaked from its start.

    Raises:
        ConfigError: shares that leave no room for originals.
    """
    exact, near = round(config.pages * config.exact_duplicate_share), round(config.pages * config.near_duplicate_share)
    leaks = leak_pages(config)
    defects = round(config.pages * DEFECT_SHARE)
    originals = config.pages - exact - near - leaks - defects
    if originals < config.pages // 2:
        raise ConfigError(
            f"corpus.web: duplicates and leaks take {config.pages - originals} of {config.pages} pages. "
            "Lower exact_duplicate_share, near_duplicate_share or leak_share so that half of the pages are originals."
        )
    maker = _Maker(config.seed, train)
    kinds = _apportion(originals, maker.rng)
    pages = [maker.original(kind) for kind in kinds]
    pages += maker.leaks(leaks, test)
    pages += maker.duplicates(pages, exact, near)
    pages += [maker.defective(DEFECTS[index % len(DEFECTS)]) for index in range(defects)]
    maker.rng.shuffle(pages)
    return pages


def seed_pages(config: WebConfig, train: list[Problem], count: int) -> list[Page]:
    """Return pages of the seed corpus: good ones, of two styles only, from sites that are not crawled."""
    maker = _Maker(config.seed, train, name="seed")
    sites = maker.rng.choices(web_sites.SEED_SITES, k=count)
    return [maker.original(next(iter(site.sections)), site) for site in sites]


def _apportion(count: int, rng: random.Random) -> list[str]:
    """Kinds of ``count`` pages by ``web_sites.SHARES``, largest remainders first, shuffled."""
    total = sum(web_sites.SHARES.values())
    exact = {kind: count * share / total for kind, share in web_sites.SHARES.items()}
    numbers = {kind: int(value) for kind, value in exact.items()}
    by_remainder = sorted(exact, key=lambda kind: (numbers[kind] - exact[kind], kind))
    for kind in by_remainder[: count - sum(numbers.values())]:
        numbers[kind] += 1
    kinds = [kind for kind, number in numbers.items() for _ in range(number)]
    rng.shuffle(kinds)
    return kinds


class _Maker:
    """Makes pages one after another from one stream of random numbers."""

    def __init__(self, seed: int, train: list[Problem], name: str = "web") -> None:
        self.rng = random.Random(f"{name}/{seed}")
        self._supply = ProblemSupply(train, random.Random(f"{name}/problems/{seed}"))
        self._prose = _passages("prose", seed, 500, 2_400)
        self._code = _passages("code", seed, 300, 2_400)
        self._number = 1_000

    def original(self, kind: str, site: web_sites.Site | None = None) -> Page:
        rng = self.rng
        ids: tuple[str, ...] = ()
        is_math = kind in web_sites.GOOD or kind in web_sites.LOW
        if is_math:
            category = None if kind in _MIXED_KINDS else rng.choice(self._supply.categories)
            dealt = self._supply.deal(rng.randint(FEWEST, MOST), category)
            title, blocks = math_page(kind, dealt, rng, low=kind in web_sites.LOW, category=category)
            ids = tuple(problem.id for problem in dealt)
        elif kind in web_sites.PROSE:
            title, blocks = _titled(next(self._prose), "paragraph")
        elif kind in web_sites.CODE:
            title, blocks = self._code_page(kind)
        else:
            title, blocks = filler_page(kind, rng)
        quality = ("low" if kind in web_sites.LOW else "good") if is_math else None
        return self._placed(
            kind,
            site or web_sites.choose_site(kind, rng),
            title,
            blocks,
            is_math=is_math,
            quality=quality,
            problems=ids,
        )

    def leaks(self, count: int, test: list[Problem]) -> Iterator[Page]:
        """Pages that copy test problems with their solutions, verbatim, from the start of the test set."""
        start = 0
        for _ in range(count):
            copied = [test[index % len(test)] for index in range(start, start + self.rng.randint(*LEAKED_PER_PAGE))]
            start += len(copied)
            kind = self.rng.choice(("qa", "exercises", "course"))
            title, _ = math_page(kind, copied, self.rng)
            blocks = tuple(Block("problem", f"{problem.question}\n{problem.cot}") for problem in copied)
            site = web_sites.choose_site(kind, self.rng)
            ids = tuple(problem.id for problem in copied)
            yield self._placed(kind, site, title, blocks, is_math=True, quality="good", problems=ids, leak_of=ids)

    def duplicates(self, pages: list[Page], exact: int, near: int) -> list[Page]:
        """Copies under another address of the same site or on a mirror; near ones carry small edits."""
        candidates = [page for page in pages if len(page.main_text.split()) >= 60]
        chosen = self.rng.sample(candidates, k=min(exact + near, len(candidates)))
        copies = [self._exact(page, index) for index, page in enumerate(chosen[:exact])]
        return copies + [self._near(page) for page in chosen[exact:]]

    def defective(self, defect: str) -> Page:
        """A page that breaks a careless reader; what cannot be read is not mathematical."""
        page = self.original(self.rng.choice(("qa", "textbook", "article", "shop")))
        if defect in ("bad_utf8", "unclosed_tags"):
            return replace(page, defect=defect)
        return replace(page, defect=defect, is_math=False, quality=None, problems=(), blocks=())

    def _exact(self, page: Page, index: int) -> Page:
        variants = (
            f"{page.url}?utm_source=feed&utm_medium=rss",
            page.url.replace("https://", "http://"),
            f"{page.url}/",
        )
        if index % 2 == 0:
            return replace(page, url=variants[index // 2 % 3], duplicate_of=page.url, duplicate="url")
        return replace(
            page, url=self._mirror_url(page), domain=web_sites.MIRROR, origin=page.domain, duplicate_of=page.url,
            duplicate="exact",
        )  # fmt: skip

    def _near(self, page: Page) -> Page:
        rng = self.rng
        dated = Block("paragraph", f"Posted {self._date()}.")
        for edit in (
            (*page.blocks, Block("paragraph", f"{remark(rng)} {remark(rng)}")),
            (*page.blocks[:-1], Block("paragraph", remark(rng)), page.blocks[-1]),
            (*page.blocks, dated),
            (*page.blocks, Block("paragraph", remark(rng))),
        )[rng.randrange(3) :]:
            copy = replace(page, blocks=edit, date=self._date(), duplicate_of=page.url, duplicate="near")
            if jaccard(copy.main_text, page.main_text) >= NEAR_JACCARD:
                break
        else:
            copy = replace(copy, blocks=(*page.blocks, Block("paragraph", "Printed.")))
        if rng.random() < 0.3:
            return replace(copy, url=self._mirror_url(page), domain=web_sites.MIRROR, origin=page.domain)
        scheme, _, rest = page.url.partition("://")
        host, _, path = rest.partition("/")
        return replace(copy, url=f"{scheme}://{host}/print/{path}")

    def _mirror_url(self, page: Page) -> str:
        self._number += 1
        return web_sites.make_url(web_sites.SITES[web_sites.MIRROR], "mirror", page.title, self._number, self.rng)

    def _code_page(self, kind: str) -> tuple[str, tuple[Block, ...]]:
        found, paragraphs = next(self._code)
        body = Block("code", "\n\n\n".join(paragraphs))
        title = found.rpartition("/")[2].partition("#")[0].removesuffix(".py").strip("_")
        if kind == "code_docs":
            return f"Source of {title}", (Block("paragraph", f"The source of module {title}, as installed."), body)
        if kind == "gist":
            return f"{title}.py", (body,)
        _, words = next(self._prose)
        return f"Reading {title}", (Block("paragraph", words[0]), body)

    def _placed(self, kind: str, site: web_sites.Site, title: str, blocks: tuple[Block, ...], **truth: object) -> Page:
        self._number += 1
        url = web_sites.make_url(site, kind, title, self._number, self.rng)
        frame = {"author": self.rng.choice(_AUTHORS), "views": str(self.rng.randint(3, 9_000))}
        page = Page(url, site.domain, kind, title, self._date(), blocks, frame=frame)
        return replace(page, **truth)  # type: ignore[arg-type]

    def _date(self) -> str:
        return f"{self.rng.randint(2015, 2023)}-{self.rng.randint(1, 12):02d}-{self.rng.randint(1, 28):02d}"


def _titled(passage: tuple[str, list[str]], kind: str) -> tuple[str, tuple[Block, ...]]:
    """A title from a passage's first words, and its paragraphs."""
    _, paragraphs = passage
    words = paragraphs[0].split()[:7]
    return " ".join(words).rstrip(".,;:"), tuple(Block(kind, paragraph) for paragraph in paragraphs)


def _passages(kind: str, seed: int, low: int, high: int) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, paragraphs) without end: each passage of the documents once, then random recombinations.

    Recombined passages share few shingles, so that a large web has no duplicates that its truth does not know.
    """
    seen: list[str] = []
    for name, document in text.documents(kind, seed):
        # code keeps its own blank lines: it is cut between top-level definitions
        source = document
        if kind == "code":
            source = document.replace("\n\n\n", "\x00").replace("\n\n", "\n").replace("\x00", "\n\n")
        for paragraphs in pieces(source, low, high):
            seen += paragraphs
            yield name, paragraphs
    rng = random.Random(f"passages/{kind}/{seed}")
    while True:
        drawn = rng.sample(seen, k=min(6, len(seen)))
        for paragraphs in pieces("\n\n".join(drawn), low, high):
            yield "collected", paragraphs
