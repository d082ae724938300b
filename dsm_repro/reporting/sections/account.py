"""What it rests on: published numbers, sharing, cost, protocol, deviations, provenance, failures."""

from __future__ import annotations

import shlex
from typing import Any

from dsm_repro.reporting.accounts import stage_costs
from dsm_repro.reporting.blocks import DASH, Cell, Code, Fold, Section, Table, Text, cells, count, duration, points, si
from dsm_repro.reporting.deviations import deviations, show
from dsm_repro.reporting.ledger import Entry, Order, lookup
from dsm_repro.reporting.measures import Results
from dsm_repro.reporting.records import Sweep

_KEY_SHOWN = 12
#: facts that are printed as code, and may break anywhere
_DIGESTS = ("Commit", "Digest of requirements.lock")


def reference(sweep: Sweep, results: Results, banner: str) -> Section | None:
    """Ledger entries beside ours. Raises ``ConfigError`` for an id that the ledger does not have."""
    items = lookup(sweep.claim.get("reference") or ())
    if not items:
        return None
    entries = [item for item in items if isinstance(item, Entry)]
    orders = [item for item in items if isinstance(item, Order)]
    blocks: list[object] = []
    if banner:
        blocks.append(Text("Not the same experiment in size: compare the order of the arms, not the numbers.", "warn"))
    ours = [
        cells(arm, column, points(m.interval.value), f"[{points(m.interval.low)}, {points(m.interval.high)}]")
        for (arm, column), m in results.measured.items()
    ]
    blocks.append(Table("Ours", [("Arm", "<"), ("Mode", "<"), ("% correct", ">"), ("95% interval", ">")], ours))
    printed = [e for e in entries if not e.id.startswith("deepdive.")]
    summary = [e for e in entries if e.id.startswith("deepdive.")]
    if printed:
        columns = [("Model", "<"), ("Benchmark", "<"), ("%", ">"), ("Protocol", "<"), ("Source", "<"), ("Id", "<")]
        note = "± is the binomial standard error at the benchmark's size."
        blocks.append(Table("Published", columns, [_published(e) for e in printed], note))
    if orders:
        columns = [("Model", "<"), ("Benchmark", "<"), ("Order", "<"), ("Protocol", "<"), ("Source", "<"), ("Id", "<")]
        note = (
            "Figures of the paper without printed values: what it says of their curves. No number is read off a plot."
        )
        blocks.append(Table("Published, as an order", columns, [_order(o) for o in orders], note))
    if summary:
        columns = [("What it says", "<"), ("%", ">"), ("In the paper", "<"), ("What the paper has", "<"), ("Id", "<")]
        note = "A secondary summary of the paper. Figures marked “not in the paper” have no source there."
        blocks.append(Table("The deep dive", columns, [_deepdive(e) for e in summary], note))
    return Section("reference", "Paper beside ours", blocks)


def _published(e: Entry) -> list[Cell]:
    error = f"± {e.standard_error:.1f}" if e.standard_error is not None else ""
    source = e.table if e.table not in e.source else e.source
    return cells(e.model, e.benchmark, Cell(points(e.value), small=error), e.protocol, source, Cell(e.id, mono=True))


def _order(o: Order) -> list[Cell]:
    return cells(o.model, o.benchmark, o.text, o.protocol, o.source, Cell(o.id, mono=True))


def _deepdive(e: Entry) -> list[Cell]:
    status = Cell("yes", tone="good") if e.in_paper else Cell("not in the paper", tone="bad")
    return cells(e.model, points(e.value), status, e.instead, Cell(e.id, mono=True))


def sharing(sweep: Sweep) -> Section:
    costs = stage_costs(sweep)
    unique, separate = sum(c.unique for c in costs), sum(c.separate for c in costs)
    seconds, apart = sum(c.seconds for c in costs), sum(c.separate_seconds for c in costs)
    text = f"{unique} stages stand for the {separate} that separate runs would execute"
    if seconds:
        text += f", {apart / seconds:.1f} times less work: {duration(seconds)} instead of {duration(apart)}"
    rows = [
        cells(
            c.stage,
            str(c.unique),
            str(c.separate),
            str(c.hits),
            si(c.tokens) if c.tokens else DASH,
            si(c.flops, "FLOP") if c.flops else DASH,
            duration(c.seconds),
            duration(c.separate_seconds),
        )
        for c in costs
    ]
    columns = [
        ("Stage", "<"), ("Executed", ">"), ("If run apart", ">"), ("From the store", ">"), ("Tokens", ">"),
        ("FLOPs", ">"), ("Time", ">"), ("Time if run apart", ">"),
    ]  # fmt: skip
    note = "“From the store”: found there when the sweep was last issued. Times are sums over stages, not wall clock."
    stages = [c.stage for c in costs]
    keys = [cells(r.arm, str(r.seed), *(_key(r.keys.get(s), r.states.get(s, "")) for s in stages)) for r in sweep.runs]
    key_table = Table("Keys of every run", [("Arm", "<"), ("Seed", ">"), *((s, "<") for s in stages)], keys)
    blocks = [
        Text(f"{text}."),
        Table("Stages and their cost", columns, rows, note),
        Fold("Keys of every run", "", [key_table]),
    ]
    return Section("cost", "Cost, and what was shared", blocks)


def _key(key: str | None, state: str) -> Cell:
    if key is None:
        return Cell(DASH, tone="muted")
    tone = "" if state in ("hit", "done") else "warn"
    return Cell(key[:_KEY_SHOWN], small="" if not tone else state, mono=True, tone=tone)


def protocol(results: Results) -> Section | None:
    if not results.columns:
        return None
    fields = list(dict.fromkeys(name for c in results.columns for name in c.protocol))
    split = {c.mode for c in results.columns if c.id != c.mode}
    rows = []
    for name in fields:
        values = [show(c.protocol.get(name, DASH)) for c in results.columns]
        rows.append(
            cells(name.replace("_", " "), *(Cell(v, mono=name in ("prompt", "problems_digest")) for v in values))
        )
    columns = [("", "<"), *((c.id, "<") for c in results.columns)]
    blocks: list[object] = [Table("How answers were asked for and graded", columns, rows)]
    for mode in sorted(split):
        names = "; ".join(f"{c.id}: {', '.join(c.arms)}" for c in results.columns if c.mode == mode)
        blocks.insert(0, Text(f"Mode {mode} was measured under more than one protocol ({names}).", "warn"))
    return Section("protocol", "Protocol", blocks)


def hyperparameters(sweep: Sweep) -> Section | None:
    rows = deviations(sweep)
    if not rows:
        return None
    tones = {"differs": "warn", "varies": "warn", "same": "good"}
    table = Table(
        "Published hyper-parameters beside the ones used",
        [("Setting", "<"), ("Published", ">"), ("Used", ">"), ("", "<"), ("Source", "<")],
        [
            cells(
                Cell(d.path, mono=True),
                d.published,
                d.used,
                Cell(d.status, tone=tones.get(d.status, "muted")),
                d.source,
            )
            for d in rows
        ],
    )
    differing = sum(d.status in ("differs", "varies") for d in rows)
    text = f"{differing} of {len(rows)} published settings are not used as published."
    return Section("deviations", "Deviations from the published settings", [Text(text), table])


def provenance(sweep: Sweep) -> Section:
    artifacts = list(sweep.artifacts().values())

    def seen(field: str) -> list[str]:
        values = [a.manifest.get(field) for a in artifacts]
        return list(dict.fromkeys(show(v) for v in values if v is not None))

    facts = [
        ("Scale", sweep.scale),
        (_DIGESTS[0], "; ".join(seen("git")) or "not recorded"),
        (_DIGESTS[1], "; ".join(seen("lock")) or "not recorded"),
        ("Seeds of the replicates", ", ".join(str(s) for s in dict.fromkeys(r.seed for r in sweep.runs))),
        ("Hardware", "; ".join(_hardware(artifacts)) or "not recorded"),
        ("Threads per stage", ", ".join(seen("threads")) or "not recorded"),
        ("Started", sweep.started or DASH),
        ("Finished", sweep.finished or DASH),
    ]
    libraries: dict[str, dict[str, None]] = {}
    for artifact in artifacts:
        for name, version in (artifact.manifest.get("libraries") or {}).items():
            libraries.setdefault(name, {})[str(version)] = None
    rows = [
        cells(name, Cell(", ".join(versions), tone="warn" if len(versions) > 1 else "", mono=True))
        for name, versions in sorted(libraries.items())
    ]
    table = Table(
        "Where the numbers come from", [("", "<"), ("", "<")], [cells(n, Cell(v, mono=n in _DIGESTS)) for n, v in facts]
    )
    blocks: list[object] = [Text("Made by"), Code(command(sweep)), table]
    if rows:
        versions = Table("Libraries", [("Library", "<"), ("Version", "<")], rows)
        blocks.append(Fold("Library versions", "", [versions]))
    overrides = [cells(a, " ".join(o) or DASH) for a, o in {r.arm: r.overrides for r in sweep.runs}.items()]
    blocks.append(
        Fold("Overrides of each arm", "", [Table("Overrides", [("Arm", "<"), ("Overrides", "<")], overrides)])
    )
    return Section("provenance", "Provenance", blocks)


def _hardware(artifacts: list[Any]) -> list[str]:
    found = []
    for artifact in artifacts:
        hardware = artifact.manifest.get("hardware")
        if isinstance(hardware, dict):
            memory, cores = hardware.get("memory_bytes"), int(hardware.get("cores") or 0)
            parts = [str(hardware.get("cpu") or ""), f"{count(cores)} core{'s' * (cores > 1)}" if cores else ""]
            parts += [f"{memory / 2**30:.0f} GiB" if memory else "", str(hardware.get("gpu") or "no GPU")]
            hardware = ", ".join(filter(None, parts))
        if hardware:
            found.append(str(hardware))
    return list(dict.fromkeys(found))


def command(sweep: Sweep) -> str:
    """What to type to get these records again: the sweep, and what was said beside it."""
    if sweep.declared:
        own = {f"scale={sweep.scale}", *(word for arm in (sweep.claim.get("arms") or {}).values() for word in arm)}
        words = [w for w in (sweep.runs[0].overrides if sweep.runs else ()) if w not in own]
        said = [
            w for w in words if all(w in r.overrides for r in sweep.runs) and not w.startswith(("seeds.", "paths."))
        ]
        return shlex.join(["dsm", "run", f"sweep={sweep.name}", f"scale={sweep.scale}", *said])
    return "\n".join(dict.fromkeys(f"dsm run {' '.join(run.overrides)} seed={run.seed}" for run in sweep.runs))


def failures(sweep: Sweep) -> Section | None:
    bad = [r for r in sweep.runs if r.status not in ("done", "stopped")]
    if not bad:
        return None
    blocks: list[object] = [
        Text(f"{len(bad)} of {len(sweep.runs)} runs have no result. They are left out, not filled in.", "warn")
    ]
    for run in bad:
        if run.failure is None:
            waiting = [stage for stage, state in run.states.items() if state not in ("hit", "done")]
            blocks.append(Text(f"{run.label}: unfinished, waits for {', '.join(waiting)}.", "note"))
            continue
        f = run.failure
        first = f.message.splitlines()[0] if f.message else "no message"
        where = f.stage or "an unnamed stage"
        blocks.append(Fold(f"{run.label}: {run.status} in {where}: {first}", f.traceback or f.message))
    return Section("failures", "Runs without a result", blocks)
