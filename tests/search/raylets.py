"""A Ray cluster of several machines, as far as Ray knows: raylets side by side on this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.cluster_utils import Cluster

STORE_BYTES = 100 * 2**20


@contextmanager
def two_machines(cpus: int) -> Iterator[Cluster]:
    """Run two machines with so many CPUs each; the first is the head."""
    each = {"num_cpus": cpus, "object_store_memory": STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args={**each, "include_dashboard": False})
    try:
        made.add_node(**each)
        yield made
    finally:
        made.shutdown()
