"""Migrations as a job: one version of the credential for the whole run, and a report (docs/recipes/alembic.md)."""

from alembic import context
from sqlalchemy import NullPool, create_engine

from keyturn.client import Run
from keyturn.client.adapters.sqlalchemy_engine import url_of

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True)  # SQL on paper needs no credential
    with context.begin_transaction():
        context.run_migrations()
else:
    with Run.begin() as run:
        engine = create_engine(url_of(run.bundle("database"), "database-url"), poolclass=NullPool)
        with engine.connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
