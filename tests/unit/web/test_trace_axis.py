"""Instants become percent of one width, and what lies far outside does not squash the request."""

import itertools

from support.stories import SERVER, Teller, http, refused_by_policy

from app.times import MILLISECOND
from app.traces.model import SpanKind
from app.web.views.axis import Axis


def test_the_axis_covers_the_trace_from_zero_to_its_whole_length():
    trace, _ = refused_by_policy()
    axis = Axis.of(trace)
    assert axis.length_ns == round(148.2 * MILLISECOND)
    assert axis.x(trace.start_ns) == 0
    assert axis.x(trace.end_ns) == 100


def test_ticks_are_round_times_that_do_not_run_into_the_end():
    trace, _ = refused_by_policy()
    ticks = Axis.of(trace).ticks()
    assert [tick.label for tick in ticks] == ["0 ms", "50 ms", "100 ms", "148.2 ms"]
    assert all(later.x - sooner.x >= 10 for sooner, later in itertools.pairwise(ticks))


def test_a_bar_too_short_to_see_is_still_drawn_within_the_picture():
    axis = Axis(0, 1_000_000, 0)
    assert axis.bar(1_000_000, 1_000_000).x + axis.bar(1_000_000, 1_000_000).width == 100
    assert axis.bar(0, 1).width > 0


def test_work_minutes_later_lies_outside_and_says_how_far():
    teller = Teller()
    teller.span("gw", "", "shop", "POST /orders", 0, 100, SERVER, http(202))
    teller.span("late", "gw", "worker", "process", 600_000, 600_050, SpanKind.CONSUMER)
    trace = teller.trace()
    axis = Axis.of(trace)
    assert axis.length_ns == 100 * MILLISECOND
    assert axis.outside == 1
    late = trace.nodes[1]
    assert axis.bar(late.start_ns, late.end_ns).outside == "starts 10 min later"


def test_a_span_without_a_start_does_not_stretch_the_axis_to_1970():
    teller = Teller()
    teller.span("gw", "", "shop", "POST /orders", 0, 100, SERVER, http(200))
    sound = teller.spans[0]
    teller.span("zero", "", "shop", "broken", 0, 0)
    fields = {name: getattr(teller.spans[1], name) for name in sound.__struct_fields__} | {"start_ns": 0, "end_ns": 0}
    teller.spans[1] = type(sound)(**fields)
    assert Axis.of(teller.trace()).length_ns == 100 * MILLISECOND
