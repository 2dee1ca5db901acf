import datetime as dt

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from app.db.base import UtcDateTime, new_id

MOMENT = dt.datetime(2026, 11, 21, 2, 58, 41, 208375, tzinfo=dt.UTC)
ELSEWHERE = MOMENT.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=lambda one: one.name)
def test_a_moment_comes_back_as_it_was_wherever_it_was_given(dialect):
    column = UtcDateTime()
    stored = column.process_bind_param(ELSEWHERE, dialect)
    back = column.process_result_value(stored, dialect)
    assert back == MOMENT
    assert back.tzinfo is dt.UTC


def test_a_naive_moment_is_refused():
    with pytest.raises(ValueError, match="naive"):
        UtcDateTime().process_bind_param(MOMENT.replace(tzinfo=None), sqlite.dialect())


def test_none_stays_none():
    assert UtcDateTime().process_bind_param(None, sqlite.dialect()) is None
    assert UtcDateTime().process_result_value(None, sqlite.dialect()) is None


def test_ids_are_unique_and_sort_by_the_time_they_were_made(monkeypatch):
    times = iter([1_000_000, 2_000_000, 2_000_000, 17_000_000_000_000])
    monkeypatch.setattr("app.db.base.time.time_ns", lambda: next(times))
    ids = [new_id() for _ in range(4)]
    assert len(set(ids)) == 4
    assert [len(one) for one in ids] == [32] * 4
    assert ids[0] < min(ids[1:3]) <= max(ids[1:3]) < ids[3]
