"""Unusual first: what differs from the mass stands on top, and says why."""

import msgspec
import pytest

from app.analysis.verdict import Confidence, Layer, Outcome
from app.investigation import candidates
from app.investigation.candidates import Candidate, Order
from app.investigation.judgements import Judged, Unjudged
from app.web import words

SECOND = 1_000_000_000


def verdict(number, outcome=Outcome.DENIED, *, at=None, layer=Layer.IDENTITY_PROVIDER, reason="unknown_user", user="", took=10):
    return Judged(
        trace_id=f"{number:032x}", outcome=outcome, layer=layer, service="identity", reason=reason, reason_code="",
        principal=user, client_address="", sentence="", confidence=Confidence.HIGH,
        start_ns=(at if at is not None else number) * SECOND,
        duration_ns=took, spans=2, partial=False,
    )  # fmt: skip


def candidate(judged, *, exemplar=False, why="Labels match: subnet, time"):
    return Candidate(judged.trace_id, judged.start_ns, judged.duration_ns, "identity POST /login", why, exemplar, judged)


def listed(*verdicts, order=Order.UNUSUAL, exemplars=()):
    found = [candidate(one, exemplar=number in exemplars) for number, one in enumerate(verdicts)]
    return candidates.listed(found, order, layer_word=words.the_layer)


def mass(count=20, start=100):
    return [verdict(start + n, user=f"user{n}") for n in range(count)]


def test_a_success_after_failures_of_the_same_name_stands_on_top():
    tries = [verdict(n, user="j.meyer") for n in range(4)]
    first = listed(*mass(), *tries, verdict(9, Outcome.ALLOWED, user="j.meyer", reason=""))[0]
    assert first.why == "The only success for a name that failed 4 times before"
    assert first.unusual


def test_a_failure_after_the_success_does_not_count_as_before_it():
    first = listed(*mass(), verdict(50, user="eve"), verdict(60, Outcome.ALLOWED, user="eve"), verdict(70, user="eve"))[0]
    assert first.why == "The only success for a name that failed once before"


def test_one_of_several_successes_is_not_called_the_only_one():
    wins = [verdict(n, Outcome.ALLOWED, user="eve") for n in (50, 51)]
    why = {one.why for one in listed(*mass(), verdict(40, user="eve"), *wins) if one.unusual}
    assert why == {"A success for a name that failed once before"}


def test_worse_than_any_success_is_a_refusal_that_did_not_hold():
    first, second = listed(*mass(), verdict(1, Outcome.BYPASSED), verdict(2, Outcome.ALLOWED))[:2]
    assert first.why == "Refused, and it happened all the same"
    assert second.why == "The only one allowed"


def test_a_check_that_failed_open_stands_out_though_it_was_allowed():
    opened = msgspec.structs.replace(verdict(1, Outcome.ALLOWED), failed_open=True)
    assert listed(*mass(), opened, verdict(2, Outcome.ALLOWED))[0].why == "A check broke, and the request went on"


def test_a_rare_layer_and_a_rare_reason_are_named():
    odd = verdict(1, layer=Layer.RATE_LIMITER, reason="rate_limited")
    locked = [verdict(n, reason="account_locked") for n in (2, 3)]
    why = [one.why for one in listed(*mass(40), odd, *locked)[:3]]
    assert why == [
        "The only one that the rate limiter refused",
        "One of 2 refused for: account locked",
        "One of 2 refused for: account locked",
    ]


def test_exemplars_come_before_what_only_matches_and_each_says_how_it_was_found():
    found = listed(*mass(6), exemplars=(2,))
    assert found[0].why == "Exemplar of the rule’s series, labels match"
    assert {one.why for one in found[1:]} == {"Labels match: subnet, time"}
    assert not any(one.unusual for one in found)


def test_an_exemplar_that_no_search_found_claims_no_match():
    lonely = Candidate("a" * 32, 1, 0, "", "", exemplar=True, verdict=Unjudged("a" * 32, "gone", gone=True))
    (only,) = candidates.listed([lonely], Order.UNUSUAL, layer_word=words.the_layer)
    assert only.why == "Exemplar of the rule’s series"


def test_where_all_differ_nothing_is_unusual():
    few = [verdict(n, outcome) for n, outcome in enumerate((Outcome.ALLOWED, Outcome.DENIED, Outcome.ERROR))]
    assert not any(one.unusual for one in listed(*few))
    halves = [verdict(n, Outcome.ALLOWED if n % 2 else Outcome.DENIED) for n in range(20)]
    assert not any(one.unusual for one in listed(*halves))


def test_the_majority_is_never_unusual():
    assert sum(one.unusual for one in listed(*mass(5), verdict(1, Outcome.ALLOWED))) == 1


def test_what_has_no_verdict_stands_last_and_is_still_there():
    waiting = Candidate("b" * 32, 10**18, 0, "x", "Labels match: time")
    failed = Candidate("c" * 32, 10**18, 0, "x", "Labels match: time", verdict=Unjudged("c" * 32, "Tempo did not answer."))
    found = candidates.listed([waiting, failed, *map(candidate, mass(3))], Order.UNUSUAL, layer_word=words.the_layer)
    assert [one.candidate.trace_id[0] for one in found][-2:] == ["b", "c"]
    tally = candidates.tally([one.candidate for one in found])
    assert (tally.judged, tally.waiting, tally.unjudged) == (3, 1, 1)


@pytest.mark.parametrize(("order", "expected"), [(Order.NEWEST, [3, 2, 1]), (Order.SLOWEST, [1, 3, 2])])
def test_the_other_orders_do_as_they_say(order, expected):
    found = listed(verdict(1, took=90), verdict(2, took=5), verdict(3, took=50), order=order)
    assert [int(one.candidate.trace_id, 16) for one in found] == expected


def test_counts_of_outcomes_and_reasons_the_most_frequent_first():
    tally = candidates.tally(
        [candidate(one) for one in (*mass(3), verdict(1, reason="locked"), verdict(2, Outcome.ALLOWED, reason=""))]
    )
    assert tally.outcomes == ((Outcome.DENIED, 4), (Outcome.ALLOWED, 1))
    assert tally.reasons == (("unknown_user", 3), ("locked", 1))


def test_a_reason_is_the_systems_word_where_it_is_one_and_short_otherwise():
    assert candidates.reason(verdict(1, reason="invalid_credentials")) == "invalid_credentials"
    long = "x " * 100
    assert len(candidates.reason(verdict(1, reason=long))) == 60


def test_a_filter_passes_only_what_has_that_verdict():
    one = candidate(verdict(1))
    assert candidates.passes(one, "denied", "unknown_user")
    assert not candidates.passes(one, "allowed", "")
    assert not candidates.passes(one, "", "locked")
    assert not candidates.passes(Candidate("a" * 32, 1, 0, "", ""), "denied", "")
    assert candidates.passes(Candidate("a" * 32, 1, 0, "", ""), "", "")
