"""A worker's calls of the host."""

from __future__ import annotations

from typing import Any

import ray


class UnderWay:
    """A call that is not waited for; see `hpo.worker.line.Question`."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def answered(self, within: float) -> bool:
        """Return whether there is an answer, after so many seconds at most."""
        ready, _ = ray.wait([self._reference], timeout=within)
        return bool(ready)

    def answer(self) -> Any:
        """Return the answer."""
        return ray.get(self._reference)


class Wire:
    """Calls the methods of a host, an actor of Ray's."""

    def __init__(self, host: Any) -> None:
        self._host = host

    def call(self, method: str, *arguments: object) -> Any:
        """Return a method's answer."""
        return self.start(method, *arguments).answer()

    def start(self, method: str, *arguments: object) -> UnderWay:
        """Call a method, and do not wait."""
        return UnderWay(getattr(self._host, method).remote(*arguments))
