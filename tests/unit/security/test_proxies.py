import pytest

from app.errors import InvalidInput
from app.security.proxies import client_address, is_trusted, networks

TRUSTED = networks(["10.0.0.0/8", "192.0.2.10", "2001:db8:1::/48"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Nobody in between: the header is the client's own invention.
        ("203.0.113.50", [], "203.0.113.50"),
        ("203.0.113.50", ["198.51.100.1"], "203.0.113.50"),
        # One trusted proxy, then two.
        ("10.0.0.1", ["203.0.113.50"], "203.0.113.50"),
        ("10.0.0.1", ["203.0.113.50, 192.0.2.10"], "203.0.113.50"),
        ("10.0.0.1", ["203.0.113.50", "192.0.2.10"], "203.0.113.50"),
        # What the client wrote in front of the proxy's entry is not believed.
        ("10.0.0.1", ["198.51.100.1, 203.0.113.50"], "203.0.113.50"),
        ("10.0.0.1", ["10.9.9.9, 203.0.113.50"], "203.0.113.50"),
        # Ports, brackets, mapped addresses.
        ("10.0.0.1", ["203.0.113.50:4711"], "203.0.113.50"),
        ("10.0.0.1", ["[2001:db8::1f]:4711"], "2001:db8::1f"),
        ("::ffff:10.0.0.1", ["203.0.113.50"], "203.0.113.50"),
        ("2001:db8:1::5", ["2001:db8::1f"], "2001:db8::1f"),
        # Nonsense ends the chain at the last hop that made sense.
        ("10.0.0.1", ["not an address"], "10.0.0.1"),
        ("10.0.0.1", ["", " , "], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.50, unknown, 192.0.2.10"], "192.0.2.10"),
        # A chain of trusted proxies all the way: the leftmost.
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("", ["203.0.113.50"], ""),
    ],
)
def test_client_address(peer, forwarded, client):
    assert client_address(peer, forwarded, TRUSTED) == client


def test_a_long_header_of_lies_costs_nothing_and_convinces_nobody():
    assert client_address("203.0.113.50", ["1.2.3.4, " * 100_000], TRUSTED) == "203.0.113.50"


def test_a_family_is_only_compared_with_its_own():
    assert not is_trusted("::a00:1", networks(["10.0.0.0/8"]))


def test_a_network_that_is_none_is_named():
    with pytest.raises(InvalidInput, match=r"trusted_proxies: 'loadbalancer'"):
        networks(["10.0.0.0/8", "loadbalancer"])
