"""A worker's calls of the host."""

from __future__ import annotations

from typing import Any

import ray


class Wire:
    """Calls the methods of a host, an actor of Ray's."""

    def __init__(self, host: Any) -> None:
        self._host = host

    def call(self, method: str, *arguments: object) -> Any:
        """Return a method's answer."""
        return ray.get(self._started(method, *arguments))

    def tell(self, method: str, *arguments: object) -> None:
        """Call a method, and wait for nothing."""
        self._started(method, *arguments)

    def _started(self, method: str, *arguments: object) -> Any:
        return getattr(self._host, method).remote(*arguments)
