"""What Clew remembers of alerts, on both databases."""

import datetime as dt

import msgspec
import pytest

from app.db import migrate
from app.db.session import Database
from app.investigation import store
from app.investigation.alerts import Alert, Episode, Source, key
from app.settings import load
from app.sources.fingerprint import fingerprint
from app.sources.values import AlertState, FiringAlert, WebhookNotification
from app.times import DAY, HOUR, MINUTE, from_datetime, utc_now

NOW = utc_now().replace(microsecond=0)
NOW_NS = from_datetime(NOW)
LABELS = {"alertname": "BruteForce", "auth_client_subnet": "198.51.100.0/24", "odd": "a\x00b\ud800"}


@pytest.fixture
async def database(database_url):
    settings = load(database={"url": database_url}).database
    await migrate.upgrade(settings)
    opened = Database(settings)
    yield opened
    await opened.close()


def episode(start_minutes, end_minutes=None, **more):
    start = NOW_NS - start_minutes * MINUTE
    end = NOW_NS - end_minutes * MINUTE if end_minutes is not None else None
    return Episode(start, start, end, sources=(Source.PROMETHEUS,), seen_ns=NOW_NS, **more)


def alert(one, labels=LABELS):
    return Alert(fingerprint(labels), labels, one, (one,))


async def keep(database, *episodes, at=NOW):
    async with database.writing() as db:
        await store.keep(db, [(alert(one), one) for one in episodes], at=at)


async def between(database, start_minutes, end_minutes=0):
    async with database.reading() as db:
        return await store.episodes_between(db, NOW_NS - start_minutes * MINUTE, NOW_NS - end_minutes * MINUTE)


async def test_an_episode_comes_back_as_it_was(database):
    one = episode(30, 10, value=0.5, peak=57.0, annotations={"summary": "it said so"}, generator_url="http://p/graph")
    await keep(database, one)
    (kept,) = await between(database, 60)
    assert kept.fingerprint == fingerprint(LABELS)
    assert kept.episode == msgspec.structs.replace(one, key=key(fingerprint(LABELS), one.started_ns))
    assert kept.labels["odd"] == "a\ufffdb?"  # what a database's text cannot hold


async def test_the_same_episode_again_is_brought_up_to_date(database):
    await keep(database, episode(30))
    await keep(database, episode(30, 5, peak=9.0))
    (kept,) = await between(database, 60)
    assert (kept.episode.ended_ns, kept.episode.peak) == (NOW_NS - 5 * MINUTE, 9.0)


async def test_a_window_takes_what_touches_it_and_what_lasts(database):
    await keep(database, episode(600, 500), episode(100, 90), episode(2000))
    assert [k.episode.started_ns for k in await between(database, 120, 95)] == [
        NOW_NS - 100 * MINUTE, NOW_NS - 2000 * MINUTE,
    ]  # fmt: skip


async def test_episodes_of_one_alert_the_newest_first(database):
    await keep(database, episode(600, 500), episode(100, 90))
    async with database.writing() as db:
        other = episode(50)
        await store.keep(db, [(alert(other, {"alertname": "Other"}), other)], at=NOW)
    async with database.reading() as db:
        found = await store.episodes_of(db, fingerprint(LABELS))
    assert [k.episode.started_ns for k in found] == [NOW_NS - 100 * MINUTE, NOW_NS - 600 * MINUTE]


async def test_what_is_older_than_clew_remembers_is_forgotten(database):
    ancient = msgspec.structs.replace(episode(0), started_ns=NOW_NS - 500 * DAY)
    await keep(database, ancient)
    await keep(database, episode(5))
    assert [k.episode.started_ns for k in await between(database, 600 * 24 * 60)] == [NOW_NS - 5 * MINUTE]


def notification(*alerts, truncated=0):
    return WebhookNotification("mail\x00", "{}:{}", {}, {}, {}, "http://am", truncated, tuple(alerts))


def told(minutes=30, ended=None, labels=LABELS):
    state = AlertState.FIRING if ended is None else AlertState.RESOLVED
    end = None if ended is None else NOW_NS - ended * MINUTE
    return FiringAlert("webhook", labels, {"summary": "told"}, state, NOW_NS - minutes * MINUTE, end, fingerprint="forged")


async def receive(database, *alerts, at=NOW, truncated=0):
    async with database.writing() as db:
        return await store.receive(db, notification(*alerts, truncated=truncated), at=at)


async def test_news_of_start_and_end_make_one_episode(database):
    assert await receive(database, told()) == 1
    assert await receive(database, told()) == 0
    assert await receive(database, told(ended=10)) == 1
    async with database.reading() as db:
        (kept,) = await store.received_between(db, NOW_NS - HOUR, NOW_NS)
        assert await store.last_notice(db) == NOW_NS
    assert kept.fingerprint == fingerprint(LABELS)
    assert (kept.episode.ended_ns, kept.episode.sources) == (NOW_NS - 10 * MINUTE, (Source.WEBHOOK,))


async def test_what_ended_before_the_window_is_not_in_it(database):
    await receive(database, told(minutes=300), told(minutes=300, ended=290), told(minutes=20))
    async with database.reading() as db:
        found = await store.received_between(db, NOW_NS - HOUR, NOW_NS)
    assert [k.episode.started_ns for k in found] == [NOW_NS - 20 * MINUTE]


async def test_a_gap_is_remembered_for_as_long_as_notices_are(database):
    await receive(database, truncated=7)
    await receive(database, truncated=0)
    async with database.reading() as db:
        (gap,) = await store.gaps_since(db, NOW - dt.timedelta(hours=1))
    assert (gap.missing, gap.receiver) == (7, "mail\ufffd")
    await receive(database, told(), at=NOW + dt.timedelta(days=100))
    async with database.reading() as db:
        assert await store.gaps_since(db, NOW - dt.timedelta(hours=1)) == []
