"""Which cohort took a trial up and in what way; whether a session's driver is alive; what is in MLflow."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; what was written before them has their defaults."""
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("attempts")}
    if "notes" not in there:  # they came a little before revisions did
        op.add_column("attempts", sa.Column("notes", sa.Text, nullable=False, server_default="{}"))
    op.add_column("attempts", sa.Column("cohort", sa.String(64), nullable=False, server_default=""))
    op.add_column("searches", sa.Column("uploaded", sa.Integer))
    op.add_column("sessions", sa.Column("born", sa.Float))
    op.add_column("sessions", sa.Column("heartbeat", sa.Float))
