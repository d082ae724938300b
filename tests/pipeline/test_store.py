"""The store: whole or absent, never changed, quick to ask."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy

from dsm_repro.config.errors import StoreError
from dsm_repro.pipeline.identity import digest_of, key_of
from dsm_repro.pipeline.store import SMALL_FILE_BYTES, Store

DESCRIPTION = {"stage": "sft", "version": 1, "identity": {"steps": 1}, "parents": {}, "inputs": []}
KEY = key_of(DESCRIPTION)
BIG = b"x" * (2 * SMALL_FILE_BYTES)


def _publish(store: Store, identity: object = None) -> tuple[str, str]:
    told = {**DESCRIPTION, "identity": identity or DESCRIPTION["identity"]}
    key = key_of(told)
    with store.lock("sft", key) as staging:
        (staging.out / "model").mkdir(parents=True)
        (staging.out / "record.json").write_text("{}")
        (staging.out / "model" / "weights.bin").write_bytes(BIG)
        store.publish("sft", key, {**told, "key": key, "digest": digest_of(told)})
    return "sft", key


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    _publish(store)
    return store


def test_a_published_artifact_is_there_and_lists_its_files(store: Store) -> None:
    assert store.has("sft", KEY)
    store.verify("sft", KEY)
    manifest = store.load_manifest("sft", KEY)
    assert manifest["sizes"] == {"record.json": 2, "model/weights.bin": len(BIG)}
    assert manifest["files"].keys() == manifest["sizes"].keys()
    assert not store.staging("sft", KEY).path.exists()


def test_asking_touches_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert not store.has("sft", KEY)
    assert store.find("") == []
    with pytest.raises(StoreError, match=f"sft/{KEY}"):
        store.verify("sft", KEY)
    assert not store.root.exists()


@pytest.mark.parametrize("damage", ["edited record", "truncated model", "missing model", "manifest", "other key"])
def test_damage_is_seen_at_once(store: Store, damage: str) -> None:
    folder = store.path("sft", KEY)
    if damage == "edited record":
        (folder / "record.json").write_text("[]")
    elif damage == "truncated model":
        (folder / "model" / "weights.bin").write_bytes(BIG[:-1])
    elif damage == "missing model":
        (folder / "model" / "weights.bin").unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text((folder / "manifest.json").read_text()[:-9])
    else:
        manifest = store.load_manifest("sft", KEY)
        (folder / "manifest.json").write_text(json.dumps({**manifest, "identity": {"steps": 2}}))
    assert not store.has("sft", KEY)
    with pytest.raises(StoreError, match=r"damaged-N") as caught:
        store.verify("sft", KEY)
    assert str(folder) in str(caught.value)


def test_a_flipped_byte_in_a_big_file_is_found_by_the_full_check(store: Store) -> None:
    path = store.path("sft", KEY) / "model" / "weights.bin"
    path.write_bytes(BIG[:-1] + b"y")
    with pytest.raises(StoreError, match=r"weights.bin"):
        store.verify("sft", KEY)


def test_a_damaged_artifact_is_set_aside_and_kept(store: Store) -> None:
    for n in (1, 2):
        content = toy.snapshot(store.path("sft", KEY))
        aside = store.set_aside("sft", KEY)
        assert aside.name == f"{KEY}.damaged-{n}"
        assert list(toy.snapshot(aside).values()) == list(content.values())
        assert not store.has("sft", KEY)
        _publish(store)
    assert store.find("") == [("sft", KEY)]


def test_find_by_prefix(store: Store) -> None:
    _, other = _publish(store, {"steps": 2})
    (store.root / "sft" / ".0123456789abcdef.partial").mkdir()
    (store.root / "sweeps" / "rl").mkdir(parents=True)
    assert store.find(KEY[:5]) == store.find(f"sft/{KEY}") == [("sft", KEY)]
    assert store.find("") == sorted([("sft", KEY), ("sft", other)])
    assert store.find("rl/") == store.find("zz") == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "elsewhere").mkdir()
    for target in (tmp_path / "elsewhere", tmp_path / "gone"):
        with store.lock("sft", KEY) as staging:
            staging.out.mkdir(parents=True, exist_ok=True)
            (staging.out / "model").unlink(missing_ok=True)
            (staging.out / "model").symlink_to(target)
            with pytest.raises(StoreError, match="model"):
                store.publish("sft", KEY, DESCRIPTION)
    assert not store.has("sft", KEY)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk_while_publishing_harms_nothing(store: Store, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = toy.snapshot(store.path("sft", KEY))
    told = {**DESCRIPTION, "identity": {"steps": 3}}
    with monkeypatch.context() as patch, pytest.raises(StoreError, match=r"disk is full.*paths.store"):
        patch.setattr(os, call, full)
        _publish(store, told["identity"])
    assert not store.has("sft", key_of(told))
    assert not store.path("sft", key_of(told)).exists()
    assert store.has("sft", KEY) and toy.snapshot(store.path("sft", KEY)) == before


@pytest.fixture
def read_only(store: Store) -> Iterator[Store]:
    """The store of somebody else: as root, by giving up root's rights for a while."""
    folders = [store.root, *(p for p in store.root.rglob("*") if p.is_dir())]
    for path in folders:
        path.chmod(0o555)
    for parent in store.root.parents[:4]:
        parent.chmod(parent.stat().st_mode | 0o055)
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield store
        os.seteuid(0)
    else:
        yield store
    for path in folders:
        path.chmod(0o755)


def test_a_read_only_store_can_be_read_and_says_what_to_do(read_only: Store) -> None:
    assert read_only.has("sft", KEY)
    read_only.verify("sft", KEY)
    assert read_only.find(KEY) == [("sft", KEY)]
    with pytest.raises(StoreError, match=r"cannot be written.*paths.store") as caught, read_only.lock("sft", "0" * 16):
        pass
    assert str(read_only.root) in str(caught.value)
    with pytest.raises(StoreError, match="cannot be written"):
        read_only.set_aside("sft", KEY)
    assert read_only.has("sft", KEY)


def test_a_file_in_the_place_of_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match=r"store.*DSM_STORE"), Store(tmp_path / "store").lock("sft", KEY):
        pass


def test_a_finished_sweep_is_checked_in_well_under_a_second(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = [_publish(store, {"steps": n}) for n in range(1, 26)]
    start = time.perf_counter()
    assert all(store.has(stage, key) for stage, key in keys)
    assert time.perf_counter() - start < 0.5
