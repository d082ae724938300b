"""Writes ``docs/claims.md`` from the sweeps themselves and the ledger: ``python docs/tools/claims.py``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from dsm_repro.config.compose import compose
from dsm_repro.config.paths import sweep_names, sweeps_root
from dsm_repro.config.sweep_schema import ComparisonConfig, SweepConfig
from dsm_repro.reporting.ledger import Entry, Order, lookup

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "claims.md"

HEAD = """\
# How each claim is tested

One sweep is one claim: a file under `sweeps/` that names a factor, the arms that are its levels, what is held equal,
the seeds, the comparisons and what each is expected to show, before anything is run. This page is made from these files
(`python docs/tools/claims.py`), and a test holds it to them.

The rules are the same for all. Two arms that differ outside the factor and its declared consequences are refused. A
comparison is paired by question and by seed, has a 95% interval, and is adjusted for the sweep's other comparisons;
[from answers to a verdict](statistics.md) has the details. Where a comparison expects one arm to be better, it is
*reproduced* if the interval lies above 0 and the adjusted p is below 0.05; where it expects no gain, if the interval's
upper end lies below the margin; where it expects nothing, it is *descriptive*. A claim is as good as its weakest
comparison. `dsm plan sweep=NAME` says what difference its seeds and questions can detect.

*The deep dive* is a secondary summary of the paper, not by its authors. Its figures are kept apart from the paper's,
and those that the paper does not have are marked so.
"""

_PAGE_NAME = re.compile(r"docs/(\w+\.md)")
EXPECTED = {"a_greater": "above 0", "b_greater": "below 0", "none": "nothing: descriptive"}


def page() -> str:
    """The whole page."""
    claims = {name: _claim(name) for name in sweep_names()}
    rows = ["| sweep | claim | factor | seeds, from, at |", "|---|---|---|---|"]
    for name, (claim, scale) in claims.items():
        factor = _codes(claim.factor.split(","))
        rows.append(f"| [`{name}`](#{name}) | {claim.title} | {factor} | {_seeds(claim, scale)} |")
    return "\n".join([HEAD, *rows, *(line for both in claims.values() for line in _section(*both))]) + "\n"


def _file(name: str) -> str:
    return (sweeps_root() / "sweeps" / f"{name}.yaml").read_text(encoding="utf-8")


def _claim(name: str) -> tuple[SweepConfig, str]:
    """As its own command composes it, and at which scale: a scale says what seeds it can afford."""
    config = compose(_command(name).removeprefix("dsm run ").split())
    assert config.sweep is not None
    return config.sweep, config.scale.name


def _section(claim: SweepConfig, scale: str) -> Iterator[str]:
    yield from ("", f"## {claim.name}", "", f"**{claim.title}.** {claim.statement}", "")
    yield from ("```sh", _command(claim.name), "```", "")
    consequences = f"; may differ with it: {_codes(claim.consequences)}" if claim.consequences else ""
    yield f"- **Factor:** {_codes(claim.factor.split(','))}{consequences}"
    yield f"- **Held equal:** {claim.equal}"
    yield f"- **Seeds:** {_seeds(claim, scale)}; what comes before is shared"
    report = ROOT / "reports" / claim.name / "results.json"
    if report.is_file():
        yield f"- **Committed report:** [{claim.name}](../reports/{claim.name}/report.md), {_made_of(report)}"
    yield from ("", "| arm | is |", "|---|---|")
    for name, overrides in claim.arms.items():
        yield f"| {name} | {_codes(overrides)} |"
    yield from ("", "| comparison | of | mode | expected difference |", "|---|---|---|---|")
    yield from (_comparison(comparison) for comparison in claim.comparisons)
    if claim.reference:
        yield from ("", "| published | | value | n | s.e. | ledger entry |", "|---|---|---:|---:|---:|---|")
        yield from (_entry(item) for item in lookup(claim.reference))
    yield from ("", "What to know before believing it:", "")
    yield from ("- " + _PAGE_NAME.sub(r"[\g<0>](\1)", caveat) for caveat in claim.caveats)


def _command(name: str) -> str:
    """How the sweep's own file says that it is run."""
    return next(line for line in _file(name).splitlines() if line.startswith("# dsm ")).removeprefix("# ")


def _seeds(claim: SweepConfig, scale: str) -> str:
    seeds = ", ".join(map(str, claim.replicates.seeds))
    return f"{seeds} from `{claim.replicates.from_stage}` at `scale={scale}`"


def _made_of(results: Path) -> str:
    """A report can be of fewer seeds than the sweep asks for, where these cost too much."""
    report = json.loads(results.read_text(encoding="utf-8"))
    seeds = sorted({run["seed"] for run in report["runs"]})
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} at `scale={report['scale']}`"


def _comparison(comparison: ComparisonConfig) -> str:
    mode = f"{comparison.mode} against {comparison.mode_b}" if comparison.mode_b else comparison.mode
    expected = EXPECTED.get(comparison.expect) or f"below {comparison.margin:g} points"
    return f"| {comparison.a} − {comparison.b} | {comparison.metric} | {mode} | {expected} |"


def _entry(item: Entry | Order) -> str:
    what = f"| {item.table}, {item.model} | {item.benchmark} |"
    if isinstance(item, Order):
        return f"{what} {item.text} | – | – | `{item.id}` |"
    error = "–" if item.standard_error is None else f"{item.standard_error:.1f}"
    absent = "" if item.in_paper else " (not in the paper)"
    return f"{what} {item.value:.1f}{absent} | {item.n or '–'} | {error} | `{item.id}` |"


def _codes(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
