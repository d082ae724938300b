from __future__ import annotations

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.reporting.ledger import entries, lookup


def test_ids_are_unique_and_values_are_percentages() -> None:
    ids = [e.id for e in entries()]
    assert len(ids) == len(set(ids)) > 350
    assert all(0 <= e.value <= 100 and e.source and e.protocol for e in entries())


@pytest.mark.parametrize(
    ("id_", "value"),
    [
        ("paper.t1.deepseekmath.gsm8k", 23.8),
        ("paper.t1.none.math", 3.0),
        ("paper.t2.base.math", 36.2),
        ("paper.t3.base.math_py", 31.4),
        ("paper.t5.cot.rl.gsm8k", 88.2),
        ("paper.t5.cot.instruct.math", 46.8),
        ("paper.t5.tool.rl.math", 58.8),
        ("paper.t5.tool.instruct.gsm8k", 83.7),
        ("paper.t6.code_math.math", 15.3),
        ("paper.t6.mixed.math_py", 13.5),
        ("paper.t7.mixed.mbpp", 39.4),
        ("paper.t8.coder_7b.arxiv.math", 11.1),
        ("paper.t9.none.minif2f_test", 21.7),
        ("release.rl.tool.math", 58.78),
        ("release.instruct.tool.math", 57.5),
        ("release.base.gsm8k", 64.215),
        ("deepdive.ppo", 45.2),
        ("deepdive.category.geometry.rl", 35.6),
    ],
)
def test_values_by_hand(id_: str, value: float) -> None:
    (entry,) = lookup([id_])
    assert entry.value == value


@pytest.mark.parametrize(
    "pattern",
    [
        "paper.t5.cot.*", "paper.t2.base.*", "paper.t8.*", "release.base.*", "release.instruct.*", "release.rl.*",
        "deepdive.mix_a", "deepdive.mix_b", "deepdive.mix_c", "deepdive.grpo", "deepdive.base_coder",
        "deepdive.base_llm", "deepdive.base_llama2", "deepdive.format_cot", "deepdive.format_pot",
        "deepdive.format_both", "paper.t6.none.gsm8k_py", "paper.t6.general_math.cmath", "paper.t6.math_only.math",
        "paper.t1.mathpile.gsm8k", "paper.t1.openwebmath.math", "paper.t1.proofpile2.math",
    ],
)  # fmt: skip
def test_ids_that_sweeps_refer_to(pattern: str) -> None:
    assert lookup([pattern])


def test_deep_dive_figures_say_what_the_paper_has_instead() -> None:
    deepdive = [e for e in entries() if e.id.startswith("deepdive.")]
    assert all(e.instead for e in deepdive)
    assert {e.id for e in deepdive if e.in_paper} == {"deepdive.grpo", "deepdive.gemini_ultra"}
    assert all(e.in_paper for e in entries() if not e.id.startswith("deepdive."))


def test_standard_error_is_binomial() -> None:
    # sqrt(0.517 · 0.483 / 5000)
    assert lookup(["paper.t5.cot.rl.math"])[0].standard_error == pytest.approx(0.7067, abs=1e-4)


def test_unknown_id_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"paper\.t5\.cot\.rl\.mathe"):
        lookup(["paper.t5.cot.rl.mathe"])
