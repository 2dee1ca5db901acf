"""The questions we ask of what Clew remembers of alerts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.base import new_id
from app.investigation.alerts import Alert, Episode, Kept, Source
from app.investigation.tables import AlertEpisodeRow, AlertNoticeRow, NoticeGapRow
from app.sources.fingerprint import fingerprint
from app.sources.values import AlertState, WebhookNotification
from app.times import UnixNanos, from_datetime

KEEP_EPISODES = dt.timedelta(days=400)
KEEP_NOTICES = dt.timedelta(days=90)
_MOST_LABELS = 64
_LONGEST_VALUE = 4_000


class NoticeGap(msgspec.Struct, frozen=True):
    """Alerts that a notification left out."""

    group_key: str
    receiver: str
    missing: int
    received_ns: UnixNanos


async def keep(db: AsyncSession, seen: Iterable[tuple[Alert, Episode]], *, at: dt.datetime) -> None:
    """Write down episodes as they are known now; what is older than Clew remembers is forgotten."""
    for alert, episode in seen:
        row = _episode_row(alert, episode, at)
        insert = _insert(db)(AlertEpisodeRow).values(row)
        await db.execute(
            insert.on_conflict_do_update(index_elements=["key"], set_={k: v for k, v in row.items() if k != "key"})
        )
    oldest = from_datetime(at - KEEP_EPISODES)
    await db.execute(delete(AlertEpisodeRow).where(AlertEpisodeRow.started_ns < oldest))


async def episodes_between(db: AsyncSession, start_ns: int, end_ns: int, *, limit: int = 2_000) -> list[Kept]:
    """Episodes that touch the window, the newest first."""
    row = AlertEpisodeRow
    touching = select(row).where(row.started_ns <= end_ns, or_(row.ended_ns.is_(None), row.ended_ns >= start_ns))
    return [_kept(found) for found in await db.scalars(touching.order_by(row.started_ns.desc()).limit(limit))]


async def episodes_of(db: AsyncSession, print_: str, *, limit: int = 200) -> list[Kept]:
    """What is remembered of one alert, the newest first."""
    row = AlertEpisodeRow
    own = select(row).where(row.fingerprint == print_).order_by(row.started_ns.desc()).limit(limit)
    return [_kept(found) for found in await db.scalars(own)]


async def receive(db: AsyncSession, notification: WebhookNotification, *, at: dt.datetime) -> int:
    """Write down a notification; how many of its alerts were news. The same again is none."""
    news = 0
    for alert in notification.alerts:
        row = {
            "id": new_id(),
            # Computed, not taken over: it is what this alert is matched by.
            "fingerprint": fingerprint(alert.labels),
            "starts_ns": alert.started_ns,
            "ends_ns": alert.ended_ns,
            "status": "resolved" if alert.state is AlertState.RESOLVED else "firing",
            "labels": _bounded(alert.labels),
            "annotations": _bounded(alert.annotations),
            "receiver": _storable(notification.receiver)[:200],
            "generator_url": _storable(alert.generator_url)[:_LONGEST_VALUE],
            "received_at": at,
        }
        insert = _insert(db)(AlertNoticeRow).values(row)
        added = await db.execute(
            insert.on_conflict_do_nothing(index_elements=["fingerprint", "starts_ns", "status"]).returning(AlertNoticeRow.id)
        )
        news += added.first() is not None
    if notification.truncated_alerts:
        db.add(
            NoticeGapRow(
                group_key=_storable(notification.group_key)[:500],
                receiver=_storable(notification.receiver)[:200],
                missing=notification.truncated_alerts,
                received_at=at,
            )
        )
    await db.execute(delete(AlertNoticeRow).where(AlertNoticeRow.received_at < at - KEEP_NOTICES))
    await db.execute(delete(NoticeGapRow).where(NoticeGapRow.received_at < at - KEEP_NOTICES))
    return news


async def received_between(db: AsyncSession, start_ns: int, end_ns: int, *, limit: int = 2_000) -> list[Kept]:
    """What notifications said of alerts that touch the window: news of the start and of the end made one episode."""
    row = AlertNoticeRow
    ended_before = select(row.fingerprint, row.starts_ns).where(row.status == "resolved", row.ends_ns < start_ns).subquery()
    touching = (
        select(row)
        .outerjoin(ended_before, (ended_before.c.fingerprint == row.fingerprint) & (ended_before.c.starts_ns == row.starts_ns))
        .where(row.starts_ns <= end_ns, ended_before.c.fingerprint.is_(None))
        .order_by(row.starts_ns.desc())
        .limit(limit)
    )
    by_episode: dict[tuple[str, int], list[AlertNoticeRow]] = {}
    for notice in await db.scalars(touching):
        by_episode.setdefault((notice.fingerprint, notice.starts_ns), []).append(notice)
    return [_told(notices) for notices in by_episode.values()]


async def gaps_since(db: AsyncSession, since: dt.datetime, *, limit: int = 20) -> list[NoticeGap]:
    """Notifications since then that had left alerts out, the newest first."""
    row = NoticeGapRow
    found = select(row).where(row.received_at >= since).order_by(row.received_at.desc()).limit(limit)
    return [
        NoticeGap(gap.group_key, gap.receiver, gap.missing, from_datetime(gap.received_at)) for gap in await db.scalars(found)
    ]


async def last_notice(db: AsyncSession) -> UnixNanos | None:
    """When the last notification that brought news was received."""
    at = await db.scalar(select(func.max(AlertNoticeRow.received_at)))
    return from_datetime(at) if at is not None else None


def _episode_row(alert: Alert, episode: Episode, at: dt.datetime) -> dict[str, object]:
    return {
        "key": alert.key_of(episode),
        "fingerprint": alert.fingerprint,
        "labels": _bounded(alert.labels),
        "annotations": _bounded(episode.annotations),
        "sources": [source.value for source in episode.sources],
        "started_ns": episode.started_ns,
        "fired_ns": episode.fired_ns,
        "ended_ns": episode.ended_ns,
        "seen_ns": episode.seen_ns or episode.ended_ns or from_datetime(at),
        "value": episode.value,
        "peak": episode.peak,
        "generator_url": _storable(episode.generator_url)[:_LONGEST_VALUE],
    }


def _kept(row: AlertEpisodeRow) -> Kept:
    episode = Episode(
        started_ns=UnixNanos(row.started_ns),
        fired_ns=_ns(row.fired_ns),
        ended_ns=_ns(row.ended_ns),
        key=row.key,
        sources=tuple(Source(source) for source in row.sources),
        annotations=row.annotations,
        value=row.value,
        peak=row.peak,
        generator_url=row.generator_url,
        seen_ns=_ns(row.seen_ns),
    )
    return Kept(row.fingerprint, row.labels, episode)


def _told(notices: Sequence[AlertNoticeRow]) -> Kept:
    """One episode out of what was said of its start and its end."""
    end = next((notice for notice in notices if notice.status == "resolved"), None)
    told = end or notices[0]
    episode = Episode(
        started_ns=UnixNanos(told.starts_ns),
        fired_ns=UnixNanos(told.starts_ns),
        ended_ns=_ns(end.ends_ns or from_datetime(end.received_at)) if end else None,
        sources=(Source.WEBHOOK,),
        annotations=told.annotations,
        receivers=(told.receiver,) if told.receiver else (),
        generator_url=told.generator_url,
        seen_ns=from_datetime(max(notice.received_at for notice in notices)),
    )
    return Kept(told.fingerprint, told.labels, episode)


def _ns(value: int | None) -> UnixNanos | None:
    return None if value is None else UnixNanos(value)


def _insert(db: AsyncSession) -> type[postgresql.Insert] | type[sqlite.Insert]:
    return postgresql.Insert if db.get_bind().dialect.name == "postgresql" else sqlite.Insert


def _bounded(words: Mapping[str, str]) -> dict[str, str]:
    """Labels come from whoever may push an alert: their number and length have an end."""
    return {
        _storable(name)[:200]: _storable(value)[:_LONGEST_VALUE] for name, value in sorted(words.items())[:_MOST_LABELS]
    }  # fmt: skip


def _storable(text: str) -> str:
    """Without what a database's text cannot hold: NUL and lone surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
