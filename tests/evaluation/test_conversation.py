"""The tool loop: golden transcripts of each rule of the release, and the real decoder inside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.evaluation_schema import SandboxConfig, ToolConfig
from dsm_repro.config.validate import faults
from dsm_repro.evaluation import answering
from dsm_repro.evaluation.conversation import Conversation, Stretch, ToolLoop
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.extraction import extract
from dsm_repro.reasoning.programs import run_distinct
from dsm_repro.reasoning.sandbox import Execution, Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(timeout=1.0)) as sandbox:
        yield sandbox


def hold(script: Sequence[Stretch], run: Any, rounds: int = 2, template: str = "release") -> tuple[Conversation, list]:
    """One conversation with a model that writes ``script``, and what it had read before each stretch."""
    read: list[str] = []

    def write(conversations: Sequence[Conversation], number: int) -> list[Stretch]:
        read.extend(conversation.text for conversation in conversations)
        return [script[number]]

    return ToolLoop(template, ToolConfig(rounds=rounds), run)(["Q"], write)[0], read


def calls(text: str) -> Stretch:
    """The model calls the tool; it was stopped there, with its stop string."""
    return Stretch(f"{text}```output", 5, ended=False, stopped=True)


def ends(text: str) -> Stretch:
    return Stretch(text, 5, ended=True, stopped=False)


def cut(text: str) -> Stretch:
    """The length limit ended it."""
    return Stretch(text, 5, ended=False, stopped=False)


def says(output: str) -> Any:
    return lambda programs: {program: Execution("ok", output, "", 0.0, "none") for program in programs}


PROGRAM = " Let us compute.\n```python\nprint(6*7)\n```\n"


def test_the_output_stands_behind_the_program_and_the_second_round_reads_it(sandbox: Sandbox) -> None:
    held, read = hold([calls(PROGRAM), ends("So $\\boxed{42}$.")], partial(run_distinct, sandbox=sandbox))
    after = " Let us compute.\n```python\nprint(6*7)\n```\n```output\n42\n```\n"
    assert read == ["", after]
    assert held.text == f"{after}So $\\boxed{{42}}$."
    assert (held.programs, held.rounds, held.tokens, held.ended) == (["print(6*7)"], 2, 10, True)
    assert extract(held.text).answer == "42"


def test_the_second_rounds_program_is_run_and_nobody_writes_behind_it() -> None:
    held, read = hold([calls(PROGRAM), calls("Again.\n```python\nprint(1)\n```\n")], says("7"))
    assert len(read) == 2 and held.text.endswith("Again.\n```python\nprint(1)\n```\n```output\n7\n```\n")
    # its output is the answer where the text has no better one
    assert extract(held.text).answer == "7" and not held.truncated and not held.ended


def test_more_rounds_by_config() -> None:
    script = [calls(PROGRAM), calls(PROGRAM), calls(PROGRAM), ends("Done: 5.")]
    held, read = hold(script, says("7"), rounds=5)
    assert held.rounds == len(read) == 4 and len(held.programs) == 3 and held.text.endswith("Done: 5.")


def test_earlier_blocks_run_again_without_their_prints(sandbox: Sandbox) -> None:
    first = "\n```python\nimport math\nx = 4\nprint(x)\nfor i in range(2):\n    print(i)\n```\n"
    second = "Now.\n```python\nprint(math.sqrt(x))\n```\n"
    held, _ = hold([calls(first), calls(second), ends(" 2")], partial(run_distinct, sandbox=sandbox), rounds=3)
    assert held.programs[1] == "import math\nx = 4\nfor i in range(2):\n    print(i)\nprint(math.sqrt(x))"
    assert formats.tool_outputs(held.text) == ["4\n0\n1", "0\n1\n2.0"]


def test_a_long_output_keeps_its_first_and_last_fifty_characters() -> None:
    output = "".join(chr(97 + i % 26) for i in range(101))
    held, _ = hold([calls(PROGRAM), ends("")], says(output))
    assert formats.tool_outputs(held.text) == [f"{output[:50]}...{output[-50:]}"]
    held, _ = hold([calls(PROGRAM), ends("")], says(output[:100]))
    assert formats.tool_outputs(held.text) == [output[:100]]


def test_an_error_is_told_in_place_of_what_was_printed(sandbox: Sandbox) -> None:
    program = "\n```python\nprint('before')\n1/0\n```\n"
    held, _ = hold([calls(program), ends(" sorry")], partial(run_distinct, sandbox=sandbox))
    assert formats.tool_outputs(held.text) == ["Runtime errors: ZeroDivisionError: division by zero"]
    assert held.executions[0].status == "error"


def test_endless_code_is_ended_and_the_model_goes_on(sandbox: Sandbox) -> None:
    held, read = hold(
        [calls("\n```python\nwhile True: pass\n```\n"), ends(" 3")], partial(run_distinct, sandbox=sandbox)
    )
    assert formats.tool_outputs(held.text) == ["Runtime errors: TimeoutError: the program took too long"]
    assert held.executions[0].status == "timeout" and len(read) == 2


def test_no_code_gets_no_answer_and_the_model_goes_on_in_the_release() -> None:
    held, read = hold([calls("I have no program.\n"), ends(" It is 3.")], says("never"))
    assert read == ["", "I have no program."]
    assert held.text == "I have no program. It is 3." and not held.programs


def test_an_open_fence_is_no_program() -> None:
    held, _ = hold([calls("\n```python\nprint(1)\n"), ends("")], says("never"))
    assert not held.programs and not formats.tool_outputs(held.text)


def test_what_the_limit_cut_is_continued_and_a_program_across_the_cut_is_one() -> None:
    held, read = hold([cut("\n```python\nx = 1\n"), calls("\nprint(x)\n```\n"), ends(" 1")], says("1"), rounds=3)
    assert read[1] == "\n```python\nx = 1" and held.programs == ["x = 1\nprint(x)"] and held.rounds == 3
    held, _ = hold([cut("one"), cut(" two")], says("1"))
    assert held.text == "one two" and held.truncated


def test_a_program_behind_which_the_text_ends_is_not_run() -> None:
    held, read = hold([ends(PROGRAM)], says("never"))
    assert not held.programs and len(read) == 1 and held.text == PROGRAM


def test_a_program_cut_right_behind_its_fence_is_run() -> None:
    held, _ = hold([cut(PROGRAM), ends(" 7")], says("7"))
    assert held.programs == ["print(6*7)"] and not held.truncated


def test_in_the_miniature_a_call_without_a_program_is_told_so_and_the_limit_is_the_end() -> None:
    called = Stretch("\nOutput:", 2, ended=False, stopped=True)
    held, read = hold([called, ends("\\boxed{1}")], says("never"), template="miniature")
    assert held.text == "\nOutput:\nNoProgramError\n\\boxed{1}" and held.executions == [None]
    held, read = hold([cut("\nprint("), ends("never")], says("never"), template="miniature")
    assert len(read) == 1 and held.truncated


def test_each_conversation_is_its_own() -> None:
    """Some end in the first round, the rest go on in their order."""
    seen: list[list[int]] = []

    def write(conversations: Sequence[Conversation], number: int) -> list[Stretch]:
        seen.append([conversation.number for conversation in conversations])
        return [ends(" x") if c.number % 2 and not number else calls(PROGRAM) for c in conversations]

    held = ToolLoop("release", ToolConfig(rounds=3), says("42"))(["a", "b", "c", "d"], write)
    assert seen == [[0, 1, 2, 3], [0, 2], [0, 2]]
    assert [len(c.programs) for c in held] == [3, 0, 3, 0] and [c.prompt for c in held] == ["a", "b", "c", "d"]


def evaluated(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, script: Any) -> tuple[dict, list[dict]]:
    """An evaluation in the mode ``tool`` of a model that writes ``script(text it read)``, tokens cut at its limit."""
    from dsm_repro.evaluation import stage
    from dsm_repro.evaluation.answering import Generation
    from dsm_repro.evaluation.model import TransformersLM
    from dsm_repro.pipeline.stage import StageContext

    def decode(self: TransformersLM, prompts: Sequence[list[int]], noise: Any, stops: Sequence[str]) -> list:
        texts = [script(self.tokenizer.decode(prompt)) for prompt in prompts]
        return [Generation(text, len(text), truncated=False) for text in texts]

    monkeypatch.setattr(TransformersLM, "_decode", decode)
    config = compose(
        ["scale=smoke", "evaluation=tool", "pretrain=none", "sft=none", "rl=none", "evaluation.problems=4"]
    )
    out = tmp_path / "out"
    out.mkdir()
    stage.run(StageContext(config, out, out, {"base": folder.parent}))
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    return json.loads((out / "record.json").read_text()), rows


def test_an_evaluation_runs_grades_and_logs_the_conversation(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsm_repro.evaluation.taskdata import test_problems as problems_of

    config = compose(["scale=smoke", "evaluation=tool", "evaluation.problems=4"])
    known = {p.question: p for p in problems_of(config)["miniature"]}

    def script(read: str) -> str:
        problem = next(p for question, p in known.items() if read.startswith(question))
        if "Output:" in read:
            # the third problem's answer is spoilt by its text, and its program is right
            return "\\boxed{-77}" if problem == list(known.values())[2] else f"\\boxed{{{problem.answer}}}"
        return f"\n{problem.program}\nOutput:"

    record, rows = evaluated(tmp_path, model_folder, monkeypatch, script)
    result = record["results"]["tool"]
    assert result["accuracy"] == 0.75 and result["program_accuracy"] == 1.0
    assert result["mean_calls"] == 1.0 and result["executions"] == {"ok": 4}
    row, problem = rows[0], next(iter(known.values()))
    assert row["program"] == problem.program and row["output"] == problem.answer and row["how"] == "boxed"
    assert [who for who, _ in row["passages"]] == ["model", "tool", "model"]
    assert row["completion"] == "".join(text for _, text in row["passages"])
    assert record["protocol"]["tool"]["tool"] == "2 rounds, output cut to 50...50 characters, 10 s a program"


def test_the_decoder_stops_where_its_text_would_have_been_cut(model_folder: Path) -> None:
    from dsm_repro.evaluation.model import Decoding, TransformersLM
    from dsm_repro.pipeline.cost import Cost
    from dsm_repro.training.models import load_model, load_tokenizer

    tokenizer = load_tokenizer(model_folder)
    lm = TransformersLM(
        load_model(model_folder, "float32", "cpu"), tokenizer, Decoding(24, 0.0, 1.0, 8, 0), Cost(), lambda done: None
    )
    prompts = [tokenizer(text)["input_ids"] for text in ("Find the", "gcd of 12", "print", "Answer: x")]
    plain = lm._decode(prompts, None, [])
    # a string that some of them write, and at different places
    stop = plain[0].text[5:7]
    stopped = lm._decode(prompts, None, [stop])
    for whole, short in zip(plain, stopped, strict=True):
        if stop in whole.text:
            end = whole.text.index(stop) + len(stop)
            assert short.text.startswith(whole.text[:end]) and len(short.text) <= end + 8
            assert not short.truncated and short.tokens <= whole.tokens
        else:
            assert short == whole
    assert any(short.tokens < whole.tokens for whole, short in zip(plain, stopped, strict=True))
    assert answering._cut(stopped[0].text, [stop]) == answering._cut(plain[0].text, [stop])


def test_exemplars_of_conversations_are_refused() -> None:
    (said,) = faults(compose(["evaluation=tool", "evaluation.shots=2"]))
    assert said.startswith("evaluation.shots=2: exemplars are made for cot and pot alone")
