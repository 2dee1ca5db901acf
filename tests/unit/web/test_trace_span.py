"""One span in full: what the verdict rests on is marked, what may be cut says so, and nothing is too large."""

from support.stories import SERVER, Teller, http, refused_by_policy, span_id, verdict

from app.traces.model import Event, Link
from app.web.views.asked import Asked
from app.web.views.reading import Reading
from app.web.views.span import CUT_AT, PAGE, PANEL, SpanView, span_view, value_text


def shown(attributes, limits=PANEL, **fields) -> SpanView:
    t = Teller()
    t.span("gw", "", "shop", "GET /", 0, 10, SERVER, attributes, **fields)
    trace = t.trace()
    reading = Reading(trace, verdict(trace))
    return span_view(reading, trace.nodes[0], Asked(trace.trace_id), limits=limits)


def row(view: SpanView, key: str):
    return next(r for r in view.attributes.rows if r.key == key)


def test_the_deciding_span_marks_what_the_verdict_rests_on_and_puts_it_first():
    trace, judged = refused_by_policy()
    view = span_view(Reading(trace, judged), trace.by_id[span_id("decide")], Asked(trace.trace_id))
    assert [r.key for r in view.attributes.rows if r.proof] == ["authz.decision", "authz.reason"]
    assert [r.key for r in view.attributes.rows][:2] == ["authz.decision", "authz.reason"]
    assert (view.started, view.status) == ("+50.6 ms", "unset, HTTP 200")
    assert view.took == "44.0 ms, 35.0 ms of them in policy-db"


def test_a_secret_is_named_and_never_shown():
    view = shown(
        {
            "http.request.header.authorization": "Bearer kJ8sd9f8s7d6f5s4d3f2",
            "url.full": "https://shop.example/login?access_token=kJ8sd9f8s7d6f5s4d3f2&next=/",
            "password": "hunter2",
            "note": "x" * 290 + " kJ8sd9f8s7d6f5s4d3f2",
        },
        status_message="refused kJ8sd9f8s7d6f5s4d3f2",
    )
    assert {r.key for r in view.attributes.rows if r.secret} == {
        "http.request.header.authorization", "url.full", "password", "note",
    }  # fmt: skip
    assert row(view, "url.full").value == "https://shop.example/login?access_token=[redacted]&next=/"
    assert row(view, "url.full").raw == ""
    assert "kJ8sd9" not in repr(view)
    assert "hunter2" not in repr(view)
    assert view.has_secret


def test_personal_data_is_shown_and_tagged():
    found = row(shown({"user.email": "ann@example.org"}), "user.email")
    assert (found.value, found.personal, found.secret) == ("ann@example.org", True, False)


def test_a_value_of_exactly_the_length_that_tempo_cuts_at_may_be_cut():
    view = shown({"a": "x" * CUT_AT, "b": "x" * (CUT_AT - 1), "c": "ü" * (CUT_AT // 2), "d": "x" * (CUT_AT + 1)})
    assert {r.key for r in view.attributes.rows if r.truncated} == {"a", "c"}


def test_a_long_value_is_cut_with_its_length_told_and_the_raw_one_a_click_away():
    value = "y" * 5000
    found = row(shown({"db.query.text": value}), "db.query.text")
    assert (len(found.value), found.length, found.is_cut, found.raw) == (PANEL.value, 5000, True, value)
    assert not row(shown({"db.query.text": value}, limits=PAGE), "db.query.text").is_cut


def test_a_value_that_reads_otherwise_than_it_was_sent_can_be_copied_raw():
    assert row(shown({"user.name": "adm\u200bin"}), "user.name").raw == "adm\u200bin"
    assert row(shown({"user.name": "admin"}), "user.name").raw == ""


def test_thousands_of_attributes_become_a_table_and_a_number():
    view = shown({f"k{n}": n for n in range(3000)})
    assert (len(view.attributes.rows), view.attributes.more) == (PANEL.attributes, 3000 - PANEL.attributes)


def test_values_of_every_kind_have_a_text():
    assert [value_text(v) for v in (True, 7, 1.5, None, b"\x00\x01", ["a", 1], {"k": [b"x"]})] == [
        "true", "7", "1.5", "null", "AAE=", '["a", 1]', '{"k": ["eA=="]}',
    ]  # fmt: skip


def test_a_value_nested_without_end_is_told_and_not_followed():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert value_text(deep) == "(nested too deeply to be shown)"


def test_events_and_links_are_told_with_their_place():
    start = Teller().trace_id
    t = Teller()
    t.span("gw", "", "shop", "GET /", 0, 10, SERVER, http(500))
    at = t.spans[0].start_ns + 2_000_000
    t = Teller()
    t.span("gw", "", "shop", "GET /", 0, 10, SERVER, http(500),
           events=(Event("exception", at, {"exception.type": "KeyError"}),),
           links=(Link("b" * 32, "c" * 16, {}), Link(start, "d" * 16, {}), Link("", "", {})))  # fmt: skip
    trace = t.trace()
    view = span_view(Reading(trace, verdict(trace)), trace.nodes[0], Asked(trace.trace_id))
    assert [(event.name, event.when) for event in view.events] == [("exception", "+2.0 ms")]
    assert [(link.href, link.here) for link in view.links] == [
        (f"/traces/{'b' * 32}?span={'c' * 16}", False), (f"/traces/{start}?span={'d' * 16}", True), ("", False),
    ]  # fmt: skip


def test_a_corrected_clock_shows_both_times():
    t = Teller()
    t.span("gw", "", "gateway", "GET /", 0, 100, SERVER, http(200))
    t.span("svc", "gw", "orders", "GET /", 5000, 5050, SERVER, http(200))
    trace = t.trace()
    node = trace.by_id[span_id("svc")]
    view = span_view(Reading(trace, verdict(trace)), node, Asked(trace.trace_id))
    assert view.clock.startswith("orders is 5.0 s ahead")
    assert view.sent_ns == node.span.start_ns
    assert view.start_ns == node.start_ns != node.span.start_ns


def test_what_its_sender_dropped_is_told():
    assert shown({}, dropped_attributes=3, dropped_events=1).dropped == "Its sender dropped 3 attributes and 1 event."
