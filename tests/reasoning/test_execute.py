"""`dsm execute` runs a file of programs: one line out for each line in, and a mistake before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsm_repro.cli import main
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.evaluation_schema import SandboxConfig
from dsm_repro.reasoning.sandbox import Sandbox, controller
from dsm_repro.reasoning.sandbox.backends import ISOLATED
from dsm_repro.reasoning.sandbox.command import execute_file

ISOLATES = any(controller.probe(name) is None for name in ISOLATED)
needs_isolation = pytest.mark.skipif(not ISOLATES, reason="nothing here isolates a program")


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@needs_isolation
def test_each_line_has_its_outcome_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programs = ["print(6 * 7)", "1/0", "import time\nprint(1, flush=True)\ntime.sleep(9)", "print('x' * 300)"]
    rows = [{"id": f"p{i}", "program": program} for i, program in enumerate(programs)]
    rows += [{"id": i, "program": f"print({i})", "more": "is not looked at"} for i in range(40)]
    source, out = write(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    limits = ["sandbox.timeout=0.5", "sandbox.output_bytes=200"]
    assert main(["execute", str(source), "--out", str(out), "--workers", "3", *limits]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert all(list(row) == ["id", "status", "stdout", "error", "seconds", "backend"] for row in found)
    assert [row["status"] for row in found[:4]] == ["ok", "error", "timeout", "output_limit"]
    assert (found[0]["stdout"], found[2]["stdout"]) == ("42\n", "1\n")
    assert "ZeroDivisionError" in found[1]["error"]
    assert [row["stdout"] for row in found[4:]] == [f"{i}\n" for i in range(40)]
    assert {row["backend"] for row in found} <= set(ISOLATED)
    assert "44 programs (41 ok" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not a JSON line"),
        ("[1]", "line 2: no id and no program"),
        ('{"program": "print(1)"}', "line 2: no id"),
        ('{"id": 1}', "line 2: no program"),
        ('{"id": 1, "program": 7}', "line 2: program=7: not a string"),
    ],
)
def test_a_bad_line_is_named_before_any_program_runs(
    tmp_path: Path, line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "in.jsonl", {"id": 0, "program": "print(1)"}, line)
    assert main(["execute", str(source), "--out", str(tmp_path / "out.jsonl")]) == 1
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_files_and_numbers_that_cannot_be_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.jsonl", {"id": 0, "program": "print(1)"})
    for words, said in (
        ([str(tmp_path / "gone"), "--out", "x"], "gone: cannot be read"),
        ([str(source), "--out", "x", "--workers", "0"], "--workers=0"),
        ([str(source), "--out", "x", "sandbox.timeot=1"], "sandbox.timeot"),
        ([str(source), "--out", "x", "sandbox.timeout=0"], "sandbox.timeout=0"),
    ):
        assert main(["execute", *words]) == 1
        assert said in capsys.readouterr().err


@needs_isolation
def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.jsonl", {"id": 0, "program": "print(1)"})
    assert main(["execute", str(source), "--out", str(tmp_path / "gone" / "out")]) == 1
    assert "--out=" in capsys.readouterr().err


def test_isolation_that_breaks_down_on_the_way_leaves_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(sandbox: Sandbox, program: str) -> None:
        raise ConfigError("sandbox.backend=bwrap: it worked before and now does not.")

    monkeypatch.setattr(controller, "probe", lambda name: None)
    monkeypatch.setattr(Sandbox, "run", run)
    source = write(tmp_path / "in.jsonl", *({"id": i, "program": "print(1)"} for i in range(100)))
    with pytest.raises(ConfigError, match="now does not"):
        execute_file(source, tmp_path / "out.jsonl", SandboxConfig(), workers=2)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_without_isolation_nothing_runs_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "probe", lambda name: None if name == "subprocess" else "refused")
    source, out = write(tmp_path / "in.jsonl", {"id": 0, "program": "print(1)"}), tmp_path / "out.jsonl"
    with pytest.raises(ConfigError, match="bubblewrap"):
        execute_file(source, out, SandboxConfig(), workers=1)
    assert not out.exists()
    assert execute_file(source, out, SandboxConfig(allow_unsandboxed=True), workers=1) == {"ok": 1}
    assert json.loads(out.read_text())["backend"] == "subprocess"
