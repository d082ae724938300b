"""How vLLM is reached where ``rl.engine=vllm`` draws the completions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MODES = ("colocate", "server")


@dataclass
class GenerationConfig:
    """Under ``execution``: where the engine runs, not what it draws."""

    #: colocate (in the trainer's process, on its GPU) | server (on GPUs of its own, started by you)
    mode: str = "colocate"
    #: server: its address
    server: str = "http://127.0.0.1:8000"
    #: server: the file that it writes its log to, if this machine sees it; its end is shown when the server is gone
    server_log: str | None = None
    #: server: the port of this machine over which weights are sent
    group_port: int = 51_216
    #: server: seconds for it to be up
    startup_seconds: float = 600.0
    #: server: seconds for the completions of one exploration, or for one update of its weights
    request_seconds: float = 1_800.0
    #: colocate: share of the GPU's memory that the engine may take
    memory_share: float = 0.3
    #: colocate: GPUs over which the engine's weights are split
    tensor_parallel: int = 1
    #: colocate: give the memory back while the policy is updated
    sleep: bool = True


def generation_faults(
    engine: str, rl_mode: str, part: GenerationConfig, device: str, workers: int | None
) -> Iterator[str]:
    """What cannot work, one line each; ``engine`` is ``rl.engine``."""
    if engine not in ("transformers", "vllm"):
        yield f"rl.engine={engine}: unknown. Use one of transformers, vllm."
    if engine != "vllm":
        return
    if device == "cpu":
        yield (
            "rl.engine=vllm: needs CUDA, and execution.device=cpu. Set execution.device=cuda, or "
            "rl.engine=transformers."
        )
    if rl_mode == "tool":
        yield "rl.engine=vllm: draws without the tool. Set rl.mode=cot or pot, or rl.engine=transformers."
    key = "execution.generation"
    if part.mode not in MODES:
        yield f"{key}.mode={part.mode}: unknown. Use one of {', '.join(MODES)}."
    if part.mode == "server" and workers != 1:
        yield (
            f"execution.workers={workers}: a vLLM server holds the weights of one policy. Set execution.workers=1, and "
            "run other stages against another server."
        )
    if not part.server.startswith(("http://", "https://")):
        yield f"{key}.server={part.server}: not an address. Write it as http://HOST:PORT."
    for name in ("startup_seconds", "request_seconds"):
        if not getattr(part, name) > 0:
            yield f"{key}.{name}={getattr(part, name)}: must be greater than 0."
    if not 0 < part.memory_share < 1:
        yield f"{key}.memory_share={part.memory_share}: must lie between 0 and 1, both excluded."
    if part.tensor_parallel < 1:
        yield f"{key}.tensor_parallel={part.tensor_parallel}: must be at least 1."
