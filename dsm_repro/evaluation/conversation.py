"""The tool loop of an evaluation (§3.1; ``run_tool_integrated_eval.py`` of the DeepSeek-Math release).

A round is one stretch of writing, which ends at the call of the tool, at the end of the text or at the length limit,
and the program that it ends in. The program's output is put behind it and the next round writes on from there. After
the last round's program nobody writes. In the release there are two rounds, so one program whose output is read;
``tool.rounds`` makes it more.

With ``prompts=release`` the release's rules hold to the letter: only an end-of-text token finishes; a program is run
where the text so far ends in a closed fence; where there is none nothing is answered, and the next round continues
what the limit has cut. With ``prompts=miniature`` the rules are those of rollouts: a call without a program is told so,
and the length limit is the end.

Text goes from round to round, not tokens, as in the release, so that any of lm-eval's back-ends can do the writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsm_repro.config.evaluation_schema import ToolConfig
from dsm_repro.reasoning import formats, programs
from dsm_repro.reasoning.formats import Passage

if TYPE_CHECKING:
    from dsm_repro.reasoning.sandbox import Execution


@dataclass(frozen=True)
class Stretch:
    """What a model wrote in one go. ``ended``: by its end-of-text token; ``stopped``: at the call of the tool."""

    text: str
    tokens: int
    ended: bool
    stopped: bool
    #: it ends behind the model's context
    beyond_context: bool = False


@dataclass
class Conversation:
    """One answer as it grows."""

    #: where it stands among the questions asked together
    number: int
    prompt: str
    #: what the model wrote and what the tool said, in turn
    passages: list[Passage] = field(default_factory=list)
    #: what each call ran and what came of it, None where a call had no program
    programs: list[str | None] = field(default_factory=list)
    executions: list[Execution | None] = field(default_factory=list)
    tokens: int = 0
    rounds: int = 0
    ended: bool = False
    #: the last stretch was cut by the length limit
    truncated: bool = False
    beyond_context: bool = False

    @property
    def text(self) -> str:
        """All that stands behind the prompt."""
        return "".join(passage.text for passage in self.passages)

    @property
    def written(self) -> list[str]:
        return [passage.text for passage in self.passages if passage.written]

    @property
    def unanswered(self) -> bool:
        return len(self.executions) < len(self.programs)


#: conversations that go on, number of the round -> what the model writes behind each
Writer = Callable[[Sequence[Conversation], int], list[Stretch]]


@dataclass(frozen=True)
class ToolLoop:
    """How a model and the tool take turns."""

    template: str
    tool: ToolConfig
    run: programs.Runner

    def __call__(self, prompts: Sequence[str], write: Writer) -> list[Conversation]:
        """One conversation for each prompt, in their order."""
        conversations = [Conversation(number, prompt) for number, prompt in enumerate(prompts)]
        active = conversations
        for number in range(self.tool.rounds):
            if not active:
                break
            for conversation, stretch in zip(active, write(active, number), strict=True):
                self._take(conversation, stretch)
            self._answer([c for c in active if c.unanswered])
            goes_on = formats.goes_on(self.template)
            active = [c for c in active if not c.ended and (goes_on or not c.truncated)]
        return conversations

    def _take(self, c: Conversation, stretch: Stretch) -> None:
        """Put a stretch behind the conversation, and find the program that it calls, if it is to be answered."""
        c.rounds += 1
        c.tokens += stretch.tokens
        c.ended = stretch.ended
        c.beyond_context |= stretch.beyond_context
        # of what the limit has cut, the next stretch is the continuation
        start = c.passages.pop().text if c.passages and c.passages[-1].written else ""
        text = start + (stretch.text if stretch.ended else formats.before_call(stretch.text, self.template).rstrip())
        called = not stretch.ended and (stretch.stopped or formats.ends_in_program(text, self.template))
        c.truncated = not (stretch.ended or called)
        program = formats.program_called([*c.written, text], self.template) if called else None
        if called and (program is not None or not formats.goes_on(self.template)):
            text = formats.with_call(text, self.template)
            c.programs.append(program)
        c.passages.append(Passage(text, written=True))

    def _answer(self, calling: Sequence[Conversation]) -> None:
        """Run what these call and put the output behind them."""
        ran = self.run([program for c in calling if (program := c.programs[-1]) is not None])
        for c in calling:
            program = c.programs[-1]
            execution = None if program is None else ran[program]
            says = programs.tool_says(execution, self.template, self.tool.output_characters)
            c.executions.append(execution)
            c.passages.append(Passage(formats.tool_answer(says, self.template, c.passages[-1].text), written=False))


def protocol(tool: ToolConfig, seconds: float) -> str:
    """The loop's settings in words."""
    half = tool.output_characters // 2
    return f"{tool.rounds} rounds, output cut to {half}...{half} characters, {seconds:g} s a program"
