"""Alembic's entry: hand it every table of the house and the connection that `app.db.migrate` opened."""

import importlib
from pathlib import Path

from alembic import context

import app
from app.db.base import Base

# Every area keeps its rows in its own tables.py; a migration is only complete when all of them are known.
for tables in sorted(Path(app.__file__).parent.glob("*/tables.py")):
    importlib.import_module(f"app.{tables.parent.name}.tables")

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most things in place: batch mode rebuilds the table.
    render_as_batch=True,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
