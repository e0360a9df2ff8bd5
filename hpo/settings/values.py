"""What a value may be: each kind reads a text and says what it must be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Annotated, Final, Literal, get_args

from pydantic import BeforeValidator

from hpo.budget import Budget, clock_seconds
from hpo.errors import nearest, without_password
from hpo.results import requirement
from hpo.settings.words import shown

_HOST: Final = r"(?:[\w.-]+|\[[0-9a-fA-F:]+\])"
_NUMBER: Final = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_PREFIXES: Final = ("", "k", "m", "g", "t")
_DATABASES: Final = ("sqlite", "postgresql")
_PRIORITIES: Final = {"low": 0.25, "normal": 1.0, "high": 4.0}
PLACE_THERE: Final = "a whole path there, or an address such as s3://bucket/path"
AUTO: Final = "auto"
OFF: Final = "off"


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


def _whole_or(*words: str) -> Callable[[object], int | str]:
    def read(value: object) -> int | str:
        text = str(value)
        try:
            return text if text in words else _whole(1)(text)
        except ValueError:
            form = f"must be {', '.join(words)} or a whole number ≥ 1"
            hint = _whole_hint(text, 1) or nearest(text, words)
            raise ValueError(f"{form}, got {text!r}.{hint}") from None

    return read


def _number(value: object) -> float:
    """Read a plain number such as 2 or .5; what is none is 0."""
    return float(str(value)) if re.fullmatch(_NUMBER, str(value)) else 0.0


def _seconds(value: object) -> float:
    text = str(value)
    seconds = float(text) if re.fullmatch(_NUMBER, text) else clock_seconds(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"must be a duration such as 90, 90s, 10m or 2h, got {str(value)!r}.")
    return seconds


def _budget(value: object) -> str:
    return str(Budget.parse(str(value))) if value else ""


def _bytes(value: object) -> int:
    match = re.fullmatch(rf"({_NUMBER}) ?([kmgt]?)(i?)b?", str(value).lower())
    size = int(float(match[1]) * (1024 if match[3] else 1000) ** _PREFIXES.index(match[2])) if match else 0
    if not size:
        raise ValueError(f"must be a size such as 8GiB or 500MB, got {str(value)!r}.")
    return size


def _gpus(value: object) -> float:
    share = _number(value)
    if not (0 < share <= 1 or (share > 1 and share.is_integer())):
        raise ValueError(f"must be a share such as 0.25, or whole GPUs such as 2, got {str(value)!r}.")
    return share


def _cluster(value: object) -> str:
    text = str(value)
    if text.startswith(("ray://", "http://", "https://")):
        form = "is joined from within, as auto or host:6379; from elsewhere: hpo submit"
        raise ValueError(f"{form}, got {text!r}.")
    if text and text not in (AUTO, OFF) and not re.fullmatch(rf"{_HOST}:[0-9]{{1,5}}", text):
        raise ValueError(f"must be auto, off, or an address such as 10.0.0.1:6379, got {text!r}.")
    return text


def _service(value: object) -> str:
    text, place = str(value), rf"{_HOST}(?::[0-9]{{1,5}})?(?:/\S*)?"
    if text and not re.fullmatch(rf"https?://(?:\S*@)?{place}", text):
        hint = f" Write http://{text}." if re.fullmatch(place, text) else ""
        form = "an address such as http://127.0.0.1:8265"
        raise ValueError(f"must be {form}, got {without_password(text)!r}.{hint}")
    return text


def _priority(value: object) -> float:
    text = str(value)
    weight = _PRIORITIES.get(text) or _number(text)
    if not 0 < weight < float("inf"):
        form = f"must be {', '.join(_PRIORITIES)} or a number above 0, such as 3"
        raise ValueError(f"{form}, got {text!r}.{nearest(text, _PRIORITIES)}")
    return weight


def _part(value: object) -> float:
    share = _number(value)
    if not 0 < share < 1:
        raise ValueError(f"must be a share between 0 and 1, such as 0.5, got {str(value)!r}.")
    return share


def _flag(value: object) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError(f"must be true or false, got {str(value)!r}.")
    return str(value).lower() == "true"


def as_name(text: str) -> str:
    """Return a text as the first part of a search's name, with `_` for what no name may have.

    >>> as_name("my net")
    'my_net'
    """
    return re.sub(r"^[.-]|[^A-Za-z0-9._-]", "_", text)[:80]


def _name(value: object) -> str:
    # It must not start with a dot or dash: names become folders and words of a command line.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", str(value)):
        raise ValueError(f"must be at most 100 letters, digits, . _ or -, got {shown(str(value))!r}.")
    return str(value)


def _side(value: object) -> str:
    name, slash, number = str(value).partition("/")
    if slash and not re.fullmatch(r"[0-9]{1,9}", number):
        raise ValueError(f"must be a search such as cnn-1, or a trial such as cnn-1/7, got {str(value)!r}.")
    return f"{_name(name)}{slash}{number}"


def _past(value: object) -> str:
    try:
        return _name(value)
    except ValueError:
        form = f"must be {AUTO}, {OFF} or the name of a search"
        raise ValueError(f"{form}, got {shown(str(value))!r}.") from None


def _weights(value: object) -> str:
    if value and not str(value).endswith(".safetensors"):
        raise ValueError(f"must be a file such as weights.safetensors, got {str(value)!r}.")
    return str(value)


def _requirements(value: object) -> str:
    try:
        return ",".join(map(str, requirement.parse(str(value))))
    except ValueError:
        form = "be a bound such as 'accuracy>=0.97', several with commas between"
        raise ValueError(f"must {form}, got {str(value)!r}.") from None


def _file(value: object) -> str:
    folder = os.path.dirname(os.path.abspath(str(value)))
    if value and not os.path.isdir(folder):
        raise ValueError(f"must be a file in a folder that is there, got {str(value)!r}.")
    return str(value)


def _place(value: object) -> str:
    """Read a folder of this machine, or an address such as s3://bucket/path."""
    scheme, found, rest = str(value).partition("://")
    if not found:
        return _folder(str(value))
    return _folder(rest) if scheme == "file" else _address(str(value))


def _folder(text: str) -> str:
    if os.path.exists(text) and not os.path.isdir(text):
        raise ValueError(f"must be a folder, {text!r} is a file.")
    return text


def _place_there(value: object) -> str:
    """Read a folder of other machines, or an address."""
    text = str(value).removeprefix("file://")
    if not is_there(text):
        raise ValueError(f"must be {PLACE_THERE}, got {text!r}.")
    return _address(text) if "://" in text else text


def is_there(place: str) -> bool:
    """Whether a place is the same from any folder, and so may be one of other machines."""
    return not place or os.path.isabs(place) or "://" in place


def _address(text: str) -> str:
    """Read the address of a store; a password in it is never repeated, nor kept."""
    form = "must be a folder, or an address such as s3://bucket/path"
    if without_password(text) != text:
        keys = "whose password is where its package looks for it, such as the environment"
        raise ValueError(f"{form} {keys}, got {without_password(text)!r}.")
    if text.startswith("memory:"):
        raise ValueError(f"{form}; other processes do not see {text!r}.")
    if not re.fullmatch(r"[a-z][a-z0-9]*://[^\s/]\S*", text):
        raise ValueError(f"{form}, got {text!r}.")
    return text.rstrip("/")


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


def choice(kind: object) -> Callable[[object], object]:
    """Return what reads one of the words of a Literal."""

    def read(value: object) -> object:
        choices = get_args(kind)
        if value not in choices:
            hint = nearest(str(value), choices)
            raise ValueError(f"must be one of {', '.join(choices)}, got {str(value)!r}.{hint}")
        return value

    return read


SamplerName = Literal["blend", "tpe", "random", "qmc", "gp", "cmaes"]
PrunerName = Literal["ladder", "halving", "hyperband", "median", "none"]
ParallelName = Literal["ddp", "fsdp"]
FormName = Literal[
    "code",
    "lightning",
    "huggingface",
    "yaml",
    "json",
    "toml",
    "onnx",
    "torch_export",
    "optuna",
    "csv",
    "parquet",
]

Count = Annotated[int, BeforeValidator(_whole(1))]
Number = Annotated[int, BeforeValidator(_whole(0))]
Workers = Annotated[int | Literal["auto"], BeforeValidator(_whole_or(AUTO))]
Seeds = Annotated[int | Literal["auto"], BeforeValidator(_whole_or(AUTO))]
Fuse = Annotated[int | Literal["auto", "off"], BeforeValidator(_whole_or(AUTO, OFF))]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Spend = Annotated[str, BeforeValidator(_budget)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
Gpus = Annotated[float, BeforeValidator(_gpus)]
Cluster = Annotated[str, BeforeValidator(_cluster)]
Service = Annotated[str, BeforeValidator(_service)]
Priority = Annotated[float, BeforeValidator(_priority)]
Part = Annotated[float, BeforeValidator(_part)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Name = Annotated[str, BeforeValidator(_name)]
WarmStart = Annotated[str, BeforeValidator(_past)]
Side = Annotated[str, BeforeValidator(_side)]
Weights = Annotated[str, BeforeValidator(_weights)]
Requirements = Annotated[str, BeforeValidator(_requirements)]
File = Annotated[str, BeforeValidator(_file)]
Place = Annotated[str, BeforeValidator(_place)]
PlaceThere = Annotated[str, BeforeValidator(_place_there)]
Database = Annotated[str, BeforeValidator(_database)]
Tracking = Annotated[str, BeforeValidator(_tracking)]
Sampler = Annotated[SamplerName, BeforeValidator(choice(SamplerName))]
Pruner = Annotated[PrunerName, BeforeValidator(choice(PrunerName))]
Form = Annotated[FormName, BeforeValidator(choice(FormName))]
Parallel = Annotated[ParallelName, BeforeValidator(choice(ParallelName))]
