"""What Alembic runs to bring a store up to date, on the connection that `hpo.ledger.revision` hands it."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
with context.begin_transaction():
    context.run_migrations()
