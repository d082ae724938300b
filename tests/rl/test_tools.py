"""Rollouts with a tool: what is drawn, what is read, what is learned from, and programs that mean harm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from rl_world import in_double, length_reward, make_config, make_model_folder, make_trainer
from tool_world import draw, follow, make_sampler, printed, say

from dsm_repro.config.evaluation_schema import SandboxConfig
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.programs import run_distinct
from dsm_repro.reasoning.sandbox import Sandbox, controller
from dsm_repro.reasoning.sandbox.backends import ISOLATED
from dsm_repro.rl import objectives, rollouts, tools
from dsm_repro.rl.answers import ProgramAnswers, ToolAnswers
from dsm_repro.rl.batch import completion_logps
from dsm_repro.rl.distributed import Processes
from dsm_repro.rl.experience import Experience
from dsm_repro.rl.rewards import Completions, Rewards
from dsm_repro.rl.rollouts import Rollouts, Sampling, step_generator
from dsm_repro.rl.trainer import PolicyGradientTrainer
from dsm_repro.training.models import load_model, load_tokenizer

LIMIT = 60
CALLS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("m") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return in_double(load_model(folder, "float32", "cpu"))


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


@pytest.fixture
def sampler(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> tools.ToolSampler:
    """The real decoder on an untrained model, whose every capital letter is a call; answers differ in length."""
    monkeypatch.setattr(formats, "calls_tool", lambda passage, template: any(c in CALLS for c in passage))
    monkeypatch.setattr(formats, "program_called", lambda passages, template: passages[-1])

    def run(programs: Sequence[str]) -> dict[str, Any]:
        return {program: printed("7" * (1 + len(program) % 3)) for program in programs}

    return make_sampler(tokenizer, run, rounds=3)


def sampled(sampler: tools.ToolSampler, model: Any) -> Rollouts:
    return draw(sampler, model, [[40, 41, 42, 43], [50], [60, 61, 62]], 8, LIMIT)


def runs(drawn: Rollouts, row: int) -> list[tuple[bool, list[int]]]:
    """What policy and tool wrote in turn in one completion."""
    length = int(drawn.batch.lengths[row])
    ids, written = drawn.batch.completion_ids[row, :length].tolist(), drawn.batch.written[row, :length].tolist()
    pairs = zip(ids, written, strict=True)
    return [(bool(by), [token for token, _ in part]) for by, part in groupby(pairs, key=lambda pair: pair[1])]


def test_log_probabilities_and_mask_are_those_of_one_forward_pass_over_the_final_ids(sampler, model) -> None:
    drawn, batch = sampled(sampler, model), sampled(sampler, model).batch
    assert drawn.events["tool_rounds"] > 8 and drawn.events["tool_tokens"] > 20
    assert len({len(runs(drawn, row)) for row in range(len(batch))}) > 2
    for row in range(len(batch)):
        prompt = batch.prompt_ids[batch.owner[row]][batch.prompt_mask[batch.owner[row]].bool()]
        completion = batch.completion_ids[row, : batch.lengths[row]]
        with torch.no_grad():
            logits = model(input_ids=torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1).gather(-1, completion[:, None])[:, 0]
        written = batch.written[row, : len(completion)].bool()
        assert torch.allclose(drawn.logps[row, : len(completion)][written], expected[written], atol=1e-9)
        assert drawn.logps[row, : len(completion)][~written].abs().sum() == 0
        assert drawn.logps[row, len(completion) :].abs().sum() == batch.written[row, len(completion) :].sum() == 0
    # what the trainer computes of the same batch
    assert torch.allclose(completion_logps(model, batch, 1.0).detach(), drawn.logps, atol=1e-9)
    assert batch.lengths.max() <= LIMIT


def test_a_call_ends_each_stretch_and_the_tool_answers_it(sampler, model, tokenizer) -> None:
    drawn = sampled(sampler, model)
    for row in range(len(drawn.batch)):
        parts = runs(drawn, row)
        assert len([by for by, _ in parts if by]) <= 3
        for (by, ids), following in zip(parts, [*parts[1:], None], strict=True):
            text = tokenizer.decode(ids, skip_special_tokens=True)
            if by and following is not None:
                assert text[-1] in CALLS and not CALLS.intersection(text[:-1])
            elif not by and following is not None:
                assert text.startswith("\n7") and text.endswith("7\n")


def test_until_its_first_call_a_completion_is_the_plain_one(sampler, model) -> None:
    drawn = sampled(sampler, model)
    sampling = Sampling(LIMIT, 1.0, 1.0)
    plain = rollouts.sample(
        model, [[40, 41, 42, 43], [50], [60, 61, 62]], 8, sampling, [1], 0, step_generator(0, 0)
    ).batch
    for row in range(len(plain)):
        ids = runs(drawn, row)[0][1]
        assert plain.completion_ids[row, : len(ids)].tolist() == ids


def test_a_stage_repeats_itself(sampler, model) -> None:
    one, again = sampled(sampler, model), sampled(sampler, model)
    assert torch.equal(one.batch.completion_ids, again.batch.completion_ids) and one.events == again.events
    assert torch.equal(one.logps, again.logps)


def test_noise_of_a_further_round_belongs_to_the_row_whichever_others_go_on() -> None:
    def noise(processes: Processes, rows: list[int], total: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(7)
        with processes.noise(generator), tools._RowNoise(generator, torch.tensor(rows), total):
            return torch.rand(len(rows), generator=generator)

    whole = torch.rand(6, generator=torch.Generator().manual_seed(7))
    assert torch.equal(noise(Processes(), [1, 4], 6), whole[[1, 4]])
    # the second of two processes, of which each has three rows
    assert torch.equal(noise(Processes(1, 2), [0, 2], 3), whole[[3, 5]])
    generator = torch.Generator()
    with tools._RowNoise(generator, torch.tensor([0, 2]), 3), pytest.raises(TypeError, match=r"torch\.rand"):
        torch.rand(3, generator=generator)


def test_ids_are_carried_through_where_encoding_the_text_would_give_others(
    model, tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # half of a two-byte character: the text has a replacement character, which is three other bytes
    lone = tokenizer("é")["input_ids"][0]
    first = [*tokenizer("\n#")["input_ids"], lone, *tokenizer("\nprint(6*7)\nOutput:")["input_ids"]]
    assert tokenizer(tokenizer.decode(first))["input_ids"] != first

    def script(text: str, row: int) -> list[int]:
        return [*tokenizer("\\boxed{42}")["input_ids"], 1] if "Output:" in text else [*first, 70, 71]

    asked = follow(monkeypatch, tokenizer, script)
    drawn = draw(make_sampler(tokenizer, say("42")), model, [[40, 41]], 2, 80)
    answer = tokenizer("\n42\n")["input_ids"]
    for row in range(2):
        whole = [*first, *answer, *tokenizer("\\boxed{42}")["input_ids"], 1]
        assert drawn.batch.completion_ids[row].tolist() == whole
        assert list(asked[1][row]) == [40, 41, *first, *answer]
        assert drawn.batch.written[row].tolist() == [
            int(not len(first) <= position < len(first) + len(answer)) for position in range(len(whole))
        ]
    assert drawn.events["tokens_discarded"] == 4 and not drawn.truncated.any()


def test_what_a_program_prints_is_text_even_if_it_spells_the_end(model, tokenizer, monkeypatch) -> None:
    follow(monkeypatch, tokenizer, lambda text, row: tokenizer("\nprint()\nOutput:")["input_ids"])
    drawn = draw(make_sampler(tokenizer, say("<eos>Output:"), rounds=1), model, [[40]], 1, 80)
    # nothing of it ends the completion or calls the tool again
    assert tokenizer("<eos>")["input_ids"] == [1]
    assert 1 not in drawn.batch.completion_ids[0].tolist()
    assert drawn.events["programs"] == 1
    assert tokenizer.decode(drawn.batch.completion_ids[0]).endswith("\n<eos>Output:\n")


def test_the_limit_counts_the_tool_too(model, tokenizer, monkeypatch) -> None:
    first = tokenizer("\nprint()\nOutput:")["input_ids"]
    follow(monkeypatch, tokenizer, lambda text, row: [71] * 50 if "Output:" in text else first)
    sampler = make_sampler(tokenizer, say("1234"))
    for limit, written in ((len(first) + 3, len(first)), (len(first) + 10, len(first) + 4)):
        drawn = draw(sampler, model, [[40]], 1, limit)
        assert drawn.batch.lengths.tolist() == [limit] and drawn.truncated.tolist() == [True]
        assert int(drawn.batch.written.sum()) == written


@pytest.mark.skipif(all(controller.probe(name) for name in ISOLATED), reason="no sandbox here")
def test_hostile_programs_end_are_counted_and_get_a_fixed_answer(model, tokenizer, monkeypatch) -> None:
    programs = [
        "import os\nwhile True: os.fork()",
        "import time\ntime.sleep(600)",
        "while True: print('x' * 1000)",
        "1/0",
        "print(6*7)",
        "",
    ]

    def script(text: str, row: int) -> list[int]:
        if "Output:" in text:
            return [1]
        return tokenizer(f"\n{programs[row]}\nOutput:" if programs[row] else "\nOutput:")["input_ids"]

    follow(monkeypatch, tokenizer, script)
    started = time.monotonic()
    with Sandbox(SandboxConfig(timeout=1.0, memory_mb=256)) as sandbox:
        drawn = draw(make_sampler(tokenizer, partial(run_distinct, sandbox=sandbox)), model, [[40]], 6, 90)
    assert time.monotonic() - started < 20
    said = [tokenizer.decode(runs(drawn, row)[1][1]).strip() for row in range(6)]
    assert said[1:] == ["TimeoutError", "OutputLimitError", "ZeroDivisionError", "42", "NoProgramError"]
    ended = said[0] in ("TimeoutError", "KilledError", "MemoryError")
    # the limit on processes may refuse the fork before the clock does
    assert ended or said[0] in ("BlockingIOError", "OSError")
    assert drawn.events["programs"] == 5
    assert drawn.events["sandbox_failure"] == 2 + ended and drawn.events["program_errors"] == 2 + (not ended)


def tool_trainer(folder: Path, scratch: Path, method: str) -> PolicyGradientTrainer:
    config = make_config(method)
    config.rl.max_completion_length = 24
    return make_trainer(folder, scratch, config)


@pytest.fixture(params=["grpo", "ppo"])
def trainer(request, folder: Path, tmp_path: Path, sampler: tools.ToolSampler) -> PolicyGradientTrainer:
    trainer = tool_trainer(folder, tmp_path, request.param)
    trainer.explorer.task = replace(trainer.explorer.task, sampler=sampler)
    with torch.no_grad():
        for number, weight in enumerate(trainer.model.parameters()):
            weight += 0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
    return trainer


def loss_and_gradient(trainer: PolicyGradientTrainer, experience: Experience) -> tuple[float, torch.Tensor]:
    trainer.model.zero_grad()
    loss = trainer.batch_loss(trainer.model, replace(experience, old_logps=[]), torch.Tensor.backward)
    return loss.item(), torch.cat([weight.grad.flatten() for weight in trainer.model.parameters()])


def test_nothing_is_learned_from_what_the_tool_wrote_and_parts_add_up(trainer) -> None:
    trainer.micro_batch = 8
    experience = trainer.explore(0)
    batch = experience.batch
    read = batch.completion_mask.bool() & ~batch.written.bool()
    assert read.any(-1).sum() >= 2 and experience.metrics["programs"] > 0
    assert experience.weights[batch.written == 0].abs().max() == 0
    assert experience.weights.sum().item() == pytest.approx(1.0)
    assert experience.advantages[read].abs().max() == 0
    loss, gradient = whole = loss_and_gradient(trainer, experience)
    assert gradient.abs().max() > 1e-4

    def same(other: tuple[float, torch.Tensor]) -> None:
        assert other[0] == pytest.approx(loss, abs=1e-13) and torch.allclose(other[1], gradient, atol=1e-13)

    # an advantage on a token of the tool has no effect, nor has what the reference thought of it
    same(loss_and_gradient(trainer, replace(experience, advantages=experience.advantages + 100.0 * read)))
    if experience.ref_logps is not None:
        same(loss_and_gradient(trainer, replace(experience, ref_logps=experience.ref_logps - 3.0 * read)))
    for rows in (1, 3, 5):
        trainer.micro_batch = rows
        same(loss_and_gradient(trainer, experience))
    # an answer at the end is read by nobody: other words in its place change nothing
    last = batch.completion_mask.cumsum(-1).argmax(-1)
    position = torch.arange(batch.completion_ids.shape[1])[None]
    final_word = (batch.written * position).amax(-1, keepdim=True)
    trailing = read & (position > final_word) & (position <= last[:, None])
    assert trailing.any()
    other = replace(batch, completion_ids=torch.where(trailing, 99, batch.completion_ids))
    trainer.micro_batch = 8
    same(loss_and_gradient(trainer, replace(experience, batch=other)))
    # whereas an answer that the policy went on from is part of what it saw
    inner = read & (position < final_word)
    assert inner.any()
    other = replace(batch, completion_ids=torch.where(inner, 99, batch.completion_ids))
    assert not torch.allclose(loss_and_gradient(trainer, replace(experience, batch=other))[1], whole[1], atol=1e-9)


def test_reward_and_gae_pass_over_what_the_tool_wrote() -> None:
    """γ=λ=1/2, β=0.1; the policy wrote tokens 0, 1 and 4, the tool 2, 3 and 5."""
    mask = torch.tensor([[1, 1, 0, 0, 1, 0]]).double()
    logps = torch.tensor([[1.0, 0.0, 7.0, 7.0, -1.0, 7.0]]).double()
    rewards = objectives.kl_shaped_reward(torch.tensor([1.0]).double(), logps, torch.zeros(1, 6).double(), mask, 0.1)
    # the reward of the completion stands at the last token of the policy, not of the tool
    assert rewards[0].tolist() == pytest.approx([-0.1, 0.0, 0.0, 0.0, 1.1, 0.0])
    values = torch.tensor([[0.2, 0.4, 9.0, 9.0, 0.6, 9.0]]).double()
    advantages, returns = objectives.gae(rewards, values, mask, 0.5, 0.5)
    # δ4 = 1.1 - 0.6; δ1 = 0.5·0.6 - 0.4; δ0 = -0.1 + 0.5·0.4 - 0.2; A_t = δ_t + A_{t+1}/4
    assert advantages[0].tolist() == pytest.approx([-0.09375, 0.025, 0.0, 0.0, 0.5, 0.0])
    assert returns[0].tolist() == pytest.approx([0.10625, 0.425, 0.0, 0.0, 1.1, 0.0])


class Seen:
    """A reward that keeps the answers it is given."""

    def __call__(self, completions: Completions) -> Rewards:
        self.answers = completions.answers
        return length_reward(completions)


PROBLEM = Problem("p", "", 0, "q", "42", "", "", "")


@pytest.mark.parametrize(
    ("after", "output", "answer"),
    [
        ("\\boxed{41}", "42", "41"),  # a box counts first
        ("7 of 9", "42", "42"),  # then the output, whatever numbers stand around it
        ("", "1\nthe answer is 5", "5"),
        ("", "", "3"),  # and at last a number of the text
    ],
)
def test_an_answer_is_found_in_the_order_of_the_release(
    model, tokenizer, monkeypatch, after: str, output: str, answer: str
) -> None:
    def script(text: str, row: int) -> list[int]:
        return [*tokenizer(after)["input_ids"], 1] if "Output:" in text else tokenizer("\nx=3\nOutput:")["input_ids"]

    follow(monkeypatch, tokenizer, script)
    drawn = draw(make_sampler(tokenizer, say(output)), model, [[40]], 1, 90)
    text = tokenizer.decode(drawn.batch.completion_ids[0], skip_special_tokens=True)
    seen = Seen()
    ToolAnswers(seen, tokenizer, "miniature")(Completions([text], [PROBLEM], drawn.batch))
    assert seen.answers == [answer]


def test_boxes_of_a_conversation_are_as_many_answers_as_the_gold_has(model, tokenizer, monkeypatch) -> None:
    text = "\\boxed{1} or \\boxed{2}"
    follow(monkeypatch, tokenizer, lambda *_: [*tokenizer(text)["input_ids"], 1])
    drawn = draw(make_sampler(tokenizer, say("")), model, [[40]], 1, 90)
    for gold, answer in (("2, 1", "1, 2"), ("2", "2")):
        seen = Seen()
        ToolAnswers(seen, tokenizer, "miniature")(Completions([text], [replace(PROBLEM, answer=gold)], drawn.batch))
        assert seen.answers == [answer]


@pytest.fixture
def pretended() -> Iterator[Any]:
    class Pretended:
        def run_many(self, programs: Sequence[str]) -> list[Any]:
            self.programs = list(programs)
            return [printed("", "error", "E: x") if "1/0" in p else printed(p.split("#")[-1] + "\n") for p in programs]

    yield Pretended()


def test_a_program_is_judged_by_what_it_prints_and_equal_ones_run_once(pretended) -> None:
    seen = Seen()
    texts = ["\n#42", "\n#42", "\n1/0\n# the answer is 42", "  ", "\n#1\n\\boxed{9}"]
    rewards = ProgramAnswers(seen, pretended, "miniature")(Completions(texts, [PROBLEM] * 5, None))  # type: ignore[arg-type]
    assert seen.answers == ["42", "42", None, None, "9"]
    assert len(pretended.programs) == 3
    assert {name: rewards.counts[name] for name in ("programs", "program_errors", "sandbox_failure")} == {
        "programs": 4, "program_errors": 2, "sandbox_failure": 0,
    }  # fmt: skip
