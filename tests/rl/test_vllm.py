"""Completions from a vLLM server: TRL's client against a small server of its protocol, with our decoder behind it."""

from __future__ import annotations

import copy
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from rl_world import make_config, make_model_folder, make_trainer
from trl.generation import vllm_client, vllm_generation

from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError, ServerError
from dsm_repro.config.files import missing_files
from dsm_repro.config.generation_schema import GenerationConfig
from dsm_repro.config.validate import faults
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.memory import MemoryParts
from dsm_repro.rl import estimators, vllm
from dsm_repro.rl.planning import rl_memory
from dsm_repro.rl.rollouts import Sampling, sample, step_generator
from dsm_repro.rl.stage import STAGE
from dsm_repro.rl.trainer import PolicyGradientTrainer
from dsm_repro.rl.vllm import VLLMSampler

ENDS = list(range(1, 60))
PROMPTS = [[40, 41, 42], [50]]


class Server(ThreadingHTTPServer):
    """What TRL asks of ``vllm serve``; ``spoil`` changes an answer, or takes its place."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.policy: Any = None
        self.drawn = 0
        self.spoil: Any = lambda handler, choices: choices
        self.config = GenerationConfig(
            mode="server", server=f"http://127.0.0.1:{self.server_port}", startup_seconds=5.0
        )

    def complete(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        sampling = Sampling(asked["max_tokens"], asked["temperature"], asked["top_p"])
        noise = step_generator(0, self.drawn)
        self.drawn += 1
        drawn = sample(self.policy, asked["prompt"], asked["n"], sampling, asked["stop_token_ids"], 0, noise)
        choices = []
        for row, length in enumerate(drawn.batch.lengths.tolist()):
            ids = drawn.batch.completion_ids[row, :length].tolist()
            logps = drawn.logps[row, :length].tolist()
            said = {"tokens": [f"token_id:{i}" for i in ids], "token_logprobs": logps, "top_logprobs": [None] * length}
            choices.append({"prompt_token_ids": asked["prompt"][row // asked["n"]], "token_ids": ids, "logprobs": said})
        return choices


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer({"data": [{"id": "policy"}]} if self.path == "/v1/models" else {})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if self.path == "/v1/completions":
            choices = self.server.spoil(self, self.server.complete(asked))
            if choices is not None:
                self._answer({"choices": choices})
        else:
            self._answer({"success": True})

    def _answer(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Weights, which travel by NCCL, are handed over in this process."""
    found = Server()

    def receive(client: Any, metadata: Any, named: Iterator[tuple[str, torch.Tensor]]) -> None:
        weights = {name: weight.clone() for name, weight in named}
        assert [name for name, _, _ in metadata] == list(weights)
        found.policy.load_state_dict(weights, strict=False)

    for module in (vllm_client, vllm_generation):
        monkeypatch.setattr(module, "is_vllm_available", lambda *args, **kwargs: True)
    monkeypatch.setattr(vllm_client.VLLMClient, "init_communicator", lambda self, device: None)
    monkeypatch.setattr(vllm_client.VLLMClient, "update_named_params", receive)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


def trained(folder: Path, scratch: Path, method: str, server: Server | None) -> PolicyGradientTrainer:
    config = make_config(method, steps=3)
    trainer = make_trainer(folder, scratch, config)
    trainer.explorer.eos_ids = ENDS
    trainer.told = []
    trainer.on_step = lambda step, metrics, flops: trainer.told.append(metrics) or False
    if server is not None:
        server.policy = copy.deepcopy(trainer.model)
        with torch.no_grad():  # another policy, until the weights are sent
            for weight in server.policy.parameters():
                weight.zero_()
        sampler = VLLMSampler(server.config, trainer.processing_class, rows=3)
        trainer.explorer.task = replace(trainer.explorer.task, sampler=sampler)
    trainer.train()
    return trainer


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_with_the_same_tokens_training_is_the_same_as_with_our_own_decoder(
    folder: Path, tmp_path: Path, server: Server, method: str
) -> None:
    """Three steps: the second is drawn from what the first made of the policy, so weights must have been sent."""
    ours, theirs = trained(folder, tmp_path / "a", method, None), trained(folder, tmp_path / "b", method, server)
    assert server.drawn == 3
    for a, b in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)
    for a, b in zip(ours.told, theirs.told, strict=True):
        assert 0 <= b.pop("sampler_gap") < 1e-12
        assert a == pytest.approx(b, rel=1e-9)


def test_what_the_engine_says_of_its_tokens_is_compared_and_not_trained_on(
    folder: Path, tmp_path: Path, server: Server
) -> None:
    def louder(handler: Handler, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for choice in choices:
            choice["logprobs"]["token_logprobs"] = [logp - 0.25 for logp in choice["logprobs"]["token_logprobs"]]
        return choices

    ours = trained(folder, tmp_path / "a", "grpo", None)
    server.spoil = louder
    theirs = trained(folder, tmp_path / "b", "grpo", server)
    assert [line["sampler_gap"] for line in theirs.told] == pytest.approx([0.25] * 3)
    for a, b in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def draw(folder: Path, server: Server, top_p: float = 1.0) -> Any:
    from dsm_repro.training.models import load_model, load_tokenizer

    model = load_model(folder, "float32", "cpu")
    server.policy = server.policy or copy.deepcopy(model)
    sampler = VLLMSampler(server.config, load_tokenizer(folder), rows=8)
    return sampler(model, PROMPTS, 2, Sampling(6, 1.0, top_p), ENDS, 0, torch.Generator())


def test_no_gap_is_said_where_the_two_log_probabilities_are_of_different_distributions(
    folder: Path, server: Server
) -> None:
    assert draw(folder, server).sampler_logps is not None
    assert draw(folder, server, top_p=0.9).sampler_logps is None


def without_logprobs(handler: Handler, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**choice, "logprobs": None} for choice in choices]


def too_long(handler: Handler, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = {"tokens": ["token_id:9"] * 9, "token_logprobs": [-1.0] * 9, "top_logprobs": [None] * 9}
    return [{**choices[0], "token_ids": [9] * 9, "logprobs": said}, *choices[1:]]


def foreign_token(handler: Handler, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = {"tokens": ["token_id:99999"], "token_logprobs": [-1.0], "top_logprobs": [None]}
    return [{**choices[0], "token_ids": [99_999], "logprobs": said}, *choices[1:]]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda handler, choices: choices[:-1], "3 completions came back where 4 were asked for"),
        (without_logprobs, "not every token came with its log-probability"),
        (too_long, "a completion of 9 tokens, where 1 to 6 were asked for"),
        (foreign_token, "token 99999 is not in the policy's vocabulary of 258: another model is served"),
    ],
    ids=["count", "logprobs", "length", "vocabulary"],
)
def test_an_answer_that_does_not_fit_the_question_is_refused(
    folder: Path, server: Server, spoil: Any, said: str
) -> None:
    server.spoil = spoil
    with pytest.raises(ServerError, match=said):
        draw(folder, server)


def test_a_server_that_dies_while_it_draws_is_an_error_with_the_end_of_its_log(
    folder: Path, server: Server, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"

    def die(handler: Handler, choices: Any) -> None:
        log.write_text("INFO: drawing\ntorch.OutOfMemoryError: CUDA out of memory\n")
        server.socket.close()
        handler.connection.shutdown(socket.SHUT_RDWR)

    server.spoil = die
    server.config = replace(server.config, server_log=str(log))
    started = time.monotonic()
    with pytest.raises(ServerError, match="OutOfMemoryError") as raised:
        draw(folder, server)
    assert f"{server.config.server}: the connection failed" in str(raised.value) and str(log) in str(raised.value)
    assert time.monotonic() - started < 5


def test_a_server_that_says_nothing_is_waited_for_as_long_as_was_said(folder: Path, server: Server) -> None:
    server.spoil = lambda handler, choices: time.sleep(3)
    server.config = replace(server.config, request_seconds=0.3)
    started = time.monotonic()
    with pytest.raises(ServerError, match=r"no answer within 0\.3 s \(execution\.generation\.request_seconds\)"):
        draw(folder, server)
    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("listening", [False, True], ids=["nobody there", "accepts and stays silent"])
def test_a_server_that_never_comes_up_ends_the_wait(listening: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "HEALTH_SECONDS", 0.1)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        if listening:
            found.listen()
        address = f"http://127.0.0.1:{found.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ServerError, match=rf"{address}: not up after 0\.3 s \(execution\.generation\.startup_s"):
            vllm.wait_for(GenerationConfig("server", address, startup_seconds=0.3))
    assert time.monotonic() - started < 2


def test_a_server_that_goes_while_weights_are_sent_ends_the_process(
    server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended, status = threading.Event(), []
    monkeypatch.setattr(vllm, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(vllm, "HEALTH_SECONDS", 0.1)

    def exits(code: int) -> None:
        status.append(code)
        ended.set()  # and comes back, as the real one does not

    monkeypatch.setattr(vllm.os, "_exit", exits)
    with vllm.watched(server.config):
        assert not ended.wait(0.3), "it is there"
        server.shutdown()
        server.socket.close()
        assert ended.wait(5)
    assert set(status) == {vllm.SERVER_GONE}
    assert "gone while weights were sent to it" in capfd.readouterr().err


def key(words: list[str]) -> str:
    return stage_key(STAGE, compose(["scale=smoke", *words]), {"sft": "0" * 16})


def test_the_engine_is_part_of_the_result_and_where_it_runs_is_not() -> None:
    assert key([]) == key(["rl.engine=transformers", "execution.generation.memory_share=0.5"])
    assert key([]) != key(["rl.engine=vllm"])
    assert key(["execution=vllm_server"]) == key(["execution=vllm_colocate"])


def test_a_plan_counts_the_engines_share_of_the_device_and_no_cache_of_ours() -> None:
    def parts(*words: str) -> MemoryParts:
        config = compose(["scale=paper", "execution.hardware.ask=false", *words])
        found = rl_memory(config, estimators.build(config.rl))
        assert found is not None
        return found

    ours, server = parts("execution.sampling_rows=null"), parts("execution=vllm_server")
    assert ours.phase == "rollouts" and ours.cache > 1e12
    # in parts they need less than the update
    assert parts().phase == "update"
    assert server.phase == "update" and server.cache == 0
    awake = parts(
        "execution=vllm_colocate", "execution.generation.sleep=false", "execution.generation.memory_share=0.5"
    )
    assert awake.cache == 40e9 and awake.total == pytest.approx(server.total + 40e9)
    # asleep while the policy is updated
    assert parts("execution=vllm_colocate").total == pytest.approx(server.total)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rl.engine=sglang"], ["rl.engine=sglang", "transformers, vllm"]),
        (["execution=vllm_colocate", "execution.device=cpu"], ["needs CUDA", "execution.device=cpu"]),
        (["execution=vllm_colocate", "rl.mode=tool", "sft=tool"], ["rl.engine=vllm", "rl.mode=cot or pot"]),
        (["execution=vllm_colocate", "execution.generation.mode=far"], ["generation.mode=far", "colocate, server"]),
        (["execution=vllm_server", "execution.workers=2"], ["execution.workers=2", "one policy"]),
        (["execution=vllm_server", "execution.generation.server=host:8000"], ["server=host:8000", "http://HOST:PORT"]),
        (["execution=vllm_server", "execution.generation.request_seconds=0"], ["request_seconds=0"]),
        (["execution=vllm_colocate", "execution.generation.memory_share=1"], ["memory_share=1"]),
    ],
    ids=lambda value: " ".join(value)[:60],
)
def test_settings_that_cannot_work_are_one_line(words: list[str], said: list[str]) -> None:
    (message,) = faults(compose(["scale=smoke", *words]))
    assert all(part in message for part in said), message


def test_a_missing_engine_is_named_with_what_brings_it() -> None:
    (message,) = missing_files(compose(["scale=smoke", "execution=vllm_server"]))
    assert "pip install 'dsm-repro[vllm]'" in message
    with pytest.raises(ConfigError, match="dsm-repro\\[vllm\\]"):
        vllm.require("cuda")
