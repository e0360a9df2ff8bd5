"""What may be typed next: verbs, keys, recipes, spaces, names of searches; and the scripts that ask for it.

A shell hands over the line as far as it is typed (`hpo completion line=…`) and gets one word a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from hpo import shipped
from hpo.errors import HpoError
from hpo.settings import DiffSettings, LedSettings, NameSettings, ResumeSettings, Settings, StoreSettings

Verbs = Mapping[str, tuple[type[Settings], str]]

SCRIPTS: Final = {
    "bash": """\
# Put this into ~/.bashrc:  eval "$(hpo completion bash)"
_hpo() {
    local line="${COMP_LINE:0:COMP_POINT}" prefix=""
    local token="${line##* }"
    [[ $token == *=* ]] && prefix="${token%%=*}="  # bash takes = for the end of a word
    mapfile -t COMPREPLY < <(hpo completion line="$line" 2>/dev/null)
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _hpo hpo
""",
    "zsh": """\
# Put this into ~/.zshrc, after compinit:  eval "$(hpo completion zsh)"
_hpo() {
    local -a found=(${(f)"$(hpo completion line="${(j: :)words[1,CURRENT]}" 2>/dev/null)"})
    compadd -S '' -- ${(M)found:#*=}
    compadd -- ${found:#*=}
}
compdef _hpo hpo
""",
    "fish": """\
# Put this into ~/.config/fish/config.fish:  hpo completion fish | source
complete -c hpo -f -a '(hpo completion line=(commandline -cp) 2>/dev/null)'
""",
}


def complete(line: str, verbs: Verbs) -> list[str]:
    """Return the words that the last one of a line may become; the line begins with the program's name."""
    _, *typed = line.split(" ")
    *before, last = typed or [""]
    words = [word for word in before if word]
    if not words:
        return sorted(verb for verb in verbs if verb.startswith(last))
    if words[0] not in verbs:
        return []
    kind, given = verbs[words[0]][0], words[1:]
    return [word for word in _words(kind, given, last) if word.startswith(last)]


def _words(kind: type[Settings], given: list[str], last: str) -> Iterator[str]:
    key, equals, _ = last.partition("=")
    if equals:
        yield from (f"{key}={value}" for value in _values(kind, key))
        return
    bare = [word for word in given if "=" not in word]
    if issubclass(kind, LedSettings) and not bare:
        yield from _values(kind, kind.first)
    elif kind.bare and len(bare) == issubclass(kind, LedSettings):
        yield from _values(kind, kind.bare)
    taken = {word.partition("=")[0] for word in given}
    yield from (f"{name}=" for name in kind.known() if name not in taken and name != kind.bare)


def _values(kind: type[Settings], key: str) -> list[str]:
    """Return what a key may be, where that is a matter of choice."""
    if key in ("recipe", "source"):
        return list(shipped.available("recipes", ".py"))
    if key == "space":
        return list(shipped.available("search_spaces", ".yaml"))
    if issubclass(kind, DiffSettings) and key in (kind.first, kind.bare):
        return _searches(kind)
    if key == kind.bare and issubclass(kind, NameSettings | ResumeSettings):
        return _searches(kind)
    if key not in kind.known():
        return []
    annotation = kind.field(key).annotation
    return ["true", "false"] if annotation is bool else sorted(_literals(annotation))


def _literals(annotation: Any) -> Iterator[str]:
    """Yield the texts of a Literal, also where it is one of several types."""
    for part in get_args(annotation):
        if isinstance(part, str):
            yield part
        else:
            yield from _literals(part)


def _searches(kind: type[StoreSettings]) -> list[str]:
    from hpo.ledger import Ledger

    try:
        store = kind.model_fields["store"].get_default(call_default_factory=True)
        return [search.name for search in Ledger(store).searches()]
    except HpoError:  # no store, no names
        return []
