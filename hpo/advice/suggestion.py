"""The next space: the one that was searched, with the changes that were advised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hpo import space as spaces
from hpo.advice.advice import Advice, Change
from hpo.errors import InputError
from hpo.history import Search
from hpo.planning.plan import Plan


def suggest(search: Search, advice: Sequence[Advice], name: str) -> str:
    """Return the next space as YAML, with what was advised as comments; `name` is what it will be called.

    Of two changes of one place the first counts. Each is tried in turn, and one that would break a rule of
    the space, together with those before it, is left out.

    Raises:
        InputError: the search is of an hpo that took other words.
    """
    plan = Plan.of(search)
    space, done = plan.space, set[str]()
    for change in _first(change for it in advice for change in it.changes):
        try:
            space = spaces.read(space.to_yaml(), name, plan.vocabulary, {change.path: change.text})
            done.add(change.path)
        except InputError:
            continue
    head = [
        f"# hpo search recipe={search.recipe} space={name}",
        f"# What {search.name} suggests to search next.",
    ]
    return "\n".join([*head, *_comments(advice, done), "", space.to_yaml()])


def _first(changes: Iterable[Change]) -> Iterator[Change]:
    seen: set[str] = set()
    for change in changes:
        if change.path not in seen:
            seen.add(change.path)
            yield change


def _comments(advice: Sequence[Advice], done: set[str]) -> Iterator[str]:
    """Yield what was taken up, with its evidence, and what no change of a space can do."""
    if not any(it.changes for it in advice):
        yield "# No change is advised: this is the space as it was."
    for it in advice:
        taken = [change.path for change in it.changes if change.path in done]
        yield "#"
        yield f"# {it.finding}: {it.evidence}."
        yield f"#   changed: {', '.join(taken)}" if taken else f"#   not done here: {it.remedy}"
