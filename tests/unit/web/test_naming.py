"""What spans are called: a database behind a bare address goes by the name people know it by."""

import pytest
from support.stories import CLIENT, Teller, span_id

from app.web.views import naming


def call(**attributes):
    teller = Teller()
    teller.span(
        "call", "", "orders", "INSERT", 0, 1, CLIENT, {key.replace("__", "."): value for key, value in attributes.items()}
    )
    return teller.trace().by_id[span_id("call")].span


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.3.17", "::1", "fe80::1%eth0", "localhost", "LOCALHOST"])
def test_a_database_at_a_bare_address_is_called_by_its_namespace(address):
    assert naming.called(call(db__system__name="postgresql", db__namespace="shop", server__address=address)) == "shop"


def test_a_database_without_a_namespace_is_called_by_its_product():
    assert naming.called(call(db__system__name="postgresql", server__address="127.0.0.1")) == "postgresql"


def test_a_name_is_kept():
    assert naming.called(call(db__system__name="postgresql", db__namespace="shop", server__address="shop-db")) == "shop-db"


def test_a_service_at_a_bare_address_keeps_it():
    assert naming.called(call(server__address="10.0.3.17")) == "10.0.3.17"
