"""The frame of all verbs: their names, settings and examples, their help, and how a mistake is told."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from hpo import __version__, settings
from hpo.errors import InputError, Problem, did_you_mean
from hpo.terminal import help as pages

Words = Annotated[list[str] | None, typer.Argument(metavar="key=value")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

# Each verb with its settings and an example that can be typed as it stands.
VERBS: dict[str, tuple[type[settings.Settings], str]] = {
    "search": (settings.SearchSettings, "hpo search recipe=cnn trials=64"),
    "train": (settings.TrainSettings, "hpo train recipe=cnn warmup=0.1"),
    "resume": (settings.ResumeSettings, "hpo resume cnn-1"),
    "show": (settings.NameSettings, "hpo show cnn-1"),
    "watch": (settings.NameSettings, "hpo watch cnn-1"),
    "list": (settings.StoreSettings, "hpo list"),
    "export": (settings.ExportSettings, "hpo export cnn-1 to=train.py"),
    "extend": (settings.ExtendSettings, "hpo extend cnn-1 epochs=100"),
    "compress": (settings.CompressSettings, "hpo compress cnn-1"),
    "promote": (settings.PromoteSettings, "hpo promote cnn-1"),
    "rollback": (settings.RollbackSettings, "hpo rollback cnn"),
    "plot": (settings.PlotSettings, "hpo plot cnn-1 to=pictures"),
    "report": (settings.ReportSettings, "hpo report cnn-1"),
    "ui": (settings.TrackingSettings, "hpo ui"),
    "sync": (settings.SyncSettings, "hpo sync cnn-1"),
    "fetch": (settings.FetchSettings, "hpo fetch cnn-1"),
    "audit": (settings.SyncSettings, "hpo audit cnn-1"),
    "replay": (settings.ReplaySettings, "hpo replay cnn-1"),
    "diff": (settings.DiffSettings, "hpo diff cnn-1/0 cnn-1/7"),
    "space": (settings.SpaceSettings, "hpo space suggest cnn-1"),
    "check": (settings.SearchSettings, "hpo check recipe=cnn space=sgd"),
    "new": (settings.NewSettings, "hpo new recipe mine"),
    "copy": (settings.CopySettings, "hpo copy cnn mine"),
    "doctor": (settings.StoreSettings, "hpo doctor"),
    "submit": (settings.SubmitSettings, "hpo submit recipe=cnn"),
    "status": (settings.ServiceSettings, "hpo status"),
    "stop": (settings.StopSettings, "hpo stop cnn-1"),
    "recipes": (settings.Settings, "hpo recipes"),
    "spaces": (settings.Settings, "hpo spaces"),
    "completion": (settings.CompletionSettings, "hpo completion bash"),
    "version": (settings.Settings, "hpo version"),
}


class _Verbs(TyperGroup):
    """All verbs, with our own help and our own way to say that there is none of a name."""

    ignore_unknown_options = True  # they are refused like unknown verbs

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands:
            raise InputError(
                Problem(args[0], f"There is no verb of this name.{did_you_mean(args[0], VERBS)}")
            )
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: Any) -> str:  # noqa: ARG002
        verbs = [(example, self.commands[verb].help or "") for verb, (_, example) in VERBS.items()]
        return pages.overview(verbs, settings.SearchSettings)


class _Verb(TyperCommand):
    """One verb, with the keys of its settings as its help."""

    ignore_unknown_options = True  # the settings say how such a word should be written

    def get_help(self, ctx: Any) -> str:
        kind, example = VERBS[self.name or ""]
        options = [param for param in self.get_params(ctx) if param.param_type_name == "option"]
        flags = [record for option in options if (record := option.get_help_record(ctx))]
        return pages.verb(self.help or "", example, kind, flags)


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

verb = partial(app.command, cls=_Verb)
"""Makes a function one of the verbs."""


@app.callback(invoke_without_command=True)
def _options(*, version: Annotated[bool, typer.Option("--version")] = False) -> None:
    if version:
        typer.echo(f"hpo {__version__}")
        raise typer.Exit
