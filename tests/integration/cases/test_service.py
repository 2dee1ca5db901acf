from __future__ import annotations

import asyncio
import datetime as dt

import msgspec
import pytest
from sqlalchemy import select
from support import case_samples as sample
from support.case_samples import ADA, INES, JUN, NOW

from app.cases import alerts, preserve, service, store, timeline
from app.cases.service import Changes
from app.cases.store import Filter
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.security.tables import AuditRow
from app.sources.values import AlertHistory, AlertState, FiringAlert, Interval
from app.times import UnixNanos, from_datetime

LATER = NOW + dt.timedelta(minutes=5)
LABELS = {"alertname": "AuthCredentialStuffing", "severity": "critical"}


async def opened(database, **given) -> int:
    async with database.writing() as db:
        return (await service.open_case(db, **{"title": "Order probing", "by": INES, "at": NOW, **given})).number


async def kept(database, number: int, **given) -> preserve.Preserved:
    async with database.writing() as db:
        return await preserve.preserve_trace(db, number, sample.capture(**given), by=INES, at=LATER)


async def titles(database, number: int, **which) -> list[str]:
    async with database.reading() as db:
        return [shown.event.title for shown in await store.events(db, number, Filter(**which), limit=100)]


async def acts(database) -> list[tuple[str, dict]]:
    async with database.reading() as db:
        return [(row.act, row.detail) for row in await db.scalars(select(AuditRow).order_by(AuditRow.id))]


def alert(*stretches: tuple[AlertState, int, int | None], read_ns: int = 10_000) -> alerts.AlertSnapshot:
    ended = stretches[-1][2] if stretches else None
    firing = FiringAlert("prometheus", LABELS, {}, AlertState.RESOLVED if ended else AlertState.FIRING, UnixNanos(1000), ended)
    history = AlertHistory(LABELS, tuple(Interval(*one) for one in stretches), 15.0) if stretches else None
    return alerts.snapshot(firing, read_ns=UnixNanos(read_ns), history=history)


async def test_a_case_opens_with_a_number_a_version_and_its_opener(database):
    number = await opened(database, severity="critical", tags=["stuffing", "stuffing"])
    async with database.reading() as db:
        case = await store.case(db, number)
    assert (case.status, case.severity, case.tlp, case.tags) == ("open", "critical", "TLP:AMBER", ["stuffing"])
    assert (case.opened_by, case.assignee_id, case.opened_at) == ("Ines Varga", INES.id, NOW)
    assert await acts(database) == [("case_opened", {"title": "Order probing", "severity": "critical", "tlp": "TLP:AMBER"})]
    assert await opened(database) == number + 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("given", "field"),
    [({"title": " "}, "title"), ({"title": "x" * 201}, "title"), ({"severity": "huge"}, "severity"),
     ({"tlp": "TLP:WHITE"}, "tlp"), ({"summary": "x" * 20_001}, "summary"), ({"tags": ["x" * 61]}, "tags")],
)  # fmt: skip
async def test_a_wrong_field_is_named_and_nothing_is_stored(database, given, field):
    with pytest.raises(InvalidInput) as caught:
        await opened(database, **given)
    assert caught.value.field == field
    async with database.reading() as db:
        assert await store.cases(db, limit=10) == []
    assert await acts(database) == []


async def test_changes_are_recorded_from_what_to_what(database):
    number = await opened(database)
    async with database.writing() as db:
        changed = await service.change_case(
            db, number, Changes(status="contained", assignee="jun", title="Order probing"), version=1, by=JUN, at=LATER
        )
        assert (changed.status, changed.assignee_id, changed.version) == ("contained", JUN.id, 2)
    act, detail = (await acts(database))[-1]
    assert act == "case_changed"
    assert detail == {"status": {"from": "open", "to": "contained"}, "assignee": {"from": "Ines Varga", "to": "Jun Park"}}


async def test_changing_nothing_leaves_no_trace(database):
    number = await opened(database)
    async with database.writing() as db:
        assert (await service.change_case(db, number, Changes(status="open"), version=1, by=JUN, at=LATER)).version == 1
    assert len(await acts(database)) == 1


async def test_two_editors_of_one_form_notice_each_other(database):
    number = await opened(database)
    async with database.writing() as db:
        await service.change_case(db, number, Changes(title="By Jun"), version=1, by=JUN, at=LATER)
    with pytest.raises(Conflict, match="changed by somebody else"):
        async with database.writing() as db:
            await service.change_case(db, number, Changes(title="By Ines"), version=1, by=INES, at=LATER)
    async with database.reading() as db:
        assert (await store.case(db, number)).title == "By Jun"


async def test_an_unknown_assignee_is_refused(database):
    number = await opened(database)
    with pytest.raises(InvalidInput, match="no user nobody"):
        async with database.writing() as db:
            await service.change_case(db, number, Changes(assignee="nobody"), by=INES, at=LATER)


async def test_a_closed_case_takes_nothing_until_it_is_reopened(database):
    number = await opened(database)
    async with database.writing() as db:
        closed = await service.change_case(db, number, Changes(status="closed"), by=INES, at=LATER)
        assert closed.closed_at == LATER
    for verb in (
        lambda db: service.add_note(db, number, "x", by=INES, at=LATER),
        lambda db: service.add_event(db, number, occurred_ns=UnixNanos(1), title="x", by=INES, at=LATER),
        lambda db: service.link_alert(db, number, alert(), by=INES, at=LATER),
        lambda db: service.link_trace(db, number, sample.TRACE_ID, by=INES, at=LATER),
        lambda db: preserve.preserve_trace(db, number, sample.capture(), by=INES, at=LATER),
    ):
        with pytest.raises(Conflict, match=r"is closed\. Reopen it"):
            async with database.writing() as db:
                await verb(db)
    async with database.writing() as db:
        reopened = await service.change_case(db, number, Changes(status="open"), by=INES, at=LATER)
        assert reopened.closed_at is None
        await service.add_note(db, number, "x", by=INES, at=LATER)


async def test_an_absent_case_is_not_found(database):
    with pytest.raises(NotFound, match="There is no CASE-0099"):
        async with database.writing() as db:
            await service.add_note(db, 99, "x", by=INES, at=NOW)


async def test_a_note_keeps_its_history(database):
    number = await opened(database)
    async with database.writing() as db:
        first = await service.add_note(db, number, "Two got in.\r\n", by=INES, at=NOW)
    async with database.writing() as db:
        edited = await service.edit_note(db, number, first.number, "Three got in.", revision=1, by=INES, at=LATER)
    assert (first.text, first.edited_at) == ("Two got in.", None)
    assert (edited.text, edited.revision, edited.edited_at, edited.edited_by) == ("Three got in.", 2, LATER, "Ines Varga")
    async with database.reading() as db:
        assert [row.text for row in await store.revisions(db, number, 1)] == ["Three got in.", "Two got in."]
    assert await titles(database, number, kinds=(timeline.Kind.NOTE,)) == ["Ines Varga wrote N1: Three got in."]
    assert [act for act, _ in await acts(database)] == ["case_opened", "note_added", "note_changed"]


async def test_a_note_edited_by_two_loses_nothing(database):
    number = await opened(database)
    async with database.writing() as db:
        await service.add_note(db, number, "first", by=INES, at=NOW)
    async with database.writing() as db:
        await service.edit_note(db, number, 1, "second", revision=1, by=INES, at=LATER)
    with pytest.raises(Conflict, match="edited since you opened it"):
        async with database.writing() as db:
            await service.edit_note(db, number, 1, "other second", revision=1, by=INES, at=LATER)


async def test_a_note_is_edited_by_its_author_and_admins(database):
    number = await opened(database)
    async with database.writing() as db:
        await service.add_note(db, number, "mine", by=INES, at=NOW)
    with pytest.raises(Forbidden, match="N1 is Ines Varga's"):
        async with database.writing() as db:
            await service.edit_note(db, number, 1, "not yours", revision=1, by=JUN, at=LATER)
    async with database.writing() as db:
        edited = await service.edit_note(db, number, 1, "corrected", revision=1, by=ADA, at=LATER)
    assert (edited.author, edited.edited_by) == ("Ines Varga", "Ada Admin")


async def test_preserving_keeps_bytes_facts_and_verdict_and_tells_the_timeline(database):
    number = await opened(database)
    found = await kept(database, number)
    assert found.fresh
    assert found.item.name == "E1"
    async with database.reading() as db:
        item = await store.evidence_item(db, number, 1)
        assert item.item == found.item
        assert await store.evidence_body(db, item.row_id) == sample.body()
        assert [case.number for case in await store.cases_of_trace(db, sample.TRACE_ID)] == [number]
    assert await titles(database, number) == [
        "orders refused mallory, and the update ran all the same",
        "orders wrote to orders",
        "Ines Varga kept E1: edge-gateway: PUT /api/orders/{id}",
    ]
    act, detail = (await acts(database))[-1]
    assert (act, detail["evidence"], detail["sha256"]) == ("evidence_added", "E1", found.item.sha256)


async def test_the_same_bytes_twice_are_one_item(database):
    number = await opened(database)
    first, again = await kept(database, number), await kept(database, number)
    assert not again.fresh
    assert again.item == first.item
    assert len(await titles(database, number)) == 3
    assert [act for act, _ in await acts(database)] == ["case_opened", "evidence_added"]
    other = await opened(database)
    assert (await kept(database, other)).fresh


async def test_a_later_whole_capture_speaks_for_the_trace(database):
    number = await opened(database)
    partial = sample.verdict(
        outcome="inconclusive", span_id=None, side_effects=(), sentence="the span that would tell is missing"
    )
    await kept(database, number, partial=True, judged=msgspec.convert(msgspec.to_builtins(partial), type=type(partial)))
    assert (await titles(database, number))[0] == "the span that would tell is missing"
    await kept(database, number, data=sample.body(note="again"))
    told = await titles(database, number)
    assert told[0] == "orders refused mallory, and the update ran all the same"
    assert "the span that would tell is missing" not in told
    assert sum("kept E" in title for title in told) == 2


async def test_a_lesser_capture_leaves_the_story_as_it_is(database):
    number = await opened(database)
    await kept(database, number)
    await kept(database, number, data=sample.body(note="again"), partial=True, judged=sample.verdict(sentence="from a part"))
    assert (await titles(database, number))[0] == "orders refused mallory, and the update ran all the same"
    async with database.reading() as db:
        speaks = await store.newest_evidence_of(db, number, sample.TRACE_ID)
        assert speaks is not None
        assert speaks.item.name == "E1"


async def test_marks_survive_a_story_told_anew(database):
    number = await opened(database)
    await kept(database, number)
    async with database.writing() as db:
        first = (await store.events(db, number, Filter(), limit=1))[0]
        await service.mark_event(db, number, first.id, starred=True, by=INES, at=LATER)
    await kept(database, number, data=sample.body(note="again"))
    assert await titles(database, number, starred=True) == ["orders refused mallory, and the update ran all the same"]


async def test_hidden_events_are_only_shown_where_asked_for(database):
    number = await opened(database)
    async with database.writing() as db:
        await service.add_event(db, number, occurred_ns=UnixNanos(5), title="Noise", by=INES, at=NOW)
        event = (await store.events(db, number, Filter(), limit=1))[0]
        await service.mark_event(db, number, event.id, hidden=True, by=INES, at=LATER)
    assert await titles(database, number) == []
    assert await titles(database, number, hidden=True) == ["Noise"]
    with pytest.raises(NotFound):
        async with database.writing() as db:
            await service.mark_event(db, await opened_in(db), event.id, hidden=True, by=INES, at=LATER)


async def opened_in(db) -> int:
    return (await service.open_case(db, title="Another", by=INES, at=NOW)).number


async def test_a_trace_can_be_named_before_it_can_be_had(database):
    number = await opened(database)
    async with database.writing() as db:
        assert await service.link_trace(db, number, sample.TRACE_ID.upper(), by=INES, at=NOW)
        assert not await service.link_trace(db, number, sample.TRACE_ID, by=INES, at=NOW)
        assert [one.trace_id for one in await store.traces_without_evidence(db, number)] == [sample.TRACE_ID]
    await kept(database, number)
    async with database.reading() as db:
        assert await store.traces_without_evidence(db, number) == []


async def test_an_alert_linked_again_is_brought_up_to_date(database):
    number = await opened(database)
    async with database.writing() as db:
        assert await service.link_alert(db, number, alert(), by=INES, at=NOW)
        assert not await service.link_alert(db, number, alert(read_ns=20_000), by=INES, at=NOW)
    assert await titles(database, number) == ["AuthCredentialStuffing becomes active"]
    resolved = alert((AlertState.PENDING, 1000, 2000), (AlertState.FIRING, 2000, 9000), read_ns=30_000)
    async with database.writing() as db:
        assert await service.link_alert(db, number, resolved, by=JUN, at=LATER)
    assert await titles(database, number) == [
        "AuthCredentialStuffing is pending",
        "AuthCredentialStuffing fires",
        "AuthCredentialStuffing resolved",
    ]
    async with database.reading() as db:
        assert len(await store.alerts(db, number)) == 1
        assert [case.number for case in await store.cases_of_alert(db, resolved.fingerprint)] == [number]
        assert await store.cases_of_alert(db, resolved.fingerprint, 77) == []


async def test_the_timeline_merges_everything_in_the_order_it_occurred(database):
    number = await opened(database)
    base = sample.START
    async with database.writing() as db:
        stretch = alert((AlertState.FIRING, base - 10**9, base + 10**9))
        await service.link_alert(db, number, stretch, by=INES, at=NOW)
        await service.add_event(db, number, occurred_ns=UnixNanos(base + 40 * 10**6), title="Page seen", by=JUN, at=LATER)
        await service.add_note(db, number, "hm", by=INES, at=LATER)
    await kept(database, number)
    async with database.reading() as db:
        shown = [one.event for one in await store.events(db, number, Filter(), limit=100)]
        counts = {one.kind: one.count for one in await store.totals(db, number)}
        streamed = [event async for event in store.stream_events(db, number, Filter())]
    assert [event.kind.value for event in shown] == ["alert", "decision", "effect", "entered", "alert", "evidence", "note"]
    assert [event.occurred_ns for event in shown] == sorted(event.occurred_ns for event in shown)
    assert streamed == shown
    assert counts == {"alert": 2, "decision": 1, "effect": 1, "entered": 1, "note": 1, "evidence": 1}


async def test_entities_and_density_are_counted_by_the_database(database):
    number = await opened(database)
    await kept(database, number)
    async with database.reading() as db:
        entities = await store.entities(db, number)
        named = await store.named_most(db, number)
        buckets = await store.density(db, number, Filter(kinds=(timeline.Kind.DECISION,)), start_ns=sample.START, slot_ns=10**7)
    assert ("user", "mallory", 2) in entities
    assert ("addr", "203.0.113.50", 2) in entities
    assert set(named) == {(kind, value) for kind, value, _ in entities}
    assert [(bucket.slot, bucket.outcome, bucket.count) for bucket in buckets] == [(2, "bypassed", 1)]


async def test_thirty_writers_at_once_fork_nothing(database):
    number = await opened(database)

    async def write(writer: int) -> None:
        for turn in range(5):
            async with database.writing() as db:
                await service.add_note(db, number, f"{writer} {turn}", by=INES, at=LATER)

    await asyncio.gather(*(write(writer) for writer in range(30)))
    async with database.reading() as db:
        case = await store.case(db, number)
        links = [link async for link in store.links(db, number)]
        notes = await store.notes(db, number, limit=500)
    assert (case.note_count, case.custody_count) == (150, 151)
    assert sorted(note.number for note in notes) == list(range(1, 151))
    assert len({note.text for note in notes}) == 150
    heads = [link.prev for link in links]
    assert len(set(heads)) == len(heads)
    assert [link.seq for link in links] == list(range(1, 152))


async def test_people_and_time_of_every_act_are_kept(database):
    number = await opened(database)
    async with database.writing() as db:
        await service.add_event(db, number, occurred_ns=UnixNanos(5), title="Seen", by=JUN, at=LATER)
        link = (await store.last_links(db, number, limit=1))[0]
    assert (link.entry.actor, link.entry.action, link.entry.case) == ("jun", "event.added", "CASE-0001")
    assert link.entry.at == "2026-11-21T03:10:00.000000000+00:00"
    assert from_datetime(LATER) == 1795230600 * 10**9
