"""Labels as conditions: the query built from any value finds exactly the spans that a literal comparison finds."""

import ipaddress

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from app.investigation import conditions, labels
from app.investigation.conditions import CannotAsk
from app.investigation.labels import Compare, Meaning
from app.traceql import nodes, parse, write

SHIPPED = labels.load()
HOSTILE = ['" || true || "', "\\", '\\"', "}", "{ }", "`", "a\nb", "'", "x\x00y", "\u202eevil", "9" * 400, "${jndi:x}", "é😀"]


def text_of(expression):
    return write.write(nodes.search(nodes.span_filter(expression)))


def read_back(expression):
    """What Tempo would understand of the text that is sent."""
    return parse.parse(text_of(expression)).pipeline.stages[0].expression


def holds(expression, attributes):
    """A literal evaluation of and/or over = and =~, independent of the query engine."""
    match expression:
        case nodes.Logical(operands, junctions):
            answers = [holds(operand, attributes) for operand in operands]
            return all(answers) if junctions[0] is nodes.Junction.AND else any(answers)
        case nodes.Binary(nodes.Op.EQ, field, nodes.Literal(value)):
            return attributes.get(write.field(field)) == value
        case nodes.Binary(nodes.Op.RE, field, nodes.Literal(value)):
            held = attributes.get(write.field(field))
            return isinstance(held, str) and re2.fullmatch(value, held) is not None
    raise AssertionError(expression)


@given(st.text(min_size=1, max_size=80))
@example('" || true || "')
@example("\\")
@example("a`b")
def test_any_value_reads_back_to_exactly_the_intended_comparisons(value):
    meaning = Meaning("flavour", ("span.flavour", "span.old.flavour"))
    expression = conditions.equals(meaning, value)
    assert read_back(expression) == expression
    assert holds(expression, {"span.flavour": value})
    assert holds(expression, {"span.old.flavour": value})
    assert not holds(expression, {"span.flavour": value + "x"})


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "label", ["service_name", "span_name", "auth_username", "auth_client_subnet", "auth_user_bucket", "net_peer_ip"]
)
def test_hostile_values_stay_values(label, value):
    expression = conditions.equals(SHIPPED.meaning(label), value)
    assert read_back(expression) == expression


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_bucket_is_a_literal_prefix(value):
    expression = conditions.equals(SHIPPED.meaning("auth_user_bucket"), value)
    assert holds(expression, {"span.user.hash": value + "0f"})
    assert not holds(expression, {"span.user.hash": "\n" + value})


@pytest.mark.parametrize("held", [403, "403"])
@pytest.mark.parametrize("attribute", ["span.http.response.status_code", "span.http.status_code"])
def test_a_status_matches_however_it_was_recorded(attribute, held):
    assert holds(conditions.equals(SHIPPED.meaning("http_status_code"), "403"), {attribute: held})


def test_a_number_that_is_none_is_said():
    with pytest.raises(CannotAsk, match="no whole number"):
        conditions.equals(SHIPPED.meaning("http_status_code"), "4xx")


def test_digits_and_booleans_match_their_types_too():
    meaning = Meaning("tenant", ("span.tenant",))
    assert holds(conditions.equals(meaning, "42"), {"span.tenant": 42})
    assert holds(conditions.equals(meaning, "42"), {"span.tenant": "42"})
    assert not holds(conditions.equals(meaning, "007"), {"span.tenant": 7})
    assert holds(conditions.equals(meaning, "true"), {"span.tenant": True})


@pytest.mark.parametrize(
    ("subnet", "inside", "outside"),
    [
        ("198.51.100.0/24", ["198.51.100.7", "198.51.100.255", "198.51.100.7:5012", "::ffff:198.51.100.7"],
         ["198.51.101.7", "1198.51.100.7", "198.51.100", "198x51.100.7", "98.51.100.7"]),
        ("10.20.0.0/16", ["10.20.3.4"], ["10.21.3.4", "10.2.0.1"]),
        ("203.0.112.0/20", ["203.0.112.1", "203.0.127.9"], ["203.0.128.1", "203.0.111.1"]),
        ("203.0.113.8/30", ["203.0.113.8", "203.0.113.11", "203.0.113.9:80"], ["203.0.113.12", "203.0.113.7", "203.0.113.90"]),
        ("2001:db8:1::/48", ["2001:db8:1::1", "2001:0DB8:0001:0:0:0:0:1", "[2001:db8:1::1]:443"],
         ["2001:db8:2::1", "2001:db8::1"]),
        ("2001:db8::/48", ["2001:db8::1", "2001:db8:0:5::1"], ["2001:db8:1::1", "2001:db9::1"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("attribute", ["span.client.address", "span.net.peer.ip"])
def test_a_subnet_is_itself_or_an_address_in_it(subnet, inside, outside, attribute):
    expression = read_back(conditions.equals(SHIPPED.meaning("auth_client_subnet"), subnet))
    assert holds(expression, {"span.auth.client.subnet": subnet})
    for address in inside:
        assert holds(expression, {attribute: address}), address
    for address in outside:
        assert not holds(expression, {attribute: address}), address


@given(st.integers(0, 2**32 - 1), st.integers(8, 32), st.integers(0, 2**32 - 1))
def test_any_ipv4_subnet_takes_its_own_addresses_and_no_others(base, length, other):
    network = ipaddress.ip_network((base, length), strict=False)
    expression = conditions.equals(SHIPPED.meaning("auth_client_subnet"), str(network))
    address = ipaddress.ip_address(other)
    assert holds(expression, {"span.client.address": str(address)}) == (address in network)
    assert holds(expression, {"span.client.address": str(network[-1])})


GLOBAL_V6 = st.lists(st.sampled_from([0, 0, 1, 0xDB8, 0xFFFF]) | st.integers(0, 0xFFFF), min_size=7, max_size=7).map(
    lambda groups: int.from_bytes(b"".join(group.to_bytes(2, "big") for group in (0x2001, *groups)), "big")
)


@given(GLOBAL_V6, st.sampled_from([16, 32, 48, 64]), GLOBAL_V6)
def test_any_ipv6_subnet_takes_its_own_addresses_and_no_others(base, length, other):
    network = ipaddress.ip_network((base, length), strict=False)
    expression = conditions.equals(SHIPPED.meaning("auth_client_subnet"), str(network))
    for address in (ipaddress.ip_address(other), network[0], network[1], network[-1]):
        for spelling in (str(address), address.exploded.upper()):
            assert holds(expression, {"span.client.address": spelling}) == (address in network)


@pytest.mark.parametrize("value", ["unknown", "other"])
def test_a_subnet_that_is_none_is_compared_as_a_word(value):
    expression = conditions.equals(SHIPPED.meaning("auth_client_subnet"), value)
    assert expression == nodes.eq(nodes.span("auth.client.subnet"), value)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("host", "host"),
    ],
)
def test_an_address_without_its_dress(text, bare):
    assert conditions.bare_address(text) == bare


def test_an_address_with_a_port_finds_its_other_connections():
    expression = conditions.equals(SHIPPED.meaning("net_peer_ip"), "203.0.113.5:4711")
    assert holds(expression, {"span.net.peer.ip": "203.0.113.5:9"})
    assert holds(expression, {"span.client.address": "203.0.113.5"})
    assert not holds(expression, {"span.net.peer.ip": "203.0.113.55:9"})


@pytest.mark.parametrize(("label", "value", "text"), [
    ("span_kind", "SPAN_KIND_SERVER", "{ kind = server }"), ("status_code", "STATUS_CODE_ERROR", "{ status = error }"),
])  # fmt: skip
def test_kinds_and_statuses_are_no_strings(label, value, text):
    assert text_of(conditions.equals(SHIPPED.meaning(label), value)) == text


@pytest.mark.parametrize("label", ["span_kind", "status_code"])
def test_words_that_are_no_kind_or_status_are_said(label):
    with pytest.raises(CannotAsk):
        conditions.equals(SHIPPED.meaning(label), "403")


def test_a_pattern_is_anchored_as_in_promql():
    expression = conditions.matching(SHIPPED.meaning("span_name"), "auth[.](login|logout)")
    assert read_back(expression) == expression
    assert holds(expression, {"name": "auth.login"})
    assert not holds(expression, {"name": "auth.login.extra"})
    assert not holds(expression, {"name": "xauth.logout"})


def test_a_pattern_cannot_be_held_against_a_subnet():
    assert SHIPPED.meaning("auth_client_subnet").compare is Compare.SUBNET
    with pytest.raises(CannotAsk):
        conditions.matching(SHIPPED.meaning("auth_client_subnet"), "10[.].*")
