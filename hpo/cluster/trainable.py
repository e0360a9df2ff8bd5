"""What Tune runs in a worker's process: each of its trials is a shift. Importing this imports Tune."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ray import tune

from hpo.cluster.crew import Crew
from hpo.cluster.last_words import give_up, leave_last_words
from hpo.cluster.node import Place, logs_here
from hpo.cluster.order import Order
from hpo.cluster.shift import cohorts, length
from hpo.cluster.wire import Wire
from hpo.protocol import DeviceLostError, Stopped
from hpo.worker.line import Line

Work = Callable[[str, Line, Crew], bool]
Load = Callable[[], None]


class Shift(tune.Trainable):
    """One Tune trial: a worker's shift, in one step."""

    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        task: tuple[Work, Load],
        host: Any,
        order: Order,
        home: str,
    ) -> None:
        """Say that this worker is there, and load what it needs, in the folder of the search."""
        self.work, load = task
        leave_last_words(logs_here())
        with suppress(OSError):  # a machine that has no such folder stays where it is
            os.chdir(home)
        self.wire, self.within, self.seconds = Wire(host), order.within, length(order.workers)
        self.wire.start("begin", config["shift"], Place.of(os.getpid()))  # what is loaded may hang
        load()
        self.crew = Crew(order.share)
        self.shift: str = config["shift"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next shift, in the same process."""
        self.shift = new_config["shift"]
        return True

    def step(self) -> dict[str, Any]:
        """Train the cohorts of the shift."""
        line = Line(self.wire.call, [Place.of(os.getpid())], self.wire.start, self.within)
        try:
            with suppress(Stopped):
                for cohort in cohorts(self.shift, self.seconds, line):
                    if not self.work(cohort, line, self.crew):
                        break
        except DeviceLostError as error:  # a process that takes this one's place has the GPU anew
            give_up(f"its GPU gives nothing but errors: {error}")
        self.wire.start("leave", self.shift)
        return {"done": True}

    def cleanup(self) -> None:
        """Let the peers go."""
        self.crew.dismiss()
