from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import synthetic

from dsm_repro.config.errors import DataError, StoreError
from dsm_repro.reporting import measures, protocols, records
from dsm_repro.reporting.deviations import deviations
from dsm_repro.reporting.render import render_front, render_sweep


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with one finished sweep, and its rendered folder."""
    root = tmp_path_factory.mktemp("finished")
    synthetic.write_sweep(root / "store")
    return root / "store", render_sweep(root / "store", "rl_algorithm", root / "reports").parent


def test_everything_is_written_and_small(finished: tuple[Path, Path]) -> None:
    files = {p.name: p for p in finished[1].iterdir()}
    assert {"index.html", "report.md", "results.json", "arms.csv", "comparisons.csv", "categories.csv",
            "answers.csv", "curves.csv", "forest.svg", "accuracy.svg",
            "reward.svg", "heat-cot.svg", "corpus-scores.svg", "corpus-lengths.svg"} <= files.keys()  # fmt: skip
    assert sum(p.stat().st_size for p in files.values()) < 1_000_000
    for path in files.values():
        if path.suffix == ".svg":
            ET.fromstring(path.read_text())


def test_rendering_again_gives_the_same_bytes(finished: tuple[Path, Path], tmp_path: Path) -> None:
    """In another process, so that no hash seed or cache helps; and without torch or anything as slow."""
    store, folder = finished
    code = (
        "import sys; from pathlib import Path; from dsm_repro.reporting.render import render_sweep;"
        f"render_sweep(Path({str(store)!r}), 'rl_algorithm', Path({str(tmp_path)!r}));"
        "slow = {'torch', 'pandas', 'statsmodels', 'scipy.stats', 'matplotlib.pyplot'} & sys.modules.keys();"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    again = tmp_path / "rl_algorithm"
    assert sorted(p.name for p in again.iterdir()) == sorted(p.name for p in folder.iterdir())
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {k: v or "" for k, v in attrs}
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values.get("href", ""))
        elif tag in ("script", "img", "link", "iframe", "use", "image"):
            self.loads += [v for k, v in values.items() if k in ("src", "href", "xlink:href")]


def test_the_page_loads_nothing_and_its_links_arrive(finished: tuple[Path, Path]) -> None:
    html = (finished[1] / "index.html").read_text()
    page = _Page()
    page.feed(html)
    assert all(load.startswith(("#", "data:")) for load in page.loads), page.loads
    assert "@import" not in html and not re.search(r"url\((?!#)", html)
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else (finished[1] / link).exists()
    assert "<b>every</b>" not in html, "text of the records must be escaped"


def test_sections_are_in_order_and_the_scale_is_said(finished: tuple[Path, Path]) -> None:
    html = (finished[1] / "index.html").read_text()
    order = ["verdict", "forest", "arms", "comparisons", "compute", "curves", "categories", "outcomes", "mix", "corpus",
             "reference", "cost", "protocol", "deviations", "provenance"]  # fmt: skip
    at = [html.index(f'id="{name}"') for name in order]
    assert at == sorted(at)
    markdown = (finished[1] / "report.md").read_text()
    for text in (html, markdown):
        assert "tiny models trained on made problems" in text
        assert "not in the paper" in text
        assert "From crawl to corpus" in text and "collected in round 4, the last" in text
        assert "dsm run sweep=rl_algorithm scale=mini" in text
        assert "89abcdef" * 8 in text and "0123abcd" * 5 in text, "lock and commit"
        assert re.search(r"GRPO − SFT = \+\d+\.\d points \[−?\d+\.\d, \d+\.\d\], 3 seeds × 160 problems", text)


def test_an_order_stands_in_the_report_without_a_number(finished: tuple[Path, Path]) -> None:
    markdown = (finished[1] / "report.md").read_text()
    (line,) = (line for line in markdown.splitlines() if "paper.fig5.order" in line)
    order = "GRPO+OS > Online RFT; GRPO+PS > GRPO+OS"
    assert order in line.replace("\\", "") and "±" not in line
    assert order in unescape((finished[1] / "index.html").read_text())
    references = json.loads((finished[1] / "results.json").read_text())["reference"]
    (exported,) = (item for item in references if item["id"] == "paper.fig5.order")
    assert exported["value"] is None
    assert exported["order"][-1] == {"a": "GRPO+PS", "relation": "greater", "b": "GRPO+OS", "when": ""}
    assert [item["value"] for item in references] == [46.8, 51.7, None, 45.2, 51.7]


def test_an_arm_with_one_checkpoint_counts_once(finished: tuple[Path, Path]) -> None:
    found = measures.results(records.read_sweep(finished[0], "rl_algorithm"))
    assert found.measured["SFT", "cot"].right.shape == (1, 160)
    assert found.measured["SFT", "cot"].seeds == ((0, 1, 2),)
    assert found.measured["GRPO", "cot"].right.shape == (3, 160)
    difference = found.compared[0].difference
    assert difference is not None and difference.replicates == 3
    a, b = found.measured["GRPO", "cot"].right, found.measured["SFT", "cot"].right
    assert difference.value == pytest.approx(100 * (a.mean() - b.mean()))
    with (finished[1] / "arms.csv").open() as f:
        rows = {row["arm"]: row for row in csv.DictReader(f)}
    assert float(rows["GRPO"]["accuracy"]) == pytest.approx(100 * a.mean())
    assert rows["SFT"]["replicates"] == "1"


def test_what_no_interval_covers_is_said(finished: tuple[Path, Path], tmp_path: Path) -> None:
    said = "All seeds share crawl, corpus, base, pretrain, sft: what others of these would give, no interval covers."
    for name in ("report.md", "index.html"):
        assert said in (finished[1] / name).read_text()
    synthetic.write_sweep(tmp_path / "store", seeds=(0,))
    folder = render_sweep(tmp_path / "store", "rl_algorithm", tmp_path / "reports").parent
    assert "All seeds share" not in (folder / "report.md").read_text()


def test_sharing_is_counted(finished: tuple[Path, Path]) -> None:
    # crawl, corpus, base, pretrain, sft once; six rl; seven evaluations. Apart: one run of SFT, three of PPO, of GRPO.
    assert "18 stages stand for the 48 that separate runs would execute" in (finished[1] / "report.md").read_text()


def test_failed_blocked_missing_and_damaged_runs_are_shown(tmp_path: Path) -> None:
    store = tmp_path / "store"
    index = synthetic.write_sweep(store, arms={"SFT": 0.4, "PPO": 0.45, "GRPO": 0.5, "RFT": 0.5}, questions=80)
    for arm in index["arms"]:
        if arm["name"] == "PPO":
            arm["states"].update(rl="failed", evaluate="blocked")
            arm["error"] = {"stage": "rl", "message": "boom <here>", "traceback": "Traceback\nValueError: boom"}
    synthetic.write_index(store, index)
    lost = next(a for a in index["arms"] if a["name"] == "RFT" and a["seed"] == 1)["stages"]
    (store / "evaluate" / lost["evaluate"]).rename(tmp_path / "gone")
    edited = next(a for a in index["arms"] if a["name"] == "RFT" and a["seed"] == 2)["stages"]
    samples = store / "evaluate" / edited["evaluate"] / "samples.jsonl"
    samples.write_text(samples.read_text().replace('"correct": false', '"correct": true'))

    found = measures.results(records.read_sweep(store, index["name"]))
    assert ("PPO", "cot") not in found.measured
    assert found.measured["RFT", "cot"].seeds == ((0,),), "lost and edited evaluations are not used"
    assert found.compared[0].difference is not None, "other arms are unaffected"
    assert found.compared[1].verdict == "inconclusive"
    assert "PPO has no evaluation (failed)" in found.compared[1].sentence
    html = render_sweep(store, index["name"], tmp_path / "reports").read_text()
    assert "ValueError: boom" in html and "boom &lt;here&gt;" in html
    assert "the store does not have it" in html
    assert "the file was changed: its sha256 is" in html
    assert str(tmp_path) not in html


def test_a_sweep_without_any_result_still_renders(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, questions=8)
    for arm in index["arms"]:
        arm["states"] = dict.fromkeys(arm["stages"], "waiting")
    synthetic.write_index(tmp_path, index)
    html = render_sweep(tmp_path, index["name"], tmp_path / "reports").read_text()
    assert "Inconclusive" in html and "unfinished, waits for crawl" in html
    index["sweep"] = None
    index["arms"] = []
    synthetic.write_index(tmp_path, index)
    assert "declares no expected order" in render_sweep(tmp_path, index["name"], tmp_path / "reports").read_text()


def test_two_protocols_never_share_a_column(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, questions=40, max_tokens={"GRPO": 64})
    found = measures.results(records.read_sweep(tmp_path, index["name"]))
    assert [c.id for c in found.columns] == ["cot (protocol 1)", "cot (protocol 2)"]
    assert [c.arms for c in found.columns] == [("SFT", "PPO"), ("GRPO",)]
    assert found.compared[0].difference is None and "different protocols" in found.compared[0].sentence
    assert found.compared[2].difference is not None
    html = render_sweep(tmp_path, index["name"], tmp_path / "reports").read_text()
    assert "more than one protocol" in html


def test_two_modes_are_compared_where_the_mode_is_the_factor_and_nothing_else_differs(tmp_path: Path) -> None:
    across = {"a": "GRPO", "b": "SFT", "mode": "cot", "mode_b": "pot", "expect": "none"}
    claim = {"title": "t", "statement": "s", "factor": "evaluation.modes", "comparisons": [across]}
    index = synthetic.write_sweep(tmp_path, questions=40, modes=("cot", "pot"), claim=claim)
    found = measures.results(records.read_sweep(tmp_path, index["name"]))
    (one,) = found.compared
    # in columns of their own all the same, and paired question by question
    assert [c.id for c in found.columns] == ["cot", "pot"] and one.columns == ("cot", "pot")
    a, b = found.measured["GRPO", "cot"].right, found.measured["SFT", "pot"].right
    assert one.difference is not None and one.difference.value == pytest.approx(100 * (a.mean() - b.mean()))
    assert one.difference.only_a == int(((a == 1) & (b == 0)).sum()) and one.where == "cot against pot"
    assert "cot against pot" in render_sweep(tmp_path, index["name"], tmp_path / "reports").read_text()

    other = tmp_path / "other"
    index = synthetic.write_sweep(other, questions=40, modes=("cot", "pot"), claim=claim, max_tokens={"GRPO": 64})
    (one,) = measures.results(records.read_sweep(other, index["name"])).compared
    assert one.difference is None and one.sentence.endswith("under different protocols (max_tokens)")


def test_what_a_mode_brings_with_it_may_differ_between_modes_alone() -> None:
    words, programs = synthetic.protocol("cot", 40), synthetic.protocol("pot", 40)
    assert protocols.apart(words, programs, modes_differ=True) == []
    assert protocols.apart(words, programs, modes_differ=False) == ["prompt", "sandbox"]
    # both run programs, in other sandboxes
    elsewhere = {**programs, "sandbox": "userns", "prompt": "another", "tool": "2 rounds"}
    assert protocols.apart(programs, elsewhere, modes_differ=True) == ["sandbox"]
    for key in ("shots", "decoding", "max_tokens", "extractor", "grader", "task", "n", "problems_digest"):
        assert protocols.apart(words, {**programs, key: "other"}, modes_differ=True) == [key]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grader", "math_verify/0.9.0+dsm2"),
        ("exemplars", "file: gsm8k 4 (cd)"),
        ("max_tokens", 129),
        ("sandbox", "e2b"),
    ],
)
def test_protocols_that_differ_in_one_thing_are_apart(key: str, value: object, tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, arms={"SFT": 0.4, "GRPO": 0.6}, seeds=(0,), questions=8)
    path = tmp_path / "evaluate" / index["arms"][1]["stages"]["evaluate"] / "record.json"
    record = json.loads(path.read_text())
    record["protocol"]["cot"][key] = value
    synthetic.rewrite(path, record)
    found = measures.results(records.read_sweep(tmp_path, index["name"]))
    assert [c.arms for c in found.columns] == [("SFT",), ("GRPO",)]
    assert found.compared[0].difference is None and f"different protocols ({key})" in found.compared[0].sentence


def test_what_is_not_recorded_is_not_equal() -> None:
    words = synthetic.protocol("cot", 40)
    lacks = {name: value for name, value in words.items() if name != "sandbox"}
    assert protocols.apart(words, lacks, modes_differ=False) == ["sandbox"]
    assert protocols.apart({}, {}, modes_differ=False) == ["not recorded"]


def test_deviations_compare_published_and_used(finished: tuple[Path, Path]) -> None:
    rows = {d.path: d for d in deviations(records.read_sweep(finished[0], "rl_algorithm"))}
    assert (rows["rl.learning_rate"].published, rows["rl.learning_rate"].used) == ("1e-06", "5e-05")
    assert rows["rl.learning_rate"].status == "differs" and rows["rl.learning_rate"].source == "§4.2"
    assert rows["rl.kl_coefficient"].status == "same"
    assert rows["reward_model.learning_rate"].status == "not used"


def test_a_setting_that_differs_between_arms_is_shown_per_arm(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, questions=8)
    for arm in index["arms"]:
        arm["config"]["rl"]["group_size"] = {"SFT": 1, "PPO": 8, "GRPO": 64}[arm["name"]]
    synthetic.write_index(tmp_path, index)
    rows = {d.path: d for d in deviations(records.read_sweep(tmp_path, index["name"]))}
    assert (rows["rl.group_size"].used, rows["rl.group_size"].status) == ("PPO: 8; GRPO: 64", "varies")


def test_a_missing_or_broken_index_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sweeps/nothing/arms\.json"):
        render_sweep(tmp_path, "nothing", tmp_path / "reports")
    folder = tmp_path / "sweeps" / "half"
    folder.mkdir(parents=True)
    (folder / "arms.json").write_text('{"arms": [')
    with pytest.raises(StoreError, match=r"sweeps/half/arms\.json"):
        render_sweep(tmp_path, "half", tmp_path / "reports")
    (folder / "arms.json").write_text('{"arms": [{"seed": 1}]}')
    with pytest.raises(StoreError, match="an arm is not as expected"):
        render_sweep(tmp_path, "half", tmp_path / "reports")


def test_every_report_enters_the_front_page(tmp_path: Path) -> None:
    synthetic.write_sweep(tmp_path / "store", "one", questions=16, seeds=(0,))
    synthetic.write_sweep(tmp_path / "store", "two", questions=16, seeds=(0,), scale="smoke")
    reports = tmp_path / "reports"
    stale = reports / "one" / "old.svg"
    stale.parent.mkdir(parents=True)
    stale.write_text("<svg/>")
    for name, content in (("older", None), ("torn", '{"schema": 1,'), ("newer", '{"schema": 99, "verdict": "sure"}')):
        (reports / name).mkdir()
        (reports / name / "index.html").write_text("a page without results that can be read")
        if content is not None:
            (reports / name / "results.json").write_text(content)
    render_sweep(tmp_path / "store", "one", reports)
    assert not stale.exists()
    assert 'href="two/index.html"' not in (reports / "index.html").read_text()
    assert "smoke run" in render_sweep(tmp_path / "store", "two", reports).read_text()
    page, markdown = (reports / "index.html").read_text(), (reports / "README.md").read_text()
    for name in ("one", "two"):
        found = json.loads((reports / name / "results.json").read_text())
        effect = re.search(r"= (\S+) points (\[.*?\])", found["comparisons"][0]["sentence"])
        assert effect is not None
        for text, link in ((page, f'href="{name}/index.html"'), (markdown, f"]({name}/report.md)")):
            assert link in text and f"{effect[1]} {effect[2]}" in text, (name, link)
    for text in (page, markdown):
        assert "1 seed × 16 problems" in text and "another version" in text
        assert all(name in text for name in ("older", "torn", "newer"))
        assert "tiny models trained on made problems" in text
    ET.fromstring((reports / "claims.svg").read_text())
    before = {p.name: p.read_bytes() for p in reports.iterdir() if p.is_file()}
    render_front(reports)
    assert {p.name: p.read_bytes() for p in reports.iterdir() if p.is_file()} == before


def test_the_export_has_the_numbers_of_the_page(finished: tuple[Path, Path]) -> None:
    found = json.loads((finished[1] / "results.json").read_text())
    assert found["schema"] == 1 and found["name"] == "rl_algorithm" and len(found["runs"]) == 9
    with (finished[1] / "comparisons.csv").open() as f:
        for row, c in zip(csv.DictReader(f), found["comparisons"], strict=True):
            assert (row["a"], row["b"], row["verdict"]) == (c["a"], c["b"], c["verdict"])
            assert float(row["difference"]) == pytest.approx(c["difference"]["value"], rel=1e-6)
    page = _Page()
    page.feed((finished[1] / "index.html").read_text())
    assert {s["id"] for s in found["sections"]} <= set(page.ids)
    grpo = next(a for a in found["arms"] if a["arm"] == "GRPO")["accuracy"]["cot"]
    assert sum(s["accuracy"] for s in grpo["by_seed"]) / 3 == pytest.approx(grpo["value"], rel=1e-6)
    with (finished[1] / "answers.csv").open() as f:
        answers = list(csv.DictReader(f))
    assert len(answers) == 160
    right = sum(row[f"GRPO, seed {seed}"] == "correct" for row in answers for seed in range(3))
    assert 100 * right / 480 == pytest.approx(grpo["value"], rel=1e-6)


def test_several_tasks_are_shown_apart(tmp_path: Path) -> None:
    """A task without categories is counted whole, the other whole and by category."""
    synthetic.write_sweep(tmp_path / "store")
    for file in (tmp_path / "store").glob("evaluate/*/samples.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for i, row in enumerate(rows):
            row |= {"task": "gsm8k", "category": "all"} if i < 40 else {"task": "math"}
        synthetic.publish(file, "".join(json.dumps(row) + "\n" for row in rows))
    folder = render_sweep(tmp_path / "store", "rl_algorithm", tmp_path / "reports").parent
    found = list(csv.DictReader((folder / "categories.csv").read_text().splitlines()))
    counted = {row["category"]: int(row["problems"]) for row in found}
    assert set(counted) == {"gsm8k", "math", *(f"math: {name}" for name in synthetic.CATEGORIES)}
    assert counted["gsm8k"] == 40 and counted["math"] == 120
    parts = [n for name, n in counted.items() if name.startswith("math: ")]
    assert sum(parts) == 120
    markdown = (folder / "report.md").read_text()
    assert "By task and category" in markdown and "Accuracy by task and category, %" in markdown
    assert '"category":"gsm8k"' in re.sub(r"\s", "", (folder / "index.html").read_text())


def test_the_command_says_what_was_said_beside_the_sweep(tmp_path: Path) -> None:
    synthetic.write_sweep(tmp_path / "store")
    index = tmp_path / "store" / "sweeps" / "rl_algorithm" / "arms.json"
    content = json.loads(index.read_text())
    content["sweep"]["arms"] = {arm["name"]: [*arm["overrides"], "sft=cot"] for arm in content["arms"]}
    for arm in content["arms"]:
        own = content["sweep"]["arms"][arm["name"]]
        said = ["scale=mini", "sft.steps=7", "sweep.replicates.seeds=[0,1,2]", "paths.store=/somewhere", "seeds.rl=1"]
        arm["overrides"] = [*own, *said]
    index.write_text(json.dumps(content))
    folder = render_sweep(tmp_path / "store", "rl_algorithm", tmp_path / "reports").parent
    said = "dsm run sweep=rl_algorithm scale=mini sft.steps=7 'sweep.replicates.seeds=[0,1,2]'\n"
    assert said in (folder / "report.md").read_text()
