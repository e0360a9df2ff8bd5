"""A verb's settings: its fields are the keys that it takes, and every mistake is found at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from hpo.errors import InputError, Problem, nearest
from hpo.settings.words import parse, plain, shown
from hpo.training.words import VOCABULARY
from hpo.vocabulary import meaning


class Settings(BaseModel):
    """The keys of one verb: each field is a key.

    `bare` names the key that a word without `=` means (`hpo show NAME`), `groups` the fields that gather
    dotted words (`recipe.width=64`) by what stands before the first dot. `words` names the field that
    gathers the words of a configuration (`optimizer=sgd optimizer.lr=0.1`), as they were typed. `unheard`
    has known keys that a verb does not take, and what is said to whoever types them.
    """

    model_config = ConfigDict(frozen=True, validate_default=True)

    bare: ClassVar[str] = ""
    groups: ClassVar[Mapping[str, str]] = {}
    words: ClassVar[str] = ""
    unheard: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_words(cls, words: Sequence[str]) -> Self:
        """Read what was typed after a verb.

        Raises:
            InputError: with everything that is wrong with it.
        """
        values, problems = parse(words, cls.bare)
        problems += [_unknown(cls, key, values.pop(key)) for key in list(values) if not cls._takes(key)]
        try:
            settings = cls.model_validate(cls._gather(values))
        except ValidationError as error:
            # A required key that was given in a wrong form is not missing as well.
            refused = {plain(problem.where).partition("=")[0] for problem in problems}
            found = [
                item for item in error.errors() if item["type"] != "missing" or item["loc"][0] not in refused
            ]
            problems += [_problem(cls, item, values) for item in found]
        if problems:
            raise InputError(*problems)
        return settings

    def typed(self, *but: str) -> list[str]:
        """Return the words that were typed, but for these keys, as they could be typed once more."""
        heads = {field: head for head, field in self.groups.items()}
        words = []
        for key in self.model_fields_set - {*but}:
            value = getattr(self, key)
            below = value.items() if key in heads else ()
            words += [f"{heads[key]}.{name}={it}" for name, it in below] or [f"{key}={value}"]
        return sorted(words)

    @classmethod
    def known(cls) -> list[str]:
        """The keys that this verb takes, its own before inherited ones."""
        keys = [key for key in cls.model_fields if key not in {*cls.groups.values(), cls.words, *cls.unheard}]
        own_first = sorted(keys, key=lambda key: key not in cls.__annotations__)
        return [cls.model_fields[key].alias or key for key in own_first]

    @classmethod
    def field(cls, key: str) -> FieldInfo:
        """The field of a key; one that Python has taken, such as `as`, is its field's alias."""
        aliased = (field for field in cls.model_fields.values() if field.alias == key)
        return next(aliased, None) or cls.model_fields[key]

    @classmethod
    def configured(cls) -> tuple[str, ...]:
        """The words of a configuration that this verb takes, up to their first dot."""
        return VOCABULARY.keys if cls.words else ()

    @classmethod
    def _configures(cls, head: str) -> bool:
        """Whether this is a word of a configuration, maybe said once more: then_2."""
        return bool(cls.words) and head in VOCABULARY.saying([head]).keys

    @classmethod
    def _takes(cls, key: str) -> bool:
        head, dot, rest = key.partition(".")
        grouped = head in cls.groups or cls._configures(head)
        return key in cls.known() or cls._configures(key) or bool(dot and rest and grouped)

    @classmethod
    def _gather(cls, values: Mapping[str, str]) -> dict[str, Any]:
        gathered: dict[str, Any] = {}
        for key, value in values.items():
            head, dot, rest = key.partition(".")
            if cls._configures(head):
                gathered.setdefault(cls.words, {})[key] = value
            elif dot:
                gathered.setdefault(cls.groups[head], {})[rest] = value
            else:
                gathered[key] = value
        return gathered


def _unknown(cls: type[Settings], key: str, value: str) -> Problem:
    if key in cls.unheard:
        return Problem(f"{key}={shown(value)}", cls.unheard[key])
    known, configured = cls.known(), cls.configured()
    names = [*known, *configured]
    listed = f" Known: {', '.join(known) or 'none'}."
    listed += f" Of a configuration: {', '.join(configured)}." if configured else ""
    hint = nearest(key, names, slip=True) or _of_a_configuration(cls, key)
    hint = hint or (nearest(key, names) or listed) + _of_a_recipe(cls, key, value)
    return Problem(f"{key}={shown(value)}", f"Unknown key.{hint}")


def _of_a_recipe(cls: type[Settings], key: str, value: str) -> str:
    """Say how an option of a recipe is given, whose names are not known here."""
    takes = "recipe" in cls.groups and key.isidentifier()
    return f" If it is an option of the recipe, write recipe.{key}={shown(value)}." if takes else ""


def _of_a_configuration(cls: type[Settings], key: str) -> str:
    """Offer the word of a configuration, or the place in a space, that a key stands for."""
    path = VOCABULARY.meant(key.rpartition(".")[2])
    if path and "space" in cls.groups:
        return meaning(("space", *path))
    return meaning(path[:1] + path[1:][-1:]) if cls.words else ""


def _problem(cls: type[Settings], error: ErrorDetails, values: Mapping[str, str]) -> Problem:
    key = str(error["loc"][0])
    if error["type"] == "missing":
        where = key.upper() if key == cls.bare else f"{key}=…"
        meaning = cls.field(key).description or ""
        return Problem(where, f"Missing: {meaning[:1].lower()}{meaning[1:]}.")
    where = f"{key}={shown(values[key])}" if key in values else key
    message = str(error["ctx"]["error"])
    return Problem(where, message[0].upper() + message[1:])
