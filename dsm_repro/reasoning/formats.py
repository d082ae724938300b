"""How a question is put to a model, and what the model must write after it (paper §2.3, §3.1; DeepSeek-Math release).

``config.prompts`` chooses a template: ``miniature`` is as short as can be, for tiny models with tiny
contexts; ``release`` is the wording of the DeepSeek-Math release, its ``User:``/``Assistant:`` wrap
included. A mode is how the model answers: ``cot`` in words, ``pot`` with a Python program, ``tool`` with words
and programs in turn: it calls the tool, reads what its program printed and goes on (§3.1). ``hybrid`` asks for words
or a program and leaves the choice to the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODES = ("cot", "pot", "tool", "hybrid")


@dataclass(frozen=True)
class Template:
    """One wording. ``{question}`` is replaced literally, so that ``\\boxed{}`` needs no escaping."""

    #: raised when the wording changes, since results under two wordings must not share a column
    version: int
    prompts: dict[str, str]
    #: whether programs stand in ```python fences; without them a program is the whole completion
    fenced: bool
    #: what the model writes to have its program run; it writes no more until the tool has answered
    call: str
    #: the tool's answer
    answer: str
    #: what stands for the output of a program that failed; {name} is the error's name, {error} its whole last line
    failure: str
    #: prompts for questions in Chinese, where they differ
    chinese: dict[str, str] = field(default_factory=dict)
    #: what stands between a prompt and the worked solution, or the program, that the model must write
    before_words: str = " "
    before_program: str = "\n"
    #: the wording is one user's turn in the chat format of a model family; checked against the tokenizer's own
    chat: bool = False
    #: in an evaluation, whoever has not ended the text is asked to go on, with an answer of the tool or without
    goes_on: bool = False


@dataclass(frozen=True)
class Passage:
    """A part of a conversation with the tool. ``written``: by the model; else it is what the tool answered."""

    text: str
    written: bool


TEMPLATES = {
    "miniature": Template(
        version=1,
        prompts={
            "cot": "{question}\nAnswer:",
            "pot": "{question}\nProgram:",
            "tool": "{question}\nTool:",
            "hybrid": "{question}\nSolution:",
        },
        fenced=False,
        call="\nOutput:",
        answer="\n{output}\n",
        # an error's name alone is a tenth of a tiny completion
        failure="{name}",
    ),
    "release": Template(
        version=1,
        prompts={
            "cot": "User: {question}\nPlease reason step by step, and put your final answer within \\boxed{}."
            "\n\nAssistant:",
            "pot": "User: {question}\nPlease integrate natural language reasoning with programs to solve the problem "
            "above, and put your final answer within \\boxed{}.\n\nAssistant:",
            # ours: the release always says which
            "hybrid": "User: {question}\nPlease put your final answer within \\boxed{}.\n\nAssistant:",
            # the release has this one wording for programs
            "tool": "User: {question}\nPlease integrate natural language reasoning with programs to solve the problem "
            "above, and put your final answer within \\boxed{}.\n\nAssistant:",
        },
        fenced=True,
        call="```output",
        answer="\n{output}\n```\n",
        failure="Runtime errors: {error}",
        chinese={
            "hybrid": "User: {question}\n请把最终答案放置于\\boxed{}中。\n\nAssistant:",
            "cot": "User: {question}\n请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。\n\nAssistant:",
            "pot": "User: {question}\n请结合自然语言和Python程序语言来解答问题，并把最终答案放置于\\boxed{}中。"
            "\n\nAssistant:",
            "tool": "User: {question}\n请结合自然语言和Python程序语言来解答问题，并把最终答案放置于\\boxed{}中。"
            "\n\nAssistant:",
        },
        # the release leaves a call without a program unanswered, and goes on with what the length limit cut
        goes_on=True,
    ),
    # the requests of the release in the chat format of SmolLM2-Instruct, its own system message included
    "smollm2": Template(
        version=1,
        prompts={
            mode: "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
            f"<|im_start|>user\n{{question}}\n{request}<|im_end|>\n<|im_start|>assistant\n"
            for mode, request in {
                "cot": "Please reason step by step, and put your final answer within \\boxed{}.",
                # ours: "integrate natural language reasoning with programs" tells a small model little
                "pot": "Please write a Python program that computes the answer and prints it.",
            }.items()
        },
        fenced=True,
        call="```output",
        answer="\n{output}\n```\n",
        failure="Runtime errors: {error}",
        before_words="",
        before_program="",
        chat=True,
    ),
}

#: a fenced program; a completion cut by the token limit may lack the closing fence
_FENCE = re.compile(r"```(?:python|py)[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL)
_OUTPUT = re.compile(r"```output[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL)


def _template(name: str) -> Template:
    try:
        return TEMPLATES[name]
    except KeyError:
        raise ConfigError(f"prompts={name}: no such template. Use one of: {', '.join(TEMPLATES)}.") from None


def _wording(mode: str, template: str, language: str = "en") -> str:
    known = _template(template)
    prompts = {**known.prompts, **known.chinese} if language == "zh" else known.prompts
    if mode not in prompts:
        raise ConfigError(f"mode={mode}: template {template} has no such mode. Use one of: {', '.join(prompts)}.")
    return prompts[mode]


def prompt(question: str, mode: str, template: str, language: str = "en") -> str:
    """What the model reads. ``language`` is the question's, en or zh. Raises ConfigError for an unknown name."""
    return _wording(mode, template, language).replace("{question}", question.strip())


def cot_target(text: str, template: str) -> str:
    """What the model must write after a ``cot`` prompt: the worked solution (no end-of-text token)."""
    _wording("cot", template)
    return _template(template).before_words + text.strip()


def pot_target(program: str, template: str) -> str:
    """What the model must write after a ``pot`` prompt: the program on lines of its own (no end-of-text token)."""
    _wording("pot", template)
    body = program.strip("\r\n").rstrip()
    start = _template(template).before_program
    return f"{start}```python\n{body}\n```" if _template(template).fenced else f"{start}{body}"


def tool_target(program: str, output: str, answer: str, template: str) -> tuple[Passage, ...]:
    """What stands after a ``tool`` prompt: the program and the call, what the tool answers, the answer from it.

    The model must write the first and the last passage and end the text; the middle one it reads.
    """
    _wording("tool", template)
    box = f"\\boxed{{{answer}}}"
    body = pot_target(program, template)
    if _template(template).fenced:
        body, box = f"{body}\n", f"The answer is ${box}$."
    return (
        Passage(f"{body}{_template(template).call}", written=True),
        Passage(tool_answer(output, template), written=False),
        Passage(box, written=True),
    )


def tool_answer(output: str, template: str, after: str = "") -> str:
    """What the tool writes behind a call, in a text that ends in ``after``."""
    text = _template(template).answer.replace("{output}", output.strip())
    # the token that ends the call may hold the line break, too
    return text.removeprefix("\n") if after.endswith("\n") else text


def calls_tool(passage: str, template: str) -> bool:
    """Whether the model, in what it has written since the tool's last answer, calls it."""
    # a passage starts on a line of its own
    return _template(template).call in f"\n{passage}"


def call_of(template: str) -> str:
    """What the model writes to have its program run."""
    return _template(template).call


def is_chat(template: str) -> bool:
    """Whether prompts are turns of a chat format, which the model's tokenizer must share."""
    return _template(template).chat


def goes_on(template: str) -> bool:
    """Whether an evaluation asks on where there was nothing to answer; see :class:`Template`."""
    return _template(template).goes_on


def before_call(passage: str, template: str) -> str:
    """What the model wrote up to its call; all of it where it calls nothing."""
    return f"\n{passage}".partition(_template(template).call)[0].removeprefix("\n")


def with_call(text: str, template: str) -> str:
    """A passage with the call behind it, on a line of its own."""
    call = _template(template).call
    return f"{text}{call if call.startswith(chr(10)) else chr(10) + call}"


def ends_in_program(text: str, template: str) -> bool:
    """Whether the text ends where a fenced program does. The release runs it then, whatever stopped the model."""
    return _template(template).fenced and text.rstrip().endswith("```")


def program_called(passages: Sequence[str], template: str) -> str | None:
    """The program of the call that ends the last of these passages of the model; None where there is none.

    It is all the programs so far, one after another, as in the DeepSeek-Math release: each starts from what the
    earlier ones defined. Top-level lines of earlier ones that print are left out.
    """
    call = _template(template).call
    texts = [f"\n{passage}".partition(call)[0] for passage in passages]
    if _template(template).fenced:
        # a fence has to be closed right before the call
        if not texts[-1].rstrip().endswith("```"):
            return None
        blocks = [block for text in texts for block in _FENCE.findall(text)]
    else:
        blocks = texts
    blocks = [block.strip("\r\n").rstrip() for block in blocks]
    if not blocks or not blocks[-1].strip():
        return None
    earlier = [line for block in blocks[:-1] for line in block.splitlines() if not _prints(line)]
    return "\n".join([*earlier, blocks[-1]])


def _prints(line: str) -> bool:
    return "print(" in line and not line.startswith((" ", "\t", "import", "def "))


def tool_output(stdout: str, error: str, template: str, limit: int) -> str:
    """What the tool says of a program: its output, or where it failed ``error``, whose last line names the error.

    Past ``limit`` characters, its first and last ``limit // 2`` with dots between (the release: 50 and 50).
    """
    if error:
        line = error.strip().rsplit("\n", 1)[-1]
        stdout = _template(template).failure.replace("{error}", line).replace("{name}", line.partition(":")[0])
    text = stdout.strip()
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]}...{text[len(text) - half :]}"


def graded_text(passages: Sequence[Passage], template: str) -> str:
    """A conversation with the tool as the extraction of answers reads it: the tool's answers as ``output`` fences."""
    if _template(template).fenced:
        return "".join(passage.text for passage in passages)
    return "".join(p.text if p.written else f"\n```output\n{p.text.strip()}\n```\n" for p in passages)


def tool_outputs(text: str) -> list[str]:
    """What the tool said in a text as :func:`graded_text` gives it, call by call."""
    return [output.strip() for output in _OUTPUT.findall(text)]


def program_of(completion: str, template: str) -> str | None:
    """The program in a ``pot`` completion, None where it holds none.

    The last fenced block counts. Where the template has no fences the whole completion is the program,
    unless the model fenced it all the same.
    """
    blocks = _FENCE.findall(completion)
    body = blocks[-1] if blocks else ("" if _template(template).fenced else completion)
    body = body.strip("\r\n").rstrip()
    return body if body.strip() else None


def chosen(completion: str, template: str) -> str:
    """Whether an answer to a ``hybrid`` prompt is in words (``cot``) or a program (``pot``): as the targets begin."""
    if _template(template).fenced:
        return "pot" if _FENCE.search(completion) else "cot"
    return "pot" if completion.startswith("\n") else "cot"


def template_id(mode: str, template: str, language: str = "en") -> str:
    """Names the wording in a protocol record: ``release/cot/1``, and ``release/cot/1/zh`` where it is another."""
    other = _wording(mode, template, language) != _wording(mode, template)
    return f"{template}/{mode}/{_template(template).version}{f'/{language}' if other else ''}"


def encode(passages: Sequence[Passage], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Token ids of each passage by itself. What a tool printed is text, also where it spells a special token."""
    encoded: dict[bool, Iterator[list[int]]] = {}
    for written in (True, False):
        texts = [passage.text for passage in passages if passage.written == written]
        if texts:
            ids = tokenizer(texts, add_special_tokens=False, split_special_tokens=not written)["input_ids"]
            encoded[written] = iter(ids)  # type: ignore[arg-type]
    return [list(next(encoded[passage.written])) for passage in passages]
