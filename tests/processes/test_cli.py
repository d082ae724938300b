"""The command line answers at once, says what to type next, and turns every mistake into one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dsm_repro.cli import main

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "pipeline"))

from sweep_stages import REGISTRY, REGISTRY_OVERRIDE  # noqa: E402


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSM_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DSM_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setattr("dsm_repro.stages._STAGES", REGISTRY)
    return tmp_path / "store"


def run(*words: str) -> int:
    return main(["run", REGISTRY_OVERRIDE, "hydra.sweeper.report=false", "hydra/launcher=basic", *words])


def test_help_loads_nothing_heavy_and_says_what_to_type_next() -> None:
    code = (
        "import sys; from dsm_repro.cli import main; code = main(['--help']);"
        "print([m for m in ('torch', 'hydra', 'omegaconf', 'rich', 'numpy') if m in sys.modules]); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0
    assert ran.stdout.rstrip().endswith("[]")
    assert "dsm run sweep=rl_algorithm" in ran.stdout


def test_module_is_the_same_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "dsm_repro", "fly"], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 2
    assert "invalid choice: 'fly'" in ran.stderr


@pytest.mark.parametrize("words", [[], ["fly"], ["run", "--fly"], ["explain", "only-one"]])
def test_wrong_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage: dsm" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "rl=gpro"], "rl=gpro: no such level"),
        (["run", "rl.group_sise=3"], "rl.group_sise: no such key"),
        (["run", "rl.group_size=many"], "rl.group_size=many: Value 'many' of type"),
        (["run", "rl.top_p=2"], "rl.top_p=2"),
        (["run", "rl=grpo,ppo"], "Add -m"),
        (["run", "sweep=unheard_of"], "sweep=unheard_of: no such sweep"),
        (["run", "corpus=warc", "corpus.paths=[nowhere/*.gz]", "until=corpus"], "corpus.paths=nowhere/*.gz"),
        (["run", "rl.group_size=[1"], "cannot be read"),
        (["run", "paths.store=/proc/nowhere"], "/proc/nowhere"),
        (["plan", "until=later"], "until=later"),
        (["run", "hydra.searchpath=[file:///tmp]", "rl=mine"], "hydra.searchpath=[file:///tmp]: levels and sweeps"),
        (["plan", "hydra.searchpath=[file:///tmp]", "rl=mine"], "hydra.searchpath=[file:///tmp]: levels and sweeps"),
        (["run", "-m", "paths.store=a,b"], "paths.store: several values"),
        (["run", "paths.store="], "paths.store='': names no folder"),
        (["run", "seed=-1"], "seed=-1: a seed must lie between"),
        (["run", "-m", "rl=glob(zzz*)"], "rl=glob(zzz*): no level matches. Available: cispo,"),
        (["run", "-m", "seed=glob(*)"], "seed=glob(*): not a group"),
        (["run", "-m", "rl.learning_rate=interval(0,1)"], "rl.learning_rate=interval(0,1): no list of values"),
        # the report that needs it would be made behind the last stage
        (["run", "sweep=rl_algorithm", "sweep.reference=[paper.t5.nope]"], "'paper.t5.nope' is no id of the ledger"),
        (["plan", "sweep=rl_algorithm", "sweep.reference=[{a: b}]"], "sweep.reference[0]={'a': 'b'}: not text"),
        (["run", "paths.store=/dev/null"], "/dev/null"),
        (["report", "sweep=rl_algorithm"], "sweep=rl_algorithm: not in"),
        (["report", "sweep=rl_algorithm", "scale=smoke"], "scale=smoke: a report shows what was run"),
        (["report", "sweep.name=mine"], "sweep.name=mine: a report shows what was run"),
        (["explain", "abc", "def"], "abc: no such artifact"),
    ],
    ids=lambda value: " ".join(value)[:50],
)
def test_mistake_is_one_line_and_spends_nothing(
    words: list[str], said: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not any(store.glob("*/*"))


def test_run_then_plan_then_explain(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("until=sft") == 0
    assert run("until=sft", "corpus.top_tokens=7") == 0
    capsys.readouterr()
    assert main(["plan", "--json", "until=sft"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["to_do"] == 0
    assert main(["plan", "until=sft"]) == 0
    assert "only renders the report" in capsys.readouterr().out
    a, b = (path.parent.name for path in sorted(store.glob("sft/*/manifest.json")))
    assert main(["explain", a[:10], f"sft/{b}"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("sft < pretrain < corpus: identity.part: ")
    assert "7" in said
    assert main(["explain", a, a]) == 0
    assert "do not differ" in capsys.readouterr().out


def test_all_hit_rerun_does_not_load_torch(store: Path) -> None:
    words = ["run", REGISTRY_OVERRIDE, "hydra.sweeper.report=false", "pretrain=none", "until=sft"]
    assert main(words) == 0
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests' / 'pipeline')!r}];"
        f"from dsm_repro.cli import main; code = main({words!r});"
        "print([m for m in ('torch', 'joblib', 'trl', 'rich') if m in sys.modules]); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "[]"), ran.stderr
