"""How the rest of a budget is planned, and what each session has used of it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table and the column; what was before them had no budget."""
    op.add_column("sessions", sa.Column("used", sa.Float))
    op.create_table(
        "forecasts",
        sa.Column("search_id", sa.Integer, sa.ForeignKey("searches.id"), primary_key=True),
        sa.Column("trials", sa.Integer),
        sa.Column("confirm", sa.Integer, nullable=False),
        sa.Column("seeds", sa.Integer, nullable=False),
        sa.Column("used", sa.Float, nullable=False),
        sa.Column("gain", sa.Float),
        sa.Column("noise", sa.Float),
        sa.Column("over", sa.String(20), nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seq", sa.Integer, primary_key=True),
    )
