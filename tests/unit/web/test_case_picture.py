from __future__ import annotations

from support import case_samples as sample
from support import casework

from app.analysis.verdict import Layer, Outcome
from app.cases import evidence, timeline
from app.cases.store import Bucket
from app.cases.timeline import Event, Kind
from app.times import HOUR, MILLISECOND, MINUTE, SECOND
from app.web.views import case_picture
from app.web.views.case_picture import SLOTS, Window

START = sample.START


def event(kind: Kind = Kind.DECISION, at: int = START, **given) -> Event:
    return Event(
        **(
            {"key": "k", "kind": kind, "occurred_ns": at, "observed_ns": at, "captured_ns": at, "desc": "d", "title": "t"}
            | given
        )
    )


def bucket(slot: int, count: int, outcome: Outcome | None = Outcome.DENIED, layer: Layer | None = Layer.DATABASE) -> Bucket:
    return Bucket(slot, Kind.DECISION if outcome else Kind.EFFECT, layer, outcome, count)


def test_a_window_holds_its_events_with_room_and_is_never_an_instant():
    window = Window.around(START, START)
    assert window.start_ns < START < window.end_ns
    assert window.x(START) == 50.0
    wide = Window.around(START, START + HOUR)
    assert 0 < wide.x(START) < wide.x(START + HOUR) < 100
    assert wide.slot_ns * SLOTS >= wide.end_ns - wide.start_ns


def test_lanes_follow_the_way_of_a_request():
    events = [
        event(layer=Layer.POLICY_ENGINE, outcome=Outcome.DENIED),
        event(layer=Layer.API_GATEWAY, outcome=Outcome.ALLOWED),
        event(Kind.ENTERED),
        event(Kind.EFFECT),
        event(outcome=Outcome.NO_AUTH_EVIDENCE),
        event(Kind.ALERT),
        event(Kind.NOTE),
    ]
    drawn = case_picture.draw(Window.around(START, START), buckets=[], alerts=[], chosen=events, total=7)
    assert drawn.lanes == ("Alerts", "API gateway", "Policy engine", "Requests", "What changed", "Entered by hand")
    assert len(drawn.marks) == 6  # notes are written long afterwards and are not drawn
    assert drawn.height > 6 * 30


def test_a_crowd_becomes_blocks_in_the_colour_of_its_worst():
    buckets = [bucket(3, 9), bucket(3, 1, Outcome.BYPASSED), bucket(3, 5, Outcome.ALLOWED), bucket(4, 2, Outcome.ALLOWED)]
    drawn = case_picture.draw(Window.around(START, START + HOUR), buckets=buckets, alerts=[], chosen=[], total=1000)
    assert [block.fill for block in drawn.blocks] == ["f-deny", "f-allow"]
    assert drawn.blocks[0].x < drawn.blocks[1].x


def test_few_events_have_signs_and_no_blocks():
    drawn = case_picture.draw(
        Window.around(START, START + HOUR), buckets=[bucket(0, 2)], alerts=[], chosen=[event(outcome=Outcome.DENIED)], total=2
    )
    assert drawn.blocks == ()
    assert [(mark.kind, mark.symbol) for mark in drawn.marks] == [("deny", "g-deny")]


def test_a_block_that_a_sign_stands_for_is_left_out():
    window = Window.around(START, START + HOUR)
    at = window.start_ns + 5 * window.slot_ns
    chosen = [event(at=at, outcome=Outcome.BYPASSED, layer=Layer.DATABASE)]
    buckets = [bucket(5, 1, Outcome.BYPASSED), bucket(9, 50)]
    drawn = case_picture.draw(window, buckets=buckets, alerts=[], chosen=chosen, total=51)
    assert [block.fill for block in drawn.blocks] == ["f-mass"]


def test_stretches_of_firing_are_bars():
    alert = casework.stuffing()
    window = Window.around(alert.intervals[0].start_ns, START)
    drawn = case_picture.draw(window, buckets=[], alerts=[alert], chosen=[], total=0)
    assert drawn.lanes == ("Alerts",)
    [bar] = drawn.blocks
    assert bar.fill == "f-deny-2"
    assert bar.x == window.x(alert.intervals[1].start_ns)


def test_an_alert_that_still_fires_is_drawn_to_when_it_was_read():
    alert = casework.stuffing(ended=False)
    window = Window.around(alert.intervals[0].start_ns, START + HOUR)
    [bar] = case_picture.draw(window, buckets=[], alerts=[alert], chosen=[], total=0).blocks
    assert round(bar.x + bar.width, 1) == round(window.x(alert.read_ns), 1)


def test_ticks_are_few_round_and_inside():
    for length in (10 * MILLISECOND, SECOND, 90 * SECOND, 50 * MINUTE, 26 * HOUR, 40 * 24 * HOUR, 3 * 365 * 24 * HOUR):
        drawn = case_picture.draw(Window.around(START, START + length), buckets=[], alerts=[], chosen=[], total=0)
        assert 1 <= len(drawn.ticks) <= 9, length
        assert all(0 <= tick.x <= 100 for tick in drawn.ticks)
        assert len({tick.label for tick in drawn.ticks}) == len(drawn.ticks)
    assert drawn.label.startswith("Timeline from 2")


def test_the_label_tells_the_finding_in_words():
    buckets = [bucket(0, 28), bucket(1, 2, Outcome.ALLOWED), bucket(2, 1, None, None)]
    drawn = case_picture.draw(Window.around(START, START + HOUR), buckets=buckets, alerts=[], chosen=[], total=31)
    assert drawn.label.endswith("28 denied, 2 allowed, 1 side effects.")


def test_any_time_that_can_be_stored_can_be_drawn():
    for first, last in ((-(2**63), 2**63 - 1), (0, 2**63 - 1), (-(2**63), -(2**63))):
        window = Window.around(first, last)
        drawn = case_picture.draw(window, buckets=[], alerts=[], chosen=[event(at=first), event(at=last)], total=2)
        assert all(0 <= mark.x <= 100 for mark in drawn.marks)


def test_every_event_of_a_capture_has_a_sign():
    capture = sample.capture()
    item = evidence.item(capture, number=1, by="x", at_ns=START)
    signs = [case_picture.sign(one) for one in timeline.of_capture(capture, item)]
    assert signs == [("bypass", "g-bypass"), ("effect", "g-effect"), ("note", "i-seal")]


def test_a_time_that_would_run_into_the_first_ones_day_is_left_out():
    ticks = case_picture.draw(Window.around(START, START + 65 * SECOND), buckets=[], alerts=[], chosen=[], total=0).ticks
    assert "," in ticks[0].label
    assert ticks[1].x - ticks[0].x >= 17
    assert len(ticks) > 3
