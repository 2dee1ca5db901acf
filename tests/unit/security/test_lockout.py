import datetime as dt

from app.security.lockout import Locked, locked

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def at(*minutes: float) -> list[dt.datetime]:
    return [NOON + dt.timedelta(minutes=m) for m in minutes]


def wait(failures, now, allowed=5) -> float | None:
    """Minutes from the last failure until the next try is looked at; None where it is at once."""
    lock = locked(failures, NOON + dt.timedelta(minutes=now), allowed=allowed)
    return None if lock is None else (lock.until - max(failures)).total_seconds() / 60


def test_four_failures_are_forgiven_and_the_fifth_locks():
    assert wait(at(0, 1, 2, 3), 3) is None
    assert wait(at(0, 1, 2, 3, 4), 4) == 5


def test_five_failures_over_a_long_time_do_not_lock():
    assert wait(at(0, 2, 4, 6, 8), 8) is None


def test_the_lock_ends_by_itself():
    failures = at(0, 0, 0, 0, 0)
    assert wait(failures, 4.99) == 5
    assert wait(failures, 5) is None


def test_after_each_wait_there_are_five_more_tries_and_then_a_longer_wait():
    now, failures, waits = 0.0, [], []
    for _ in range(6):
        for n in range(5):
            assert wait(failures, now) is None, f"try {n + 1} after {len(failures)} failures"
            failures += at(now)
        waits.append(wait(failures, now))
        now += waits[-1]
    assert waits == [5, 10, 20, 40, 60, 60]


def test_failures_of_yesterday_no_longer_lengthen_the_wait():
    yesterday = at(*([-25 * 60] * 5))
    assert wait(yesterday + at(0, 0, 0, 0, 0), 0) == 5


def test_order_does_not_matter():
    assert wait(at(4, 0, 3, 1, 2), 4) == 5


def test_no_failures_no_lock():
    assert locked([], NOON, allowed=1) is None


def test_the_sentence_rounds_up_to_whole_minutes():
    assert Locked(NOON + dt.timedelta(seconds=61)).sentence(NOON) == "Too many wrong tries. Wait 2 minutes."
    assert Locked(NOON + dt.timedelta(seconds=1)).sentence(NOON) == "Too many wrong tries. Wait 1 minute."
