"""What `list`, `status`, `recipes`, `spaces` and `audit` print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpo.audit.check import Check
from hpo.recipe import Objective
from hpo.terminal import wording
from hpo.terminal.columns import listed


def searches(described: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Return the list of searches (`summary.describe_outline`), or how to start one."""
    found = list(described)
    rows = [_search_row(search) for search in found]
    columns = ("name", "recipe", "state", "trials", "best", "started")
    hint = "There is no search yet. Start one: hpo search recipe=cnn"
    if not rows:
        return Text(hint)
    return listed(*_with_priority(columns, rows, [it["settings"].get("priority", 1.0) for it in found]))


def _search_row(search: Mapping[str, Any]) -> tuple[str, ...]:
    best = search["best"]
    metric = Objective.recall(search["objective"]).metric
    score = f"{metric} {wording.number(best['score'])}" if best and best["score"] is not None else ""
    started = _minute(search["created"])
    ended = sum(count for outcome, count in search["counts"].items() if outcome != "running")
    name = f"{search['name']} (for {search['forked_from']})" if search["forked_from"] else search["name"]
    return name, search["recipe"], search["state"], str(ended), score, started


def jobs(described: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Return what a service was given to do (`hpo.remote.submission.status`), or how to give it something."""
    found = list(described)
    rows = [
        (job["name"], job["state"], _minute(job["submitted"]), wording.first_line(job["reason"]))
        for job in found
    ]
    hint = "Nothing was submitted yet. Submit something: hpo submit recipe=cnn"
    if not rows:
        return Text(hint)
    return listed(
        *_with_priority(("name", "state", "submitted", "why"), rows, [it["priority"] for it in found])
    )


def _with_priority(
    columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], priorities: Sequence[float]
) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
    """Put a column of priorities before the last one, if they differ."""
    if len({*priorities, 1.0}) == 1:
        return columns, rows
    told = zip(rows, priorities, strict=True)
    wider = [(*row[:-1], f"{priority:g}", row[-1]) for row, priority in told]
    return (*columns[:-1], "priority", columns[-1]), wider


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def recipes(described: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Return the list of recipes (`summary.describe_recipes`)."""
    rows = [
        (item["name"], item["objective"] or "", str(item["epochs"] or ""), item["problem"] or item["summary"])
        for item in described
    ]
    return listed(("recipe", "objective", "epochs", "what it is"), rows)


def spaces(described: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Return the list of search spaces (`summary.describe_spaces`)."""
    return listed(("space", "use"), [(item["name"], item["use"]) for item in described])


def audit(checks: Sequence[Check]) -> RenderableType:
    """Return what an audit found: a line for each check, and examples of what is wrong."""
    page = Table.grid(padding=(0, 1))
    for check in checks:
        mark = Text("✓", style="green") if check.passed else Text("✗", style="red")
        page.add_row(mark, Text(check.name), Text(f"{check.examined}", style="dim", justify="right"))
        for example in check.examples:
            page.add_row("", Text(f"    {wording.first_line(example)}", style="red"))
        if len(check.faults) > len(check.examples):
            page.add_row("", Text(f"    … {len(check.faults)} in all", style="red"))
    failed = sum(not check.passed for check in checks)
    total = f"{failed} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks passed"
    return Group(page, Text(f"\n{total}", style="bold"))
