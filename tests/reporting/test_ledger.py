from __future__ import annotations

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.reporting.ledger import RELATIONS, Entry, Order, entries, everything, lookup, orders

#: printed numbers that no count of right answers rounds to, at the size of the benchmark: rounded down, or of other
#: questions (Minerva is quoted)
UNROUNDED = {
    "paper.t2.minerva_62b.ocw", "paper.t3.codellama_7b.minif2f_valid", "paper.t3.codellama_34b.minif2f_valid",
    "paper.t3.llemma_7b.minif2f_valid", "paper.t3.llemma_34b.minif2f_valid", "paper.t4.coder_7b.humaneval",
}  # fmt: skip


def test_ids_are_unique_and_values_are_percentages() -> None:
    ids = [item.id for item in everything()]
    assert len(ids) == len(set(ids)) > 400
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
        ("release.rl.program.mgsm_zh", 77.6),
        ("release.instruct.program.gsm8k", 83.321),
        ("paper.abstract.maj64.math", 60.9),
        ("deepdive.ppo", 45.2),
        ("deepdive.mixture_math", 24),
        ("deepdive.category.geometry.rl", 35.6),
    ],
)
def test_values_by_hand(id_: str, value: float) -> None:
    (entry,) = lookup([id_])
    assert isinstance(entry, Entry)
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
    in_paper = {"gemini_ultra", "rl", "rl_gsm8k", "instruct_gsm8k", "base_gsm8k", "gpt4_gsm8k"}
    assert {e.id for e in deepdive if e.in_paper} == {f"deepdive.{name}" for name in in_paper}
    assert all(e.in_paper for e in entries() if not e.id.startswith("deepdive."))


def test_standard_error_is_binomial() -> None:
    # sqrt(0.517 · 0.483 / 5000)
    (entry,) = lookup(["paper.t5.cot.rl.math"])
    assert isinstance(entry, Entry)
    assert entry.standard_error == pytest.approx(0.7067, abs=1e-4)


def test_values_are_counts_of_right_answers_at_the_size_of_their_benchmark() -> None:
    """A wrong n or a mistyped digit of a small benchmark shows: few numbers with one decimal are k / n."""
    digit = {"paper": 0.1, "release": 0.001}
    off = set()
    for e in entries():
        kind = e.id.partition(".")[0]
        if e.n is not None and kind in digit:
            nearest = 100 * round(e.value * e.n / 100) / e.n
            if abs(nearest - e.value) > 0.51 * digit[kind]:
                off.add(e.id)
    assert off == UNROUNDED


def test_release_has_every_figure_of_the_file_but_the_stubs() -> None:
    # 36 accuracies, of which 2 are of a stub
    assert sum(e.id.startswith("release.") for e in entries()) == 34


@pytest.mark.parametrize(
    ("id_", "protocol"),
    [
        ("paper.t5.cot.gemini_ultra.gsm8k", "CoT, majority vote of 32 samples (Maj@32)"),
        ("paper.t5.cot.gemini_ultra.math", "CoT, top-1"),
        ("paper.t5.cot.rl.gsm8k", "0-shot CoT, top-1 greedy"),
        ("paper.t3.base.math_py", "base models, few-shot PoT"),
        ("paper.t3.base.minif2f_test", "base models, few-shot informal-to-formal, Isabelle"),
        ("paper.t4.base.humaneval", "base models, 0-shot, pass@1"),
        ("release.base.gsm8k_py", "few-shot PAL, greedy"),
    ],
)
def test_numbers_of_one_table_keep_their_own_protocols(id_: str, protocol: str) -> None:
    assert [item.protocol for item in lookup([id_])] == [protocol]


def test_categories_of_the_deep_dive_have_the_questions_of_the_math_test_set() -> None:
    counts = {e.id.rsplit(".", 1)[0]: e.n for e in entries() if e.benchmark == "math category"}
    assert len(counts) == 7 and sum(n or 0 for n in counts.values()) == 5000


def test_figures_without_printed_values_have_an_order_and_no_number() -> None:
    assert [o.id for o in orders()] == [f"paper.fig{number}.order" for number in (1, 3, 5, 6, 7)]
    assert all(o.order and o.source.endswith(o.table) and not hasattr(o, "value") for o in orders())
    assert all(pair.relation in RELATIONS and pair.a != pair.b for o in orders() for pair in o.order)


def test_orders_read_as_the_paper_has_them() -> None:
    items = lookup(["paper.fig5.order", "paper.fig7.order"])
    assert [item.text for item in items if isinstance(item, Order)] == [
        "Online RFT ≈ RFT (early in training); Online RFT > RFT (late in training); GRPO+OS > Online RFT; "
        "GRPO+PS > GRPO+OS",
        "RL, Maj@K > SFT, Maj@K; RL, Pass@K not above SFT, Pass@K (at large K; at K = 1 it is the accuracy)",
    ]


def test_unknown_id_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"paper\.t5\.cot\.rl\.mathe"):
        lookup(["paper.t5.cot.rl.mathe"])
