"""How many devices a session had, so that what it used can be told on the clock and in hours of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; what was noted before stays as it was counted then."""
    op.add_column("sessions", sa.Column("devices", sa.Float))
