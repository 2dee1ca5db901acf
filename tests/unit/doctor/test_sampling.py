"""What was kept against what was counted."""

import msgspec
import pytest
from support.doctor_facts import PIPELINE, facts, found, unknown

from app.doctor.facts import Loss, Missing, Refused, Tally
from app.doctor.finding import Severity


def kept(**counts):
    return Tally({("orders", result): n for result, n in counts.items()})


def test_refusals_that_were_counted_and_not_kept_are_broken():
    about = facts(kept=kept(failure=82), counted=kept(failure=120))
    [finding] = found("sampling.refusals_kept", about)
    assert (finding.subject, finding.severity, finding.measured) == ("orders", Severity.BROKEN, "38 of 120 refused checks")
    assert "auth-failure" in finding.paste


@pytest.mark.parametrize(
    ("stored", "counted", "slack"),
    [(120, 120, 0), (117, 120, 0), (140, 120, 0), (4, 6, 0), (82, 120, 40)],
    ids=["all", "a few at the edge", "counters lag", "two of six", "counted at the window's start"],
)
def test_small_differences_and_those_of_the_windows_edges_are_none(stored, counted, slack):
    about = facts(kept=kept(failure=stored), counted=Tally({("orders", "failure"): counted}, slack))
    assert found("sampling.refusals_kept", about) == []
    assert unknown("sampling.refusals_kept", about) == ""


def test_checks_that_broke_are_refusals_too():
    assert found("sampling.refusals_kept", facts(kept=kept(error=10), counted=kept(error=60)))


def test_without_counters_it_is_not_known_whether_refusals_are_lost():
    assert unknown("sampling.refusals_kept", facts(counted=Missing("Nobody counts."))) == "Nobody counts."
    assert "no auth checks" in unknown("sampling.refusals_kept", facts(counted=Tally({})))


def test_a_tenth_of_the_successes_is_a_note_and_none_of_them_is_weak():
    counted = kept(success=1_000)
    tenth = found("sampling.successes_kept", facts(kept=kept(success=100), counted=counted))
    assert [(one.severity, one.measured) for one in tenth] == [(Severity.NOTE, "100 of 1,000 passed checks")]
    assert [one.severity for one in found("sampling.successes_kept", facts(kept=kept(), counted=counted))] == [Severity.WEAK]


@pytest.mark.parametrize(("gone", "severity"), [(0, None), (2, Severity.HARMFUL), (8, Severity.BROKEN)])
def test_exemplars_of_refusals_lead_to_traces(gone, severity):
    said = found("sampling.exemplars", facts(refused=Refused(10, tuple(f"{n:032x}" for n in range(gone)))))
    assert [one.severity for one in said] == ([severity] if severity else [])
    assert all(len(one.evidence) <= 5 for one in said)


def _losing(counter, count, accepted=10_000):
    loss = Loss(counter, "c:8888", "", count, still=True)
    return facts(pipeline=msgspec.structs.replace(PIPELINE, losses=(loss,), accepted=accepted))


def test_a_sampler_that_drops_before_it_has_looked_is_broken():
    [finding] = found("sampling.tail", _losing("sampling_trace_dropped_too_early", 12))
    assert finding.severity is Severity.BROKEN
    assert "num_traces" in finding.paste


@pytest.mark.parametrize(("late", "count"), [(10, 0), (900, 1)])
def test_late_spans_are_told_where_they_are_many(late, count):
    assert len(found("sampling.tail", _losing("sampling_late_span_age_count", late))) == count


def test_without_a_collectors_own_metrics_its_sampler_is_not_known():
    assert "Collector" in unknown("sampling.tail", facts(pipeline=msgspec.structs.replace(PIPELINE, collectors=())))
