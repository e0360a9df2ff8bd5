"""The machines of a cluster, each of which has files and processes of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import ray
from ray._private import worker
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpo.cluster.last_words import killed_for_memory, read_last_words

T = TypeVar("T")


class Place(NamedTuple):
    """Where a worker is: Ray's name of its node, its process, and how many that system had killed before."""

    node: str
    process: int
    killed_before: int

    @classmethod
    def of(cls, process: int) -> Place:
        """Return the place of a process of this node."""
        return cls(this_node(), process, killed_for_memory())


def this_node() -> str:
    """Return Ray's name of the node that this process is on."""
    return ray.get_runtime_context().get_node_id()


def logs_here() -> str:
    """Return the folder for what Ray's processes on this node have to say, which is Ray's to clear."""
    node: Any = worker._global_node
    return str(node.get_logs_dir_path())


def last_words_here(process: int, killed_before: int) -> str:
    """Return why a worker's process on this node ended."""
    return read_last_words(logs_here(), process, killed_before)


def pinned(node: str) -> NodeAffinitySchedulingStrategy:
    """Return what makes Ray run a task or actor on this node, and on no other."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


async def do_there(node: str, act: Callable[..., T], *arguments: Any) -> T:
    """Do something on a node; here, if it is this one.

    Raises:
        RayError: the node is gone.
    """
    if node == this_node():
        return act(*arguments)
    task: Any = ray.remote(act).options(num_cpus=0, scheduling_strategy=pinned(node), max_retries=0)
    result: T = await task.remote(*arguments)
    return result
