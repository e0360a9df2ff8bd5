"""All figures and texts on one page."""

from __future__ import annotations

from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hpo import __version__
from hpo.advice import Facts, advise
from hpo.advice.facts import spread
from hpo.errors import InputError, Problem
from hpo.history import History, Search
from hpo.planning.plan import Plan
from hpo.report.answer import answer, commands, costs
from hpo.report.curves import best_of, learning_curves, schedules_and_gradients
from hpo.report.goals import trades
from hpo.report.parallel import parallel
from hpo.report.trials import history as history_figure
from hpo.report.trials import slices
from hpo.report.weights import weights
from hpo.results import pareto, verdict
from hpo.results.phrasing import brief, short
from hpo.results.summary import measures

DRAWN: Final = 2000
"""So many trials are drawn and listed."""

_PAGES: Final = Environment(
    loader=PackageLoader("hpo.report", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write(search: Search, history: History, path: Path) -> Path:
    """Write the report of a search to a file, over an older one, and return its path.

    Raises:
        InputError: the file cannot be written, or the search is of an hpo that took other words.
    """
    text = page(search, history)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(Problem(f"to={path}", f"Cannot write here: {error.strerror}.")) from None
    return path


def page(search: Search, history: History) -> str:
    """Return the report of a search as HTML that needs nothing else.

    Raises:
        InputError: the search is of an hpo that took other words.
    """
    plan = Plan.of(search)
    facts = Facts(plan, history)
    drawn = _drawn(facts)
    return _PAGES.get_template("report.html").render(
        search=search,
        started=datetime.fromtimestamp(search.created).astimezone().strftime("%Y-%m-%d %H:%M"),
        plan=plan,
        answer=answer(facts),
        confirmed=verdict.rows(history),
        columns=verdict.COLUMNS,
        front=pareto.rows(history),
        goals=pareto.columns(history),
        advice=advise(search, history),
        best=history.best and short(history.best.proposal.config),
        sections=_sections(drawn),
        searched=len(history.searched),
        cost=costs(facts),
        commands=commands(plan, history.best),
        trials=_rows(drawn),
        version=__version__,
        style=_inlined("style.css"),
        script=_inlined("script.js"),
        safe=Markup,
    )


def _drawn(facts: Facts) -> Facts:
    """Return what is drawn and listed: all trials, or of very many the best and a part of the others."""
    if len(facts.history.trials) <= DRAWN:
        return facts
    best, others = facts.ranking[: DRAWN // 2], facts.ranking[DRAWN // 2 :]
    baseline = [it for it in others if it.number == 0]
    front = facts.history.front
    chosen = {it.number: it for it in (*best, *baseline, *front, *spread(others, DRAWN // 2))}
    return Facts(facts.plan, facts.history.part(chosen.values()))


def glance(search: Search, history: History) -> str:
    """Return the answer, the best trials and the advice as a piece of HTML, for a notebook."""
    facts = Facts(Plan.of(search), history)
    best = [
        {
            "number": trial.number,
            "metrics": {name: brief(value) for name, value in measures(trial, history.objective).items()},
            "config": short(trial.proposal.config),
        }
        for trial in best_of(facts)
    ]
    return _PAGES.get_template("glance.html").render(
        search=search, answer=answer(facts), best=best, advice=advise(search, history)
    )


def _sections(facts: Facts) -> dict[str, list[Any]]:
    return {
        **({"Goals": goals} if (goals := trades(facts)) else {}),
        "Learning curves": learning_curves(facts),
        "Trials": [history_figure(facts), weights(facts), parallel(facts)],
        "Learning rate": slices(facts),
        "The best at work": schedules_and_gradients(facts),
    }


def _rows(facts: Facts) -> list[dict[str, Any]]:
    """Return every trial, best first, those that were not judged last."""
    judged = facts.ranking
    rest = [trial for trial in facts.history.searched if trial.number not in facts.ranks]
    return [
        {
            "number": trial.number,
            "outcome": trial.outcome.value if trial.outcome else "running",
            "score": "" if trial.score is None else brief(trial.score),
            "epochs": trial.epochs,
            "config": short(trial.proposal.config),
        }
        for trial in (*judged, *rest)
    ]


def _inlined(name: str) -> Markup:
    return Markup(resources.files("hpo.report").joinpath(name).read_text(encoding="utf-8"))  # noqa: S704 - our own
