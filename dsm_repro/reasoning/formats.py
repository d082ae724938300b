"""How a question is put to a model, and what the model must write after it (paper §2.3, §3.1; DeepSeek-Math release).

``config.prompts`` chooses a template: ``miniature`` is as short as can be, for tiny models with tiny
contexts; ``release`` is the wording of the DeepSeek-Math release, its ``User:``/``Assistant:`` wrap
included. A mode is how the model answers: ``cot`` in words, ``pot`` with a Python program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dsm_repro.config.errors import ConfigError

MODES = ("cot", "pot")


@dataclass(frozen=True)
class Template:
    """One wording. ``{question}`` is replaced literally, so that ``\\boxed{}`` needs no escaping."""

    #: raised when the wording changes, since results under two wordings must not share a column
    version: int
    prompts: dict[str, str]
    #: whether programs stand in ```python fences; without them a program is the whole completion
    fenced: bool


TEMPLATES = {
    "miniature": Template(
        version=1,
        prompts={"cot": "{question}\nAnswer:", "pot": "{question}\nProgram:"},
        fenced=False,
    ),
    "release": Template(
        version=1,
        prompts={
            "cot": "User: {question}\nPlease reason step by step, and put your final answer within \\boxed{}."
            "\n\nAssistant:",
            "pot": "User: {question}\nPlease integrate natural language reasoning with programs to solve the problem "
            "above, and put your final answer within \\boxed{}.\n\nAssistant:",
        },
        fenced=True,
    ),
}

#: a fenced program; a completion cut by the token limit may lack the closing fence
_FENCE = re.compile(r"```(?:python|py)[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL)


def _template(name: str) -> Template:
    try:
        return TEMPLATES[name]
    except KeyError:
        raise ConfigError(f"prompts={name}: no such template. Use one of: {', '.join(TEMPLATES)}.") from None


def _wording(mode: str, template: str) -> str:
    prompts = _template(template).prompts
    if mode not in prompts:
        raise ConfigError(f"mode={mode}: template {template} has no such mode. Use one of: {', '.join(prompts)}.")
    return prompts[mode]


def prompt(question: str, mode: str, template: str) -> str:
    """What the model reads. Raises ConfigError for an unknown mode or template."""
    return _wording(mode, template).replace("{question}", question.strip())


def cot_target(text: str, template: str) -> str:
    """What the model must write after a ``cot`` prompt: a space, then the worked solution (no end-of-text token)."""
    _wording("cot", template)
    return " " + text.strip()


def pot_target(program: str, template: str) -> str:
    """What the model must write after a ``pot`` prompt: a newline, then the program (no end-of-text token)."""
    _wording("pot", template)
    body = program.strip("\r\n").rstrip()
    return f"\n```python\n{body}\n```" if _template(template).fenced else f"\n{body}"


def program_of(completion: str, template: str) -> str | None:
    """The program in a ``pot`` completion, None where it holds none.

    The last fenced block counts. Where the template has no fences the whole completion is the program,
    unless the model fenced it all the same.
    """
    blocks = _FENCE.findall(completion)
    body = blocks[-1] if blocks else ("" if _template(template).fenced else completion)
    body = body.strip("\r\n").rstrip()
    return body if body.strip() else None


def template_id(mode: str, template: str) -> str:
    """Names the wording in a protocol record, such as ``release/cot/1``."""
    _wording(mode, template)
    return f"{template}/{mode}/{_template(template).version}"
