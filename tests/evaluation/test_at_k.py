"""Maj@K and Pass@K against every subset, votes through the real grader, and the drawing of answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from untrained import untrained

from dsm_repro.config.checks.evaluation import MOST_SAMPLES
from dsm_repro.config.compose import compose, expand
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.config.schema import Config
from dsm_repro.config.sweep_schema import recorded_ks
from dsm_repro.config.validate import faults, validate_sweep
from dsm_repro.evaluation import sampled
from dsm_repro.evaluation.run import accuracy_of, evaluate
from dsm_repro.evaluation.sampled import Answer, maj_at_k, pass_at_k, tally
from dsm_repro.evaluation.taskdata import test_problems as problems_of
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.grading import Grader, Verdict


def by_subsets(right: int, wrong: list[int], silent: int, k: int) -> tuple[float, float]:
    """Mean of (majority is right, any is right) over all subsets of size k, ties shared."""
    answers = ["right"] * right + [f"wrong{i}" for i, w in enumerate(wrong) for _ in range(w)] + [None] * silent
    maj, hit = Fraction(0), 0
    for subset in combinations(answers, k):
        votes = Counter(a for a in subset if a is not None)
        hit += "right" in votes
        if votes:
            top = [a for a, v in votes.items() if v == max(votes.values())]
            maj += Fraction("right" in top, len(top))
    n = comb(len(answers), k)
    return float(maj / n), hit / n


@pytest.mark.parametrize(
    ("right", "wrong", "silent"),
    [
        (3, [2, 2, 1], 2),
        (4, [4, 4], 0),
        (1, [1, 1, 1, 1, 1], 3),
        (2, [2, 2, 2, 2], 2),
        (5, [], 3),
        (0, [3, 2], 2),
        (8, [], 0),
        (0, [], 6),
    ],
)
def test_both_are_the_mean_over_all_subsets(right: int, wrong: list[int], silent: int) -> None:
    n = right + sum(wrong) + silent
    ks = list(range(1, n + 1))
    for k, maj in zip(ks, maj_at_k(right, wrong, silent, ks), strict=True):
        expected_maj, expected_pass = by_subsets(right, wrong, silent, k)
        assert maj == pytest.approx(expected_maj, abs=1e-12), k
        assert pass_at_k(n, right, k) == pytest.approx(expected_pass, abs=1e-12), k


def test_by_hand() -> None:
    # of 4 answers 2 are right: pass@2 = 1 - C(2,2)/C(4,2)
    assert pass_at_k(4, 2, 2) == pytest.approx(5 / 6)
    assert pass_at_k(4, 0, 4) == 0.0 and pass_at_k(4, 1, 4) == 1.0
    # three answers right, wrong, other wrong: all tied
    assert maj_at_k(1, [1, 1], 0, [1, 3]) == pytest.approx([1 / 3, 1 / 3])
    # a right answer and one that says nothing: the vote is right
    assert maj_at_k(1, [], 1, [1, 2]) == pytest.approx([1 / 2, 1])


@pytest.mark.parametrize(("right", "wrong", "silent"), [(20, [20, 12, 5, 3, 1], 3), (9, [8] * 6 + [1] * 5, 2)])
def test_sixty_four_answers_agree_with_drawing_subsets(right: int, wrong: list[int], silent: int) -> None:
    rng = np.random.default_rng(0)
    votes = rng.multivariate_hypergeometric([right, *wrong, silent], 16, size=100_000)[:, :-1]
    top = votes.max(axis=1, keepdims=True)
    share = ((votes[:, 0] == top[:, 0]) & (top[:, 0] > 0)) / (votes == top).sum(axis=1)
    assert maj_at_k(right, wrong, silent, [16])[0] == pytest.approx(share.mean(), abs=0.005)


def test_the_most_answers_allowed_still_fit() -> None:
    half = MOST_SAMPLES // 2
    values = maj_at_k(half, [half], 0, [1, half, MOST_SAMPLES])
    assert values == pytest.approx([0.5, 0.5, 0.5])


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(GraderConfig()) as grader:
        yield grader


def graded(grader: Grader, texts: list[str | None], gold: str) -> list[Answer]:
    return [Answer(text, grader.grade(text, gold).status) for text in texts]


def test_equal_answers_vote_together_however_they_are_written(grader: Grader) -> None:
    texts = ["7", "7", "7", "1/2", "0.5", "\\frac{1}{2}", "0.50", None, "8"]
    counted = tally(graded(grader, texts, "0.5"), grader.grade)
    assert (counted.n, counted.right, counted.silent) == (9, 4, 1)
    assert counted.wrong == (("7", 3), ("8", 1))
    # the same texts, all of them wrong
    counted = tally(graded(grader, texts, "3"), grader.grade)
    assert counted.right == 0 and [votes for _, votes in counted.wrong] == [4, 3, 1]
    # decided by the parser
    counted = tally(graded(grader, ["x+1", "1+x", "x+1", "2"], "y"), grader.grade)
    assert counted.wrong == (("x+1", 3), ("2", 1))


def test_classes_do_not_depend_on_the_order_of_the_answers(grader: Grader) -> None:
    texts: list[str | None] = ["1/2", "0.5", "9", "9.0", None, "4", "0.5"]
    forth = tally(graded(grader, texts, "4"), grader.grade)
    assert forth == tally(graded(grader, texts[::-1], "4"), grader.grade)


def test_ungradable_answers_vote_with_the_same_text_only() -> None:
    answers = [Answer("a", "ungradable")] * 2 + [Answer("b", "incorrect"), Answer("c", "ungradable")]
    counted = tally(answers, lambda one, other: Verdict("correct", "string"))
    assert counted.wrong == (("a", 2), ("b", 1), ("c", 1)) and counted.ungradable == 3


def test_parsed_comparisons_are_bounded_and_the_rest_is_counted() -> None:
    asked = []

    def grade(one: str, other: str) -> Verdict:
        asked.append((one, other))
        return Verdict("incorrect", "math_verify")

    counted = tally([Answer(f"a{i}", "incorrect") for i in range(64)], grade)
    assert len(asked) == sampled.MOST_PARSED_PAIRS
    assert counted.uncompared == comb(64, 2) - len(asked) and len(counted.wrong) == 64


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows nothing, on a tokenizer in which it writes digits often enough to be right at times."""
    from dsm_repro.training.models import save_model

    folder = tmp_path_factory.mktemp("parent") / "model"
    model, tokenizer = untrained(seed=0)
    # untied from the rest, the digits' embeddings decide what is written
    digits = [tokenizer.convert_tokens_to_ids(str(d)) for d in range(10)]
    with torch.no_grad():
        model.model.embed_tokens.weight[digits] *= 20
    save_model(model, tokenizer, folder)
    return folder


def small(samples: int, batch: int = 16, problems: int = 6) -> Config:
    config = Config()
    config.evaluation.problems, config.evaluation.max_tokens, config.evaluation.samples = problems, 8, samples
    config.execution.micro_batch = batch
    return config


def run(config: Config, model_folder: Path, out: Path) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    out.mkdir()
    record = evaluate(StageContext(config, out, out, {}), model_folder)
    drawn = out / "at_k.jsonl"
    rows = [json.loads(line) for line in drawn.read_text().splitlines()] if drawn.exists() else []
    return record, (out / "samples.jsonl").read_text(), rows


def test_drawing_more_answers_leaves_the_first_as_it_is(model_folder: Path, tmp_path: Path) -> None:
    alone, samples, none = run(small(1), model_folder, tmp_path / "a")
    record, same, rows = run(small(6), model_folder, tmp_path / "b")
    assert samples == same and not none
    at_k = record["results"]["cot"].pop("at_k")
    assert record["results"] == alone["results"]
    assert record["protocol"]["cot"].pop("sampled") == "6 answers at temperature 0.7, top-p 1"
    assert record["protocol"] == alone["protocol"]
    assert [r["id"] for r in rows] == [p.id for p in problems_of(small(1))["miniature"]]
    assert at_k["k"] == [1, 2, 4, 6] and at_k["n"] == 6
    assert at_k["pass"][0] == pytest.approx(at_k["maj"][0]) == pytest.approx(np.mean([r["c"] for r in rows]) / 6)
    assert all(sum(votes for _, votes, _ in r["classes"]) + r["no_answer"] == r["n"] for r in rows)
    # answers were really drawn: not all of a problem are the same
    assert max(len(r["classes"]) for r in rows) > 1


def test_answers_do_not_depend_on_the_batch_nor_on_how_many_are_drawn(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsm_repro.evaluation.model import TransformersLM

    kept: list[dict[tuple[str, int, int], Any]] = []
    made = TransformersLM.generate_until

    def keeping(self: TransformersLM, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        texts = made(self, requests, disable_tqdm)
        kept.append(self.generations)
        return texts

    monkeypatch.setattr(TransformersLM, "generate_until", keeping)
    rows = [run(small(6, batch), model_folder, tmp_path / str(batch))[2] for batch in (1, 5, 64)]
    assert rows[0] == rows[1] == rows[2]
    # a batch of one never shares a prompt's forward pass, one of 64 always does
    assert kept[1] == kept[3] == kept[5]
    run(small(9, 7), model_folder, tmp_path / "more")
    assert all(kept[7][key] == generation for key, generation in kept[1].items()) and len(kept[7]) == 54
    other = small(6)
    other.seeds.evaluate = 1
    run(other, model_folder, tmp_path / "seed")
    assert kept[9].keys() == kept[1].keys() and kept[9] != kept[1]
    assert kept[8] == kept[0], "the first answer is greedy, whatever the seed"


def test_a_prompt_that_is_shared_is_paid_for_once(model_folder: Path, tmp_path: Path) -> None:
    def flops(batch: int) -> float:
        out = tmp_path / f"cost{batch}"
        out.mkdir()
        ctx = StageContext(small(6, batch), out, out, {})
        evaluate(ctx, model_folder)
        return ctx.cost.flops["generate"]

    assert flops(64) < 0.5 * flops(1)


def test_the_nucleus_keeps_to_the_likely_tokens() -> None:
    from dsm_repro.evaluation.model import _Draw

    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(101, 4)
    noise = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None]
    ids = torch.zeros(101, 3, dtype=torch.long)

    def shares(temperature: float, top_p: float) -> list[float]:
        drawn = _Draw(noise, temperature, top_p, width=3)(ids, scores).argmax(-1)
        return [float((drawn == token).double().mean()) for token in range(4)]

    assert shares(1.0, 1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.011)
    assert shares(1.0, 0.75) == pytest.approx([0.625, 0.375, 0, 0], abs=0.011)
    assert shares(0.5, 1.0)[0] == pytest.approx(0.25 / 0.365, abs=0.011)


def test_accuracy_of_another_model_is_that_of_the_samples(model_folder: Path, tmp_path: Path) -> None:
    config = small(4)
    _, samples, _ = run(config, model_folder, tmp_path / "a")
    out = tmp_path / "b"
    out.mkdir()
    flags = accuracy_of(StageContext(config, out, out, {}), model_folder, problems_of(config))
    assert flags == {"cot": [json.loads(line)["correct"] for line in samples.splitlines()]}
    assert not list(out.iterdir())


def test_only_a_draw_adds_to_the_identity() -> None:
    config = small(1)
    assert sampled.identity(config.evaluation, 3) == {}
    config.evaluation.samples = 8
    one, two = sampled.identity(config.evaluation, 3), sampled.identity(config.evaluation, 4)
    assert one != two and one["sampled"]["samples"] == 8


def test_recorded_ks() -> None:
    assert recorded_ks(64) == [1, 2, 4, 8, 16, 32, 64]
    assert recorded_ks(24) == [1, 2, 4, 8, 16, 24]
    assert recorded_ks(1) == [1]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["evaluation.samples=0"], "evaluation.samples=0: must be at least 1"),
        (["evaluation.samples=2000"], "evaluation.samples=2000: Maj@K is computed for at most 1024. Lower it."),
        (["evaluation.samples=4", "evaluation.sample_temperature=0"], "evaluation.sample_temperature=0: all"),
        (["evaluation.samples=4", "evaluation.sample_top_p=0"], "evaluation.sample_top_p=0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(overrides: list[str], said: str) -> None:
    found = faults(compose(overrides))
    assert len(found) == 1 and said in found[0]


def test_a_temperature_of_nothing_drawn_is_no_fault() -> None:
    assert not faults(compose(["evaluation.sample_temperature=0"]))


@pytest.mark.parametrize(
    ("metric", "samples", "said"),
    [
        ("maj@64", 16, ["metric=maj@64: arm sft draws only 16 answers", "evaluation.samples ≥ 64"]),
        ("maj@1", 1, ["metric=maj@1: arm sft draws no answers", "evaluation=sampled"]),
        ("pass@12", 16, ["metric=pass@12: K=12 is not recorded", "1, 2, 4, 8, 16"]),
        ("mean@4", 16, ["metric=mean@4: unknown", "maj@K"]),
        ("pass@0", 16, ["metric=pass@0: unknown"]),
    ],
)
def test_a_metric_that_is_not_recorded_is_refused(metric: str, samples: int, said: list[str]) -> None:
    comparison = f"{{a: grpo, b: sft, mode: cot, metric: '{metric}', expect: a_greater}}"
    sweep = expand(
        ["sweep=maj_pass_at_k", f"evaluation.samples={samples}", f"sweep.comparisons=[{comparison}]"],
    )
    with pytest.raises(ConfigError) as refused:
        validate_sweep(sweep)
    assert all(part in str(refused.value) for part in said), refused.value


def test_the_sweep_is_sound_and_its_arms_draw_alike() -> None:
    sweep = expand(["sweep=maj_pass_at_k"])
    validate_sweep(sweep)
    assert len(sweep.arms) == 2 * len(sweep.claim.replicates.seeds)
    assert len({arm.config.evaluation.samples for arm in sweep.arms}) == 1
    assert [c.metric for c in sweep.claim.comparisons] == ["maj@64", "pass@64", "accuracy"]


def test_a_sampled_evaluation_is_not_a_greedy_one() -> None:
    from dsm_repro.evaluation.stage import STAGE

    keys = []
    for samples in (1, 4, 8):
        config = Config()
        config.evaluation.samples = samples
        keys.append(STAGE.identity(config))
    assert keys[0] != keys[1] != keys[2] and "sampled" not in keys[0]
