"""What people wish of a session that runs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; nobody has wished anything of what was before it."""
    op.add_column("sessions", sa.Column("wish", sa.Text))
