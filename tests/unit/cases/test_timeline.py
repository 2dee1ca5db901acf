from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import case_samples as sample

from app.analysis.verdict import EffectKind, EffectTime, Outcome, SideEffect
from app.cases import alerts, evidence, timeline
from app.cases.timeline import Kind
from app.sources.values import AlertHistory, AlertState, FiringAlert, Interval
from app.times import MILLISECOND, UnixNanos, from_datetime

AT = from_datetime(sample.NOW)
LABELS = {"alertname": "AuthCredentialStuffing", "severity": "critical", "client_subnet": "198.51.100.0/24"}


def told(capture) -> list[timeline.Event]:
    return list(timeline.of_capture(capture, evidence.item(capture, number=3, by="Ines Varga", at_ns=AT)))


def alert(*, source="alertmanager", state=AlertState.FIRING, ended_ns=None, intervals=()) -> alerts.AlertSnapshot:
    firing = FiringAlert(source, LABELS, {"summary": "31 names in 3 min"}, state, UnixNanos(1000), ended_ns)
    history = AlertHistory(LABELS, tuple(Interval(*one) for one in intervals), 15.0) if intervals else None
    return alerts.snapshot(firing, read_ns=UnixNanos(9000), history=history)


def transitions(**given) -> list[tuple[int, str]]:
    return [(event.occurred_ns, event.desc) for event in timeline.of_alert(alert(**given), captured_ns=9500)]


def test_a_refusal_happens_when_its_deciding_span_ends():
    decision = told(sample.capture())[0]
    assert decision.kind is Kind.DECISION
    assert decision.occurred_ns == sample.START + 20 * MILLISECOND
    assert decision.desc == "Refusal bypassed"
    assert decision.title == "orders refused mallory, and the update ran all the same"


def test_occurred_observed_and_captured_stand_apart():
    decision = told(sample.capture())[0]
    assert decision.observed_ns == sample.START + 300_000 * MILLISECOND
    assert decision.captured_ns == AT
    assert len({decision.occurred_ns, decision.observed_ns, decision.captured_ns}) == 3


def test_a_decision_carries_who_asked_for_what_and_which_item_proves_it():
    decision = told(sample.capture())[0]
    assert (decision.user, decision.source_ip, decision.session_id) == ("mallory", "203.0.113.50", "s-91c2f4")
    assert decision.resource == "PUT /api/orders/{id}"
    assert (decision.http_status, decision.service, decision.layer) == (200, "orders", "application")
    assert (decision.trace_id, decision.span_id) == (sample.TRACE_ID, sample.ORDERS)
    assert (decision.evidence, decision.completeness, len(decision.evidence_sha256)) == (3, "whole", 64)


def test_an_effect_says_how_long_after_the_refusal():
    effect = told(sample.capture())[1]
    assert effect.kind is Kind.EFFECT
    assert effect.occurred_ns == sample.START + 26 * MILLISECOND
    assert effect.title == "orders wrote to orders"
    assert effect.detail == "6.0 ms after the refusal"
    assert effect.client_id == "web"


def test_an_effect_before_the_refusal_says_so():
    early = SideEffect("edge-gateway", sample.GATEWAY, EffectKind.MESSAGE, "audit", EffectTime.BEFORE_DENIAL)
    effect = told(sample.capture(judged=sample.verdict(side_effects=(early,))))[1]
    assert effect.title == "edge-gateway sent a message to audit"
    assert effect.detail == "20.0 ms before the refusal; nothing in the trace takes it back"


def test_capturing_is_an_event_of_its_own_time():
    captured = told(sample.capture(partial=True))[-1]
    assert captured.kind is Kind.EVIDENCE
    assert captured.occurred_ns == AT
    assert captured.title == "Ines Varga kept E3: edge-gateway: PUT /api/orders/{id}"
    assert "partial: trace exceeds max size" in captured.detail
    assert captured.evidence_sha256 in captured.detail


def test_a_verdict_without_a_deciding_span_stands_at_the_end_of_the_request():
    judged = sample.verdict(outcome=Outcome.ALLOWED, layer=None, phase=None, service=None, span_id=None, rule=None, reason=None,
                            side_effects=(), sentence="")  # fmt: skip
    decision = told(sample.capture(judged=judged))[0]
    assert decision.occurred_ns == sample.START + 120 * MILLISECOND
    assert decision.title == "Access allowed: edge-gateway: PUT /api/orders/{id}"
    assert decision.service == "edge-gateway"


def test_clock_correction_is_kept_beside_the_corrected_time():
    # orders' clock is ten seconds ahead: repair moves its spans back, the event says by how much
    ahead = json.loads(sample.body())
    for one in ahead["resourceSpans"][1]["scopeSpans"][0]["spans"]:
        for key in ("startTimeUnixNano", "endTimeUnixNano"):
            one[key] = str(int(one[key]) + 10_000 * MILLISECOND)
    one = ahead["resourceSpans"][1]["scopeSpans"][0]["spans"][0]
    one["kind"] = 2
    decision = told(sample.capture(data=json.dumps(ahead).encode()))[0]
    assert decision.shift_ns < 0
    assert decision.occurred_ns - decision.shift_ns == sample.START + 10_020 * MILLISECOND
    assert sample.START <= decision.occurred_ns <= sample.START + 120 * MILLISECOND


def test_telling_the_same_story_twice_gives_the_same_keys():
    first, second = told(sample.capture()), told(sample.capture())
    assert [event.key for event in first] == [event.key for event in second]
    assert len({event.key for event in first}) == len(first)


def test_an_alert_with_history_tells_every_change():
    found = transitions(
        intervals=[
            (AlertState.PENDING, 100, 200),
            (AlertState.FIRING, 200, 500),
            (AlertState.PENDING, 700, 800),
            (AlertState.FIRING, 900, None),
        ]
    )
    assert found == [
        (100, "Alert pending"),
        (200, "Alert firing"),
        (500, "Alert resolved"),
        (700, "Alert pending"),
        (800, "Alert inactive"),
        (900, "Alert firing"),
    ]


def test_an_outage_of_the_evaluator_is_no_resolution():
    found = timeline.of_alert(
        alert(intervals=[(AlertState.FIRING, 100, 300), (AlertState.FIRING, 900, 1000, True)]), captured_ns=1
    )
    assert [event.desc for event in found] == ["Alert firing", "Alert unwatched", "Alert firing", "Alert resolved"]
    assert "whether it lasted is not known" in found[1].title
    assert "nothing evaluated it in between" in found[2].title


def test_without_a_history_prometheus_only_tells_since_when_an_alert_is_active():
    assert transitions(source="prometheus") == [(1000, "Alert active")]
    assert transitions(source="alertmanager") == [(1000, "Alert firing")]
    ended = {"state": AlertState.RESOLVED, "ended_ns": UnixNanos(5000)}
    assert transitions(source="webhook", **ended) == [(1000, "Alert firing"), (5000, "Alert resolved")]


def test_an_alert_event_carries_severity_summary_and_labels():
    event = timeline.of_alert(alert(), captured_ns=9500)[0]
    assert event.title == "AuthCredentialStuffing fires"
    assert event.severity == "critical"
    assert event.detail == "31 names in 3 min; client_subnet=198.51.100.0/24"
    assert (event.observed_ns, event.captured_ns) == (9000, 9500)


def test_a_note_stands_where_it_was_written_with_all_its_words():
    event = timeline.of_note(4, "# Two got in\n\nsee E3", author="Jun Park", written_ns=77)
    assert (event.occurred_ns, event.observed_ns, event.captured_ns) == (77, 77, 77)
    assert event.title == "Jun Park wrote N4: Two got in see E3"
    assert event.detail == "# Two got in\n\nsee E3"


def test_an_entered_event_keeps_when_it_happened_and_when_it_was_entered():
    event = timeline.of_person(1, occurred_ns=50, title="Sessions revoked", detail="", actor="Jun Park", entered_ns=90)
    assert (event.occurred_ns, event.observed_ns, event.captured_ns) == (50, 90, 90)


def test_hostile_words_are_kept_as_sent_and_cut():
    judged = sample.verdict(sentence="orders refused \u202eyrollam\n\x1b[31m" + "x" * 5000, principal="a\x00b\n" + "y" * 500)
    decision = told(sample.capture(judged=judged))[0]
    assert decision.title.startswith("orders refused \u202eyrollam \x1b[31mxxx")
    assert len(decision.title) == 300
    assert decision.user.startswith("a\ufffdb\ny")
    assert len(decision.user) == 200


def test_a_secret_in_a_name_stays_in_the_evidence_alone():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYWxsb3J5In0.c2lnbmF0dXJlLXZhbHVl"
    data = sample.body(path=f"/reset/{token}")
    judged = sample.verdict(sentence=f"orders refused Bearer {token}", reason=f"bad token {token}", principal=token)
    capture = sample.capture(data=data, judged=judged)
    assert token.encode() in capture.received.body
    assert token not in repr(told(capture))
    assert "c2lnbmF0dXJlLXZhbHVl" not in repr(told(capture))


@settings(max_examples=200, deadline=None)
@given(
    start=st.integers(-(2**63), 2**63 - 1),
    status=st.none() | st.integers(-(2**40), 2**40),
    words=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
def test_any_trace_makes_events_that_a_database_can_hold(start, status, words):
    data = json.loads(sample.body())
    for resource in data["resourceSpans"]:
        for one in resource["scopeSpans"][0]["spans"]:
            one["startTimeUnixNano"] = str(max(0, start))
            one["name"] = words
    judged = sample.verdict(sentence=words, reason=words, entry=sample.Place("edge-gateway", sample.GATEWAY, status))
    for event in told(sample.capture(data=json.dumps(data).encode(), judged=judged)):
        assert -(2**63) <= event.occurred_ns < 2**63
        assert -(2**63) <= event.shift_ns < 2**63
        assert event.title
        assert "\x00" not in event.title + event.detail + event.reason
        assert event.http_status is None or 0 <= event.http_status < 1000


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words(outcome):
    decision = told(sample.capture(judged=sample.verdict(outcome=outcome, sentence="")))[0]
    assert decision.outcome is outcome
    assert decision.desc


def test_every_description_of_a_time_is_documented():
    judged = [sample.capture(judged=sample.verdict(outcome=outcome)) for outcome in Outcome]
    said = {event.desc for capture in judged for event in told(capture)}
    said.add(timeline.of_note(1, "x", author="y", written_ns=1).desc)
    said.add(timeline.of_person(1, occurred_ns=1, title="x", detail="", actor="y", entered_ns=1).desc)
    for state in AlertState:
        said |= {desc for _, desc in transitions(intervals=[(state, 1, 5), (AlertState.FIRING, 9, 10, True)])}
        said |= {desc for _, desc in transitions(intervals=[(state, 1, 5)])}
    said |= {desc for _, desc in transitions(source="prometheus")}
    documented = " ".join((Path(__file__).parents[3] / "docs" / "exports.md").read_text().split())
    assert [desc for desc in sorted(said) if f"*{desc}*" not in documented] == []
    assert len(said) == 18
