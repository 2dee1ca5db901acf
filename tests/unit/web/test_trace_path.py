"""The path tells the story of one request in boxes and arrows; the lanes tell it on a clock."""

import itertools

import msgspec
import pytest
from support.stories import (
    SERVER,
    Teller,
    allowed,
    broken_policy,
    failed_open,
    hop,
    http,
    let_through,
    long_export,
    refused_by_policy,
    refused_out_of_sight,
    span_id,
    verdict,
)

from app.analysis.verdict import Decision, Layer, LayerDecision, Outcome, Place
from app.traces.model import SpanKind
from app.web.views.asked import Asked
from app.web.views.axis import Axis
from app.web.views.hops import Hops
from app.web.views.lanes import HEIGHT, LanesView, lanes
from app.web.views.path import PathView, path
from app.web.views.reading import Reading


def walked(story) -> PathView:
    trace, judged = story
    reading = Reading(trace, judged)
    found = path(reading, Hops(reading), Asked(trace.trace_id))
    assert found is not None
    return found


def drawn(story) -> LanesView:
    trace, judged = story
    reading = Reading(trace, judged)
    return lanes(reading, Hops(reading), Axis.of(trace))


def steps(found: PathView) -> list[tuple[str, str]]:
    return [(pair.step.kind, pair.step.name) for pair in found.pairs if pair.step]


# ------------------------------------------------------------------------------------------------------------- path


def test_a_refusal_is_followed_from_the_client_to_the_shut_door_and_what_lay_behind_it():
    found = walked(refused_by_policy())
    assert steps(found) == [
        ("client", "203.0.113.50"), ("hop", "edge-gateway"), ("hop", "orders"), ("decides", "policy"),
        ("unreached", "billing"),
    ]  # fmt: skip
    assert found.lead == "The request went through three doors and stopped at the fourth."
    assert not found.down


def test_arrows_say_what_was_asked_and_what_came_back():
    legs = [pair.leg for pair in walked(refused_by_policy()).pairs if pair.leg]
    assert [(leg.out, leg.back) for leg in legs] == [
        ("POST /api/orders", "403"), ("POST /orders", "403"), ("POST /v1/decide", "200, deny"), ("stopped here", ""),
    ]  # fmt: skip
    assert {leg.tone for leg in legs} == {"deny"}


def test_each_hop_says_what_it_decided_and_what_it_did_with_the_refusal():
    _, gateway, orders, policy, _ = (pair.step for pair in walked(refused_by_policy()).pairs)
    assert (gateway.layer, gateway.decision, gateway.note) == ("API gateway", Decision.ALLOW, "token valid. Passed on 403")
    assert orders.note == "role orders:create. Enforced as 403"
    assert (policy.layer, policy.decision) == ("Policy engine", Decision.DENY)


def test_side_calls_and_effects_stand_under_their_hop():
    _, gateway, orders, *_ = (pair.step for pair in walked(refused_by_policy()).pairs)
    assert [(also.name, also.note) for also in gateway.also] == [("identity", "session active")]
    assert [(also.name, also.note) for also in orders.also] == [
        ("shop-db", "1 write before, 1 audit record after"),
        ("orders.events", "1 message after"),
        ("notify", "1 call after"),
    ]


def test_a_decision_that_stands_on_the_callers_span_is_that_of_the_one_who_was_asked():
    trace, judged = refused_by_policy()
    on_caller = LayerDecision(Layer.IDENTITY_PROVIDER, "edge-gateway", Decision.ALLOW, span_id("ask-id"), "active")
    story = (trace, msgspec.structs.replace(judged, layers=(on_caller, *judged.layers[1:])))
    gateway = walked(story).pairs[1].step
    assert (gateway.note, gateway.decision) == ("token valid. Passed on 403", Decision.ALLOW)
    assert [(also.name, also.decision) for also in gateway.also] == [("identity", Decision.ALLOW)]
    lanes_of = [(lane.layer, lane.service) for lane in drawn(story).lanes]
    assert lanes_of.count(("Identity provider", "identity")) == 1
    assert ("Identity provider", "edge-gateway") not in lanes_of


def test_a_hop_that_cannot_be_seen_is_drawn_open_and_the_refusal_has_no_known_origin():
    found = walked(refused_out_of_sight())
    assert steps(found)[-2:] == [("open", "orders"), ("open", "entitlements")]
    assert found.pairs[-1].leg.back == "200, unread"
    assert found.back == "refusal of unknown origin"
    assert found.lead == "The request went through one door. Which of the next doors was shut is not recorded."


def test_a_decider_without_spans_of_its_own_is_named_by_its_caller():
    found = walked(broken_policy())
    assert steps(found)[-1] == ("decides", "policy")
    assert found.pairs[-1].leg.out == "broke here"
    assert found.lead == "Nobody refused: something on the way broke."


def test_the_main_way_follows_the_request_and_not_the_longer_questions_beside_it():
    found = walked(failed_open())
    assert steps(found) == [("client", "not recorded"), ("hop", "edge-gateway"), ("hop", "orders")]
    gateway, orders = (pair.step for pair in found.pairs[1:])
    assert [(also.name, also.decision) for also in gateway.also] == [("identity", Decision.ALLOW)]
    assert orders.decision is Decision.ERROR
    assert ("policy", "answered 503", Decision.ERROR) in [(also.name, also.note, also.decision) for also in orders.also]
    assert found.lead == "The request went through two doors, and past a check that could not decide."


def test_a_database_behind_a_bare_address_goes_by_its_own_name():
    orders = walked(failed_open()).pairs[-1].step
    assert ("shop", "1 write") in [(also.name, also.note) for also in orders.also]
    assert [lane.service for lane in drawn(failed_open()).lanes if lane.layer == "Database"] == ["shop"]


def test_a_door_that_was_shut_and_passed_all_the_same_shows_what_happened():
    found = walked(let_through())
    last = found.pairs[-1]
    assert (last.leg.kind, last.step.note) == ("through", "UPDATE ran 400 µs after the refusal")


def test_an_allowed_request_follows_its_longest_hops_with_plain_answers():
    found = walked(allowed())
    assert steps(found) == [("client", "not recorded"), ("hop", "edge-gateway"), ("hop", "orders")]
    assert {pair.leg.tone for pair in found.pairs if pair.leg} == {""}
    assert found.back == ""


def test_work_from_a_queue_has_no_client():
    t = Teller()
    t.span("job", "", "worker", "process", 0, 10, SpanKind.CONSUMER, {"messaging.destination.name": "orders.created"})
    trace = t.trace()
    found = walked((trace, verdict(trace)))
    assert (found.pairs[0].step.layer, found.pairs[0].step.name) == ("Message from", "orders.created")
    assert found.pairs[1].leg.back == ""  # nobody waits for an answer


def test_a_long_line_of_relays_runs_downwards_with_its_middle_in_one_step():
    t = Teller()
    count = 40
    for n in range(count):
        t.span(f"n{n}", f"n{n - 1}" if n else "", f"svc{n}", "GET /", n, 200 - n, SERVER, http(403, "GET", "/"))
    trace = t.trace()
    judged = verdict(
        trace, outcome=Outcome.DENIED, span_id=span_id(f"n{count - 1}"), service=f"svc{count - 1}",
        layer=Layer.APPLICATION, entry=Place("svc0", span_id("n0"), 403),
        path=tuple(hop(trace, f"n{n}", f"svc{n - 1}" if n else None, 403, relay=n < count - 1) for n in range(count)),
        layers=(LayerDecision(Layer.APPLICATION, f"svc{count - 1}", Decision.DENY, span_id(f"n{count - 1}")),),
    )  # fmt: skip
    found = walked((trace, judged))
    kinds = [kind for kind, _ in steps(found)]
    assert kinds.count("elided") == 1
    assert f"{count - 9} more hops" in [name for _, name in steps(found)]
    assert steps(found)[-1] == ("decides", "svc39")
    assert found.down


def test_many_checks_of_one_layer_are_one_door():
    assert walked(long_export()).lead == "The request stopped at its first door."


# ------------------------------------------------------------------------------------------------------------ lanes


def test_one_lane_per_layer_and_service_with_stores_below():
    found = drawn(refused_by_policy())
    assert [(lane.layer, lane.service, lane.decision) for lane in found.lanes] == [
        ("API gateway", "edge-gateway", Decision.ALLOW),
        ("Identity provider", "identity", Decision.ALLOW),
        ("Application", "orders", Decision.ALLOW),
        ("Policy engine", "policy", Decision.DENY),
        ("Database", "shop-db, 2 more", None),
        ("Message broker", "orders.events", None),
        ("External service", "notify", None),
    ]


def test_the_thread_goes_out_to_the_deciding_span_and_comes_back_dashed():
    found = drawn(refused_by_policy())
    out = [s for s in found.strokes if s.way == "out"]
    back = [s for s in found.strokes if s.way == "back"]
    assert (out[0].x1, out[0].y1) == (0, HEIGHT // 2)
    assert (out[-1].x2, out[-1].y2) == (63.83, 3 * HEIGHT + HEIGHT // 2)
    assert (back[0].x1, back[0].y1) == (out[-1].x2, out[-1].y2)
    assert (back[-1].x2, back[-1].y2) == (100, HEIGHT // 2)


@pytest.mark.parametrize("story", [refused_by_policy, refused_out_of_sight, broken_policy, let_through, allowed, long_export])
def test_the_thread_is_one_line_without_a_jump_and_never_runs_backwards(story):
    strokes = drawn(story()).strokes
    for stroke, following in itertools.pairwise(strokes):
        assert (stroke.x2, stroke.y2) == (following.x1, following.y1)
        assert stroke.x1 <= stroke.x2
        assert stroke.x1 == stroke.x2 or stroke.y1 == stroke.y2


def test_a_refusal_colours_the_way_back_only_as_far_as_it_came():
    t = Teller()
    t.span("bff", "", "web-bff", "GET /dashboard", 0, 100, SERVER, http(200, "GET", "/dashboard"))
    t.span("ask", "bff", "web-bff", "GET billing", 10, 50, SpanKind.CLIENT, http(403))
    t.span("billing", "ask", "billing", "GET /invoices", 12, 40, SERVER, http(403, "GET", "/invoices"))
    trace = t.trace()
    judged = verdict(
        trace, outcome=Outcome.PARTIALLY_DENIED, span_id=span_id("billing"), service="billing", layer=Layer.APPLICATION,
        entry=Place("web-bff", span_id("bff"), 200), path=(hop(trace, "bff", None, 200), hop(trace, "billing", "web-bff", 403)),
        layers=(LayerDecision(Layer.APPLICATION, "billing", Decision.DENY, span_id("billing")),),
    )  # fmt: skip
    back = [(s.y1 // HEIGHT, s.tone) for s in drawn((trace, judged)).strokes if s.way == "back" and s.y1 == s.y2]
    assert back == [(0, "")]
    assert [pair.leg.tone for pair in walked((trace, judged)).pairs if pair.leg] == ["", "deny", "deny"]
    assert {s.tone for s in drawn(let_through()).strokes if s.way == "back"} == {""}
    assert {s.tone for s in drawn(refused_by_policy()).strokes if s.way == "back"} == {"deny"}


def test_the_refusal_is_marked_with_its_word_and_told_in_a_sentence():
    found = drawn(refused_by_policy())
    assert [mark.label for mark in found.marks if mark.decision is Decision.DENY] == ["refused"]
    assert found.tells == "The request passes edge-gateway, orders, policy. policy refused at 94.6 ms."


def test_a_trace_without_evidence_has_no_thread():
    trace, _ = allowed()
    assert drawn((trace, verdict(trace))).strokes == ()


def test_the_picture_of_a_large_trace_stays_small():
    found = drawn(long_export())
    assert sum(len(lane.bars) for lane in found.lanes) < 60
    assert len(found.marks) <= 20
    assert len(found.strokes) < 100


def test_hundreds_of_services_become_a_few_lanes_and_a_number():
    t = Teller()
    t.span("gw", "", "gateway", "GET /", 0, 400, SERVER, http(200))
    for n in range(300):
        t.span(f"s{n}", "gw", f"svc{n}", "GET /", n, n + 1, SERVER, http(200))
    trace = t.trace()
    path_of = (hop(trace, "gw", None, 200), *(hop(trace, f"s{n}", "gateway", 200) for n in range(300)))
    judged = verdict(trace, outcome=Outcome.ALLOWED, path=path_of)
    found = drawn((trace, judged))
    assert len(found.lanes) + found.more == 301
    assert len(found.lanes) <= 9
