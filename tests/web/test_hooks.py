"""Alertmanager's door: its token, its limits, and the same news told twice."""

import asyncio
import json

import pytest
from sqlalchemy import func, select
from support import markup, site
from support.watched import SUBNET

from app.investigation.tables import AlertNoticeRow, NoticeGapRow
from app.security.tables import AuditRow
from app.times import MINUTE, iso, now_ns

TOKEN = "a-token-of-the-house"
PATH = "/hooks/alertmanager"


@pytest.fixture
async def here(tmp_path):
    async with site.open(tmp_path, alertmanager={"webhook_token": TOKEN}) as opened:
        yield opened


def notification(*alerts, truncated=0, receiver="clew"):
    return {"version": "4", "groupKey": "{}:{}", "truncatedAlerts": truncated, "status": "firing", "receiver": receiver,
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "alerts": list(alerts),
            "notification_reason": "unknown keys are fine"}  # fmt: skip


def told(name="BruteForce", minutes_ago=30, status="firing", ended_minutes_ago=10, **labels):
    ends = iso(now_ns() - ended_minutes_ago * MINUTE, digits=3) if status == "resolved" else "0001-01-01T00:00:00Z"
    starts = iso((now_ns() - minutes_ago * MINUTE) // MINUTE * MINUTE, digits=3)
    return {"status": status, "labels": {"alertname": name, **labels}, "annotations": {"summary": "told by webhook"},
            "startsAt": starts, "endsAt": ends, "generatorURL": "", "fingerprint": "forged"}  # fmt: skip


async def post(here, payload, token=TOKEN, **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    given = {
        "content-type": "application/json",
        **({"authorization": f"Bearer {token}".encode()} if token is not None else {}),
        **headers,
    }
    client = here.client()
    client.headers.pop("sec-fetch-site")  # Alertmanager is no browser
    return await client.post(PATH, content=body, headers=given)


async def counted(here, table):
    async with here.database.reading() as db:
        return await db.scalar(select(func.count()).select_from(table))


async def test_a_notification_is_stored_and_shown(here):
    answer = await post(here, notification(told(auth_client_subnet=SUBNET, team="x")))
    assert (answer.status_code, answer.json()) == (200, {"new": 1})
    html = (await (await here.as_("viewer")).get("/alerts")).text
    row = markup.one(html, "li", class_="alert-row")
    assert "told by webhook" in row.words
    assert "Firing" in row.words
    assert "Webhook last told" in html.replace("</b>", "")


async def test_the_same_news_again_changes_nothing(here):
    payload = notification(told(), told("Other"))
    assert (await post(here, payload)).json() == {"new": 2}
    assert (await post(here, payload)).json() == {"new": 0}
    assert await counted(here, AlertNoticeRow) == 2
    assert await counted(here, AuditRow) == 1


async def test_the_end_is_news_and_is_believed(here):
    await post(here, notification(told()))
    assert (await post(here, notification(told(status="resolved")))).json() == {"new": 1}
    html = (await (await here.as_("viewer")).get("/alerts")).text
    assert "Ended" in markup.one(html, "li", class_="alert-row").words


async def test_alerts_left_out_are_shown_as_a_gap(here):
    await post(here, notification(told(), truncated=7))
    assert await counted(here, NoticeGapRow) == 1
    html = (await (await here.as_("viewer")).get("/alerts")).text
    assert "left out 7 alerts (max_alerts of its receiver)" in html


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), " ", "é", "a" * 5000])
async def test_without_the_token_nothing_is_taken_in(here, token):
    answer = await post(here, notification(told()), token=token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await counted(here, AlertNoticeRow) == 0


async def test_the_token_belongs_into_its_header_and_scheme(here):
    for headers in ({"authorization": f"Basic {TOKEN}"}, {"authorization": TOKEN}, {"x-token": TOKEN}):
        answer = await post(here, notification(told()), token=None, **headers)
        assert answer.status_code == 401


async def test_switched_off_it_is_not_there(tmp_path):
    async with site.open(tmp_path) as here:
        assert (await post(here, notification(told()), token="")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b'{"alerts": 3}', 422),
        (b"\xff\xfe", 422),
        (b"[" * 60_000, 422),
        (b" " * 1_000_001, 413),
    ],
)
async def test_what_is_no_notification_is_refused_in_words(here, body, status):
    answer = await post(here, body)
    assert answer.status_code == status
    assert "error" in answer.json()
    assert "Traceback" not in answer.text


async def test_more_than_sixty_a_minute_are_told_to_come_back(here):
    answers = [await post(here, notification()) for _ in range(61)]
    assert [answer.status_code for answer in answers[:60]] == [200] * 60
    # Alertmanager tries again after 503 and gives up after 429.
    assert answers[60].status_code == 503
    assert answers[60].headers["retry-after"] == "30"


async def test_guessing_the_token_is_limited_like_everything_else(here):
    for _ in range(60):
        assert (await post(here, notification(), token="wrong")).status_code == 401
    assert (await post(here, notification(), token="wrong")).status_code == 503


async def test_an_overloaded_door_says_so_and_keeps_what_it_took(here, monkeypatch):
    gate = asyncio.Event()
    from app.web.routes import hooks

    real = hooks.service.receive

    async def slow(db, body, *, at):
        await gate.wait()
        return await real(db, body, at=at)

    monkeypatch.setattr(hooks.service, "receive", slow)
    waiting = [asyncio.ensure_future(post(here, notification(told(f"A{n}")))) for n in range(8)]
    await asyncio.sleep(0.3)
    assert (await post(here, notification(told("B")))).status_code == 503
    gate.set()
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 8
    assert await counted(here, AlertNoticeRow) == 8


async def test_a_browser_of_another_site_cannot_use_it_even_with_the_token(here):
    answer = await post(here, notification(told()), **{"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


async def test_hostile_content_is_kept_as_text_and_bounded(here):
    hostile = told("<script>", auth_username='"><b>\x00', **{f"l{n}": "v" * 9000 for n in range(100)})
    assert (await post(here, notification(hostile))).status_code == 200
    async with here.database.reading() as db:
        row = (await db.scalars(select(AlertNoticeRow))).one()
    assert len(row.labels) <= 64
    assert all(len(value) <= 4000 for value in row.labels.values())
    assert row.fingerprint != "forged"
    html = (await (await here.as_("viewer")).get("/alerts")).text
    assert "<script>" not in html.replace("<script ", "")
