"""The shop's questions to PostgreSQL. Orders are asked for as their customer: the row policy decides what that shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from telemetry import SqlStateCursor


class Account(NamedTuple):
    id: str
    password_salt: str
    password_hash: str
    role: str
    customer: str


def account(name: str) -> Account | None:
    """The account of a name in lower case."""
    with _transaction() as connection:
        found = connection.execute(
            "SELECT id, password_salt, password_hash, role, customer FROM accounts WHERE name = %s", [name]
        ).fetchone()
    return Account(*found) if found else None


def order(number: int, *, customer: str) -> dict[str, object] | None:
    with _transaction(customer) as connection:
        found = connection.execute("SELECT id, customer, item FROM orders WHERE id = %s", [number]).fetchone()
    return dict(zip(("id", "customer", "item"), found, strict=True)) if found else None


def add_order(owner: str, item: str, *, customer: str) -> int:
    """The new order's number. Errors: psycopg.errors.InsufficientPrivilege where the row policy refuses the owner."""
    with _transaction(customer) as connection:
        added = connection.execute("INSERT INTO orders (customer, item) VALUES (%s, %s) RETURNING id", [owner, item])
        return int(added.fetchone()[0])


@contextmanager
def _transaction(customer: str | None = None) -> Iterator[psycopg.Connection]:
    """One transaction, committed at the end of its `with` block. A service of more traffic takes connections from a pool."""
    with psycopg.connect(os.environ["DATABASE_URL"], cursor_factory=SqlStateCursor, connect_timeout=5) as connection:
        if customer is not None:
            connection.execute("SELECT set_config('app.customer', %s, true)", [customer])
        yield connection
