"""lm-eval's own models, ``hf`` and ``vllm``, behind our tasks (``evaluation.engine``).

They return text alone. How long a completion was is counted by encoding it again, and it counts as truncated where that
reaches the limit. They strip the stop string, so a call of the tool is told by the closed fence in front of it: a text
that ends there by itself is taken for a call, and a call without a program for the end. That needs ``prompts=release``.
What they draw depends on the batch (hf) or on the engine's own seed (vllm).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config
from dsm_repro.evaluation.answering import AnsweringLM, Asked, Generation
from dsm_repro.evaluation.conversation import Conversation, ToolLoop
from dsm_repro.evaluation.model import Decoding
from dsm_repro.pipeline.cost import Cost, ModelShape, generation_flops

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load(config: Config, folder: Path) -> LM:
    """The back-end that ``evaluation.engine`` names, with the model in ``folder``.

    Raises:
        ConfigError: vllm is not installed.
    """
    from dsm_repro.training.models import load_model, load_tokenizer, resolve_device

    if config.evaluation.engine == "hf":
        from lm_eval.models.huggingface import HFLM

        model = load_model(folder, config.base.dtype, resolve_device(config.execution))
        return HFLM(pretrained=model, tokenizer=load_tokenizer(folder), batch_size=config.execution.micro_batch)
    try:
        from lm_eval.models.vllm_causallms import VLLM

        return VLLM(pretrained=str(folder), dtype=config.base.dtype, seed=config.seeds.evaluate)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"evaluation.engine=vllm: {error.name or 'vllm'} is not installed. Install vllm, or set "
            "evaluation.engine=transformers."
        ) from error


class BackendLM(AnsweringLM):
    """Lets one of lm-eval's models write."""

    strips_stops = True

    def __init__(
        self,
        inner: LM,
        tokenizer: PreTrainedTokenizerBase,
        shape: ModelShape,
        decoding: Decoding,
        cost: Cost,
        on_progress: Callable[[int], None],
        loop: ToolLoop | None = None,
    ) -> None:
        super().__init__(loop, on_progress)
        self.inner, self.tokenizer, self.shape, self.decoding, self.cost = inner, tokenizer, shape, decoding, cost

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path)

    def write(
        self,
        contexts: Sequence[Conversation],
        stops: Sequence[str],
        asked: Sequence[Asked],
        on_progress: Callable[[int], None],
    ) -> list[Generation]:
        """All contexts in one call: batches are the back-end's matter."""
        warmth = self.decoding.temperature
        settings: dict[str, Any] = {"until": list(stops), "max_gen_toks": self.decoding.max_tokens}
        settings |= {"do_sample": True, "temperature": warmth, "top_p": self.decoding.top_p} if warmth else {}
        settings.setdefault("do_sample", False)
        prompts = [f"{context.prompt}{context.text}" for context in contexts]
        requests = [
            Instance("generate_until", one.request.doc, (prompt, settings), number)
            for number, (one, prompt) in enumerate(zip(asked, prompts, strict=True))
        ]
        texts = self.inner.generate_until(requests, disable_tqdm=True)
        on_progress(len(contexts))
        return [self._generation(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]

    def _generation(self, prompt: str, text: str) -> Generation:
        read, written = (len(ids) for ids in self.tokenizer([prompt, text], add_special_tokens=False)["input_ids"])
        total = float(read + written)
        self.cost.add_flops("generate", generation_flops(self.shape, read, read + written, total**2))
        self.cost.add_tokens("generate", written)
        return Generation(text, written, truncated=written >= self.decoding.max_tokens)
