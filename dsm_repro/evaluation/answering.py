"""What every model does that answers our tasks in lm-eval: plain completions, and conversations with the tool."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from dsm_repro.evaluation.conversation import Conversation, Stretch, ToolLoop
from dsm_repro.reasoning import formats


@dataclass(frozen=True)
class Generation:
    """One completion, with its stop string if one ended it. ``truncated``: the length limit ended it."""

    text: str
    tokens: int
    truncated: bool
    #: where the tool took part: who wrote what, and what was run
    conversation: Conversation | None = None
    #: prompt and completion are longer than the model's context: what stands there says nothing of the model
    beyond_context: bool = False


@dataclass(frozen=True)
class Asked:
    """A request, how many times it was asked before, and which round of its conversation this is."""

    request: Instance
    repeat: int
    round: int


class AnsweringLM(LM):  # type: ignore[misc]
    """Answers ``generate_until`` requests; keeps how each generation ended in ``generations[(task, doc, repeat)]``."""

    #: a back-end may cut its stop string off, so that a text does not tell whether the tool was called
    strips_stops = False

    def __init__(self, loop: ToolLoop | None, on_progress: Callable[[int], None]) -> None:
        """``loop`` holds the conversations of requests whose document has the mode ``tool``."""
        super().__init__()
        self.loop, self.on_progress = loop, on_progress
        self.generations: dict[tuple[str, int, int], Generation] = {}

    @abstractmethod
    def write(
        self,
        contexts: Sequence[Conversation],
        stops: Sequence[str],
        asked: Sequence[Asked],
        on_progress: Callable[[int], None],
    ) -> list[Generation]:
        """What the model writes behind each context, up to a stop string."""

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Completions in the order of the requests; of a conversation with the tool, as it is graded.

        A task with ``repeats`` asks with the same request that many times.
        """
        repeats = _repeats(requests)
        if self.loop is not None and requests[0].doc.get("mode") == "tool":
            found = self._converse(self.loop, requests, repeats)
        else:
            contexts = [Conversation(number, request.args[0]) for number, request in enumerate(requests)]
            asked = [Asked(request, repeat, 0) for request, repeat in zip(requests, repeats, strict=True)]
            # one call of lm-eval is one task, and has its stop strings
            stops = _stops(requests[0])
            drawn = self.write(contexts, stops, asked, self.on_progress)
            found = [replace(one, text=_cut(one.text, stops)) for one in drawn]
        for request, repeat, generation in zip(requests, repeats, found, strict=True):
            self.generations[(request.task_name, request.doc_id, repeat)] = generation
        return [self._graded(generation) for generation in found]

    def _converse(self, loop: ToolLoop, requests: Sequence[Instance], repeats: Sequence[int]) -> list[Generation]:
        """Each request's conversation with the tool."""
        rounds, call = loop.tool.rounds, formats.call_of(loop.template)

        def write(conversations: Sequence[Conversation], number: int) -> list[Stretch]:
            def on_progress(in_round: int) -> None:
                done = len(requests) - len(conversations) + in_round
                self.on_progress((number * len(requests) + done) // rounds)

            asked = [Asked(requests[c.number], repeats[c.number], number) for c in conversations]
            drawn = self.write(conversations, [call], asked, on_progress)
            return [self._stretch(one, loop.template) for one in drawn]

        held = loop([request.args[0] for request in requests], write)
        self.on_progress(len(requests))
        return [Generation(one.text, one.tokens, one.truncated, one, one.beyond_context) for one in held]

    def _stretch(self, one: Generation, template: str) -> Stretch:
        stopped = formats.calls_tool(one.text, template)
        if self.strips_stops and not one.truncated:
            stopped = stopped or formats.ends_in_program(one.text, template)
        return Stretch(one.text, one.tokens, not (one.truncated or stopped), stopped, one.beyond_context)

    def _graded(self, generation: Generation) -> str:
        if generation.conversation is None or self.loop is None:
            return generation.text
        return formats.graded_text(generation.conversation.passages, self.loop.template)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        raise TypeError("dsm tasks generate; a log-likelihood task needs lm-eval's own tasks and models.")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        raise TypeError("dsm tasks generate; a log-likelihood task needs lm-eval's own tasks and models.")


def _stops(request: Instance) -> list[str]:
    until = request.args[1].get("until") or []
    return [until] if isinstance(until, str) else list(until)


def _cut(text: str, stops: Sequence[str]) -> str:
    """``text`` up to the first stop string in it."""
    ends = [text.index(stop) for stop in stops if stop and stop in text]
    return text[: min(ends)] if ends else text


def _repeats(requests: Sequence[Instance]) -> list[int]:
    """Of each request, how many times it was asked before."""
    asked: Counter[int] = Counter()
    found = []
    for request in requests:
        found.append(asked[id(request)])
        asked[id(request)] += 1
    return found
