"""The corpora of a sweep: what differs between them, and of each its way from crawl to collection."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dsm_repro.reporting.blocks import DASH, Cell, Fold, Section, Table, Text, count
from dsm_repro.reporting.corpus import Corpus, corpora, printable, varied
from dsm_repro.reporting.deviations import show
from dsm_repro.reporting.records import Sweep
from dsm_repro.reporting.sections import corpus_evidence as evidence
from dsm_repro.reporting.sections import corpus_makeup as makeup
from dsm_repro.reporting.sections.corpus_cells import ABSENT, NONE, amount, percent, share
from dsm_repro.reporting.sections.corpus_contamination import contamination
from dsm_repro.reporting.sections.corpus_rounds import funnel, rounds, score
from dsm_repro.reporting.values import mapping, number, records

_KEY_SHOWN = 12
_SETTING_SHOWN = 60


def corpus(sweep: Sweep, drawn: Collection[str]) -> Section | None:
    """``drawn`` names the figures that there are. None where no arm has a corpus."""
    found = corpora(sweep)
    if not found:
        return None
    if len(found) == 1:
        others = set(sweep.arms) - set(found[0].arms)
        whose = [Text(f"Arms that stand on this corpus: {found[0].label}.")] if others else []
        # what all arms share is no difference between them: its details are folded away
        detail = Fold(
            "The corpus in detail: rounds, scores, make-up, decontamination", blocks=_details(found[0], found, drawn)
        )
        return Section("corpus", "Corpus", [*whose, *_in_words(found[0]), *funnel(found[0]), detail])
    folds = [Fold(_summary(one), blocks=[*_in_words(one), *funnel(one), *_details(one, found, drawn)]) for one in found]
    return Section("corpus", "Corpus", [_differences(found), *folds])


def _summary(one: Corpus) -> str:
    if not one.rounds:
        return f"{one.label}: the crawl; nothing collected yet"
    pages, tokens = (number(one.rounds[-1].get(name)) for name in ("pages", "tokens"))
    return f"{one.label}: {count(pages)} pages, {count(tokens)} tokens"


def _details(one: Corpus, found: Sequence[Corpus], drawn: Collection[str]) -> list[object]:
    first = next(c for c in found if c.crawl_key == one.crawl_key) if one.crawl_key else one
    parts: dict[str, list[object]] = {
        "rounds": rounds(one),
        "scores": makeup.scores(one, found, drawn),
        "composition": makeup.composition(one, found, drawn),
        "mathematical domains": evidence.domains(one),
        "review decisions": evidence.reviews(one),
        "duplicates": evidence.duplicates(one, "" if first is one else first.label),
        "decontamination": contamination(one),
        "drops": evidence.drops(one),
    }
    blocks = [block for part in parts.values() for block in part]
    missing = [name for name, part in parts.items() if not part]
    if not one.funnel:
        missing.insert(0, "funnel")
    if missing:
        blocks.append(Text(f"Not recorded: {', '.join(missing)}.", "note"))
    return blocks


def _in_words(one: Corpus) -> list[object]:
    """The outcome in a sentence; nothing where a number of it is missing."""
    last = one.rounds[-1] if one.rounds else {}
    of = dict(one.funnel).get("decontaminated")
    pages, tokens, overlap = (number(last.get(name)) for name in ("pages", "tokens", "overlap"))
    threshold = number(one.record.get("score_threshold", last.get("threshold")))
    if pages is None or tokens is None or of is None or threshold is None:
        return []
    often = f"{len(one.rounds)} round{'s' if len(one.rounds) > 1 else ''}"
    said = (
        f"{count(pages)} of {count(of)} clean pages were collected in {often}: {count(tokens)} tokens, those with the "
        f"highest score, down to {threshold:.4f}."
    )
    if overlap is not None:
        said += f" {percent(overlap)} of them had been collected in the round before."
    if one.record.get("token_unit"):
        said += f" Tokens are {printable(one.record['token_unit'])}."
    return [Text(said)]


def _figures(one: Corpus) -> dict[str, Cell]:
    last = one.rounds[-1] if one.rounds else {}
    steps = dict(one.funnel)
    checked = [mapping(r.get("maths")) for r in records(one.truth.get("rounds"))]
    figures = {
        "Records read": amount(steps, "records"),
        "Pages to choose from": amount(steps, "decontaminated"),
        "Pages collected": amount(last, "pages"),
        "Tokens collected": amount(last, "tokens"),
        "Score of the last page": score(one.record.get("score_threshold", last.get("threshold"))),
        "Rounds": Cell(count(len(one.rounds))) if one.rounds else ABSENT,
        "Already collected in the round before": share(last, "overlap"),
        "Mathematical domains": amount(last, "math_domains"),
    }
    if checked:
        figures["Maths, precision (hidden labels)"] = share(checked[-1], "precision")
        figures["Maths, recall (hidden labels)"] = share(checked[-1], "recall")
    return figures


def _differences(found: Sequence[Corpus]) -> Table:
    """Settings that are not the same in all corpora, then the figures of each."""
    rows = [
        [Cell(path, mono=True), *(Cell(printable(show(value), _SETTING_SHOWN) or DASH) for value in values)]
        for path, values in varied(list(found)).items()
    ]
    each = [_figures(one) for one in found]
    for name in dict.fromkeys(name for figures in each for name in figures):
        rows.append([Cell(name), *(figures.get(name, NONE) for figures in each)])
    rows.append([Cell("Key of the crawl"), *(_key(one.crawl_key) for one in found)])
    rows.append([Cell("Key of the corpus"), *(_key(one.key) for one in found)])
    note = "First the settings that differ. Corpora whose crawl has one key were chosen from the same pages."
    return Table("Corpora side by side", [("", "<"), *((one.label, ">") for one in found)], rows, note)


def _key(key: str) -> Cell:
    return Cell(key[:_KEY_SHOWN], mono=True) if key else NONE
