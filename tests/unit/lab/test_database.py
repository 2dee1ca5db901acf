"""SQLite in PostgreSQL's place refuses the same things: tables without a grant, rows of somebody else."""

import sqlite3

import pytest

from app.lab import world
from app.lab.config import BILLING, IDENTITY, ORDERS
from app.lab.database import connect
from app.lab.schema import GRANTS, create_sqlite

PEOPLE = world.make(7, regulars=2, quiet=1, support=1)


@pytest.fixture
def url(tmp_path):
    path = tmp_path / "shop.sqlite"
    create_sqlite(str(path), PEOPLE, {person.id: "hash" for person in PEOPLE.people})
    return f"sqlite:///{path}"


def order(url, *, customer, user, roles=("customer",)):
    with connect(url, ORDERS).transaction(user_id=user.id, roles=roles) as cursor:
        cursor.execute(
            "INSERT INTO orders (customer_id, sku, quantity, total_cents, region, status) VALUES (%s, 'x', 1, 1, 'eu', 'open')"
            " RETURNING id",
            (customer.id,),
        )
        return cursor.fetchone()[0]


def count(url, role, table):
    with connect(url, role).transaction() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("role", [IDENTITY, ORDERS, BILLING])
@pytest.mark.parametrize("table", ["users", "orders", "invoices", "ledger"])
def test_a_role_reads_what_it_has_a_grant_for_and_nothing_else(url, role, table):
    with connect(url, role).transaction() as cursor:
        if ("SELECT", table) in GRANTS[role]:
            cursor.execute(f"SELECT * FROM {table}")
        else:
            with pytest.raises(sqlite3.DatabaseError, match=r"prohibited|not authorized"):
                cursor.execute(f"SELECT * FROM {table}")


def test_a_customer_writes_own_rows_only(url):
    ada, ben = PEOPLE.regulars
    before = count(url, ORDERS, "orders")
    order(url, customer=ada, user=ada)
    with pytest.raises(sqlite3.IntegrityError, match="belongs to another user"):
        order(url, customer=ben, user=ada)
    assert count(url, ORDERS, "orders") == before + 1


def test_support_writes_on_a_customers_behalf(url):
    order(url, customer=PEOPLE.regulars[0], user=PEOPLE.support[0], roles=("support",))


def test_a_failed_transaction_leaves_nothing(url):
    ada = PEOPLE.regulars[0]
    before = count(url, ORDERS, "orders")

    def write_and_fail():
        with connect(url, ORDERS).transaction(user_id=ada.id, roles=("customer",)) as cursor:
            cursor.execute(
                "INSERT INTO orders (customer_id, sku, quantity, total_cents, region, status)"
                " VALUES (%s, 'x', 1, 1, 'eu', 'open')",
                (ada.id,),
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert count(url, ORDERS, "orders") == before
