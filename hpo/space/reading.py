"""Finding a space, and reading it whole: every mistake at once, each with its place and its fix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path as File
from typing import Any, ParamSpec, TypeVar

from hpo import shipped
from hpo.config import Config
from hpo.errors import InputError, Problem, did_you_mean
from hpo.space.algoperf import translate
from hpo.space.document import CALL, CALL_REFUSED, Document, Path
from hpo.space.grammar import ONE_OF, PRIOR, Mistake, leaf, plain, shown, verb_of, weights
from hpo.space.nodes import POINTS, Fixed, Leaf, Node, OneOf, Points, can_be
from hpo.space.space import Space
from hpo.vocabulary import Contradiction, Hyperparameter, Vocabulary, Word, meaning

T = TypeVar("T")
P = ParamSpec("P")


def names() -> dict[str, File]:
    """Return every space that can be named, with its file."""
    return shipped.available("search_spaces", ".yaml")


def locate(word: str) -> File:
    """Return the file that `space=word` means.

    Raises:
        InputError: there is none.
    """
    suffix = ".json" if word.endswith(".json") else ".yaml"
    return shipped.locate("search_spaces", suffix, word, "space")


def find(word: str, vocabulary: Vocabulary, overrides: Mapping[str, str]) -> Space:
    """Return the space that `space=word` means (a name or a path), with `space.PATH=YAML` put into it.

    A path that ends in `.json` is a file of AlgoPerf's, see `hpo.space.algoperf`.

    Raises:
        InputError: there is none, or it breaks rules; all mistakes at once.
    """
    file = locate(word)
    document = Document(shipped.text(file), shipped.near(file))
    if file.suffix == ".json" and not document.problems:
        translate(document, vocabulary, overrides.get("optimizer"))
    return _space(document, vocabulary, overrides)


def read(text: str, where: str, vocabulary: Vocabulary, overrides: Mapping[str, str] | None = None) -> Space:
    """Read a space from YAML that stands in `where`, with overrides put into it.

    An override's path goes as the YAML goes; `one_of` may be left out: `optimizer.sgd.lr`,
    `optimizer.sgd.lr.prior`. What is not there yet is added. A branch's bare name
    (`optimizer=adamw`) narrows the space to that branch, with all that is searched in it.

    Raises:
        InputError: it breaks rules; all mistakes at once.
    """
    return _space(Document(text, where), vocabulary, overrides or {})


def _space(document: Document, vocabulary: Vocabulary, overrides: Mapping[str, str]) -> Space:
    vocabulary = vocabulary.saying([*map(str, document.values), *overrides])
    for path, value in sorted(overrides.items(), key=lambda item: _turn(vocabulary, *item)):
        _override(document, path, value, vocabulary)
    nodes = _Reader(document, vocabulary).nodes()
    if document.problems:
        raise InputError(*document.problems)
    return Space(nodes)


def _turn(vocabulary: Vocabulary, path: str, text: str) -> tuple[bool, int]:
    """Whole before part, so that neither undoes the other; narrowing to one branch comes last."""
    return text in vocabulary.branches.get(path, {}), path.count(".")


def _override(document: Document, path: str, text: str, vocabulary: Vocabulary) -> None:
    word = f"space.{path}={text}"
    if CALL in path.split("."):
        document.problems.append(Problem(word, CALL_REFUSED))
        return
    if not text.strip():
        document.problems.append(Problem(word, "No value is given. Write one, or null."))
        return
    head, *below = path.split(".")
    if head in vocabulary.branches:
        branch = _opened(document.values.get(head))
        if not below and text in branch[ONE_OF]:
            document.values[head] = {ONE_OF: {text: branch[ONE_OF][text]}}
            return
        if below and below[0] not in (ONE_OF, PRIOR):
            document.values[head] = branch
            below = [ONE_OF, *below]
    document.put((head, *below), text, word)


def _opened(raw: Any) -> dict[str, Any]:
    """Return a branch in its full form, to be added to; a bare name is a branch with defaults."""
    if isinstance(raw, str):
        return {ONE_OF: {raw: {}}}
    if isinstance(raw, dict):
        return raw if isinstance(raw.get(ONE_OF), dict) else raw | {ONE_OF: {}}
    return {ONE_OF: {}}


class _Reader:
    """Makes the nodes of a document, and notes in it what is wrong."""

    def __init__(self, document: Document, vocabulary: Vocabulary) -> None:
        self.document, self.vocabulary = document, vocabulary

    def nodes(self) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        for key, raw in self.document.values.items():
            nodes |= self._entry(str(key), raw)
        if not self.document.problems:
            self._complain_between(nodes)
            self._complain_of_points(nodes)
        return nodes

    def _complain_between(self, nodes: Mapping[str, Node]) -> None:
        """Note which branches and values can meet that may not."""
        full = {key: Fixed(value) for key, value in self.vocabulary.default_values.items()} | dict(nodes)
        for one in _breakable(self.vocabulary.contradictions, full):
            self.document.complain((_first_of(one, nodes),), f"Some draws break a rule: {one.rule}.")

    def _complain_of_points(self, nodes: Mapping[str, Node]) -> None:
        """Note what is wrong with each listed point, beside all that the space fixes."""
        points = nodes.get(POINTS)
        taken = {*nodes, *_in_branches(nodes)}
        for number, point in enumerate(points.configs if isinstance(points, Points) else (), start=1):
            found = self.vocabulary.check(_settled(nodes) | point, "")
            found += [
                Problem(name, "This stands beside the points, too. Remove one.")
                for name in point.keys() & taken
            ]
            for problem in found:
                self.document.complain(
                    (POINTS,), f"Point {number}, {problem.where.strip()}: {problem.message}"
                )

    def _points(self, raw: Any) -> Mapping[str, Node]:
        if not isinstance(raw, list) or not raw or not all(isinstance(point, dict) for point in raw):
            example = "[{optimizer.lr: 0.1, warmup: 0.05}, …]"
            self.document.complain(
                (POINTS,), f"points lists configurations, got {shown(raw)}. Write {example}."
            )
            return {}
        found = self._try((POINTS,), _points, raw)
        return {} if found is None else {POINTS: found}

    def _entry(self, key: str, raw: Any) -> Mapping[str, Node]:
        if key in self.vocabulary.branches:
            branch = self._branch(key, raw)
            return {} if branch is None else {key: branch}
        if key == POINTS:
            return self._points(raw)
        if key in self.vocabulary.values:
            return self._leaves((), {key: raw}, self.vocabulary.values, "A space")
        if key in self.vocabulary.options:
            leaves = self._leaves((key,), raw, self.vocabulary.options[key], f"The recipe's {key}")
            return {f"{key}.{name}": node for name, node in leaves.items()}
        hint = meaning(self.vocabulary.meant(key)) or did_you_mean(key, self.vocabulary.keys)
        self.document.complain((key,), f"There is no {key!r}.{hint}")
        return {}

    def _leaves(
        self, path: Path, raw: Any, known: Mapping[str, Hyperparameter], owner: str
    ) -> dict[str, Leaf]:
        """Read a mapping from hyperparameters to values."""
        if not isinstance(raw, dict | None):
            message = f"{owner} takes hyperparameters by name, got {shown(raw)}. Write {{name: value}}."
            self.document.complain(path, message)
            return {}
        leaves = {}
        for name, value in (raw or {}).items():
            here = (*path, str(name))
            if name not in known:
                self.document.complain(here, f"{owner} has no {str(name)!r}.{did_you_mean(str(name), known)}")
            else:
                leaves[name] = self._try(here, leaf, value, known[name])
        return {name: node for name, node in leaves.items() if node is not None}

    def _branch(self, key: str, raw: Any) -> Node | None:
        words = self.vocabulary.branches[key]
        if isinstance(raw, dict):
            return self._try((key,), self._one_of, key, raw, words)
        if isinstance(raw, str) and raw in words:
            return Fixed(raw)
        self.document.complain((key,), f"Unknown {key} {shown(raw)}.{did_you_mean(str(raw), words)}")
        return None

    def _one_of(self, key: str, raw: dict[Any, Any], words: Mapping[str, Word]) -> OneOf:
        bodies = raw[verb_of(raw, [ONE_OF])] if ONE_OF in raw else None
        if not isinstance(bodies, dict) or not bodies:
            example = f"{{{ONE_OF}: {{{next(iter(words))}: {{…}}, …}}}}"
            raise Mistake(f"{key} opens branches, got {shown(raw)}. Write {example}.")
        branches: dict[str, dict[str, Leaf]] = {}
        for name, body in bodies.items():
            branches |= self._word((key, ONE_OF, str(name)), body, words)
        prior = self._try((key, PRIOR), weights, raw[PRIOR], tuple(bodies)) if PRIOR in raw else None
        return OneOf(branches, prior or {})

    def _word(self, path: Path, body: Any, words: Mapping[str, Word]) -> dict[str, dict[str, Leaf]]:
        key, _, name = path
        if name not in words:
            self.document.complain(path, f"Unknown {key} {name!r}.{_hint(key, name, words)}")
            return {}
        word, known = words[name], len(self.document.problems)
        leaves = self._leaves(path, body, {item.name: item for item in word.hyperparameters}, name)
        if len(self.document.problems) == known:  # what could not be read would count as its default
            full = {item.name: Fixed(item.default) for item in word.hyperparameters} | leaves
            for one in _breakable(word.contradictions, full):
                self.document.complain(path, f"Some draws break a rule: {one.rule}.")
        return {name: leaves}

    def _try(self, path: Path, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return make(*args, **kwargs)
        except Mistake as mistake:
            self.document.complain(path, str(mistake))
            return None


def _points(raw: list[dict[Any, Any]]) -> Points:
    return Points(tuple(Config({str(name): plain(value) for name, value in point.items()}) for point in raw))


def _settled(nodes: Mapping[str, Node]) -> Config:
    """Return what every draw of these nodes says at the top."""
    words = {
        key: node.options[0] for key, node in nodes.items() if isinstance(node, OneOf) and not node.searched
    }
    return Config(words | {key: node.value for key, node in nodes.items() if isinstance(node, Fixed)})


def _in_branches(nodes: Mapping[str, Node]) -> Iterator[str]:
    """Yield the config's names for all that stands in branches."""
    for key, node in nodes.items():
        for leaves in node.branches.values() if isinstance(node, OneOf) else ():
            yield from (f"{key}.{name}" for name in leaves)


def _breakable(rules: Iterable[Contradiction], nodes: Mapping[str, Node]) -> list[Contradiction]:
    """Return the rules that some draw of these nodes would break."""
    return [one for one in rules if all(can_be(nodes[name], value) for name, value in one.values.items())]


def _first_of(contradiction: Contradiction, nodes: Mapping[str, Node]) -> str:
    """Return the first name of a contradiction that the space itself says."""
    return next(name for name in contradiction.values if name in nodes)


def _hint(key: str, name: str, words: Mapping[str, Word]) -> str:
    """Return which words are near; `optimizer.lr` lacks the word itself."""
    owner = next((word.name for word in words.values() if name in word.names), None)
    return f" Name the {key} too: {key}.{owner}.{name}." if owner else did_you_mean(name, words)
