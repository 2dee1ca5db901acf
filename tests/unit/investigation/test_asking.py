"""Fields become a TraceQL tree: what was typed stays a value, whatever it looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.investigation.asking import Ended, Fields, own_words, question, window
from app.times import DAY, HOUR, UnixNanos, parse_iso
from app.traceql.lexer import TraceQLError
from app.traceql.parse import parse
from app.traceql.write import write

NOW = parse_iso("2026-11-21T12:00:00Z")


def traceql(**fields) -> str:
    return write(question(Fields(**fields)))


def test_nothing_filled_in_asks_for_everything():
    assert traceql() == "{ }"


def test_one_field_is_one_set_of_spans():
    assert traceql(service="orders") == '{ resource.service.name = "orders" }'


def test_several_fields_may_hold_on_different_spans_of_the_trace():
    text = traceql(service="orders", principal="mallory")
    assert text.startswith('{ resource.service.name = "orders" } && { span.auth.subject = "mallory" || ')


def test_an_address_is_looked_for_in_old_and_new_spellings_and_a_subnet_as_a_pattern():
    assert 'span.client.address = "203.0.113.50"' in traceql(address="203.0.113.50")
    assert 'span.net.peer.ip = "203.0.113.50"' in traceql(address="203.0.113.50")
    assert 'span.client.address =~ "^(::ffff:)?203[.]0[.]113[.].+$"' in traceql(address="203.0.113.0/24")


def test_a_reason_is_looked_for_literally():
    assert r'span.auth.failure_reason =~ "^.*role a\\.b\\*.*$"' in traceql(reason="role a.b*")


@pytest.mark.parametrize(
    ("ended", "holds"),
    [
        (
            Ended.REFUSED,
            ['span.auth.result = "failure"', "span.http.response.status_code = 403", 'span.http.status_code = "401"'],
        ),
        (Ended.ALLOWED, ['span.auth.result = "success"']),
        (Ended.BROKE, ["status = error", "span.http.response.status_code >= 500"]),
    ],
)
def test_how_it_ended_is_asked_by_every_sign_a_span_may_carry(ended, holds):
    assert all(part in traceql(ended=ended) for part in holds)


anything = st.text(max_size=60)


@given(anything, anything, anything, anything, anything, st.sampled_from(Ended))
def test_whatever_is_typed_the_query_reads_back_as_the_same_tree(service, principal, address, route, reason, ended):
    asked = question(Fields(service, principal, address, route, reason, ended))
    assert parse(write(asked)) == asked


def test_own_traceql_is_read_before_tempo_is_asked():
    assert write(own_words("{ status = error }")) == "{ status = error }"
    with pytest.raises(TraceQLError, match="line 1, column"):
        own_words("{ status = ")
    with pytest.raises(InvalidInput, match="metrics query"):
        own_words("{ status = error } | rate()")


def test_a_window_is_the_last_stretch_or_between_two_times():
    assert window("", "", "", NOW).last == "24h"
    assert window("1h", "", "", NOW).start_ns == NOW - HOUR
    between = window("1h", "2026-11-21 02:50", "2026-11-21T03:12:30", NOW)
    assert (between.start_ns, between.end_ns) == (parse_iso("2026-11-21T02:50:00Z"), parse_iso("2026-11-21T03:12:30Z"))
    assert between.last == ""
    assert window("", "2026-11-21T02:50Z", "", NOW).start_ns == parse_iso("2026-11-21T02:50:00Z")
    assert window("", "2026-11-20", "", NOW).end_ns == NOW
    assert window("", "2026-11-20", "", UnixNanos(NOW + DAY)).start_ns == parse_iso("2026-11-20T00:00:00Z")


@pytest.mark.parametrize(
    ("last", "start", "end", "field"),
    [
        ("3 weeks", "", "", "last"),
        ("", "yesterday", "", "start"),
        ("", "2026-11-21", "2026-11-20", "end"),
        ("", "", "2026-11-20", "start"),
    ],
)
def test_a_wrong_time_is_told_at_its_field(last, start, end, field):
    with pytest.raises(InvalidInput) as told:
        window(last, start, end, NOW)
    assert told.value.field == field
