"""A Ray cluster of two nodes on this machine, loopback only: two raylets with one CPU each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: bytes of shared memory of each node
STORE = 80_000_000
#: loopback; Ray would replace 127.0.0.1 by an address that other machines reach
HOST = "127.0.0.2"


@contextmanager
def two_nodes() -> Iterator[tuple[str, set[str]]]:
    """The address to connect to, and the ids of the nodes; the cluster ends with the block."""
    import ray
    from ray.cluster_utils import Cluster

    # Ray's files, and the note by which other programs would find the cluster; the path of a socket has to be short
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    # nobody else is let in: Ray would write a token to the home folder
    changed = {"RAY_TMPDIR": folder, "RAY_AUTH_MODE": "disabled"}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    node = {"num_cpus": 1, "node_ip_address": HOST, "include_dashboard": False, "object_store_memory": STORE}
    try:
        (Path(folder) / "ray").mkdir()
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            cluster.add_node(**node)
            yield str(cluster.address), {node.node_id for node in cluster.list_all_nodes()}
        finally:
            ray.shutdown()
            cluster.shutdown()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        shutil.rmtree(folder, ignore_errors=True)
