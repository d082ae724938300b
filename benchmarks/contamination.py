"""Decontamination against a known leak: reasoning-gym's ``gsm_symbolic``, made from 100 questions of GSM8K's test set.

    DSM_DATA=DATA python benchmarks/contamination.py [--seeds 50]

``DATA/gsm8k`` holds ``train.jsonl``, ``test.jsonl`` and ``gsm_symbolic_source_test_ids.json`` (rows of the test set).
Every template of the generator is filled in ``--seeds`` times and looked for among GSM8K test's questions and
solutions. Which question a template comes from is found by alignment and checked to be one to one. The last table
is speed, beside the plain way (tuples of words in a dictionary), on the manuals and sources that are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from dsm_repro.config.corpus_schema import DecontaminationConfig
from dsm_repro.config.schema import Config
from dsm_repro.corpus.decontamination import BenchmarkIndex
from dsm_repro.corpus.tokens import grams
from dsm_repro.miniature.text import documents
from dsm_repro.reasoning.benchmarks import BenchmarkText, load_own

#: a template's words in its question's order, numbers apart, from which on its wording counts as kept
KEPT = 0.8
BINS = ((0.9, 1.01), (KEPT, 0.9), (0.7, KEPT), (0.0, 0.7))
#: a name or a thing put in the place of another has at most this many words
SUBSTITUTED = 3
SECONDS_OF_SPEED = 3.0
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Item:
    """A question made from a template, the row of GSM8K test it comes from, and the words of that it keeps."""

    template: int
    shipped: bool
    question: str
    solution: str
    source: int
    kept: float


def made_items(questions: Sequence[str], sources: Sequence[int], seeds: int) -> list[Item]:
    """``seeds`` items of each of the 100 templates, at the one difficulty that the generator has."""
    from reasoning_gym.arithmetic.gsm_symbolic.gsm_symbolic import (
        GSMSymbolicDataset,
        GSMSymbolicDatasetConfig,
        tasks_ok,
    )

    generators = GSMSymbolicDataset(GSMSymbolicDatasetConfig(seed=0, size=1)).generators
    originals = {row: grams(questions[row]) for row in sources}
    found = []
    for template, generate in sorted(generators.items()):
        made = [generate(Random(seed), 1.0) for seed in range(seeds)]
        first = grams(made[0]["question"])
        source = max(sources, key=lambda row: SequenceMatcher(None, first, originals[row], autojunk=False).ratio())
        for item in made:
            kept = share_kept(grams(item["question"]), originals[source])
            solution = item["metadata"]["answer_cot"]
            found.append(Item(template, template in tasks_ok, item["question"], solution, source, kept))
    if len({item.source for item in found}) != len(generators):
        raise SystemExit("two templates were aligned with one question: the alignment cannot be trusted")
    return found


def share_kept(item: Sequence[str], original: Sequence[str]) -> float:
    """Share of the original's words, numbers apart, that the item has in the same order."""
    a, b = ([word for word in words if not word.isdigit()] for words in (item, original))
    return sum(block.size for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()) / len(b)


def cause(item: Item, original: str, ngram: int) -> str:
    """Why an item goes unfound: what has to be overlooked for ``ngram`` grams in a row to agree."""
    found, wanted = grams(item.question), grams(original)
    if longest(found, wanted, 0) >= ngram:
        raise SystemExit(f"missed, although {ngram} grams in a row are the original's: {item.question}")
    if longest([fold(gram) for gram in found], [fold(gram) for gram in wanted], 0) >= ngram:
        return "numbers changed: fewer than 10 grams between two of them"
    if longest([fold(gram) for gram in found], [fold(gram) for gram in wanted], SUBSTITUTED) >= ngram:
        return f"names or things put in the place of others (at most {SUBSTITUTED} words) as well"
    return "wording changed"


def longest(a: Sequence[str], b: Sequence[str], overlooked: int) -> int:
    """The longest run of grams that agree, with replacements of up to ``overlooked`` grams counted as agreeing."""
    best = run = 0
    for tag, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        same = tag == "equal" or (tag == "replace" and max(j - i, m - k) <= overlooked)
        run = run + (m - k) if same else 0
        best = max(best, run)
    return best


def fold(text: str) -> str:
    return _NUMBER.sub("0", text)


def folded(texts: Sequence[BenchmarkText]) -> list[BenchmarkText]:
    return [BenchmarkText(item.benchmark, item.id, item.part, fold(item.text)) for item in texts]


class PlainIndex:
    """The plain way: tuples of words in a dictionary, for texts of at least ``ngram`` grams."""

    def __init__(self, texts: Sequence[BenchmarkText], ngram: int) -> None:
        self.ngram = ngram
        self.table = {window for item in texts for window in self._windows(item.text)}

    def _windows(self, text: str) -> zip[tuple[str, ...]]:
        tokens = grams(text)
        return zip(*(tokens[start:] for start in range(self.ngram)), strict=False)

    def has(self, text: str) -> bool:
        return not self.table.isdisjoint(self._windows(text))


def percent(hits: int, of: int) -> str:
    return f"{hits} of {of} ({100 * hits / of:.1f}%)" if of else "-"


def table(title: str, *headings: str) -> Table:
    made = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="left" if number == 0 else "right")
    return made


def found_table(items: Sequence[Item], by_question: set[int], whole: set[int]) -> Table:
    """Items found, by how much of the wording is kept."""
    headings = ("items", "found by question", "by question or solution", "templates always / sometimes / never found")
    made = table("gsm_symbolic against GSM8K test", "of the original's words kept", *headings)
    groups = [
        (f"{low:.0%} to {min(high, 1):.0%}", [n for n, i in enumerate(items) if low <= i.kept < high])
        for low, high in BINS
    ]
    groups.append((f"wording kept ({KEPT:.0%} and more)", [n for n, i in enumerate(items) if i.kept >= KEPT]))
    groups.append(("all", list(range(len(items)))))
    groups.append(("all of the 85 templates that the data set draws", [n for n, i in enumerate(items) if i.shipped]))
    for name, members in groups:
        counts: dict[int, list[bool]] = defaultdict(list)
        for n in members:
            counts[items[n].template].append(n in by_question)
        kinds = Counter("always" if all(c) else "never" if not any(c) else "sometimes" for c in counts.values())
        made.add_row(
            name,
            str(len(members)),
            percent(len(by_question.intersection(members)), len(members)),
            percent(len(whole.intersection(members)), len(members)),
            f"{kinds['always']} / {kinds['sometimes']} / {kinds['never']}",
        )
    return made


def missed_table(items: Sequence[Item], missed: Sequence[int], questions: Sequence[str], ngram: int) -> Table:
    """Why items were missed, all and those whose wording is kept."""
    made = table("why the question is missed", "cause", "items", "of those that keep the wording")
    causes = {n: cause(items[n], questions[items[n].source], ngram) for n in missed}
    kept = [n for n in missed if items[n].kept >= KEPT]
    for name, count in Counter(causes.values()).most_common():
        made.add_row(name, percent(count, len(missed)), percent(sum(causes[n] == name for n in kept), len(kept)))
    return made


def rule_table(texts: Sequence[BenchmarkText], items: Sequence[Item], train: Sequence[tuple[str, str]]) -> Table:
    """Other rules on the same texts: what each would find, and what it would take from GSM8K's training set."""
    found = ("items found by question", "of those that keep the wording")
    made = table("the rule and its neighbours", "rule", *found, "GSM8K train questions hit", "with their solutions hit")
    questions = [item for item in texts if item.part == "question"]
    kept = [item for item in items if item.kept >= KEPT]
    rules: list[tuple[str, Sequence[BenchmarkText], int, Callable[[str], str]]] = [
        ("10 grams, questions and solutions (the default)", texts, 10, str),
        ("10 grams, questions only", questions, 10, str),
        ("13 grams, questions and solutions", texts, 13, str),
        ("8 grams, questions and solutions", texts, 8, str),
        ("10 grams, every number counted as one", folded(texts), 10, fold),
    ]
    for name, looked_for, ngram, prepared in rules:
        index = BenchmarkIndex.build(looked_for, DecontaminationConfig(ngram=ngram))

        def hits(found: Sequence[str], index: BenchmarkIndex = index, prepared: Callable[[str], str] = prepared) -> str:
            return percent(sum(bool(index.search("", prepared(text))) for text in found), len(found))

        made.add_row(
            name,
            hits([item.question for item in items]),
            hits([item.question for item in kept]),
            hits([question for question, _ in train]),
            hits(["\n".join(pair) for pair in train]),
        )
    return made


def speed_table(texts: Sequence[BenchmarkText], ngram: int) -> Table:
    """Documents a second of one core, in processor time, the two ways in turn on the same documents."""
    made = table("speed", "documents", "grams each", "plain, documents/s", "ours, documents/s", "ratio")
    ours, plain = BenchmarkIndex.build(texts, DecontaminationConfig(ngram=ngram)), PlainIndex(texts, ngram)
    ours.search("", "prepared at the first search")
    for kind in ("prose", "latex_prose", "algebraic_code"):
        pages = [text for _, text in documents(kind, 0)]
        rates = []
        for has in (plain.has, lambda text: bool(ours.search("", text))):
            start, number = time.process_time(), 0
            while time.process_time() - start < SECONDS_OF_SPEED:
                has(pages[number % len(pages)])
                number += 1
            rates.append(number / (time.process_time() - start))
        disagree = sum(plain.has(page) != bool(ours.search("", page)) for page in pages)
        if disagree:
            raise SystemExit(f"{kind}: the two ways disagree on {disagree} documents")
        size = sum(len(grams(page)) for page in pages) / len(pages)
        made.add_row(kind, f"{size:.0f}", f"{rates[0]:.0f}", f"{rates[1]:.0f}", f"{rates[1] / rates[0]:.1f}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    seeds = parser.parse_args().seeds
    folder = Path(os.environ.get("DSM_DATA", "data")) / "gsm8k"
    config = Config()
    config.problems.source, config.problems.test_path = "jsonl", str(folder / "test.jsonl")
    benchmark = load_own(config)
    config.problems.test_path = str(folder / "train.jsonl")
    train_texts = load_own(config).texts
    train = [
        (a.text, b.text) for a, b in zip(train_texts[::2], train_texts[1::2], strict=True) if a.part != b.part
    ]  # fmt: skip
    questions = [item.text for item in benchmark.texts if item.part == "question"]
    sources = json.loads((folder / "gsm_symbolic_source_test_ids.json").read_text())
    ngram = DecontaminationConfig().ngram
    index = BenchmarkIndex.build(benchmark.texts, DecontaminationConfig())

    items = made_items(questions, sources, seeds)
    own = [f"line {item.source + 1}" for item in items]
    evidence = [index.search("", item.question) for item in items]
    whole = [index.search("", f"{item.question}\n{item.solution}") for item in items]
    by_question = {n for n, found in enumerate(evidence) if any(hit.item == own[n] for hit in found)}
    by_either = {n for n, found in enumerate(whole) if any(hit.item == own[n] for hit in found)}
    others = sum(any(hit.item != own[n] for hit in found) for n, found in enumerate(evidence))

    console = Console(width=160)
    console.print(found_table(items, by_question, by_either))
    console.print(
        f"Items whose question hits another question or solution than their own: {percent(others, len(items))}."
    )
    console.print(missed_table(items, [n for n in range(len(items)) if n not in by_question], questions, ngram))
    console.print(rule_table(benchmark.texts, items, train))
    console.print(speed_table(benchmark.texts, ngram))


if __name__ == "__main__":
    main()
