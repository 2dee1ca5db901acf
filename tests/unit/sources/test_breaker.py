"""The breaker opens after five failures in a row, lets one request through after its pause, and says since when."""

from app.sources.breaker import FAILURES, PAUSE_NS, Breaker, Health
from app.times import SECOND, UnixNanos

T0 = 1_790_000_000 * SECOND


def at(seconds: float) -> UnixNanos:
    return UnixNanos(T0 + int(seconds * SECOND))


def opened() -> Breaker:
    breaker = Breaker()
    for second in range(FAILURES):
        assert breaker.admits(at(second))
        breaker.failed(at(second))
    return breaker


def test_four_failures_do_not_open_it_and_a_success_forgets_them():
    breaker = Breaker()
    for second in range(4):
        breaker.failed(at(second))
    assert breaker.admits(at(4))
    breaker.succeeded()
    for second in range(5, 9):
        breaker.failed(at(second))
    assert breaker.admits(at(9))
    assert breaker.first_failure_ns == at(5)


def test_five_in_a_row_open_it_for_thirty_seconds():
    breaker = opened()
    assert not breaker.admits(at(5))
    assert breaker.open_until_ns == at(4) + PAUSE_NS == at(34)
    assert breaker.first_failure_ns == at(0)
    assert not breaker.admits(at(33.9))


def test_after_the_pause_one_request_tries_and_decides():
    breaker = opened()
    assert breaker.admits(at(34))
    assert not breaker.admits(at(34.1))
    breaker.failed(at(35))
    assert not breaker.admits(at(64))
    assert breaker.admits(at(65))
    breaker.succeeded()
    assert breaker.admits(at(65.1))
    assert breaker.open_until_ns is None


def test_a_caller_who_goes_away_leaves_the_trial_to_the_next():
    breaker = opened()
    assert breaker.admits(at(34))
    breaker.abandoned()
    assert breaker.admits(at(35))


def test_health_tells_the_first_failure_and_the_last_error():
    health = Health("Tempo", enabled=True)
    assert health.facts().last_success_ns is None
    health.answered(at(0))
    health.failed(at(10), "first")
    health.failed(at(20), "second")
    facts = health.facts(at(50))
    assert (facts.last_success_ns, facts.failing_since_ns, facts.last_error) == (at(0), at(10), "second")
    assert facts.paused_until_ns == at(50)
    health.answered(at(30))
    assert health.facts().failing_since_ns is None
    assert health.facts().last_error == ""
