"""The keys of verbs that look at a search, or come before one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field

from hpo.settings.base import Settings
from hpo.settings.values import Count, Name, Number, Part, Place, Side, choice
from hpo.settings.verbs import NameSettings, StoreSettings, TrackingSettings
from hpo.settings.words import dashed

KindName = Literal["recipe", "space"]
ShellName = Literal["bash", "zsh", "fish"]
StepName = Literal["suggest"]


class ReportSettings(NameSettings):
    """The keys of `hpo report`."""

    to: str = Field(default="", description="The file to write (NAME.html)")


class PromoteSettings(NameSettings, TrackingSettings):
    """The keys of `hpo promote`."""

    trial: Number | None = Field(default=None, description="Trial to promote (the winner)")
    model: Name | None = Field(default=None, description="The registered model (of the recipe's name)")


class ExtendSettings(NameSettings):
    """The keys of `hpo extend`."""

    epochs: Count = Field(description="Epochs in all, such as 100")
    trial: Number | None = Field(default=None, description="Trial to extend (the winner)")
    to: Name | None = Field(default=None, description="What to call the training (NAME-TRIAL-EPOCHS)")
    checkpoints: Place = Field(default="", description="A folder or s3://… (where the search keeps them)")


class CompressSettings(NameSettings):
    """The keys of `hpo compress`."""

    to: str = Field(default="", description="The folder to write (NAME-compressed)")
    trial: Number | None = Field(default=None, description="Trial to compress (the winner)")
    prune: Part = Field(default=0.5, description="Share of the weights, or of the channels, that goes")
    epochs: Count | None = Field(default=None, description="Epochs that the rest trains on (a third)")


class RollbackSettings(TrackingSettings):
    """The keys of `hpo rollback`."""

    bare: ClassVar[str] = "model"

    model: Name = Field(description="The registered model whose champion steps back")


class LedSettings(Settings):
    """Keys of a verb whose first word, if it is typed without `=`, is the value of `first`."""

    first: ClassVar[str]

    @classmethod
    def from_words(cls, words: Sequence[str]) -> Self:
        """Read what was typed after a verb.

        Raises:
            InputError: with everything that is wrong with it.
        """
        led = bool(words) and "=" not in words[0] and not dashed(words[0])
        return super().from_words([f"{cls.first}={words[0]}", *words[1:]] if led else words)


class NewSettings(LedSettings):
    """The keys of `hpo new`."""

    first: ClassVar[str] = "kind"
    bare: ClassVar[str] = "name"

    kind: Annotated[KindName, BeforeValidator(choice(KindName))] = Field(description="A recipe, or a space")
    name: Name = Field(description="What to call it; it is written where it is found by this name")


class CopySettings(LedSettings):
    """The keys of `hpo copy`."""

    first: ClassVar[str] = "source"
    bare: ClassVar[str] = "name"

    source: Name = Field(description="A recipe or a space that ships with hpo, or one of yours")
    name: Name = Field(description="What to call the copy")


class SpaceSettings(LedSettings, NameSettings):
    """The keys of `hpo space`."""

    first: ClassVar[str] = "step"

    step: Annotated[StepName, BeforeValidator(choice(StepName))] = Field(
        description="suggest: the space to search next"
    )
    to: str = Field(default="", description="The file to write (print it)")


class DiffSettings(LedSettings, StoreSettings):
    """The keys of `hpo diff`."""

    first: ClassVar[str] = "a"
    bare: ClassVar[str] = "b"

    a: Side = Field(description="A search (cnn-1), or one of its trials (cnn-1/7)")
    b: Side = Field(description="What it is compared with, likewise")


class CompletionSettings(Settings):
    """The keys of `hpo completion`."""

    bare: ClassVar[str] = "shell"

    shell: Annotated[ShellName, BeforeValidator(choice(ShellName))] = Field(
        default="bash", description="Print the script for: " + ", ".join(get_args(ShellName))
    )
    line: str = Field(default="", description="Complete this line (that is for the scripts)")
