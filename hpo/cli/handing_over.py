"""What takes a winner elsewhere: into code, MLflow and its registry."""

from __future__ import annotations

import typer

from hpo import settings
from hpo.cli import frame, output


@frame.verb()
def export(words: frame.Words = None) -> None:
    """Write plain PyTorch code, tables, a study."""
    chosen = settings.ExportSettings.from_words(words or ())
    if chosen.of_search:
        from hpo.handover.departure import hand_over

        typer.echo(hand_over(chosen))
        return
    from hpo.handover.handover import export as write

    typer.echo(write(chosen, lambda line: typer.echo(line, err=True)))


@frame.verb()
def compress(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Quantize and prune the winner, and compare."""
    chosen = settings.CompressSettings.from_words(words or ())
    from hpo.handover.compression import compress as make
    from hpo.terminal import compressed

    variants, kept = make(chosen, lambda line: typer.echo(line, err=True))
    output.put(compressed.page(variants, kept), [it.describe() for it in variants], as_json=as_json)


@frame.verb()
def promote(words: frame.Words = None) -> None:
    """Register the winner in MLflow as champion."""
    chosen = settings.PromoteSettings.from_words(words or ())
    from hpo.handover.promotion import promote as crown

    typer.echo(crown(chosen, lambda line: typer.echo(line, err=True)))


@frame.verb()
def rollback(words: frame.Words = None) -> None:
    """Let the champion before serve again."""
    chosen = settings.RollbackSettings.from_words(words or ())
    from hpo.handover.promotion import step_back

    typer.echo(step_back(chosen))


@frame.verb()
def sync(words: frame.Words = None) -> None:
    """Bring MLflow level with the ledger."""
    chosen = settings.SyncSettings.from_words(words or ())
    from hpo.ledger import Ledger
    from hpo.tracking import sync as send

    count = send(Ledger(chosen.store), chosen.name, chosen.tracking)
    typer.echo(f"{count} records sent.")


@frame.verb()
def fetch(words: frame.Words = None) -> None:
    """Bring a search back from MLflow."""
    chosen = settings.FetchSettings.from_words(words or ())
    from hpo.handover.arrival import fetch as bring

    typer.echo(bring(chosen))
