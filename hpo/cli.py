"""The command line, `hpo VERB [NAME] key=value …`: words in, text out.

Each verb reads its words into settings, calls the one function that does the work, and prints what comes
back. What a verb needs is imported inside it, so that help and refusals take a fraction of a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from hpo import __version__, settings, shipped
from hpo.errors import HpoError, InputError, Problem, SearchError, did_you_mean
from hpo.terminal import help as pages

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpo.history import History, Search
    from hpo.requirement import Judgement

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a page with a "?" in it is better than none
    try:
        # Not a short option of typer's, which would find an h in -epochs=3 as well.
        app(["--help" if word == "-h" else word for word in words], prog_name="hpo")
    except HpoError as error:
        typer.echo(_complaint(error), err=True)
        return error.exit_code
    except SystemExit as end:  # how typer ends everything else
        return int(end.code or 0)
    return 0


def _complaint(error: HpoError) -> str:
    if not isinstance(error, InputError):
        return f"hpo: {error}"
    count = len(error.problems)
    return f"hpo: nothing was started, {count} problem{'s' if count > 1 else ''}:\n{error}"


@app.callback(invoke_without_command=True)
def _options(*, version: Annotated[bool, typer.Option("--version")] = False) -> None:
    if version:
        typer.echo(f"hpo {__version__}")
        raise typer.Exit


@app.command(cls=_Verb)
def search(words: Words = None, *, as_json: Json = False) -> None:
    """Search for the best configuration."""
    chosen = settings.SearchSettings.from_words(words or ())
    from hpo.plan import order

    ordered = order(chosen)  # what is wrong is said before anything heavy is imported
    from hpo.api import run
    from hpo.last_resort import last_resort
    from hpo.terminal.live import viewer

    told = _told_to_builds(chosen.junit, chosen.name or ordered.recipe)
    with told as judged, last_resort(viewer, chosen.store_words) as viewing:
        found = run(ordered, chosen.store, viewing)
        judged.extend(found.requirements)
    _show(found.search, found.history, chosen, as_json=as_json, briefly=True)
    _demand(judged)


@app.command(cls=_Verb)
def train(words: Words = None, *, as_json: Json = False) -> None:
    """Train one configuration, here and now."""
    chosen = settings.TrainSettings.from_words(words or ())
    from hpo.plan import order_training

    ordered = order_training(chosen)
    from hpo.api import run
    from hpo.last_resort import last_resort
    from hpo.terminal.live import viewer

    with last_resort(viewer, chosen.store_words) as viewing:
        found = run(ordered, chosen.store, viewing)
    _show(found.search, found.history, chosen, as_json=as_json)


@app.command(cls=_Verb)
def resume(words: Words = None) -> None:
    """Go on with a search that was interrupted."""
    chosen = settings.ResumeSettings.from_words(words or ())
    if chosen.service:
        from hpo.submission import go_on as go_on_there

        go_on_there(chosen)
        typer.echo(f"{chosen.search} is submitted. {_at(chosen.service, chosen.search)}")
        return
    from hpo.conductor import resume as go_on
    from hpo.last_resort import last_resort
    from hpo.summary import required
    from hpo.terminal.live import viewer

    told = _told_to_builds(chosen.junit, chosen.search)
    with told as judged, last_resort(viewer, chosen.store_words) as viewing:
        found, history = go_on(chosen, viewing)
        judged.extend(required(found, history))
    _show(found, history, chosen, as_json=False, briefly=True)
    _demand(judged)


@app.command(cls=_Verb)
def show(words: Words = None, *, as_json: Json = False) -> None:
    """Show a search: best trials, gain, next steps."""
    chosen = settings.NameSettings.from_words(words or ())
    from hpo.ledger import Ledger

    ledger = Ledger(chosen.store)
    found = ledger.search(chosen.name)
    _show(found, ledger.history(found), chosen, as_json=as_json)


@app.command(cls=_Verb)
def watch(words: Words = None, *, as_json: Json = False) -> None:
    """Watch a search that runs elsewhere."""
    chosen = settings.NameSettings.from_words(words or ())
    from hpo import watching

    if as_json:
        for record in watching.records(chosen.name, chosen.store):
            typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
        return
    from hpo.terminal.live import viewer

    found, history = watching.watch(chosen.name, chosen.store, viewer)
    _show(found, history, chosen, as_json=False)


@app.command(name="list", cls=_Verb)
def list_(words: Words = None, *, as_json: Json = False) -> None:
    """List all searches."""
    chosen = settings.StoreSettings.from_words(words or ())
    from hpo.ledger import Ledger
    from hpo.summary import describe_briefly
    from hpo.terminal import tables

    ledger = Ledger(chosen.store)
    described = [describe_briefly(found, ledger.history(found)) for found in ledger.searches()]
    _print(tables.searches(described), described, as_json=as_json)


@app.command(cls=_Verb)
def export(words: Words = None) -> None:
    """Write plain PyTorch code, tables, a study."""
    chosen = settings.ExportSettings.from_words(words or ())
    if chosen.of_search:
        from hpo.departure import hand_over

        typer.echo(hand_over(chosen))
        return
    from hpo.handover import export as write

    typer.echo(write(chosen, lambda line: typer.echo(line, err=True)))


@app.command(cls=_Verb)
def extend(words: Words = None) -> None:
    """Train a trial on, to more epochs."""
    chosen = settings.ExtendSettings.from_words(words or ())
    from hpo.extension import extend as go_further
    from hpo.terminal.live import viewer

    found, history = go_further(chosen, viewer, lambda line: typer.echo(line, err=True))
    _show(found, history, chosen, as_json=False)


@app.command(cls=_Verb)
def compress(words: Words = None, *, as_json: Json = False) -> None:
    """Quantize and prune the winner, and compare."""
    chosen = settings.CompressSettings.from_words(words or ())
    from hpo.compression import compress as make
    from hpo.terminal import compressed

    variants, kept = make(chosen, lambda line: typer.echo(line, err=True))
    _print(compressed.page(variants, kept), [it.describe() for it in variants], as_json=as_json)


@app.command(cls=_Verb)
def promote(words: Words = None) -> None:
    """Register the winner in MLflow as champion."""
    chosen = settings.PromoteSettings.from_words(words or ())
    from hpo.promotion import promote as crown

    typer.echo(crown(chosen, lambda line: typer.echo(line, err=True)))


@app.command(cls=_Verb)
def rollback(words: Words = None) -> None:
    """Let the champion before serve again."""
    chosen = settings.RollbackSettings.from_words(words or ())
    from hpo.promotion import step_back

    typer.echo(step_back(chosen))


@app.command(cls=_Verb)
def plot(words: Words = None) -> None:
    """Draw a search: curves, gradients, layers."""
    chosen = settings.PlotSettings.from_words(words or ())
    from hpo.plot import plot as draw

    for name, path, reason in draw(chosen):
        typer.echo(path or f"{name} not drawn: {reason}")


@app.command(cls=_Verb)
def report(words: Words = None) -> None:
    """Write a search as one page of HTML."""
    chosen = settings.ReportSettings.from_words(words or ())
    from pathlib import Path

    from hpo.ledger import Ledger
    from hpo.report import write

    ledger = Ledger(chosen.store)
    found = ledger.search(chosen.name)
    typer.echo(write(found, ledger.history(found), Path(chosen.to or f"{found.name}.html")))


@app.command(cls=_Verb)
def ui(words: Words = None) -> None:
    """Open MLflow's pages on the searches."""
    chosen = settings.TrackingSettings.from_words(words or ())
    from hpo.tracking import ui as pages_of

    address, command, environment = pages_of(chosen.tracking)
    typer.echo(f"Open {address}")
    if command:
        raise typer.Exit(subprocess.call(command, env=environment))  # noqa: S603 - our own words, no shell


@app.command(cls=_Verb)
def sync(words: Words = None) -> None:
    """Bring MLflow level with the ledger."""
    chosen = settings.SyncSettings.from_words(words or ())
    from hpo.ledger import Ledger
    from hpo.tracking import sync as send

    count = send(Ledger(chosen.store), chosen.name, chosen.tracking)
    typer.echo(f"{count} records sent.")


@app.command(cls=_Verb)
def audit(words: Words = None, *, as_json: Json = False) -> None:
    """Check a search's ledger and MLflow."""
    chosen = settings.SyncSettings.from_words(words or ())
    from hpo.audit import audit as examine
    from hpo.terminal import tables
    from hpo.tracking import default_uri

    checks = examine(chosen.store, chosen.name, chosen.tracking or default_uri())
    _print(tables.audit(checks), [check.describe() for check in checks], as_json=as_json)
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


@app.command(cls=_Verb)
def replay(words: Words = None, *, as_json: Json = False) -> None:
    """Decide or train again, and compare."""
    chosen = settings.ReplaySettings.from_words(words or ())
    from hpo.replay import replay as decide
    from hpo.replay import retrain
    from hpo.terminal import replaying
    from hpo.terminal.live import viewer

    found = decide(chosen) if chosen.trial is None else retrain(chosen, viewer)
    _print(replaying.page(found), found.describe(), as_json=as_json)
    if not found.expected:
        raise typer.Exit(1)


@app.command(cls=_Verb)
def diff(words: Words = None, *, as_json: Json = False) -> None:
    """Compare two searches, or two trials."""
    chosen = settings.DiffSettings.from_words(words or ())
    from hpo.differences import diff as compare
    from hpo.terminal import differing

    found = compare(chosen)
    _print(differing.page(found), found.describe(), as_json=as_json)


@app.command(cls=_Verb)
def space(words: Words = None) -> None:
    """Suggest the space to search next."""
    chosen = settings.SpaceSettings.from_words(words or ())
    from hpo.suggesting import suggest

    typer.echo(suggest(chosen), nl=bool(chosen.to))


@app.command(cls=_Verb)
def check(words: Words = None, *, as_json: Json = False) -> None:
    """List all mistakes of a search."""
    from hpo.check import check as examine
    from hpo.check import describe, said

    plan = examine(words or ())
    typer.echo(json.dumps(describe(plan), indent=2) if as_json else said(plan))


@app.command(cls=_Verb)
def new(words: Words = None) -> None:
    """Write a recipe or space to start from."""
    chosen = settings.NewSettings.from_words(words or ())
    from hpo.starting import new as write

    path = write(chosen.kind, chosen.name)
    recipe = "mlp space=" if chosen.kind == "space" else ""
    typer.echo(f"Written: {path}. Run it: hpo search recipe={recipe}{chosen.name}")


@app.command(cls=_Verb)
def copy(words: Words = None) -> None:
    """Copy a recipe or space, to change it."""
    chosen = settings.CopySettings.from_words(words or ())
    from hpo.starting import copy as write

    for path in write(chosen.source, chosen.name):
        typer.echo(f"Written: {path}")


@app.command(cls=_Verb)
def doctor(words: Words = None, *, as_json: Json = False) -> None:
    """Say what works on this machine."""
    chosen = settings.StoreSettings.from_words(words or ())
    from hpo.doctor import examine
    from hpo.terminal import health

    findings = []
    for finding in examine(chosen.store):
        findings.append(finding)
        if not as_json:
            _print(health.line(finding), None, as_json=False)
    _print(health.verdict(findings), [it.describe() for it in findings], as_json=as_json)
    if any(it.essential and not it.well for it in findings):
        raise typer.Exit(1)


@app.command(cls=_Verb)
def submit(words: Words = None) -> None:
    """Have a service run a search."""
    chosen = settings.SubmitSettings.from_words(words or ())
    from hpo.submission import submit as send

    name = send(chosen)
    typer.echo(f"{name} is submitted. {_at(chosen.service, name)}")


def _at(service: str, name: str) -> str:
    return f"See it: hpo status service={service}. Stop it: hpo stop {name} service={service}"


@app.command(cls=_Verb)
def status(words: Words = None, *, as_json: Json = False) -> None:
    """List what a service was given to do."""
    chosen = settings.ServiceSettings.from_words(words or ())
    from hpo.submission import status as ask
    from hpo.terminal import tables

    jobs = [job._asdict() for job in ask(chosen)]
    _print(tables.jobs(jobs), jobs, as_json=as_json)


@app.command(cls=_Verb)
def stop(words: Words = None) -> None:
    """Stop a search in order, as Ctrl-C does."""
    chosen = settings.StopSettings.from_words(words or ())
    if chosen.service:
        from hpo.submission import stop as end
    else:
        from hpo.watching import stop as end

    typer.echo(end(chosen))


@app.command(cls=_Verb)
def recipes(words: Words = None, *, as_json: Json = False) -> None:
    """List the recipes, yours and hpo's own."""
    settings.Settings.from_words(words or ())
    from hpo.summary import describe_recipes
    from hpo.terminal import tables

    described = describe_recipes(shipped.available("recipes", ".py"))
    _print(tables.recipes(described), described, as_json=as_json)


@app.command(cls=_Verb)
def spaces(words: Words = None, *, as_json: Json = False) -> None:
    """List the search spaces, yours and hpo's own."""
    settings.Settings.from_words(words or ())
    from hpo.summary import describe_spaces
    from hpo.terminal import tables

    described = describe_spaces(shipped.available("search_spaces", ".yaml"))
    _print(tables.spaces(described), described, as_json=as_json)


@app.command(cls=_Verb)
def completion(words: Words = None) -> None:
    """Complete words in your shell."""
    chosen = settings.CompletionSettings.from_words(words or ())
    from hpo.completion import SCRIPTS, complete

    found = complete(chosen.line, VERBS) if chosen.line else [SCRIPTS[chosen.shell].rstrip()]
    typer.echo("\n".join(found))


@app.command(cls=_Verb)
def version(words: Words = None) -> None:
    """Print the version of hpo."""
    settings.Settings.from_words(words or ())
    typer.echo(f"hpo {__version__}")


@contextmanager
def _told_to_builds(path: str, name: str) -> Iterator[list[Judgement]]:
    """Write a JUnit file, if one is wanted, with what is judged within or why the search failed."""
    from hpo import junit

    judged: list[Judgement] = []
    try:
        yield judged
    except SearchError as failure:
        junit.write(path, name, judged, str(failure))
        raise
    junit.write(path, name, judged)


def _demand(judged: Sequence[Judgement]) -> None:
    if not all(it.passed for it in judged):
        raise typer.Exit(1)


def _show(
    found: Search,
    history: History,
    chosen: settings.StoreSettings,
    *,
    as_json: bool,
    briefly: bool = False,
) -> None:
    from hpo.advice import advise
    from hpo.summary import describe
    from hpo.terminal import advising, tables, training

    advice, words = advise(found, history), chosen.store_words
    described = describe(found, history) | {"advice": [it.describe() for it in advice]}
    if found.given:
        page = training.show(found, history, words)
    else:
        look = " ".join(("hpo show", found.name, *words))
        shown = advising.briefly(advice, look) if briefly else advising.fully(advice)
        page = tables.show(found, history, words, shown)
    _print(page, described, as_json=as_json)


def _print(page: RenderableType, described: object, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False))
        return
    from rich.console import Console

    Console().print(page)


if __name__ == "__main__":
    sys.exit(main())
