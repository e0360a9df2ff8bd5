"""The words after a verb, `key=value …`, as validated settings.

Each verb has one class of settings: its fields are the keys that the verb takes, their descriptions are
its help, and `from_words` reads what was typed. Every mistake is found before anything starts, all at once.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from hpo.errors import InputError, Problem, nearest, without_password
from hpo.training.words import VOCABULARY
from hpo.vocabulary import meaning

# What word processors make of - and of quotes. A shell takes quotes away, so the fix shows none.
_DASHES: Final[dict[str, str | int | None]] = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
_QUOTES: Final[dict[str, str | int | None]] = dict.fromkeys(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f", ""
)
_TYPOGRAPHIC: Final = _DASHES | _QUOTES
_NUMBER: Final = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_DATABASES: Final = ("sqlite", "postgresql")


def parse(words: Sequence[str], bare: str = "") -> tuple[dict[str, str], list[Problem]]:
    """Split words at their first `=`; return the values by key, and what is wrong with the words.

    A word without `=` is the value of the key `bare`, if the verb has one.

    >>> parse(["cnn-1", "trial=3"], bare="name")
    ({'name': 'cnn-1', 'trial': '3'}, [])
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for word in _rejoin(words):
        key, equals, value = word.partition("=")
        if bare and not equals:
            key, value = bare, word
        complaint = _typographic(word) or _malformed(word, bare) or _repeated(key, value, values)
        if complaint:
            problems.append(Problem(_shown(word), complaint))
        else:
            values[key] = value
    return values, problems


def _rejoin(words: Sequence[str]) -> Iterator[str]:
    """Make one word of `--trials 20`, and of what a shell has cut at blanks, so that it is one mistake."""
    taken = False
    for word, following in pairwise((*_mended(words), "-")):
        taken_before, taken = taken, False
        if taken_before:
            continue
        taken = _dashed(word) and "=" not in word and "=" not in following and not _dashed(following)
        yield f"{word} {following}" if taken else word


def _mended(words: Sequence[str]) -> Iterator[str]:
    """Put together what was meant as one word: space.clip_norm={log: [0.1, 1]}, typed without quotes."""
    whole = ""
    for word in words:
        whole = f"{whole} {word}" if whole else word
        if not _open(whole):
            yield whole
            whole = ""
    if whole:
        yield whole


def _open(word: str) -> bool:
    """Whether a value has brackets that are not closed yet."""
    value = word.partition("=")[2]
    return any(value.count(left) > value.count(right) for left, right in ("[]", "{}"))


def _dashed(word: str) -> bool:
    return word.startswith(("-", *_DASHES))


def _typographic(word: str) -> str:
    """Point at the first dash or quote that a word processor made."""
    for position, character in enumerate(word, start=1):
        if character in _TYPOGRAPHIC:
            kind = "dash" if character in _DASHES else "quote"
            return f"Character {position}, {character}, is a typographic {kind}. Write {_plain(word)}."
    return ""


def _plain(word: str) -> str:
    """Write a word as it should be typed: no dashes before it, no typography in it.

    >>> _plain("--trials 20")
    'trials=20'
    """
    text = word.translate(str.maketrans(_TYPOGRAPHIC)).lstrip("-")
    return text if "=" in text else text.replace(" ", "=", 1)


def _malformed(word: str, bare: str) -> str:
    key, equals, value = word.partition("=")
    if _dashed(word):
        form = _plain(word)
        return f"Write {form}." if "=" in form else "Settings are written key=value, without dashes."
    if not equals:
        return "" if bare else "Write it as key=value."
    if not key:
        return "There is no key before the =."
    return "" if value else "No value given. Leave the word out for the default."


def _repeated(key: str, value: str, values: Mapping[str, str]) -> str:
    return f"{key} is given twice: {_shown(values[key])} and {_shown(value)}." if key in values else ""


def _whole(low: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = str(value)
        # 18 digits fit every integer column and random generator.
        if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < low:
            raise ValueError(f"must be a whole number ≥ {low}, got {text!r}.{_whole_hint(text, low)}")
        return int(text)

    return read


def _whole_hint(text: str, low: int) -> str:
    """Offer `1000` for `1e3`; nothing is rounded silently."""
    try:
        number = float(text)
    except ValueError:
        return ""
    return f" Write {number:.0f}." if number.is_integer() and low <= number < 1e18 else ""


def _workers(value: object) -> int | str:
    try:
        return "auto" if value == "auto" else _whole(1)(value)
    except ValueError:
        raise ValueError(f"must be a whole number ≥ 1, or auto, got {str(value)!r}.") from None


def _fuse(value: object) -> int | str:
    try:
        return str(value) if value in ("auto", "off") else _whole(1)(value)
    except ValueError:
        raise ValueError(f"must be auto, off or a whole number ≥ 1, got {str(value)!r}.") from None


def _seconds(value: object) -> float:
    match = re.fullmatch(rf"({_NUMBER})([smh]?)", str(value))
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"must be a duration such as 90, 90s, 10m or 2h, got {str(value)!r}.")
    return seconds


def _gpus(value: object) -> float:
    share = float(str(value)) if re.fullmatch(_NUMBER, str(value)) else 0.0
    if not (0 < share <= 1 or (share > 1 and share.is_integer())):
        raise ValueError(f"must be a share such as 0.25, or whole GPUs such as 2, got {str(value)!r}.")
    return share


def _flag(value: object) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError(f"must be true or false, got {str(value)!r}.")
    return str(value).lower() == "true"


def _name(value: object) -> str:
    # It must not start with a dot or dash: names become folders and words of a command line.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", str(value)):
        raise ValueError(f"must be at most 100 letters, digits, . _ or -, got {_shown(str(value))!r}.")
    return str(value)


def _weights(value: object) -> str:
    if value and not str(value).endswith(".safetensors"):
        raise ValueError(f"must be a file such as weights.safetensors, got {str(value)!r}.")
    return str(value)


def _folder(value: object) -> str:
    if "://" in str(value):
        raise ValueError(f"must be a folder of this machine, got {str(value)!r}.")
    if os.path.exists(str(value)) and not os.path.isdir(str(value)):
        raise ValueError(f"must be a folder, {str(value)!r} is a file.")
    return os.path.abspath(str(value)) if value else ""


def _database(value: object) -> str:
    """Read an address of SQLAlchemy's; a password in it is never repeated."""
    scheme, found, rest = str(value).partition("://")
    kind = scheme.partition("+")[0]
    if not found or not rest:
        raise ValueError(
            f"must be a database URL such as sqlite:///hpo.db, got {without_password(str(value))!r}."
        )
    if kind not in _DATABASES:
        raise ValueError(f"must be one of {', '.join(_DATABASES)}, got {kind!r}.{nearest(kind, _DATABASES)}")
    if kind == "sqlite" and not rest.startswith("/"):
        raise ValueError(f"needs a third slash: {scheme}:///{rest}; an absolute path needs a fourth.")
    return str(value)


def _tracking(value: object) -> str:
    text = str(value)
    if text and not re.match(r"(https?|sqlite|postgresql|mysql|mssql)(\+[a-z0-9]+)?://\S", text):
        form = "a server such as http://127.0.0.1:5000 or a database such as sqlite:///mlflow.db"
        raise ValueError(f"must be {form}, got {without_password(text)!r}.")
    return text


def _choice(kind: object) -> Callable[[object], object]:
    def read(value: object) -> object:
        choices = get_args(kind)
        if value not in choices:
            hint = nearest(str(value), choices)
            raise ValueError(f"must be one of {', '.join(choices)}, got {str(value)!r}.{hint}")
        return value

    return read


def _default_store() -> str:
    return os.environ.get("HPO_STORE") or "sqlite:///hpo.db"


SamplerName = Literal["blend", "tpe", "random", "qmc", "gp", "cmaes"]
PrunerName = Literal["ladder", "halving", "hyperband", "median", "none"]
ParallelName = Literal["ddp", "fsdp"]

Count = Annotated[int, BeforeValidator(_whole(1))]
Number = Annotated[int, BeforeValidator(_whole(0))]
Workers = Annotated[int | Literal["auto"], BeforeValidator(_workers)]
Fuse = Annotated[int | Literal["auto", "off"], BeforeValidator(_fuse)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Gpus = Annotated[float, BeforeValidator(_gpus)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Name = Annotated[str, BeforeValidator(_name)]
Weights = Annotated[str, BeforeValidator(_weights)]
Folder = Annotated[str, BeforeValidator(_folder)]
Database = Annotated[str, BeforeValidator(_database)]
Tracking = Annotated[str, BeforeValidator(_tracking)]
Sampler = Annotated[SamplerName, BeforeValidator(_choice(SamplerName))]
Pruner = Annotated[PrunerName, BeforeValidator(_choice(PrunerName))]
Parallel = Annotated[ParallelName, BeforeValidator(_choice(ParallelName))]


class Settings(BaseModel):
    """The keys of one verb: each field is a key.

    `bare` names the key that a word without `=` means (`hpo show NAME`), `groups` the fields that gather
    dotted words (`recipe.width=64`) by what stands before the first dot. `words` names the field that
    gathers the words of a configuration (`optimizer=sgd optimizer.lr=0.1`), as they were typed.
    """

    model_config = ConfigDict(frozen=True, validate_default=True)

    bare: ClassVar[str] = ""
    groups: ClassVar[Mapping[str, str]] = {}
    words: ClassVar[str] = ""

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
            refused = {_plain(problem.where).partition("=")[0] for problem in problems}
            found = [
                item for item in error.errors() if item["type"] != "missing" or item["loc"][0] not in refused
            ]
            problems += [_problem(cls, item, values) for item in found]
        if problems:
            raise InputError(*problems)
        return settings

    @classmethod
    def known(cls) -> list[str]:
        """The keys that this verb takes, its own before inherited ones."""
        keys = [key for key in cls.model_fields if key not in (*cls.groups.values(), cls.words)]
        return sorted(keys, key=lambda key: key not in cls.__annotations__)

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
    known = cls.known()
    configured = cls.configured()
    listed = f" Known: {', '.join(known) or 'none'}."
    listed += f" Of a configuration: {', '.join(configured)}." if configured else ""
    hint = nearest(key, [*known, *configured]) or _of_a_configuration(cls, key) or listed
    return Problem(f"{key}={_shown(value)}", f"Unknown key.{hint}")


def _of_a_configuration(cls: type[Settings], key: str) -> str:
    """Offer the word of a configuration, or the place in a space, that a key stands for."""
    path = VOCABULARY.meant(key.rpartition(".")[2])
    if path and "space" in cls.groups:
        return meaning(("space", *path))
    return meaning(path[:1] + path[1:][-1:]) if cls.words else ""


def _shown(word: str) -> str:
    """Return a word as it may be repeated: cut short if it is long, and with no password."""
    open_word = without_password(word)
    return open_word if len(open_word) <= 120 else f"{open_word[:119]}…"


def _problem(cls: type[Settings], error: ErrorDetails, values: Mapping[str, str]) -> Problem:
    key = str(error["loc"][0])
    if error["type"] == "missing":
        where = key.upper() if key == cls.bare else f"{key}=…"
        meaning = cls.model_fields[key].description or ""
        return Problem(where, f"Missing: {meaning[:1].lower()}{meaning[1:]}.")
    where = f"{key}={_shown(values[key])}" if key in values else key
    message = str(error["ctx"]["error"])
    return Problem(where, message[0].upper() + message[1:])


class StoreSettings(Settings):
    """What every verb that reads or writes a ledger takes."""

    store: Database = Field(
        default_factory=_default_store, description="Database of searches (HPO_STORE, or sqlite:///hpo.db)"
    )

    @property
    def store_words(self) -> tuple[str, ...]:
        """The words that find this store again: none for the default; a password is not repeated."""
        if self.store == _default_store():
            return ()
        return (shlex.quote(f"store={without_password(self.store)}"),)


class NameSettings(StoreSettings):
    """What a verb takes that is about one search: `hpo show NAME`."""

    bare: ClassVar[str] = "name"

    name: Name = Field(description="The name of a search; `hpo list` shows them")


class ExportSettings(NameSettings):
    """The keys of `hpo export`."""

    to: str = Field(description="The file to write, such as to=train.py")
    trial: Number | None = Field(default=None, description="Trial to export (the winner)")
    weights: Weights = Field(default="", description="File in which the script leaves its weights (none)")


class TrackingSettings(Settings):
    """The keys of `hpo ui`."""

    tracking: Tracking = Field(
        default="", description="MLflow's store (MLFLOW_TRACKING_URI, or mlflow.db in this folder)"
    )


class SyncSettings(NameSettings, TrackingSettings):
    """The keys of `hpo sync` and `hpo audit`."""


class TrialSettings(StoreSettings):
    """How trials under way are saved."""

    checkpoint_every: Seconds = Field(default=10.0, description="Save what trains so often, after an epoch")
    checkpoints: Folder = Field(default="", description="The folder for that (one beside the store)")


class SearchSettings(TrialSettings):
    """The keys of `hpo search`."""

    groups: ClassVar[Mapping[str, str]] = {"recipe": "recipe_options", "space": "space_overrides"}

    recipe: str = Field(description="What to train: a name (`hpo recipes`) or a path")
    space: str = Field(default="default", description="What to search: a name (`hpo spaces`) or a path")
    trials: Count = Field(default=64, description="Configurations to try")
    epochs: Count | None = Field(default=None, description="Epochs of a full trial (the recipe's)")
    timeout: Seconds | None = Field(default=None, description="Stop after 90s, 10m or 2h (never)")
    sampler: Sampler = Field(
        default="blend", description="How to propose: " + ", ".join(get_args(SamplerName))
    )
    pruner: Pruner = Field(default="ladder", description="Stop early by: " + ", ".join(get_args(PrunerName)))
    workers: Workers = Field(default="auto", description="Processes that train at the same time")
    fuse: Fuse = Field(default="auto", description="Trials that a worker trains at once: auto, off, 32 …")
    gpus_per_trial: Gpus | None = Field(default=None, description="0.25, 1, 2 … (one GPU if there is one)")
    workers_per_trial: Count = Field(default=1, description="Processes that train a trial together")
    parallel: Parallel = Field(default="ddp", description="How they do: ddp copies, fsdp shards the model")
    seed: Number = Field(default=0, description="The same seed, the same search")
    deterministic: Flag = Field(default=False, description="Go by a rule, never by who was faster")
    report_within: Seconds | None = Field(
        default=None, description="A worker silent for longer hangs (10m, or 20 epochs)"
    )
    name: Name | None = Field(default=None, description="What to call the search (recipe and number)")
    recipe_options: dict[str, str] = Field(default={}, description="Set an argument of the recipe's model")
    space_overrides: dict[str, str] = Field(default={}, description="Fix or change a part of the space")


class ResumeSettings(SearchSettings):
    """The keys of `hpo resume`: a search, and what is to be otherwise than it was ordered."""

    bare: ClassVar[str] = "search"

    search: Name = Field(description="The name of a search; `hpo list` shows them")
    allow_change: Flag = Field(default=False, description="Start anew, as a fork, if anything has changed")
    name: Name | None = Field(default=None, description="What to call the fork (NAME-2)")
    recipe: str = Field(default="", description="Another recipe")

    @property
    def words_given(self) -> dict[str, Any]:
        """The words of a search that were typed, and only these."""
        own = {"search", "allow_change", "name", "store", "recipe"}
        return {key: getattr(self, key) for key in self.model_fields_set - own}

    @property
    def words_typed(self) -> tuple[str, ...]:
        """The same and the recipe, to be typed once more."""
        heads = {field: head for head, field in self.groups.items()}
        typed = {"recipe": self.recipe} if self.recipe else {}
        for key, value in self.words_given.items():
            typed |= (
                {f"{heads[key]}.{name}": it for name, it in value.items()} if key in heads else {key: value}
            )
        return tuple(shlex.quote(f"{key}={value}") for key, value in typed.items())


class ReplaySettings(NameSettings):
    """The keys of `hpo replay`."""

    trial: Number | None = Field(default=None, description="Train this trial again (recompute decisions)")


class TrainSettings(TrialSettings):
    """The keys of `hpo train`."""

    groups: ClassVar[Mapping[str, str]] = {"recipe": "recipe_options"}
    words: ClassVar[str] = "config"

    recipe: str = Field(description="What to train: a name (`hpo recipes`) or a path")
    epochs: Count | None = Field(default=None, description="Epochs to train (the recipe's)")
    seed: Number = Field(default=0, description="The same seed, the same curve")
    name: Name | None = Field(default=None, description="What to call the training (recipe and number)")
    recipe_options: dict[str, str] = Field(default={}, description="Set an argument of the recipe's model")
    config: dict[str, str] = Field(
        default={}, description="Words of the configuration; others are as in the baseline"
    )


class PlotSettings(StoreSettings):
    """The keys of `hpo plot`."""

    bare: ClassVar[str] = "name"

    name: Name | None = Field(default=None, description="The name of a search; `hpo list` shows them")
    space: str | None = Field(default=None, description="Or a space, of which the schedules are drawn")
    recipe: str | None = Field(default=None, description="The recipe that the space is for")
    to: str = Field(default="pictures", description="The folder to write")
