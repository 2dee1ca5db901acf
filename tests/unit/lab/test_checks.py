"""Hand-written auth spans: a result on every way out, an error status without words on a refusal."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from app.lab.checks import check


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test"), exporter.get_finished_spans


@pytest.mark.parametrize(
    ("name", "address", "network"),
    [
        ("client.address", "203.0.113.77", "203.0.113.0/24"),
        ("net.peer.ip", "2001:db8:a01::7", "2001:db8:a01::/48"),
        ("client.address", "unix:/run/socket", None),
    ],
)
def test_the_clients_subnet_stands_beside_its_address_in_either_dialect(spans, name, address, network):
    tracer, finished = spans
    with check(tracer, "auth.login", {name: address}) as opened:
        opened.allow()
    assert finished()[0].attributes.get("auth.client.subnet") == network


def test_an_allowed_check_leaves_its_status_unset(spans):
    tracer, finished = spans
    with check(tracer, "auth.login", {"auth.method": "password"}) as opened:
        opened.allow()
    (span,) = finished()
    assert dict(span.attributes) == {"auth.method": "password", "auth.result": "success"}
    assert span.status.status_code is StatusCode.UNSET


def test_a_denied_check_carries_its_reason_and_no_description(spans):
    tracer, finished = spans
    with check(tracer, "auth.login", {}) as opened:
        opened.deny("account_locked")
    (span,) = finished()
    assert span.attributes["auth.result"] == "failure"
    assert span.attributes["auth.failure_reason"] == span.attributes["error.type"] == "account_locked"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)


def test_an_exception_makes_an_error_of_a_check_that_had_said_nothing(spans):
    tracer, finished = spans
    with pytest.raises(TimeoutError), check(tracer, "auth.authorize", {}):
        raise TimeoutError
    (span,) = finished()
    assert span.attributes["auth.result"] == "error"
    assert span.attributes["error.type"] == "TimeoutError"
    assert not span.events, "a developer's stack trace is not part of the check"


def test_an_exception_after_the_verdict_does_not_change_it(spans):
    tracer, finished = spans

    def refuse():
        with check(tracer, "auth.authorize", {}) as opened:
            opened.deny("forbidden")
            raise PermissionError

    with pytest.raises(PermissionError):
        refuse()
    (span,) = finished()
    assert span.attributes["auth.result"] == "failure"
    assert span.attributes["error.type"] == "forbidden"


def test_a_check_that_says_nothing_counts_as_broken(spans):
    tracer, finished = spans
    with check(tracer, "auth.authorize", {}):
        pass
    assert finished()[0].attributes["auth.result"] == "error"
