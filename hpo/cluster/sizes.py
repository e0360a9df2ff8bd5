"""How many trials to train at once: one worker of a machine measures it, for all."""

from __future__ import annotations

from hpo.protocol import Choice, Sizing


class Sizes:
    """What was measured on each machine, and who is about to."""

    def __init__(self) -> None:
        self._choices: dict[str, Choice] = {}
        self._measuring: dict[str, str] = {}

    def ask(self, machine: str, worker: str) -> Sizing:
        """Return what is known of a machine; if nobody measures it, this worker is to."""
        choice = self._choices.get(machine)
        return Sizing(choice, not choice and self._measuring.setdefault(machine, worker) == worker)

    def tell(self, machine: str, choice: Choice) -> None:
        """Take in what was measured."""
        self._choices[machine] = choice

    def lost(self, worker: str) -> None:
        """Take in that a worker is gone, and measures nothing any more."""
        self._measuring = {machine: it for machine, it in self._measuring.items() if it != worker}
