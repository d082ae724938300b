"""The documentation does what it says: each command is executed or dry-run, each block parses, each link leads on."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from blocks import EXTENDING, Block, blocks_of, commands_of, extended_project, pages, split, spoken
from commands import WrongCommandError, check, make_example_files

from dsm_repro.arguments import parser
from dsm_repro.config.errors import DsmError

ROOT = Path(__file__).resolve().parents[2]
#: languages of blocks that are shown and not checked
SHOWN = ("", "text")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(autouse=True)
def nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store without artifacts, no data, a crawl of one empty file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSM_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("DSM_DATA", raising=False)
    make_example_files(tmp_path)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def all_blocks() -> Iterator[Block]:
    return (block for path in pages() for block in blocks_of(path))


def commands_on(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where, and words, of every command of a page: in blocks and in sentences."""
    for block in blocks_of(path):
        yield from ((block.where, words) for words in commands_of(block))
    for where, words in spoken(path):
        if words[0] != "dsm" or len(words) > 2 or words[1] not in commands_of_dsm():  # more than a command's name
            yield where, words


def problems_on(path: Path) -> list[str]:
    found = []
    for where, words in commands_on(path):
        try:
            check(words)
        except (WrongCommandError, DsmError) as error:
            found.append(f"{where}: {' '.join(words)}: {error}")
    return found


@functools.cache
def commands_of_dsm() -> frozenset[str]:
    return frozenset(re.findall(r"^    (\w+)  ", parser().format_help(), re.MULTILINE))


@pytest.mark.parametrize("path", [path for path in pages() if path not in EXTENDING], ids=named)
def test_every_command_of_a_page_would_do_what_it_says(path: Path) -> None:
    assert problems_on(path) == []


def test_every_command_of_dsm_is_shown() -> None:
    shown = {words[1] for path in pages() for _, words in commands_on(path) if words[0] == "dsm"}
    assert len(commands_of_dsm()) >= 8
    assert commands_of_dsm() <= shown


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dsm run sweep=no_such", "no such sweep"),
        ("dsm run rl=grpo,ppo", "several values"),
        ("dsm plan rl.group_sise=4", "group_sise"),
        ("dsm run -m rl=grpo,ppo seed=0,1 hydra/launcher=pigeons", "pigeons"),
        ("dsm ledger 'paper.t99.*'", "paper.t99"),
        ("dsm grade a.jsonl --graders nobody --out b.jsonl", "nobody"),
        ("dsm grade a.jsonl", "--out"),
        ("dsm report sweep=no_such", "no_such"),
        ("make coffee", "coffee"),
        ("python -m dsm_repro.no_such a", "no_such"),
        ("python -m dsm_repro.reasoning.solutions a --no-such b", "--no-such"),
        ("python benchmarks/no_such.py", "no_such"),
        ("pip install 'dsm-repro[no_such]'", "no_such"),
        ("srun --nodes 2 dsm run sweep=no_such", "no such sweep"),
        ("wget http://a.example", "nobody knows"),
    ],
)
def test_a_command_that_would_not_work_is_found(line: str, says: str) -> None:
    (words,) = split(line)
    with pytest.raises((WrongCommandError, DsmError), match=re.escape(says)):
        check(words)


def test_commands_are_found_in_blocks() -> None:
    text = "DSM_STORE=x dsm run a=1 \\\n  'b=[1, 2]'  # why\ncat f | head > out && make test\n"
    found = commands_of(Block(ROOT / "README.md", 1, "sh", "", text))
    assert found == [["dsm", "run", "a=1", "b=[1, 2]"], ["cat", "f"], ["head"], ["make", "test"]]
    assert commands_of(Block(ROOT / "README.md", 1, "console", "", "$ dsm plan\nto do\n")) == [["dsm", "plan"]]
    assert commands_of(Block(ROOT / "README.md", 1, "", "", "corpus -> base\ndsm plan\n")) == []


def test_every_block_is_checked_or_declared_to_be_shown_only() -> None:
    """Also: what is written as YAML, Python and JSON is that."""
    counted = 0
    for block in all_blocks():
        text, counted = block.text, counted + 1
        try:
            if block.language == "yaml":
                yaml.safe_load(text)
            elif block.language == "python":
                ast.parse(text)
            elif block.language == "json":
                json.loads(text)
            elif block.language == "jsonl":
                assert all(map(json.loads, text.splitlines()))
            elif block.language in SHOWN:
                assert not re.search(r"^(?:\$ )?dsm ", text, re.MULTILINE) or commands_of(block), "commands in a text"
            else:
                assert block.language in ("sh", "bash", "console", "diff"), "a language that nobody checks"
        except (AssertionError, SyntaxError, ValueError, yaml.YAMLError) as error:
            pytest.fail(f"{block.where}: {error}")
    assert counted > 20


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", [*pages(), ROOT / "reports" / "README.md"], ids=named)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(path: Path) -> None:
    for found in LINK.finditer(path.read_text(encoding="utf-8")):
        link = unquote(found[1] or found[2])
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{named(path)}: {link} leads nowhere"
        assert ROOT in target.parents, f"{named(path)}: {link} leads out of the project"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{named(path)}: {named(target)} has no heading #{anchor}"


def test_the_site_has_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    listed = set(re.findall(r"- (?:[^:\n]+: )?([\w/]+\.md)$", text, re.MULTILINE))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} <= listed


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_claims_is_that_of_the_sweeps() -> None:
    claims = tool("claims")
    assert claims.PAGE.read_text(encoding="utf-8") == claims.page(), "run: python docs/tools/claims.py"


def test_how_much_seeds_differ_is_what_the_reports_say() -> None:
    spread = tool("spread")
    assert spread.sentence() in spread.PAGE.read_text(encoding="utf-8"), "run: python docs/tools/spread.py"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = extended_project(tmp_path_factory.mktemp("extended"))
    make_example_files(root)
    return root


def test_the_commands_on_extending_work_where_its_pages_were_followed(extended: Path) -> None:
    words = [words for path in EXTENDING for _, words in commands_on(path) if words[0] == "dsm"]
    assert len(words) >= 4
    script = "import json, sys; from commands import check\nfor words in json.load(sys.stdin): check(words)"
    path = os.pathsep.join((str(extended), str(ROOT / "tests" / "docs")))
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(words), cwd=extended, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_examples_on_extending_are_written_as_the_rest(extended: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "dsm_repro", "tests"], cwd=extended, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
