"""Completions drawn by vLLM, in this process or in a server, through TRL's ``VLLMGeneration``.

TRL starts or finds the engine, sends it the weights before each exploration, and brings back tokens. Ours are the
checks of what comes back, bounds on every wait, and the log-probabilities: they are computed again by the policy, as
the sampler of ``rollouts.py`` would give them, so that a step of training is the same for the same tokens. By how much
the engine's own differ (other kernels, another precision) is in the metrics as ``sampler_gap``.

vLLM's noise is its own: what it draws depends on its version and on what else is in the batch, and a run is not
repeated exactly. Not covered: the tool (``rl.mode=tool``). In several processes an engine that fails in one of them is
noticed by the others when their collective call times out.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dsm_repro.config.errors import ConfigError, ServerError
from dsm_repro.config.generation_schema import GenerationConfig
from dsm_repro.pipeline.apart import tail
from dsm_repro.rl.batch import Batch, logps_in_parts
from dsm_repro.rl.rollouts import Rollouts, Sampling, left_pad

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

#: seconds for a server to say that it is well
HEALTH_SECONDS = 5.0
#: seconds between two such questions
POLL_SECONDS = 2.0
#: so often in a row without an answer, and a server to which weights are being sent is gone
STRIKES = 3
#: the status of a process that ended itself because of that (EX_UNAVAILABLE of sysexits.h)
SERVER_GONE = 69


def require(device: str) -> None:
    """Raises ConfigError where the engine cannot run."""
    if find_spec("vllm") is None:
        raise ConfigError(
            "rl.engine=vllm: not installed here. pip install 'dsm-repro[vllm]', or rl.engine=transformers."
        )
    if device != "cuda":
        raise ConfigError("rl.engine=vllm: needs CUDA, and torch sees no GPU here. Set rl.engine=transformers.")


class VLLMSampler:
    """A sampler (see ``exploration.Sampler``) whose ``generator`` is not used: the engine has noise of its own.

    Args:
        rows: completions in one forward pass of the policy, when log-probabilities are computed.
    """

    def __init__(self, config: GenerationConfig, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
        self.config, self.tokenizer, self.rows = config, tokenizer, rows
        self.engine: Any = None

    def __call__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Sequence[int]],
        group_size: int,
        sampling: Sampling,
        eos_ids: Sequence[int],
        pad_id: int,
        generator: torch.Generator,
    ) -> Rollouts:
        """Draw ``group_size`` completions for each prompt from ``model`` as it is now.

        Raises:
            ServerError: the server is gone, silent for too long, or answered with something else than was asked for.
        """
        with explained(self.config):
            engine = self.engine = self.engine or self._start(model)
            engine.model = model
            engine.temperature, engine.top_p = sampling.temperature, sampling.top_p
            engine.max_completion_length = sampling.max_length
            # no seed: one seed for a request gives every completion of a group the same noise
            engine.generation_kwargs = {"stop_token_ids": [int(token) for token in eos_ids]}
            with watched(self.config):
                engine.sync_weights()
            repeated = [list(prompt) for prompt in prompts for _ in range(group_size)]
            _, completions, logprobs, _ = engine.generate(repeated, images=None, num_generations=group_size)
        _check(self.config, completions, logprobs, len(repeated), sampling.max_length, model.config.vocab_size)
        return self._rollouts(model, prompts, group_size, sampling, set(eos_ids), pad_id, completions, logprobs)

    def _start(self, model: PreTrainedModel) -> Any:
        from accelerate import Accelerator
        from trl.generation.vllm_generation import VLLMGeneration

        config = self.config
        if config.mode == "server":
            wait_for(config)
        with watched(config):
            engine = VLLMGeneration(
                model, Accelerator(), self.tokenizer,
                mode=config.mode, server_base_url=config.server, server_timeout=config.startup_seconds,
                group_port=config.group_port, tensor_parallel_size=config.tensor_parallel,
                gpu_memory_utilization=config.memory_share, enable_sleep_mode=config.sleep,
                # of the drawn token alone
                logprobs=0,
            )  # fmt: skip
        if config.mode == "server" and hasattr(engine, "vllm_client"):
            _bound(engine.vllm_client.session, config.request_seconds)
        return engine

    def _rollouts(
        self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], group_size: int, sampling: Sampling,
        ends: set[int], pad_id: int, completions: list[list[int]], logprobs: list[list[list[float]]],
    ) -> Rollouts:  # fmt: skip
        device = model.device
        width = max(map(len, completions))
        ids, mask = left_pad(prompts, pad_id, device)
        lengths = torch.tensor([len(row) for row in completions], device=device)
        kept = (torch.arange(width, device=device)[None] < lengths[:, None]).long()
        batch = Batch(
            prompt_ids=ids,
            prompt_mask=mask,
            owner=torch.arange(len(prompts), device=device).repeat_interleave(group_size),
            completion_ids=torch.tensor([row + [pad_id] * (width - len(row)) for row in completions], device=device),
            completion_mask=kept,
            written=kept,
        )
        dtype = torch.promote_types(model.dtype, torch.float32)
        logps = logps_in_parts(model, batch, batch.micro_batches(self.rows), sampling.temperature, dtype)
        said = torch.zeros(kept.shape, dtype=torch.float64)
        for row, positions in enumerate(logprobs):
            said[row, : len(positions)] = torch.tensor([values[0] for values in positions], dtype=torch.float64)
        return Rollouts(
            batch=batch,
            logps=logps,
            truncated=torch.tensor([row[-1] not in ends for row in completions], device=device),
            # under nucleus sampling the engine's are those of the truncated distribution: nothing to compare
            sampler_logps=said.to(logps) if sampling.top_p == 1.0 else None,
        )


def gone(config: GenerationConfig, what: str) -> ServerError:
    """The error that says what happened, where the server is, and how its log ends."""
    log = config.server_log
    end = tail(Path(log)) if log else ""
    hint = end or "Its log says why; execution.generation.server_log=FILE shows its end here."
    return ServerError(
        f"the vLLM server at {config.server}: {what}. Start it anew and run the same command again. {hint}"
    )


def healthy(config: GenerationConfig) -> bool:
    """Whether the server says within HEALTH_SECONDS that it is well."""
    try:
        with urllib.request.urlopen(f"{config.server.rstrip('/')}/health", timeout=HEALTH_SECONDS) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def wait_for(config: GenerationConfig) -> None:
    """Wait until the server is up. TRL does so too, but not with a server that accepts and stays silent.

    Raises:
        ServerError: it is not within ``startup_seconds``.
    """
    deadline = time.monotonic() + config.startup_seconds
    while not healthy(config):
        left = deadline - time.monotonic()
        if left <= 0:
            raise gone(config, f"not up after {config.startup_seconds:g} s (execution.generation.startup_seconds)")
        time.sleep(min(POLL_SECONDS, left))


@contextmanager
def explained(config: GenerationConfig) -> Iterator[None]:
    """Errors of the connection as errors that name the server."""
    from requests.exceptions import RequestException, Timeout

    try:
        yield
    except Timeout as error:
        raise gone(
            config, f"no answer within {config.request_seconds:g} s (execution.generation.request_seconds)"
        ) from error
    except RequestException as error:
        raise gone(config, f"the connection failed ({type(error).__name__})") from error


@contextmanager
def watched(config: GenerationConfig) -> Iterator[None]:
    """Inside, this process ends, with a message, when the server is gone; nothing without a server.

    Weights are sent by NCCL, which waits for a lost partner without end, and nothing in Python can break that off.
    """
    if config.mode != "server":
        yield
        return
    over = threading.Event()

    def watch() -> None:
        strikes = 0
        while not over.wait(POLL_SECONDS):
            strikes = 0 if healthy(config) else strikes + 1
            if strikes >= STRIKES and not over.is_set():
                print(gone(config, "gone while weights were sent to it"), file=sys.stderr, flush=True)
                os._exit(SERVER_GONE)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()


def _bound(session: Any, seconds: float) -> None:
    """Give every request of TRL's client a time limit, and repeat none: no batch of completions is drawn twice."""
    from requests.adapters import HTTPAdapter

    session.request = functools.partial(session.request, timeout=(HEALTH_SECONDS, seconds))
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=0))


def _check(
    config: GenerationConfig, completions: Any, logprobs: Any, count: int, limit: int, vocabulary: int
) -> None:  # fmt: skip
    """Raises ServerError where the engine did not give what it was asked for."""
    where = f"vLLM ({config.server if config.mode == 'server' else 'in this process'})"
    if len(completions) != count:
        raise ServerError(f"{where}: {len(completions)} completions came back where {count} were asked for.")
    if logprobs is None or [len(row) for row in logprobs] != [len(row) for row in completions]:
        raise ServerError(
            f"{where}: not every token came with its log-probability. Start the server as docs/clusters.md says."
        )
    for row in completions:
        if not 0 < len(row) <= limit:
            raise ServerError(f"{where}: a completion of {len(row)} tokens, where 1 to {limit} were asked for.")
        if not all(0 <= token < vocabulary for token in row):
            raise ServerError(
                f"{where}: token {max(row)} is not in the policy's vocabulary of {vocabulary}: another model is served."
            )
