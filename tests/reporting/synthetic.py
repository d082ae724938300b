"""Writes a store that looks like a finished sweep, without any model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_corpus

from dsm_repro.pipeline import identity

CATEGORIES = (
    "Algebra", "Counting & Probability", "Geometry", "Intermediate Algebra", "Number Theory", "Prealgebra",
    "Precalculus", "Word Problems",
)  # fmt: skip
PUBLISHED = {
    "rl.learning_rate": {"value": 1e-6, "source": "§4.2"},
    "rl.kl_coefficient": {"value": 0.04, "source": "§4.2"},
    "rl.group_size": {"value": 64, "source": "§4.2"},
    "sft.batch_size": {"value": 256, "source": "§3.1"},
    "reward_model.learning_rate": {"value": 2e-5, "source": "§4.2"},
}


_DESCRIBED: dict[str, dict[str, Any]] = {}


def key_of(sweep: str, stage: str, *rest: object) -> str:
    """The key of a made-up stage, whose manifest then describes it as a real one does."""
    described = {"stage": stage, "version": 1, "identity": {"of": [sweep, *rest]}, "parents": {}, "inputs": []}
    key = identity.key_of(described)
    _DESCRIBED[key] = described
    return key


def write_artifact(store: Path, stage: str, key: str, files: dict[str, Any], flops: float, seconds: float) -> None:
    folder = store / stage / key
    if folder.exists():
        return
    folder.mkdir(parents=True)
    texts = {}
    for name, value in files.items():
        lines = name.endswith(".jsonl")
        texts[name] = "".join(json.dumps(v) + "\n" for v in value) if lines else json.dumps(value, sort_keys=True)
    texts["cost.json"] = json.dumps({"flops": {"train": flops}, "tokens": {"train": flops / 5e6}, "seconds": seconds})
    for name, text in texts.items():
        (folder / name).write_text(text)
    manifest = {
        **_DESCRIBED[key],
        "key": key,
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
        "sizes": {name: len(text.encode()) for name, text in texts.items()},
        "git": "0123abcd" * 5,
        "lock": "89abcdef" * 8,
        "libraries": {"torch": "2.13.0", "trl": "1.16.0", "numpy": "2.4.6"},
        "hardware": {"cpu": "Test CPU", "cores": 2, "memory_bytes": 16 * 2**30, "platform": "Linux", "gpu": None},
        "seeds": {"seed": 0},
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
        "seconds": seconds,
        "threads": 1,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def rewrite(file: Path, value: dict[str, Any]) -> None:
    """Another record in an artifact, with its digest."""
    publish(file, json.dumps(value, sort_keys=True))


def publish(file: Path, text: str) -> None:
    """A file of an artifact, new or another, as if the stage had written it: listed in the manifest."""
    file.write_text(text)
    path = file.parent / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][file.name] = hashlib.sha256(text.encode()).hexdigest()
    manifest["sizes"][file.name] = len(text.encode())
    path.write_text(json.dumps(manifest))


def samples(
    rng: np.random.Generator, accuracy: float, questions: int, mode: str, ability: Any, text: str = ""
) -> list[dict[str, Any]]:
    lines = []
    for i in range(questions):
        right = bool(rng.random() < np.clip(accuracy + ability[i], 0.02, 0.98))
        status = "correct" if right else ("no_answer" if rng.random() < 0.1 else "incorrect")
        answer = str(7 * i % 50) if right else "0"
        lines.append(
            {
                "task": "miniature",
                "mode": mode,
                "id": f"q{i:04d}",
                "category": CATEGORIES[i % len(CATEGORIES)],
                "level": 1 + i % 5,
                "question": f"{text}What is 7 times {i} modulo 50? Think about <b>every</b> step.",
                "prompt": f"Question: 7*{i} mod 50\nAnswer:",
                "completion": f"{text}7 times {i} is {7 * i}. So the answer is \\boxed{{{answer}}}.",
                "tokens": 20 + i % 7,
                "truncated": i % 97 == 0,
                "program": f"print(7*{i}%50)" if mode == "pot" else None,
                "output": answer if mode == "pot" and i % 11 else None,
                "extracted": answer,
                "gold": str(7 * i % 50),
                "status": status,
                "reason": "",
                "correct": right,
            }
        )
    return lines


def protocol(mode: str, questions: int, max_tokens: int = 128) -> dict[str, Any]:
    return {
        "prompt": f"miniature/{mode}: Question: {{question}}\nAnswer:",
        "shots": 0,
        "decoding": "greedy",
        "max_tokens": max_tokens,
        "extractor": "dsm1",
        "grader": "math_verify/0.9.0+dsm1",
        "sandbox": "bwrap" if mode == "pot" else None,
        "task": "miniature",
        "n": questions,
        "problems_digest": "ab" * 8,
    }


def rl_metrics(rng: np.random.Generator, steps: int, start: float, gain: float, cost: float) -> list[dict[str, Any]]:
    lines = []
    for step in range(1, steps + 1):
        reward = start + gain * (1 - np.exp(-3 * step / steps)) + 0.02 * rng.standard_normal()
        lines.append(
            {
                "step": step,
                "flops": cost * step,
                "reward_mean": float(reward),
                "kl": 0.0004 * step,
                "completion_length": 15 + 0.05 * step,
                "zero_variance_groups": 0.4,
            }
        )
    return lines


def curve(
    rng: np.random.Generator, samples: list[dict[str, Any]], modes: tuple[str, ...], steps: int, cost: float
) -> dict[str, Any]:
    """Five models on the way to ``samples``: answers are learned one after another, from 40% of the final ones on."""
    found: dict[str, Any] = {"questions": [], "modes": {}}
    for mode in modes:
        rows = [s for s in samples if s["mode"] == mode]
        found["questions"] = [f"{s['task']}/{s['id']}" for s in rows]
        learned_at = rng.uniform(-0.67, 1.0, len(rows))
        points = []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            right = [bool(s["correct"] and at <= share) for s, at in zip(rows, learned_at, strict=True)]
            step = round(share * steps)
            points.append(
                {
                    "share": share, "step": step, "flops": cost * step, "tokens": 2_000.0 * step,
                    "tokens_trained": 2_000.0 * step, "n": len(rows), "accuracy": sum(right) / len(right),
                    "right": "".join("01"[r] for r in right),
                }
            )  # fmt: skip
        found["modes"][mode] = points
    return found


def write_sweep(
    store: Path,
    name: str = "rl_algorithm",
    arms: dict[str, float] | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    questions: int = 160,
    modes: tuple[str, ...] = ("cot",),
    scale: str = "mini",
    claim: dict[str, Any] | None = None,
    max_tokens: dict[str, int] | None = None,
    top_tokens: dict[str, int] | None = None,
    curves: tuple[str, ...] = ("PPO", "GRPO"),
    rl_lines: dict[str, list[dict[str, Any]]] | None = None,
    rl_record: dict[str, dict[str, Any]] | None = None,
    text: str = "",
) -> dict[str, Any]:
    """Write a sweep of SFT (no rl stage, one checkpoint) and rl arms; returns the index that it wrote.

    All arms share one crawl, and those with equal ``top_tokens`` one corpus. ``rl_lines`` are the metrics of an arm's
    rl stage, ``rl_record`` what is different in its record. ``text`` stands before every question and completion.
    """
    arms = arms or {"SFT": 0.42, "PPO": 0.45, "GRPO": 0.53}
    ability = 0.25 * np.random.default_rng(5).standard_normal(questions)
    entries = []
    for arm, accuracy in arms.items():
        for seed in seeds:
            config = {
                "scale": {"name": scale},
                "published": PUBLISHED,
                "rl": {
                    "learning_rate": 5e-5, "kl_coefficient": 0.04, "group_size": 16,
                    "budget": {"unit": "flops", "amount": 2.0e13},
                },
                "sft": {"batch_size": 64},
                "reward": {"max_ungradable": 0.05},
            }  # fmt: skip
            size = (top_tokens or {}).get(arm, 600_000)
            config["corpus"] = {"reader": "miniature", "top_tokens": size, "domain_threshold": 0.1}
            stages = {stage: key_of(name, stage) for stage in ("crawl", "corpus", "base", "pretrain", "sft")}
            stages["corpus"] = key_of(name, "corpus", size)
            if arm != "SFT":
                stages["rl"] = key_of(name, "rl", arm, seed)
            stages["evaluate"] = key_of(name, "evaluate", arm, *([] if arm == "SFT" else [seed]))
            rng = np.random.default_rng([len(arm), ord(arm[0]), seed])
            crawl, corpus = synthetic_corpus.crawl_record(), synthetic_corpus.corpus_record(size)
            write_artifact(store, "crawl", stages["crawl"], {"record.json": crawl}, 0, 30)
            write_artifact(store, "corpus", stages["corpus"], {"record.json": corpus}, 0, 12)
            write_artifact(store, "base", stages["base"], {"record.json": {"steps": 100}}, 4e12, 40)
            mix = {
                "target_shares": {"math": 0.56, "code": 0.44}, "achieved_shares": {"math": 0.561, "code": 0.439},
                "epochs": {"math": 2.1, "code": 0.4}, "tokens": 400000, "steps": 98, "loss": 2.31,
            }  # fmt: skip
            loss = [{"step": s, "loss": 4 - s / 50} for s in range(1, 99)]
            write_artifact(store, "pretrain", stages["pretrain"], {"record.json": mix, "metrics.jsonl": loss}, 6e12, 60)
            write_artifact(store, "sft", stages["sft"], {"record.json": {"steps": 300, "loss": 0.4}}, 9e12, 75)
            if "rl" in stages:
                cost = 3.6e11 if arm == "PPO" else 2.5e11
                steps = int(2e13 / cost)
                record = {
                    "method": arm.lower(), "steps": steps,
                    "flops": {"generate": 0.4 * cost * steps, "train": 0.6 * cost * steps, "total": cost * steps},
                    "tokens_generated": 2_000 * steps, "tokens_trained": 2_000 * steps,
                    "stopped_by": "budget", "reward": {"first": 0.4, "last": accuracy}, "alarm": None,
                }  # fmt: skip
                record.update((rl_record or {}).get(arm, {}))
                metrics = (rl_lines or {}).get(arm) or rl_metrics(rng, steps, 0.4, accuracy - 0.4, cost)
                times = [{"step": s, "seconds": 0.5 * s, "device_seconds": 0.5 * s} for s in range(1, steps + 1)]
                files = {"record.json": record, "metrics.jsonl": metrics, "times.jsonl": times}
                write_artifact(store, "rl", stages["rl"], files, cost * steps, 110)
            lines = [s for mode in modes for s in samples(rng, accuracy, questions, mode, ability, text)]
            tokens = (max_tokens or {}).get(arm, 128)
            record = {
                "results": {mode: {"n": questions} for mode in modes},
                "protocol": {mode: protocol(mode, questions, tokens) for mode in modes},
            }
            files: dict[str, Any] = {"record.json": record, "samples.jsonl": lines}
            if arm in curves:
                files["curve.json"] = curve(rng, lines, modes, steps, cost)
            write_artifact(store, "evaluate", stages["evaluate"], files, 8e11, 9)
            entries.append(
                {
                    "name": arm,
                    "seed": seed,
                    "overrides": [f"rl={arm.lower()}"],
                    "stages": stages,
                    "states": dict.fromkeys(stages, "done"),
                    "error": None,
                    "config": config,
                }
            )
    index = {
        "name": name,
        "sweep": claim
        or {
            "title": "GRPO against PPO at equal compute",
            "statement": "GRPO improves the fine-tuned model, and does so at least as well as PPO for the same FLOPs.",
            "factor": "rl",
            "equal": "FLOPs of the rl stage: rollouts, reference, critic and updates.",
            "comparisons": [
                {"a": "GRPO", "b": "SFT", "mode": modes[0], "expect": "a_greater"},
                {"a": "GRPO", "b": "PPO", "mode": modes[0], "expect": "a_greater"},
                {"a": "PPO", "b": "SFT", "mode": modes[0], "expect": "none"},
            ],
            "reference": [
                "paper.t5.cot.instruct.math",
                "paper.t5.cot.rl.math",
                "paper.fig5.order",
                "deepdive.ppo",
                "deepdive.grpo",
            ],
            "caveats": ["PPO's own hyper-parameters are ours: the paper gives none."],
        },
        "arms": entries,
        "plan": {},
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:15:00+00:00",
    }
    write_index(store, index)
    return index


def write_index(store: Path, index: dict[str, Any]) -> None:
    folder = store / "sweeps" / index["name"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arms.json").write_text(json.dumps(index))
