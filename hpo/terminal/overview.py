"""A search on one page: what `hpo search` ends with and `hpo show` prints."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpo.history import FORKED_FROM, History, Search, State, Trial
from hpo.planning.past import Past
from hpo.recipe import Objective
from hpo.results import pareto, phrasing, summary, verdict
from hpo.results.requirement import Judgement
from hpo.terminal import wording
from hpo.terminal.columns import listed
from hpo.trial import Outcome

_TOP = 5
_COLORS = {
    State.RUNNING: "cyan",
    State.FINISHED: "green",
    State.INTERRUPTED: "yellow",
    State.FAILED: "red",
}


def show(
    search: Search, history: History, words: Sequence[str] = (), advice: Iterable[RenderableType] = ()
) -> RenderableType:
    """Return a search on one page: what it is, its best trials, the gain, advice, and what to do next.

    `words` are what the commands need to find the search again, such as `store=…`.
    """
    parts: list[RenderableType] = [_header(search, history)]
    if history.best:
        said = [*(verdict.sentences(history) or [_gain(history)]), _proof(history)]
        parts += [_ranking(history), *_front(search, history), *_confirmed(history)]
        parts += [Text(" ".join(filter(None, said)))]
        parts += _memory(history.proof or history.best)
    parts += [_required(it) for it in summary.required(search, history)]
    parts += [*(Text(line) for line in _complaints(history)), *advice]
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts), next_steps(search, history, words))


def _memory(trial: Trial) -> list[Text]:
    return [Text(f"Trial {trial.number}: {wording.memory(trial.memory)}")] if trial.memory else []


def headline(search: Search) -> list[str | tuple[str, str]]:
    """Return a search's name and state, with why it is in it, as parts of a text."""
    state = (search.state.value, _COLORS[search.state])
    return [(search.name, "bold"), "  ", state, f"  {wording.first_line(search.reason)}"]


def _header(search: Search, history: History) -> Text:
    chosen = (
        f"{key} {search.settings[key]}" for key in ("sampler", "pruner", "seed") if key in search.settings
    )
    trials = f"{len(history.searched)} of {wording.expected(search, history)} trials"
    forked = f" · in place of {search.settings[FORKED_FROM]}" if FORKED_FROM in search.settings else ""
    sources = Past.of(search.settings).sources
    begins = f" · begins from {sources}" if sources else ""
    counts = (wording.tally(history.counts), f"{len(history.running)} open" if history.running else "")
    return Text.assemble(
        *headline(search),
        f"\n{search.recipe} · {search.objective} · {' · '.join(chosen)}{forked}{begins}",
        f"\n{trials}: {' · '.join(filter(None, counts)) or 'none yet'}",
        f"\n{history.epochs} epochs {took(search, history)}{_company(history)}",
    )


def _company(history: History) -> str:
    """Say how many trials were trained at once, why, and how much of that work was not in vain."""
    share = f"; {history.occupancy:.0%} of it live" if history.at_once > 1 else ""
    return f"\n{history.because}{share}" if history.because else ""


def took(search: Search, history: History) -> str:
    """Say how long a search took: in what its sessions did or, where that is unknown, over what time."""
    if search.ran:
        return f"in {wording.duration(search.ran)}"
    last = max((record.at for record in history.records), default=search.created)
    return f"over {wording.duration(max(last - search.created, 0))}"


def _ranking(history: History) -> Table:
    top = history.ranking[:_TOP]
    names = list(summary.measures(top[0], history.objective))
    return listed(("trial", *names, "config"), (_ranked(trial, names, history.objective) for trial in top))


def _ranked(trial: Trial, names: Iterable[str], objective: Objective) -> tuple[str, ...]:
    values = summary.measures(trial, objective)
    numbers = (wording.number(values[name]) if name in values else "" for name in names)
    return str(trial.number), *numbers, phrasing.short(trial.proposal.config)


def _front(search: Search, history: History) -> list[RenderableType]:
    """Return the front, if there is more than one goal."""
    rows = pareto.rows(history)
    if not rows:
        return []
    take = f"hpo export {search.name} to=train.py pick=knee"
    head = Text(f"no other trial beats these in every goal; take one: {take}", style="dim")
    return [Group(head, listed(pareto.columns(history), rows))]


def _required(judgement: Judgement) -> Text:
    mark, style = ("✓", "green") if judgement.passed else ("✗", "bold red")
    return Text.assemble((f"{mark} required ", style), str(judgement))


def _confirmed(history: History) -> list[RenderableType]:
    """Return how the best did with fresh seeds."""
    rows = verdict.rows(history)
    if not rows:
        return []
    seeds = ", ".join(map(str, history.standings[0].again))
    return [Group(Text(f"again with seed {seeds}", style="dim"), listed(verdict.COLUMNS, rows))]


def _gain(history: History) -> str:
    """Say how far the winner is from the baseline, which is trial 0."""
    best, baseline = history.best, history.trials.get(0)
    if best is None or baseline is None:
        return ""
    if best is baseline:
        return "The baseline (trial 0) is the best so far."
    if not _comparable(baseline) or not _comparable(best):
        return f"The baseline (trial 0) {_fate(baseline)}, so it does not compare."
    before, gain = baseline.score or 0.0, abs((best.score or 0.0) - (baseline.score or 0.0))
    share = f" ({gain / abs(before):.1%})" if before else ""
    start = f"trial 0, {history.objective.metric} {wording.number(before)}"
    return f"Trial {best.number} beats the baseline ({start}) by {wording.number(gain)}{share}."


def _proof(history: History) -> str:
    """Say how far the winner's curve stood the test of training alone."""
    proof = history.proof
    if proof is None or not _comparable(proof):
        return ""
    return (
        f"Trained once more alone (trial {proof.number}) it comes to {wording.number(proof.score or 0.0)}: "
        "what an export repeats."
    )


def _comparable(trial: Trial) -> bool:
    return trial.outcome is Outcome.FINISHED and trial.score is not None and math.isfinite(trial.score)


def _fate(trial: Trial) -> str:
    match trial.outcome:
        case None:
            return "is still training"
        case Outcome.PRUNED | Outcome.LOST | Outcome.REFUSED:
            return f"was {trial.outcome}"
        case outcome:
            return f"{outcome}"


def _complaints(history: History) -> Iterable[str]:
    """Give one example for each way in which trials went wrong."""
    for outcome in (Outcome.FAILED, Outcome.LOST, Outcome.REFUSED):
        trials = [trial for trial in history.ended if trial.outcome is outcome]
        if trials:
            last = trials[-1]
            yield f"{len(trials)} {outcome}, the last (trial {last.number}): {wording.cause(last)}"
    alone = Counter(trial.alone for trial in history.searched if trial.alone)
    for reason, count in alone.most_common():
        yield f"{count} trained alone: {reason}"


def next_steps(search: Search, history: History, words: Sequence[str]) -> RenderableType:
    """Return what can be done with a search now, as commands."""
    resume = (f"hpo resume {search.name}", "go on where it stopped")
    export = (f"hpo export {search.name} to=train_{search.name}.py", "the winner as plain PyTorch code")
    look = (f"hpo show {search.name}", "this page")
    confirm = (f"hpo resume {search.name} confirm_seeds=5", "the best again, with fresh seeds")
    lucky = search.state is State.FINISHED and not (search.given or history.confirmations)
    missing = summary.unsent(search, history.seq)
    sync = (f"hpo sync {search.name}", f"MLflow lacks {missing} of {history.seq} records")
    over = search.given and bool(history.ended)  # there is nothing to go on with
    stopped = search.state in (State.INTERRUPTED, State.FAILED) and not over
    choices = ((stopped, resume), (history.best, export), (lucky, confirm), (True, look), (missing, sync))
    commands = [command for offered, command in choices if offered]
    rows = [
        *((" ".join((command, *words)), why) for command, why in commands),
        ("hpo ui", "all curves in MLflow"),
    ]
    table = Table.grid(padding=(0, 2))
    for command, why in rows:
        # Commands are there to be copied, so they wrap rather than lose their end.
        table.add_row(Text(command, style="cyan", overflow="fold"), Text(why, style="dim"))
    return table
