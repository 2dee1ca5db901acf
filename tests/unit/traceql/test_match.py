"""What a query finds in one trace. Surprises of Tempo 3.0.3 are kept; each has its test."""

import pytest

from app.errors import InvalidInput
from app.traceql.fetch import NO_ROOT, TraceSpans
from app.traceql.match import Matcher
from app.traceql.nodes import Attribute, Intrinsic, Scope
from app.traceql.parse import parse
from app.traceql.values import Duration
from app.traces.model import Event, Link, SpanKind, Status


@pytest.fixture
def login(make_span):
    """A gateway, a failed log-in below it, and what that did."""
    root = make_span("POST /login", kind=2, lasts=0.06, service="gateway", **{"http.response.status_code": 401})
    check = make_span("auth.login", parent=root, kind=2, at=0.002, lasts=0.05, service="identity", status=Status.ERROR,
                      status_message="bad password", **{"auth.result": "failure", "auth.username": "alice"})  # fmt: skip
    query = make_span("SELECT users", parent=check, kind=3, at=0.01, lasts=0.005, service="identity", library="jdbc",
                      **{"db.rows": 1, "db.load": 0.5, "db.cached": False})  # fmt: skip
    verify = make_span("argon2 verify", parent=check, at=0.02, lasts=0.03, service="identity")
    return root, check, query, verify


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("{ }", ["POST /login", "auth.login", "SELECT users", "argon2 verify"]),
        ('{ span.auth.result = "failure" }', ["auth.login"]),
        ('{ .auth.result = "failure" }', ["auth.login"]),
        ('{ resource.service.name = "identity" && kind = client }', ["SELECT users"]),
        ('{ .service.name = "gateway" }', ["POST /login"]),
        ("{ status = error }", ["auth.login"]),
        ("{ status = unset && kind = internal }", ["argon2 verify"]),
        ('{ statusMessage = "bad password" }', ["auth.login"]),
        ("{ duration >= 50ms }", ["POST /login", "auth.login"]),
        ("{ duration > 50ms && traceDuration >= 60ms }", ["POST /login"]),
        ('{ rootName = "POST /login" && name = "auth.login" }', ["auth.login"]),
        ('{ trace:rootService = "identity" }', []),
        ("{ nestedSetParent < 0 }", ["POST /login"]),
        ('{ name =~ "auth.*" }', ["auth.login"]),
        ('{ name =~ "auth" }', []),  # anchored
        ('{ name !~ "auth.*|POST.*" }', ["SELECT users", "argon2 verify"]),
        ('{ instrumentation:name = "jdbc" }', ["SELECT users"]),
        ("{ span.db.rows = 1 }", ["SELECT users"]),
        ("{ span.db.rows > 0 && span.db.rows < 2 }", ["SELECT users"]),
        ("{ span.db.load < 1.0 }", ["SELECT users"]),
        ("{ span.db.cached = false }", ["SELECT users"]),
        ("{ span.http.response.status_code - 400 = 1 }", ["POST /login"]),
        ("{ span.http.response.status_code / 2 = 200 }", ["POST /login"]),  # whole numbers stay whole
        ("{ span.http.response.status_code % 0 = 1 }", []),
        ("{ span.auth.username != nil }", ["auth.login"]),
        ("{ span.db.rows }", []),  # a number is neither true nor false
        ('{ name = "auth.login" || name = "argon2 verify" || span.db.rows = 1 }',
         ["auth.login", "SELECT users", "argon2 verify"]),
        ('{ name = "POST /login" || kind = client && span.db.rows = 1 }', ["SELECT users"]),  # from the left
    ],
)  # fmt: skip
def test_filters(found, login, query, names):
    assert found(query, *login) == ([names] if names else [])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('{ name = "POST /login" } > { }', ["auth.login"]),
        ('{ name = "POST /login" } >> { }', ["auth.login", "SELECT users", "argon2 verify"]),
        ('{ name = "SELECT users" } < { }', ["auth.login"]),
        ('{ name = "SELECT users" } << { }', ["POST /login", "auth.login"]),
        ('{ name = "SELECT users" } ~ { }', ["argon2 verify"]),
        ("{ } ~ { }", ["SELECT users", "argon2 verify"]),
        ('{ name = "auth.login" } !> { }', ["POST /login", "auth.login"]),
        ('{ name = "auth.login" } !>> { }', ["POST /login", "auth.login"]),
        ('{ name = "SELECT users" } !<< { }', ["SELECT users", "argon2 verify"]),
        ('{ name = "SELECT users" } !< { }', ["POST /login", "SELECT users", "argon2 verify"]),
        ('{ name = "SELECT users" } !~ { }', ["POST /login", "auth.login", "SELECT users"]),
        ('{ name = "nothing" } !>> { kind = client }', ["SELECT users"]),
        ('{ name = "POST /login" } &> { }', ["auth.login", "POST /login"]),
        ('{ name = "POST /login" } &>> { kind = client }', ["SELECT users", "POST /login"]),
        ('{ kind = client } &<< { kind = server }', ["POST /login", "auth.login", "SELECT users"]),
        ('{ kind = client } &~ { kind = internal }', ["argon2 verify", "SELECT users"]),
        ('{ kind = client } && { status = error }', ["auth.login", "SELECT users"]),
        ('{ kind = client } && { status = ok }', []),
        ('{ kind = client } || { status = ok }', ["SELECT users"]),
        ('{ kind = producer } || { kind = client } && { status = error }', ["auth.login", "SELECT users"]),
        ('({ kind = client } | count() > 0) && ({ status = error } | count() > 0)', ["auth.login", "SELECT users"]),
        ('({ kind = client } | count() > 1) || ({ status = error } | count() > 0)', ["auth.login"]),
    ],
)  # fmt: skip
def test_relations_between_spans(found, login, query, names):
    sets = found(query, *login)
    assert sorted(name for names_of_one in sets for name in names_of_one) == sorted(names)
    assert len(sets) == bool(names)


def test_orphans_are_related_to_nothing(found, make_span):
    root, orphan = make_span("root"), make_span("orphan", parent_id="00000000000000ff")
    assert found("{ } >> { }", root, orphan) == []
    assert found('{ name = "root" } !>> { name = "orphan" }', root, orphan) == [["orphan"]]


def matched(query, *spans):
    [one] = Matcher(parse(query)).match(TraceSpans("ab" * 16, spans))
    return one


def test_aggregates_are_told_with_the_set(login):
    assert matched("{ } | count() > 3", *login).attributes == (("count()", 4),)
    assert matched("{ } | avg(duration) > 1ms", *login).attributes == (("avg(duration)", Duration(36_250_000)),)
    assert matched("{ } | max(span.db.rows) = 1", *login).attributes == (("max(span.db.rows)", 1),)
    assert matched("{ } | sum(duration) > 1ms | min(duration) = 5ms", *login).attributes == (
        ("sum(duration)", Duration(145_000_000)),
        ("min(duration)", Duration(5_000_000)),
    )


def test_aggregates_over_nothing_find_nothing(found, login):
    assert found("{ } | sum(span.nothing) >= 0", *login) == []
    assert found("{ } | count() > 4", *login) == []


def test_groups_and_coalesce(found, login):
    assert sorted(found("{ } | by(resource.service.name)", *login)) == [
        ["POST /login"],
        ["auth.login", "SELECT users", "argon2 verify"],
    ]
    assert found("{ } | by(resource.service.name) | count() > 2", *login) == [["auth.login", "SELECT users", "argon2 verify"]]
    assert found("{ } | by(name) | coalesce()", *login) == [[span.name for span in login]]
    assert matched("{ kind = internal } | by(span.nothing)", *login).attributes == (("by(span.nothing)", None),)


def test_relations_need_one_set_of_spans(login):
    with pytest.raises(InvalidInput, match="coalesce"):
        Matcher(parse("({ } | by(name)) > ({ } | by(kind))")).match(TraceSpans("ab" * 16, login))


def test_what_is_shown_with_a_span(login):
    matcher = Matcher(parse('{ span.auth.result = "failure" } | select(span.auth.username, span.nothing, kind)'))
    [one] = matcher.match(TraceSpans("ab" * 16, login))
    assert matcher.shown(one.rows[0]) == {
        Attribute("auth.result", Scope.SPAN): "failure",
        Attribute("auth.username", Scope.SPAN): "alice",
        Intrinsic.KIND: SpanKind.SERVER,
    }


def test_events_and_links(found, make_span):
    span = make_span(
        events=(Event("retry", 1_000_100_000_000, {"n": 1}), Event("exception", 1_000_200_000_000, {"n": 2, "type": "Denied"})),
        links=(Link("00000000000000000000000000000abc", "00000000000000ef", {"why": "retry of"}),),
    )
    assert found('{ event:name = "exception" && event.n = 2 }', span)
    assert not found('{ event:name = "exception" && event.n = 1 }', span)  # one and the same event
    assert found('{ event:timeSinceStart > 150ms && event.type =~ "D.*" }', span)
    assert found('{ link:traceID = "abc" && link.why = "retry of" }', span)
    assert not found('{ link:traceID = "00000000000000000000000000000abc" }', span)  # without leading zeros only
    assert found('{ link:spanID = "00000000000000ef" }', span)
    assert not found('{ event:name = "exception" }', make_span())


def test_a_trace_without_a_root_says_so(found, make_span):
    orphan = make_span(parent_id="00000000000000ff")
    assert found(f'{{ rootName = "{NO_ROOT}" }}', orphan)


def test_trace_ids_match_with_and_without_leading_zeros(found, make_span):
    span = make_span()
    assert found('{ trace:id = "ab" }', span)
    assert not found('{ trace:id = "AB" }', span)
    trace = TraceSpans("000000000000000000000000000000ab", [span])
    padded = Matcher(parse('{ trace:id = "000000000000000000000000000000ab" }'))
    assert padded.match(trace)


class TestSurprises:
    """Where Tempo 3.0.3 differs from what one would write down; see conditions.py for why."""

    def test_numbers_of_another_type_are_not_found(self, found, make_span):
        span = make_span(**{"i": 500, "f": 1.5, "s": "500"})
        assert found("{ span.i = 500 }", span)
        for query in ("{ span.i = 500.0 }", "{ span.i > 499.5 }", "{ span.f > 1 }", "{ span.s = 500 }", '{ span.i = "500" }'):
            assert not found(query, span), query
        assert found("{ span.i > 499.5 || span.i > 499 }", span)

    def test_the_constant_on_the_left_of_an_order_finds_nothing(self, found, make_span):
        span = make_span(lasts=0.1, x=200)
        assert not found("{ 100 < span.x }", span)
        assert not found("{ 1ms < duration }", span)
        assert found("{ 200 = span.x }", span)

    def test_unequal_needs_a_value(self, found, make_span):
        assert found('{ span.a != "x" }', make_span(a="y"))
        assert not found('{ span.a != "x" }', make_span())

    def test_a_negated_comparison_is_looked_for_as_it_stands(self, found, make_span):
        span = make_span("check", a="y")
        assert not found('{ !(span.a = "x") && name = "check" }', span)
        # In a longer pipeline all spans are fetched, and the negation holds.
        assert found('{ !(span.a = "x") && name = "check" } | count() > 0', span)

    def test_arrays_match_by_any_element(self, found, make_span):
        span = make_span(roles=["admin", "user"], ports=[80, 443])
        assert found('{ span.roles = "user" }', span)
        assert found('{ span.roles =~ "adm.*" }', span)
        assert found("{ span.ports > 400 }", span)
        assert not found('{ span.roles = "guest" }', span)

    def test_one_unequal_passes_an_array_with_the_value_and_two_do_not(self, found, make_span):
        span = make_span(roles=["admin", "user"])
        assert found('{ span.roles != "admin" }', span)
        assert not found('{ span.roles != "admin" && span.roles != "guest" }', span)
        assert found('{ span.roles != "root" && span.roles != "guest" }', span)

    def test_only_the_matching_element_of_an_array_is_shown(self, make_span):
        span = make_span(roles=["admin", "user"])
        matcher = Matcher(parse('{ span.roles = "user" }'))
        [one] = matcher.match(TraceSpans("ab" * 16, [span]))
        assert matcher.shown(one.rows[0]) == {Attribute("roles", Scope.SPAN): "user"}

    def test_maps_bytes_and_mixed_arrays_are_not_searchable(self, found, make_span):
        span = make_span(m={"k": "v"}, b=b"\x00", x=["a", 1])
        for name in "mbx":
            assert not found(f"{{ span.{name} != nil }}", span)

    def test_absence_is_found_alone_but_not_beside_another_condition(self, found, make_span):
        span = make_span("auth.login", a=1)
        assert found("{ span.b = nil }", span)
        assert not found("{ span.a = nil }", span)
        assert not found("{ span.b = nil }", make_span())  # a span without any attribute is passed over
        assert not found('{ name = "auth.login" && span.b = nil }', span)
        assert found('{ resource.service.name = "shop" && span.b = nil }', span)

    def test_a_value_on_the_span_hides_the_one_on_its_resource(self, found, make_span):
        assert found('{ .env = "live" }', make_span(resource={"env": "live"}))
        assert not found('{ .env = "live" }', make_span(resource={"env": "live"}, env="test"))

    def test_span_ids_that_begin_with_zeros_are_not_found(self, found, make_span):
        assert found('{ span:id = "5555555555555555" }', make_span(span_id="5555555555555555"))
        assert not found('{ span:id = "0055555555555555" }', make_span(span_id="0055555555555555"))

    def test_child_count_is_not_kept(self, found, make_span):
        root = make_span()
        assert not found("{ span:childCount >= 0 }", root, make_span(parent=root))
