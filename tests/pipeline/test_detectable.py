"""The smallest detectable difference against the textbook, and what must move it which way."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from scipy import stats

from dsm_repro.config.compose import expand
from dsm_repro.config.errors import DataError
from dsm_repro.evaluation import stage as evaluation
from dsm_repro.pipeline.detectable import Detectable, minimum_detectable, of_sweep, sentences, t_quantile
from dsm_repro.pipeline.spread import LEAST, Spread, past_spread


def detectable(*words: str, past: Spread | None = None) -> list[Detectable]:
    return of_sweep(expand(words), lambda config: evaluation.STAGE.estimate(config).questions, past)


@pytest.mark.parametrize("df", [1, 2, 4, 9])
@pytest.mark.parametrize("tail", [0.025, 0.05 / 6])
def test_t_is_students(df: int, tail: float) -> None:
    assert t_quantile(df, tail) == pytest.approx(stats.t.isf(tail, df), rel=2e-3)


def test_without_seeds_it_is_that_of_a_paired_test() -> None:
    # (1.960 + 0.842)·sqrt(0.2/800) = 4.43 points, and the two questions by which an exact test lags
    textbook = (stats.norm.isf(0.025) + stats.norm.isf(0.2)) * math.sqrt(0.2 / 800)
    assert minimum_detectable(800, 1, seed_sd=0.0) == pytest.approx(textbook + 2 / 800, rel=0.01)


def test_with_endless_questions_it_is_that_of_a_t_test_on_the_seeds() -> None:
    for seeds in (3, 5):
        found = minimum_detectable(10**9, seeds, seed_sd=0.02)
        assert found is not None
        shift = found / (0.02 / math.sqrt(seeds))
        power = stats.nct.sf(stats.t.isf(0.025, seeds - 1), seeds - 1, shift)
        assert power == pytest.approx(0.8, abs=0.01)


def test_more_seeds_and_questions_find_less_and_more_comparisons_need_more() -> None:
    def found(problems: int = 800, seeds: int = 3, comparisons: int = 1) -> float:
        value = minimum_detectable(problems, seeds, comparisons=comparisons)
        assert value is not None
        return value

    assert found(seeds=5) < found() < found(problems=100)
    assert found(comparisons=3) > found()
    assert minimum_detectable(800, 1) is None


def test_shares_of_sets_of_answers_have_the_differences_of_answers_as_bounds() -> None:
    found = detectable("sweep=maj_pass_at_k")
    assert [d.metric for d in found] == ["maj@64", "pass@64", "accuracy"]
    assert len({(d.usual, d.worst) for d in found}) == 1
    assert "(cot, maj@64)" in found[0].sentence and "at worst" in found[0].sentence
    assert "at worst" not in found[2].sentence


def test_a_sweep_of_trained_arms_and_one_of_published_weights() -> None:
    trained = detectable("sweep=rl_algorithm")
    assert [(d.a, d.b, d.mode) for d in trained] == [
        ("grpo", "sft", "cot"),
        ("ppo", "sft", "cot"),
        ("grpo", "ppo", "cot"),
    ]
    assert all((d.seeds, d.comparisons) == (5, 3) and d.seed_sd > 0 and d.usual < d.worst for d in trained)
    assert "seeds differ by 3 points" in trained[0].sentence
    two_tasks = detectable("sweep=rl_algorithm", "evaluation.tasks=[svamp,gsm8k]")
    assert two_tasks[0].problems == 2 * trained[0].problems
    one_seed = detectable("sweep=rl_algorithm", "sweep.replicates.seeds=[0]")
    assert all(d.usual is None and "decide nothing" in d.sentence for d in one_seed)
    published = detectable("sweep=released_weights")
    assert published and all("nothing depends on a seed" in d.sentence for d in published)


def test_a_benchmark_has_its_own_number_of_questions() -> None:
    assert {d.problems for d in detectable("sweep=rl_algorithm", "scale=gpu")} == {1319}
    assert {d.problems for d in detectable("sweep=rl_algorithm", "evaluation.tasks=[sat]")} == {32}


def test_several_evaluations_of_one_model_find_nothing() -> None:
    words = ("sweep=rl_algorithm", "sweep.replicates.from_stage=evaluate", "evaluation.temperature=0.7")
    assert all(d.usual is None and "one model of an arm" in d.sentence for d in detectable(*words))
    # one checkpoint against the seeds of another arm is as many models as those
    assert all(d.usual is not None for d in detectable("sweep=rl_algorithm", "sweep.replicates.from_stage=rl"))


def test_that_an_arm_is_not_higher_is_planned_with_its_margin() -> None:
    sweep = ("sweep=corpus_size", "sweep.replicates.seeds=[0,1,2]")
    few, more, many = (
        detectable(*sweep, f"evaluation.problems={n}", past=Spread(0.01))[0] for n in (800, 3_000, 1_000_000)
    )
    assert few.margin == 3.0 and few.usual is not None
    assert f'"less than 3 points higher" where the true difference is {3 - 100 * few.usual:+.1f}' in few.sentence
    assert "ask more questions" in few.sentence
    needed = int(more.sentence.split("at all it takes ")[1].split(" ")[0])
    below, enough = (minimum_detectable(3_000, n, 0.01, 0.2, 3) for n in (needed - 1, needed))
    assert below is not None and enough is not None and enough <= 0.03 < below
    assert many.usual is not None and many.usual > 0.03 and "at all it takes" in many.sentence
    steady = detectable(*sweep, "evaluation.problems=1000000", past=Spread(0.001))[0]
    assert "at all" not in steady.sentence


def test_more_than_all_there_is_cannot_be_found() -> None:
    assert "cannot find a difference" in detectable("sweep=data_mix", past=Spread(0.6))[0].sentence


def test_a_command_that_ends_before_the_evaluation_compares_nothing() -> None:
    assert detectable("sweep=rl_algorithm", "until=sft") == []
    assert len(detectable("sweep=rl_algorithm", "until=evaluate")) == 3


def test_many_comparisons_of_which_the_same_is_said_take_one_line() -> None:
    few = detectable("rl=grpo,ppo,rloo", "base=coder,llm", "seed=0,1,2")
    assert sentences(few) == [one.sentence for one in few] and len(few) == 7
    many = detectable("rl=grpo,ppo,rloo", "base=coder,llm", "sft=cot,both", "seed=0,1,2")
    (line,) = sentences(many)
    assert line == f"{many[0].pair} and 19 others alike{many[0].found}" and len(many) == 20
    # another number of questions is another thing to say, in its place
    asked = [*detectable("sweep=data_mix", "evaluation.problems=9"), *many]
    assert sentences(asked) == [*(one.sentence for one in asked[:2]), line]


def results(root: Path, scale: str, by_arm: dict[str, list[float]]) -> None:
    """A report's results with these accuracies (%) of the seeds 0, 1, ..."""
    arms = [
        {"arm": name, "accuracy": {"cot": {"by_seed": [{"seeds": [i], "accuracy": a} for i, a in enumerate(values)]}}}
        for name, values in by_arm.items()
    ]
    (root / "data_mix").mkdir(exist_ok=True)
    (root / "data_mix" / "results.json").write_text(json.dumps({"scale": scale, "arms": arms}))


def test_the_spread_of_the_last_report_takes_the_place_of_the_assumed_one(tmp_path: Path) -> None:
    sweep = expand(["sweep=data_mix"])
    assert past_spread(tmp_path, sweep) is None
    # a − b: 1, 3, 5 (variance 4); a − c: 0, 0, 6 (variance 12): pooled 8
    results(tmp_path, "mini", {"a": [20, 22, 24], "b": [19, 19, 19], "c": [20, 22, 18]})
    spread = past_spread(tmp_path, sweep)
    assert spread is not None and spread.pooled == pytest.approx(math.sqrt(8) / 100)
    seen, assumed = detectable("sweep=data_mix", past=spread)[0], detectable("sweep=data_mix")[0]
    assert seen.usual is not None and assumed.usual is not None and seen.usual < assumed.usual
    assert "seeds differ by 2.8 points, as in the last report" in seen.sentence
    assert "last report" not in assumed.sentence


def test_five_seeds_of_a_comparison_speak_for_themselves(tmp_path: Path) -> None:
    sweep = expand(["sweep=data_mix"])
    # a − b: 1, 3, 5, 1, 5 (variance 4); a − c: 0, 0, 6, 0 (variance 9): pooled over 7 degrees of freedom 43/7
    results(tmp_path, "mini", {"a": [20, 22, 24, 20, 24], "b": [19] * 5, "c": [20, 22, 18, 20]})
    a_b, a_c = detectable("sweep=data_mix", past=past_spread(tmp_path, sweep))
    assert (a_b.seed_sd, a_c.seed_sd) == (pytest.approx(0.02), pytest.approx(math.sqrt(43 / 7) / 100))


def test_what_another_scale_or_two_seeds_showed_is_no_guide(tmp_path: Path) -> None:
    sweep = expand(["sweep=data_mix"])
    results(tmp_path, "smoke", {"a": [20, 22, 24], "b": [19, 19, 19], "c": [20, 22, 18]})
    assert past_spread(tmp_path, sweep) is None
    results(tmp_path, "mini", {"a": [20, 22], "b": [19, 19], "c": [20, 22]})
    assert past_spread(tmp_path, sweep) is None
    results(tmp_path, "mini", {"a": [20, 22, 24], "b": [19, 21, 23], "c": [20, 22, 24]})
    assert past_spread(tmp_path, sweep) == Spread(LEAST)
    (tmp_path / "data_mix" / "results.json").write_text("{}")
    with pytest.raises(DataError, match=r"results\.json: not a report's results"):
        past_spread(tmp_path, sweep)
