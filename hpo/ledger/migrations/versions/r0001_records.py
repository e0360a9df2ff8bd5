"""Searches, sessions, and the four records of a trial: the schema before it had revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "searches",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("recipe", sa.String(100), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("path", "source", "space", "objective")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("settings", "versions")),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("search_id", sa.ForeignKey("searches.id"), nullable=False, index=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("ended", sa.Float),
        sa.Column("state", sa.String(20)),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "proposals",
        _of_search(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("origin", sa.String(20), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("params", "distributions", "notes")),
        sa.Column("cohort", sa.String(64), nullable=False),
        *_order(),
    )
    op.create_table(
        "attempts",
        _of_search(),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seq", sa.Integer, primary_key=True),
    )
    measured = ("score", "loss", "train_loss", "lr", "grad_norm", "clipped_norm", "seconds")
    op.create_table(
        "points",
        _of_search(),
        sa.Column("trial", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Float) for name in (*measured, "clipped_share", "grad_mean", "grad_std")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("metrics", "notes")),
        *_order(),
    )
    op.create_table(
        "endings",
        _of_search(),
        sa.Column("trial", sa.Integer, primary_key=True),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("notes", sa.Text, nullable=False),
        *_order(),
    )
    for table in ("proposals", "points", "endings"):
        op.create_index(f"{table}_in_order", table, ["search_id", "seq"])


def _of_search() -> sa.Column[int]:
    return sa.Column("search_id", sa.ForeignKey("searches.id"), primary_key=True)


def _order() -> tuple[sa.Column[float], sa.Column[int]]:
    return sa.Column("at", sa.Float, nullable=False), sa.Column("seq", sa.Integer, nullable=False)
