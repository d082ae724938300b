"""The reward model: labels, architecture, what the record says of it, rewards, and a stage that survives kills."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from reward_world import EOS, PAD, judged_by_text, metrics_of, opinionated, small_reward_model, spell
from rl_world import make_config, make_context, make_model_folder

from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.resolve import has_stage, model_parent
from dsm_repro.config.schema import Config
from dsm_repro.config.validate import faults
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.grading import Verdict
from dsm_repro.rl import accounting
from dsm_repro.rl.batch import Batch
from dsm_repro.rl.reward_model import assess, labels, model
from dsm_repro.rl.reward_model.continued import Continued
from dsm_repro.rl.reward_model.examples import Example, held_out_questions, read
from dsm_repro.rl.reward_model.score import OutcomeReward, ProcessReward, to_batch
from dsm_repro.rl.reward_model.stage import STAGE
from dsm_repro.rl.reward_model.train import collate
from dsm_repro.rl.rewards import Completions, Rewards
from dsm_repro.rl.rollouts import Rollouts, Sampling
from dsm_repro.rl.stage import STAGE as RL_STAGE
from dsm_repro.training.models import load_model, load_tokenizer, model_shape


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("base") / "model")


def shared_batch() -> Batch:
    """Two prompts of unlike length, two completions each."""
    return Batch(
        prompt_ids=torch.tensor([[PAD, PAD, 5, 6], [7, 8, 9, 10]]),
        prompt_mask=torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]),
        owner=torch.tensor([0, 0, 1, 1]),
        completion_ids=torch.tensor([[20, 21, 22], [30, EOS, PAD], [40, 41, EOS], [EOS, PAD, PAD]]),
        completion_mask=torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]]),
        written=torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]]),
    )


# architecture


def test_scores_with_a_shared_prompt_are_those_of_the_library_on_whole_sequences(folder: Path) -> None:
    judge, batch = opinionated(folder), shared_batch()
    with torch.no_grad():
        ours = model.completion_logits(judge, batch)
        for row in range(4):
            prompt = batch.prompt_ids[batch.owner[row]][batch.prompt_mask[batch.owner[row]].bool()]
            length = int(batch.lengths[row])
            whole = torch.cat([prompt, batch.completion_ids[row, :length]])[None]
            theirs = judge(input_ids=whole).logits[0, len(prompt) :, 0]
            assert torch.allclose(ours[row, :length], theirs, atol=1e-5)


def test_a_score_reads_its_own_token_and_none_after_it(folder: Path) -> None:
    judge, batch = opinionated(folder), shared_batch()
    other = copy.deepcopy(batch)
    other.completion_ids[0, 1] = 99
    with torch.no_grad():
        before, after = model.completion_logits(judge, batch)[0], model.completion_logits(judge, other)[0]
    assert before[0] == after[0] and before[1] != after[1] and before[2] != after[2]


def test_a_new_reward_model_has_the_backbone_of_its_start_and_says_one_half(folder: Path) -> None:
    judge, start = model.initialise(folder, "cpu"), load_model(folder, "float32", "cpu")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(judge.base_model(ids).last_hidden_state, start.base_model(ids).last_hidden_state)
    scores = model.scores_at(judge, shared_batch(), [[0, 2], [1], [2], [0]], 2)
    assert scores == [[0.5, 0.5], [0.5], [0.5], [0.5]]


def test_scores_do_not_depend_on_micro_batches(folder: Path) -> None:
    judge, ends = opinionated(folder), [[0, 2], [1], [2], [0]]
    whole, cut = (model.scores_at(judge, shared_batch(), ends, rows) for rows in (4, 1))
    assert [pytest.approx(row, abs=1e-6) for row in whole] == cut


def test_flops_of_scoring_by_hand() -> None:
    """Width 2, one layer: block 4·2² + 3·2·3 = 34. Prompt 3, completions 2 and 1, all tokens of them read."""
    shape = accounting.ModelShape(hidden_size=2, layers=1, intermediate_size=3, vocab_size=5)
    # 6 tokens in the layers, 5 positions of which the head is computed on; pairs 3² + 2·(3+2) + 1·(3+1)
    by_hand = 2 * 6 * 34 + 2 * 5 * 2 + 4 * 2 * (9 + 10 + 4)
    assert model.score_flops(shape, accounting.Lengths([3], [[2, 1]])) == by_hand


# training


def test_labels_stand_at_the_last_tokens_of_steps() -> None:
    batch = collate(
        [Example("q", [5, 6], [7, 8, 9], [0, 2], [0.25, 1.0], True), Example("q", [5], [9], [0], [0], False)], PAD
    )
    ignored = model.IGNORED
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9], [5, 9, PAD, PAD, PAD]]
    assert batch["labels"].tolist() == [
        [ignored, ignored, 0.25, ignored, 1.0], [ignored, 0.0, ignored, ignored, ignored]
    ]  # fmt: skip


def test_the_loss_is_binary_cross_entropy_of_soft_labels() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 7.0]])
    found = model.label_loss(logits, torch.tensor([[1.0, 0.25, model.IGNORED]]))
    assert float(found) == pytest.approx(math.log(2) - 0.25 * math.log(0.75) - 0.75 * math.log(0.25))


def test_a_reward_model_learns_to_tell_right_from_wrong(folder: Path) -> None:
    good, bad = spell(folder, "yes"), spell(folder, "nay")
    made = [
        Example(str(i), spell(folder, f"{i}?"), [*(good if i % 2 else bad), EOS], [3], [float(i % 2)], bool(i % 2))
        for i in range(20)
    ]
    judge = model.initialise(folder, "cpu")
    config = small_reward_model(Config(), "outcome").reward_model
    config.batch_size = 10
    continued = Continued(judge, config, made, PAD, 4, autocast=False)
    losses, flops = continued.train(continued.batches(made[:16], 12, 0.0, "seed"))
    assert losses[0] == pytest.approx(math.log(2), abs=1e-3) and losses[-1] < 0.2 and flops > 0
    scores = model.scores_at(judge, to_batch(made[16:], PAD, torch.device("cpu")), [[3]] * 4, 4)
    assert assess.auc([row[0] for row in scores], [example.correct for example in made[16:]]) == 1.0
    assert not any(parameter.requires_grad for parameter in judge.parameters())


# labels


TEXTS = {
    "solve:": ["1+1=2. 2+2=4. \\boxed{4}", "1+1=2. 2+2=5. \\boxed{5}"],
    "solve:1+1=2.": [" \\boxed{4}", " \\boxed{4}", " \\boxed{9}", " \\boxed{9}"],
    "solve:1+1=2. 2+2=4.": [" \\boxed{4}"] * 4,
    "solve:1+1=2. 2+2=5.": [" \\boxed{5}"] * 4,
    "both:": ["\\boxed{1} or \\boxed{2}", "\\boxed{2}"],
}


def scripted(folder: Path, asked: list[str]) -> object:
    """A sampler that writes what ``TEXTS`` has for a prompt."""
    tokenizer = load_tokenizer(folder)

    def sample(completer: object, prompts: list, group: int, sampling: Sampling, *rest: object) -> Rollouts:
        texts = [tokenizer.decode(prompt) for prompt in prompts]
        asked.extend(texts)
        rows = [[*spell(folder, text), EOS] for prompt in texts for text in TEXTS[prompt][:group]]
        assert len(rows) == len(prompts) * group
        batch = to_batch([Example("", [1], row, [], [], False) for row in rows], PAD, torch.device("cpu"))
        return Rollouts(batch, torch.zeros(batch.completion_ids.shape), torch.zeros(len(rows), dtype=torch.bool))

    return sample


class Exact:
    def grade_many(self, pairs: list) -> list[Verdict]:
        return [Verdict("correct" if answer == gold else "incorrect", "") for answer, gold in pairs]


def labelled(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch, question: str = "solve:", gold: str = "4"
) -> tuple[labels.Labelled, list[str]]:
    config, asked = small_reward_model(make_config(), kind), []
    config.rl.max_completion_length, config.reward_model.completions = 64, 4
    monkeypatch.setattr(labels, "sample", scripted(folder, asked))
    monkeypatch.setattr(labels.formats, "prompt", lambda question, mode, template: question)
    completer = load_model(folder, "float32", "cpu")
    labeller = labels.Labeller(config, completer, load_tokenizer(folder), Exact())  # type: ignore[arg-type]
    return labeller(0, [Problem("id", "", 0, question, gold, "", "", "")]), asked


def test_a_step_is_labelled_by_the_share_of_its_completions_that_are_right(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, asked = labelled(folder, "process", monkeypatch)
    right, wrong = found.examples
    # the same first step, completed rightly twice of four times; then the good and the bad second one; then verdicts
    assert list(right.labels) == [0.5, 1.0, 1.0] and list(wrong.labels) == [0.5, 0.0, 0.0]
    assert list(right.hardened().labels) == [1.0, 1.0, 1.0] and list(wrong.hardened().labels) == [1.0, 0.0, 0.0]
    assert right.correct and not wrong.correct and found.counts["right"] == 1
    # a step that two solutions share is completed once
    assert sorted(asked) == sorted(["solve:", "solve:1+1=2.", "solve:1+1=2. 2+2=4.", "solve:1+1=2. 2+2=5."])
    assert found.completed == 3 and found.flops > 0
    assert [right.completion[: end + 1][-1] for end in right.ends[:-1]] == spell(folder, "..")
    assert right.ends[-1] == len(right.completion) - 1


def test_an_outcome_label_is_the_verdict_at_the_last_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = labelled(folder, "outcome", monkeypatch)
    assert [list(example.labels) for example in found.examples] == [[1.0], [0.0]]
    assert [list(example.ends) for example in found.examples] == [[len(e.completion) - 1] for e in found.examples]
    assert asked == ["solve:"] and found.completed == 0


def test_the_boxes_of_a_solution_are_as_many_answers_as_the_gold_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = labelled(folder, "outcome", monkeypatch, "both:", "1, 2")
    assert [example.correct for example in found.examples] == [True, False]


def test_held_out_questions_are_whole_questions() -> None:
    assert held_out_questions(["a", "b", "a", "c", "d"], 0.5) == {"c", "d"}
    assert held_out_questions(["a", "b"], 0.999) == {"b"} == held_out_questions(["a", "b"], 0.001)


# what the record says


def test_auc_accuracy_calibration_and_ranking_by_hand() -> None:
    scores, right = [0.9, 0.8, 0.8, 0.1], [True, False, True, False]
    # of 4 pairs, 0.9 beats both, 0.8 ties once and beats once
    assert assess.auc(scores, right) == 3.5 / 4
    assert assess.auc(scores, [True] * 4) is None
    assert assess.accuracy(scores, [1, 0, 1, 0]) == 0.75
    table = assess.calibration(scores, [1, 0, 1, 0])
    assert [(row["count"], row["observed"]) for row in table["bins"]] == [(1, 0.0), (2, 0.5), (1, 1.0)]
    assert table["expected_error"] == pytest.approx((0.1 + 2 * 0.3 + 0.1) / 4)
    assert assess.calibration([1.0, 0.0], [1, 0])["expected_error"] == 0.0
    # question b has no wrong solution and takes no part
    assert assess.ranking(["a", "a", "a", "b"], [0.9, 0.8, 0.8, 0.1], [True, False, True, True]) == {
        "questions": 1, "pairs": 2, "share": 0.75,
    }  # fmt: skip
    assert assess.judged([0.9, 0.9, 0.9, 0.1], [1, 0, 0.5, 0])["majority"] == 0.5


# rewards


class Rule:
    def __call__(self, completions: Completions) -> Rewards:
        right = [text == "right" for text in completions.texts]
        counts = {"right": sum(right), "wrong": len(right) - sum(right), "no_answer": 0, "ungradable": 0}
        return Rewards([float(good) for good in right], counts, right)


def completions(folder: Path) -> Completions:
    rows = [[*spell(folder, text), EOS] for text in ("1. 2. 3", "45", "6. 7", "8")]
    made = [Example("", spell(folder, "ab" if i < 2 else "c"), row, [], [], False) for i, row in enumerate(rows)]
    batch = to_batch(made, PAD, torch.device("cpu"))
    owner = torch.tensor([0, 0, 1, 1])
    shared = Batch(
        batch.prompt_ids[[0, 2]], batch.prompt_mask[[0, 2]], owner, batch.completion_ids, batch.completion_mask,
        batch.written,
    )  # fmt: skip
    return Completions(["right", "wrong", "wrong", "right"], [None] * 4, shared)  # type: ignore[list-item]


def test_rewards_are_the_models_probabilities_and_verdicts_the_rules(folder: Path) -> None:
    judge, given = opinionated(folder), completions(folder)
    outcome = OutcomeReward(judge, Rule(), 2)(given)  # type: ignore[arg-type]
    process = ProcessReward(judge, Rule(), 2, load_tokenizer(folder), "miniature")(given)  # type: ignore[arg-type]
    with torch.no_grad():
        logits = model.completion_logits(judge, given.batch)
    last = [float(logits[row, n - 1].sigmoid()) for row, n in enumerate(given.batch.lengths.tolist())]
    assert outcome.values == pytest.approx(last, abs=1e-6) and len(set(outcome.values)) == 4
    assert outcome.correct == [True, False, False, True] and outcome.counts["right"] == 2
    assert outcome.counts["agreed"] == sum((v >= 0.5) == c for v, c in zip(last, outcome.correct, strict=True))
    assert outcome.steps is None and outcome.flops.keys() == {"reward_model"}
    lengths = accounting.Lengths([2, 1], [[8, 3], [5, 2]])
    assert outcome.flops["reward_model"] == model.score_flops(model_shape(judge), lengths)
    # the last step's score is the outcome's, and every step has one
    assert process.values == outcome.values and process.steps is not None
    assert process.steps.ends == [[1, 4, 7], [2], [1, 4], [1]]
    assert [row[-1] for row in process.steps.rewards] == process.values
    assert process.steps.rewards[0][0] == pytest.approx(float(logits[0, 1].sigmoid()), abs=1e-6)


# the stage


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "verdicts", judged_by_text)
    monkeypatch.setattr(labels, "answers_in", lambda texts, problems: texts)
    # a random model hardly ever ends a sentence
    monkeypatch.setattr(labels, "step_ends", lambda ids, *rest: sorted({0, (len(ids) - 1) // 2, len(ids) - 1}))


def context(root: Path, config: Config, folder: Path) -> StageContext:
    ctx = make_context(root, copy.deepcopy(config), folder)
    ctx.parents["pretrain"] = folder.parent
    return ctx


def artifact(ctx: StageContext) -> dict[str, bytes]:
    return {str(p.relative_to(ctx.out)): p.read_bytes() for p in sorted(ctx.out.rglob("*")) if p.is_file()}


def test_a_run_leaves_model_labels_metrics_and_record(tmp_path: Path, folder: Path, judged: None) -> None:
    config = small_reward_model(make_config(), "process")
    ctx = context(tmp_path, config, folder)
    STAGE.run(ctx)
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["examples"] == {"train": 8, "held_out": 2} and record["questions"] == {"train": 4, "held_out": 1}
    assert set(record["held_out"]) >= {"last", "ranking", "ranking_by_worst_step"}
    assert record["flops"].keys() == {"generate", "train", "forward", "total"} and record["labels"]["last"] == 10
    assert [line["step"] for line in metrics_of(ctx.out)] == list(range(1, 7))
    found = read(ctx.out / "labels.jsonl")
    assert len({e.question for e in found if e.held_out} & {e.question for e in found if not e.held_out}) == 0
    assert load_tokenizer(ctx.out / "model").eos_token_id == EOS
    trained = model.load(ctx.out / "model", "cpu")
    assert bool(trained.score.weight.any())


@pytest.mark.parametrize("where", ["labelling", "training"])
def test_a_killed_run_goes_on_to_the_same_bytes(
    tmp_path: Path, folder: Path, judged: None, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_reward_model(make_config(), "process")
    config.execution.checkpoint_seconds = 0.0
    whole = context(tmp_path / "whole", config, folder)
    STAGE.run(whole)
    killed = context(tmp_path / "killed", config, folder)
    calls: list[int] = []
    label, log = labels.Labeller.__call__, StageContext.log

    def label_or_die(self: labels.Labeller, part: int, problems: list) -> labels.Labelled:
        calls.append(part)
        if where == "labelling" and calls == [0, 1]:
            raise KeyboardInterrupt
        return label(self, part, problems)

    def log_or_die(self: StageContext, step: int, **values: object) -> None:
        log(self, step, **values)  # type: ignore[arg-type]
        if where == "training" and step == 4 and self is killed:
            raise KeyboardInterrupt

    monkeypatch.setattr(labels.Labeller, "__call__", label_or_die)
    monkeypatch.setattr(StageContext, "log", log_or_die)
    with pytest.raises(KeyboardInterrupt):
        STAGE.run(killed)
    resumed = context(tmp_path / "killed", config, folder)
    STAGE.run(resumed)
    # no part of the labelling is done twice
    assert calls == ([0, 1, 1, 2] if where == "labelling" else [0, 1, 2])
    assert artifact(resumed) == artifact(whole)
    assert resumed.cost.flops == whole.cost.flops and resumed.cost.tokens == whole.cost.tokens


def test_soft_and_hard_labels_are_two_models_from_one_file_of_shares(
    tmp_path: Path, folder: Path, judged: None
) -> None:
    config = small_reward_model(make_config(), "process")
    made = {}
    for label in ("hard", "soft"):
        config.reward_model.label = label
        ctx = context(tmp_path / label, config, folder)
        STAGE.run(ctx)
        made[label] = artifact(ctx)
    assert made["hard"]["labels.jsonl"] == made["soft"]["labels.jsonl"]
    assert any(0 < share < 1 for e in read(ctx.out / "labels.jsonl") for share in e.labels)
    assert made["hard"]["model/model.safetensors"] != made["soft"]["model/model.safetensors"]


# where it stands in an arm


def test_it_is_in_the_graph_of_arms_whose_reward_is_a_model_and_no_other() -> None:
    config = Config()
    assert not has_stage(config, "reward_model") and RL_STAGE.parents(config) == ("sft",)
    config.reward.kind = "outcome"
    assert has_stage(config, "reward_model") and RL_STAGE.parents(config) == ("sft", "reward_model")
    assert STAGE.parents(config) == ("pretrain", "sft")
    assert model_parent(config, "rl") == "sft" and model_parent(config, "evaluate") == "rl"
    config.pretrain.enabled = False
    assert STAGE.parents(config) == ("base", "sft")
    config.sft.format = "none"
    assert STAGE.parents(config) == ("base",)
    config.rl.method = "none"
    assert not has_stage(config, "reward_model")


def test_identity_holds_what_the_kind_uses() -> None:
    config = small_reward_model(Config(), "outcome")
    other = copy.deepcopy(config)
    other.reward_model.completions, other.reward_model.label, other.execution.micro_batch = 1, "soft", 1
    other.rl.learning_rate, other.sft.examples = 1.0, 1
    assert STAGE.identity(other) == STAGE.identity(config)
    config.reward.kind = other.reward.kind = "process"
    assert STAGE.identity(other) != STAGE.identity(config)
    config.reward.kind = "outcome"
    # with a model's reward the rule's values do not matter
    worth = copy.deepcopy(config)
    worth.reward.correct = 5.0
    assert RL_STAGE.identity(worth) == RL_STAGE.identity(config)
    worth.reward.kind = config.reward.kind = "rule"
    assert RL_STAGE.identity(worth) != RL_STAGE.identity(config)


def test_process_grpo_without_process_rewards_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"reward\.kind=outcome: rl=grpo_process .* Set reward=process"):
        RL_STAGE.identity(compose(["rl=grpo_process", "reward=outcome"]))
    RL_STAGE.identity(compose(["rl=grpo_process", "reward=process"]))
    RL_STAGE.identity(compose(["rl=grpo", "reward=process"]))


def test_settings_that_cannot_work_are_named() -> None:
    config = compose(["reward=process"])
    assert faults(config) == []
    config.reward_model.holdout_share, config.reward_model.label, config.reward_model.completions = 0.0, "firm", 0
    config.rl.mode = "tool"
    found = "\n".join(faults(config))
    for key in ("holdout_share=0.0", "label=firm", "completions=0", "rl.mode=tool: reward.kind=process"):
        assert key in found
    config.reward.kind = "rule"
    assert not any("reward_model" in message for message in faults(config))


def test_planning_loads_no_heavy_library() -> None:
    code = (
        "import sys; from dsm_repro.rl.reward_model.stage import STAGE; from dsm_repro.config.schema import *;"
        "from dsm_repro.config.model_schema import *;"
        "c = Config(); c.scale.models['coder'] = ModelSpec(tiny=TinyModelConfig()); c.reward.kind = 'process';"
        "e = STAGE.estimate(c); STAGE.identity(c); assert e.flops > 0 and '8 times' in e.notes[0], e;"
        "assert not {'torch', 'transformers', 'trl', 'datasets', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_more_epochs_of_more_questions_are_planned_as_more_flops() -> None:
    config = compose(["reward=process", "scale=mini"])
    flops = STAGE.estimate(config).flops
    config.reward_model.completions *= 2
    assert STAGE.estimate(config).flops > flops
    config.reward.kind = "outcome"
    assert STAGE.estimate(config).flops < flops
