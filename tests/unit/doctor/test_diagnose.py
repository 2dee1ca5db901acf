"""From checks to a report: order, score, and what could not be checked."""

import msgspec

from app.doctor.checks import CHECKS, Check
from app.doctor.diagnose import diagnose
from app.doctor.facts import Facts, Missing
from app.doctor.finding import Area, Finding, Severity, Unknown
from app.doctor.report import Report, SampleSize, State
from app.times import UnixNanos

NOT = Missing("Nobody was asked.")
FACTS = Facts(
    start_ns=UnixNanos(0), end_ns=UnixNanos(10), connections=(), sample=SampleSize(0, 0, 1), traces=NOT, spans=NOT, before=NOT,
    roots={}, kept=NOT, counted=NOT, refused=NOT, metrics=NOT, pipeline=NOT, kept_for_ns=NOT, metrics_kept=NOT, cases=NOT,
)  # fmt: skip


def check(id_, *said, points=1):
    return Check(id_, "Is it so?", points, lambda check, facts: iter(said))


def finding(id_, severity, subject="x"):
    area = Area(id_.partition(".")[0])
    return Finding(check=id_, area=area, severity=severity, subject=subject, title="So it is.")


def report(*checks):
    return diagnose(FACTS, checked_ns=UnixNanos(20), took_ms=3, checks=checks)


def test_findings_come_worst_first_and_then_in_the_order_in_which_to_mend():
    found = report(
        check("privacy.a", finding("privacy.a", Severity.HARMFUL)),
        check("coverage.a", finding("coverage.a", Severity.WEAK), finding("coverage.a", Severity.BROKEN)),
        check("connection.a", finding("connection.a", Severity.BROKEN)),
    ).findings
    assert [(one.check, one.severity.value) for one in found] == [
        ("connection.a", "broken"), ("coverage.a", "broken"), ("privacy.a", "harmful"), ("coverage.a", "weak")
    ]  # fmt: skip


def test_what_could_not_be_checked_earns_nothing_and_is_told_apart():
    told = report(check("coverage.a"), check("sampling.a", Unknown("sampling.a", "Nobody counts.")))
    assert told.score.value == 50
    assert told.score.unchecked == 50
    assert [(one.check, one.state, one.why) for one in told.checks] == [
        ("coverage.a", State.FINE, ""), ("sampling.a", State.UNKNOWN, "Nobody counts.")
    ]  # fmt: skip
    assert "could not be checked" in told.score.sentence


def test_the_score_falls_with_the_worst_finding_of_a_check_and_not_with_their_number():
    one = report(check("coverage.a", finding("coverage.a", Severity.HARMFUL)))
    three = report(check("coverage.a", *[finding("coverage.a", Severity.HARMFUL, str(n)) for n in range(3)]))
    worse = report(check("coverage.a", finding("coverage.a", Severity.HARMFUL), finding("coverage.a", Severity.BROKEN)))
    assert 0 < one.score.value == three.score.value < 100
    assert worse.score.value == 0


def test_a_hundred_is_for_a_house_in_which_nothing_was_found():
    nearly = report(check("coverage.a", points=400), check("privacy.a", finding("privacy.a", Severity.WEAK)))
    assert nearly.score.value == 99


def test_a_note_costs_nothing():
    assert report(check("coverage.a", finding("coverage.a", Severity.NOTE))).score.value == 100


def test_the_parts_make_up_the_score():
    told = report(check("coverage.a", points=3), check("privacy.a", finding("privacy.a", Severity.BROKEN)))
    assert told.score.sentence.startswith("75 of 100 points")
    assert {part.area.value: (part.points, part.of) for part in told.score.parts} == {
        "coverage": (75.0, 75.0), "privacy": (0.0, 25.0)
    }  # fmt: skip


def test_the_score_is_low_while_anything_is_broken_and_says_so():
    rest = [check(f"coverage.{letter}", points=10) for letter in "abc"]
    broken = report(*rest, check("privacy.a", finding("privacy.a", Severity.BROKEN)))
    harmful = report(*rest, check("privacy.a", finding("privacy.a", Severity.HARMFUL)))
    assert broken.score.value == 50
    assert "while something is broken" in broken.score.sentence
    assert harmful.score.value > 90
    assert "broken" not in harmful.score.sentence


def test_a_report_survives_json():
    told = report(check("coverage.a", finding("coverage.a", Severity.WEAK)))
    assert msgspec.json.decode(msgspec.json.encode(told), type=Report) == told


def test_each_check_has_its_own_id_and_an_area():
    ids = [one.id for one in CHECKS]
    assert len(set(ids)) == len(ids)
    assert {one.area for one in CHECKS} <= set(Area)
