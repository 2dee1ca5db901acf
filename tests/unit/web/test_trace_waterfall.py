"""A window of rows at any size: the deciding span is in it, and whatever is hidden is counted and can be reached."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import stories
from support.stories import Teller, http, long_export, refused_by_policy, refused_out_of_sight, span_id, verdict

from app.analysis.verdict import Decision, Finding, FindingKind, Outcome, Place
from app.web.views.asked import Asked
from app.web.views.axis import Axis
from app.web.views.reading import Reading
from app.web.views.waterfall import WINDOW, Waterfall, holds, unfolded, waterfall


def fall(trace, judged, **asked) -> Waterfall:
    return waterfall(Reading(trace, judged), Axis.of(trace), Asked(trace.trace_id, **asked))


def row(found: Waterfall, name: str):
    return next(r for r in found.rows if r.span_id == span_id(name) and r.kind == "span")


def test_spans_stand_in_causal_order_with_their_depth_and_answer():
    found = fall(*refused_by_policy())
    assert [(r.depth, r.name) for r in found.rows[:5]] == [
        (0, "POST /api/orders"), (1, "auth.token_validate"), (2, "POST identity"), (3, "POST /introspect"),
        (4, "SELECT sessions"),
    ]  # fmt: skip
    assert row(found, "orders").status == "403"


def test_each_span_says_what_it_did_with_the_refusal():
    found = fall(*refused_by_policy())
    assert row(found, "gw").says == "Passed on 403"
    assert row(found, "orders").says == "Enforced as 403"
    assert row(found, "draft").says == "Wrote, 48.6 ms before"
    assert row(found, "audit").says == "Audit record"
    assert row(found, "publish").says == "Sent, 17.4 ms after"
    decide = row(found, "decide")
    assert (decide.decision, decide.decides, decide.bar, decide.stop) == (Decision.DENY, True, "deny", True)
    assert row(found, "token").decision is Decision.ALLOW


def test_every_check_shows_its_own_word_also_one_that_the_verdict_does_not_name():
    trace, judged = stories.failed_open()
    stated = {span_id("route"): Decision.ALLOW, span_id("check"): Decision.DENY}
    found = waterfall(Reading(trace, judged, stated), Axis.of(trace), Asked(trace.trace_id))
    assert row(found, "route").decision is Decision.ALLOW
    assert row(found, "check").decision is Decision.ERROR  # the verdict's reading goes before the span's own
    assert row(fall(trace, judged), "route").decision is None


def test_a_check_that_broke_and_was_not_heeded_is_chosen_first():
    assert row(fall(*stories.failed_open()), "ask").chosen


def test_the_deciding_span_is_chosen_until_the_reader_chooses_another():
    assert row(fall(*refused_by_policy()), "decide").chosen
    found = fall(*refused_by_policy(), span=span_id("role"))
    assert row(found, "role").chosen
    assert not row(found, "decide").chosen


def test_what_a_framework_records_of_itself_is_one_fold_that_leads_to_it():
    found = fall(*refused_by_policy())
    fold = found.rows[-1]
    assert (fold.kind, fold.count) == ("fold", 3)
    assert fold.name == "3 spans folded: http send (2), http receive"
    assert found.count == "15 of 18 spans, 3 folded"
    listed = fall(*refused_by_policy(), start=fold.index)
    assert [r.span_id for r in listed.rows] == [span_id(f"send{n}") for n in range(3)]


def test_a_hop_without_spans_is_a_row_below_the_call():
    rows = fall(*refused_by_policy()).rows
    gap = next(r for r in rows if r.kind == "gap")
    assert (gap.service, gap.name, gap.tone) == ("notify", "This hop sends no spans", "")
    assert rows[rows.index(gap) - 1].span_id == span_id("notify")


def test_the_gap_a_verdict_hangs_on_has_its_colour_and_is_the_place_to_look_at():
    found = fall(*refused_out_of_sight())
    gap = next(r for r in found.rows if r.kind == "gap")
    assert (gap.tone, gap.stop) == ("open", True)
    assert row(found, "ask-ent").chosen
    assert row(found, "orders").says == "Answered 403"


def test_a_lost_parent_is_announced_above_its_orphan():
    teller = Teller()
    teller.span("gw", "", "shop", "GET /", 0, 10)
    teller.span("lost", "nobody", "worker", "job", 2, 3)
    trace = teller.trace()
    rows = fall(trace, verdict(trace)).rows
    assert [r.kind for r in rows] == ["span", "gap", "span"]


def test_a_large_trace_keeps_the_deciding_span_and_its_ancestors():
    trace, judged = long_export()
    found = fall(trace, judged)
    shown = {r.span_id for r in found.rows if r.kind == "span"}
    assert {span_id(name) for name in ("gw", "ask", "orders", "row598", "chk598")} <= shown
    assert len(found.rows) < 40
    fold = max(found.rows, key=lambda r: r.count)
    assert "export row (595)" in fold.name


def test_every_span_of_a_large_trace_is_shown_folded_or_listed_exactly_once():
    trace, judged = long_export()
    found = fall(trace, judged)
    assert sum(r.count for r in found.rows if r.kind != "gap") == len(trace)
    seen = []
    for start in range(0, len(trace), WINDOW):
        seen += [r.span_id for r in fall(trace, judged, start=start).rows if r.kind == "span"]
    assert seen == [n.span.span_id for n in trace.nodes]


def test_unfolding_shows_a_window_and_folds_the_rest_again():
    trace, judged = long_export()
    reading, axis = Reading(trace, judged), Axis.of(trace)
    rows = unfolded(reading, axis, Asked(trace.trace_id), 10, 1000)
    assert [r.index for r in rows[:-1]] == list(range(10, 10 + WINDOW))
    assert (rows[-1].kind, rows[-1].index, rows[-1].count) == ("fold", 10 + WINDOW, 1000 - 10 - WINDOW)


@pytest.mark.parametrize(("start", "end"), [(-5, 10), (10, 5), (10**9, 10**12), (0, 0)])
def test_unfolding_what_is_not_there_gives_what_is(start, end):
    trace, judged = refused_by_policy()
    rows = unfolded(Reading(trace, judged), Axis.of(trace), Asked(trace.trace_id), start, end)
    assert all(0 <= r.index < len(trace) for r in rows)


def test_a_fold_tells_the_worst_decision_hidden_in_it():
    trace, judged = long_export()
    reading = Reading(trace, judged)
    rows = unfolded(reading, Axis.of(trace), Asked(trace.trace_id), 0, len(trace))
    assert rows[-1].decision is Decision.DENY


def test_the_chosen_span_is_shown_even_in_the_middle_of_what_would_be_folded():
    found = fall(*long_export(), span=span_id("get300"))
    assert row(found, "get300").chosen


def test_only_the_path_leaves_out_what_the_refusal_never_touched():
    found = fall(*refused_by_policy(), show="path")
    shown = {r.span_id for r in found.rows if r.kind == "span"}
    assert {span_id(n) for n in ("gw", "ask-orders", "orders", "ask-policy", "decide")} <= shown
    assert span_id("members") not in shown
    assert span_id("publish") not in shown
    assert sum(r.count for r in found.rows if r.kind != "gap") == found.total


def test_a_service_filter_marks_what_it_hides_and_keeps_the_deciding_span():
    found = fall(*refused_by_policy(), service="identity")
    shown = {r.span_id for r in found.rows if r.kind == "span"}
    assert {span_id("id"), span_id("id-db"), span_id("decide")} <= shown
    assert span_id("publish") not in shown
    assert "2 of 18 spans are of identity." in found.note
    assert "deciding span is shown all the same" in found.note
    assert any(r.kind == "fold" for r in found.rows)


def test_find_marks_the_spans_that_hold_the_text():
    found = fall(*refused_by_policy(), find="TENANT")
    assert {r.span_id for r in found.rows if r.match} == {span_id("decide"), span_id("members")}
    assert "2 of 18 spans hold “TENANT”." in found.note


def test_more_matches_than_fit_are_reached_page_by_page():
    trace, judged = long_export()
    seen: list[int] = []
    asked = Asked(trace.trace_id, find="export row")
    for _ in range(20):
        found = waterfall(Reading(trace, judged), Axis.of(trace), asked)
        seen += [r.index for r in found.rows if r.match and r.index >= (asked.start or 0)]
        later = next((link for link in found.links if link.label.startswith("Next")), None)
        if later is None:
            break
        asked = Asked(trace.trace_id, find="export row", start=int(later.href.split("from=")[1].split("&")[0].split("#")[0]))
    wanted = [n.index for n in trace.nodes if holds(n, "export row")]
    assert sorted(set(seen)) == wanted


def test_a_chain_without_end_stays_within_the_window():
    teller = Teller()
    depth = 20_000
    for n in range(depth):
        teller.span(f"n{n}", f"n{n - 1}" if n else "", f"svc{n % 7}", "step", n * 0.001, 2 * depth * 0.001, stories.SERVER,
                    http(403))  # fmt: skip
    trace = teller.trace()
    deep = span_id(f"n{depth - 1}")
    judged = verdict(trace, outcome=Outcome.DENIED, span_id=deep, service=f"svc{(depth - 1) % 7}",
                     entry=Place("svc0", span_id("n0"), 403))  # fmt: skip
    found = fall(trace, judged)
    assert any(r.decides for r in found.rows)
    assert len(found.rows) <= WINDOW
    assert sum(r.count for r in found.rows) == depth
    assert max(r.depth for r in found.rows) <= 12


def test_thousands_of_findings_do_not_burst_the_window():
    teller = Teller()
    teller.span("gw", "", "shop", "GET /", 0, 5000)
    for n in range(2000):
        teller.span(f"c{n}", "gw", "shop", f"GET {n}", n, n + 1, stories.CLIENT, http(200))
    trace = teller.trace()
    gaps = tuple(Finding(FindingKind.UNINSTRUMENTED_PEER, "x", span_id(f"c{n}"), "") for n in range(2000))
    found = fall(trace, verdict(trace, findings=gaps))
    assert len(found.rows) <= 200


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=400), st.data())
def test_no_tree_loses_a_span_or_outgrows_the_window(parents, data):
    teller = Teller()
    for n, parent in enumerate(parents):
        above = f"n{min(parent, n - 1)}" if n else ""
        teller.span(f"n{n}", above, f"s{parent % 3}", f"op{parent % 5}", n, n + 1)
    trace = teller.trace()
    chosen = data.draw(st.integers(0, len(parents) - 1))
    deciding = span_id(f"n{chosen}")
    judged = verdict(trace, outcome=Outcome.DENIED, span_id=deciding, service="s0")
    found = fall(trace, judged, show=data.draw(st.sampled_from(["", "path"])))
    assert sum(r.count for r in found.rows if r.kind != "gap") == len(trace)
    assert [r.index for r in found.rows] == sorted(r.index for r in found.rows)
    assert any(r.span_id == deciding for r in found.rows)
    assert len(found.rows) <= 200
