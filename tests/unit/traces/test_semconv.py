"""Attribute names: current and older spellings answer the same question; what is no answer is none."""

import pytest

from app.traces import semconv
from app.traces.model import Event, Resource, Scope, Span, SpanKind

RESOURCE = Resource("app", {})


def span(name="x", kind=SpanKind.CLIENT, scope="", events=(), **attributes):
    spelled = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span("a" * 32, "b" * 16, "", name, kind, 1, 2, spelled, RESOURCE, Scope(scope, "", {}), events=events)


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"http__response.status_code": 403}, 403),
        ({"http__status_code": "403"}, 403),
        ({"http__status_code": 403.0}, 403),
        ({"http__response.status_code": 200, "http__status_code": 500}, 200),
        ({"http__status_code": "0"}, None),
        ({"http__status_code": 99}, None),
        ({"http__status_code": True}, None),
        ({"status": "403"}, None),
        ({}, None),
    ],
)
def test_an_http_status(attributes, status):
    assert semconv.http_status(span(**attributes)) == status


def test_springs_own_name_for_it_counts_only_in_springs_spans():
    assert semconv.http_status(span(scope="org.springframework.boot", status="403")) == 403


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"rpc__grpc.status_code": 7}, 7),
        ({"rpc__response.status_code": "PERMISSION_DENIED"}, 7),
        ({"rpc__status_code": "UNAUTHENTICATED"}, 16),
        ({"grpc__status_code": "16"}, 16),
        ({"rpc__connect_rpc.error_code": "permission_denied"}, 7),
        ({"rpc__grpc.status_code": 17}, None),
        ({"rpc__response.status_code": "teapot"}, None),
        ({}, None),
    ],
)
def test_a_grpc_status(attributes, code):
    assert semconv.grpc_status(span(**attributes)) == code


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"url__path": "/orders/7"}, "/orders/7"),
        ({"http__target": "/orders/7?token=x"}, "/orders/7"),
        ({"url__full": "https://shop.example:8443/orders/7?x=1#y"}, "/orders/7"),
        ({"http__url": "https://shop.example"}, "/"),
        ({}, ""),
    ],
)
def test_a_path(attributes, path):
    assert semconv.path(span(**attributes)) == path


@pytest.mark.parametrize(
    ("attributes", "peer"),
    [
        ({"peer__service": "stock", "server__address": "10.0.0.1"}, "stock"),
        ({"server__address": "stock:8080"}, "stock"),
        ({"net__peer.name": "stock"}, "stock"),
        ({"http__url": "http://stock:8080/x"}, "stock"),
        ({"upstream_cluster": "outbound|9080||reviews.shop.svc.cluster.local"}, "reviews.shop.svc.cluster.local"),
        ({"network__peer.address": "10.0.0.1"}, "10.0.0.1"),
        ({"url__full": "http://[broken"}, ""),
        ({}, ""),
    ],
)
def test_a_peer(attributes, peer):
    assert semconv.peer(span(**attributes)) == peer


@pytest.mark.parametrize(
    ("address", "bare"),
    [("203.0.113.5:41234", "203.0.113.5"), ("[2001:db8::1]:443", "2001:db8::1"), ("::ffff:203.0.113.5", "203.0.113.5"),
     ("2001:db8::1", "2001:db8::1"), (" 203.0.113.5 ", "203.0.113.5"), ("", "")],
)  # fmt: skip
def test_an_address_without_its_clothes(address, bare):
    assert semconv.bare_address(address) == bare


@pytest.mark.parametrize(
    ("name", "attributes", "operation"),
    [
        ("x", {"db__operation.name": "select"}, "SELECT"),
        ("x", {"db__operation": "INSERT postgres"}, "INSERT"),
        ("x", {"db__statement": "\n  (SELECT 1)"}, "SELECT"),
        ("query UPDATE", {"db__system": "postgresql"}, "UPDATE"),
        ("pg.query:DELETE shop", {"db__system": "postgresql"}, "DELETE"),
    ],
)
def test_what_was_asked_of_a_database(name, attributes, operation):
    assert semconv.db_operation(span(name, **attributes)) == operation


def test_who_acted_may_stand_on_an_event():
    event = Event("LOGIN_ERROR", 1, {"kc.details.username": "alice"})
    assert semconv.principal(span(events=(event,))) == "alice"
    assert semconv.principal(span(enduser__id="bob", events=(event,))) == "bob"


def test_exceptions_are_recognised_by_name_or_attribute():
    events = (
        Event("exception", 1, {"exception.type": "A", "exception.message": "x"}),
        Event("log", 1, {"exception.type": "B"}),
        Event("log", 1, {"message": "no exception"}),
    )
    assert semconv.exceptions(span(events=events)) == [("A", "x"), ("B", "")]


def test_a_wrapper_is_followed_by_what_it_wraps():
    wrapper = Event("exception", 1, {"exception.type": "W", "exception.message": "java.net.ConnectException: refused"})
    assert semconv.exceptions(span(events=(wrapper,))) == [
        ("W", "java.net.ConnectException: refused"),
        ("java.net.ConnectException", "refused"),
    ]
    words = Event("exception", 1, {"exception.type": "W", "exception.message": "Loading failed: java.net.ConnectException"})
    assert len(semconv.exceptions(span(events=(words,)))) == 1


def test_an_exception_may_stand_on_the_span_itself():
    found = semconv.exceptions(span(**{"exception.message": "JWT error: ExpiredSignature"}))
    assert found == [("", "JWT error: ExpiredSignature")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (403, "403"), (["a", "b"], "a"), ([], ""), (None, ""), (b"\xff", "\ufffd"), ({"a": 1}, "{'a': 1}")],
)
def test_values_are_compared_as_text(value, text):
    assert semconv.text(value) == text
