"""Where the searches on a cluster tell each other what they have and want.

Each search writes a note into the key-value store of Ray's head, again and again, and reads those of the
others. There is no process that could be lost; the note of a driver that is gone is one that stays the same.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

import ray
from ray.experimental import internal_kv

from hpo.cluster.fairness import Stake, share_places

_NAMESPACE: Final = "hpo"
_FORM: Final = "places-1/"
"""What the keys begin with; notes of another form need another number."""
_SILENT_SECONDS: Final = 10.0
_LOOKS: Final = 5


class Board:
    """The notes of all searches on the cluster that this process has joined.

    Args:
        clock: tells the seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._beat = clock, 0
        self.key = f"{_FORM}{time.time():017.6f}-{uuid.uuid4().hex}"  # who comes first is read first
        self._heard: dict[str, tuple[int, float]] = {}
        self._strangers: deque[tuple[float, float]] = deque(maxlen=_LOOKS)

    def share(self, stake: Stake) -> int | None:
        """Note what this search has and wants; return how many places it is to have, None if it is alone."""
        stakes = self.exchange(stake)
        if len(stakes) == 1:
            return None
        keys = sorted(stakes)
        found = [stakes[key] for key in keys]
        return share_places(*self._room(found), found)[keys.index(self.key)]

    def exchange(self, stake: Stake) -> dict[str, Stake]:
        """Note what this search has and wants; return that of all searches, with this one, by their keys."""
        self._beat += 1
        note = json.dumps({"beat": self._beat, **asdict(stake)})
        internal_kv._internal_kv_put(self.key, note, namespace=_NAMESPACE)
        others = {key.decode() for key in internal_kv._internal_kv_list(_FORM, namespace=_NAMESPACE)}
        notes = {key: read for key in others - {self.key} if (read := self._read(key))}
        return {self.key: stake, **notes}

    def _read(self, key: str) -> Stake | None:
        text = internal_kv._internal_kv_get(key, namespace=_NAMESPACE)
        if not text:  # it has left in this moment
            return None
        note = json.loads(text)
        beat, now = note.pop("beat"), self._clock()
        last, since = self._heard.get(key, (0, now))
        self._heard[key] = (beat, since if beat == last else now)
        if now - self._heard[key][1] > _SILENT_SECONDS:
            internal_kv._internal_kv_del(key, namespace=_NAMESPACE)  # one that lives writes it again
            return None
        return Stake(**note)

    def leave(self) -> None:
        """Take this search's note away."""
        internal_kv._internal_kv_del(self.key, namespace=_NAMESPACE)

    def _room(self, stakes: Sequence[Stake]) -> tuple[float, float]:
        """Return the CPUs and GPUs that are for searches: all but what others have had for some looks.

        What a worker has just taken or left is, for a moment, neither free nor any search's.
        """
        whole = ray.cluster_resources()  # type: ignore[no-untyped-call]
        free = ray.available_resources()  # type: ignore[no-untyped-call]
        ours = sum(it.held * it.cpus for it in stakes), sum(it.held * it.gpus for it in stakes)
        taken = [whole.get(kind, 0.0) - free.get(kind, 0.0) for kind in ("CPU", "GPU")]
        self._strangers.append((taken[0] - ours[0], taken[1] - ours[1]))
        cpus, gpus = (max(0.0, min(each)) for each in zip(*self._strangers, strict=True))
        return whole.get("CPU", 0.0) - cpus, whole.get("GPU", 0.0) - gpus
