"""The pages of cases, as a browser without script meets them."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from sqlalchemy import text
from support import case_samples as sample
from support import casework, markup
from support.casework import Source

from app.cases import store
from app.errors import SourceRefused, SourceUnavailable
from app.investigation.alerts import Alert, Episode
from app.times import UnixNanos

DOWN = SourceUnavailable("Tempo", "trace by id", "Tempo did not answer within 15 s.")
TRACE = sample.TRACE_ID


@pytest.fixture
async def analyst(here):
    casework.plug(here, Source([sample.capture()]))
    return await here.as_("analyst")


@pytest.fixture
async def case(here, analyst):
    """A case with two traces, an alert, notes and an event; its address."""
    number = await casework.fill(here, here.people["analyst"], sample.incident()[-2:])
    return f"/cases/CASE-{number:04d}"


async def opened(analyst, **given) -> str:
    answer = await analyst.post("/cases", data={"title": "Order probing", "severity": "warning", "tlp": "TLP:AMBER", **given})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def words(html: str) -> str:
    return markup.one(html, "main").words


async def test_the_list_is_empty_and_says_what_to_do(analyst, here):
    page = (await analyst.get("/cases")).text
    assert "No cases yet" in page
    assert markup.elements(page, "a", href="/cases/new")
    viewer = (await (await here.as_("viewer")).get("/cases")).text
    assert "No cases yet" in viewer
    assert not markup.elements(viewer, "a", href="/cases/new")


async def test_a_case_is_opened_and_listed(analyst):
    assert await opened(analyst, tags="stuffing, orders", summary="**One** actor.") == "/cases/CASE-0001"
    page = (await analyst.get("/cases")).text
    assert "Order probing" in words(page)
    assert "CASE-0001" in words(page)
    case = (await analyst.get("/cases/CASE-0001")).text
    assert markup.one(case, "h1").words == "Order probing"
    assert markup.elements(case, "strong")[0].words == "One"
    assert "TLP:AMBER" in words(case)
    assert "Nothing on the timeline yet" in words(case)


async def test_a_filter_that_hides_everything_says_so(analyst):
    await opened(analyst)
    page = (await analyst.get("/cases?status=closed")).text
    assert "No closed cases" in page
    assert "The filter hides 1 case." in page
    assert "Order probing" in (await analyst.get("/cases?status=open")).text


async def test_a_wrong_form_comes_back_with_what_was_typed(analyst):
    answer = await analyst.post(
        "/cases", data={"title": " ", "severity": "critical", "tlp": "TLP:RED", "summary": "kept & safe"}
    )
    assert answer.status_code == 422
    assert "The title is missing." in words(answer.text)
    assert markup.one(answer.text, "textarea", name="summary").words == "kept & safe"
    assert "selected" in markup.one(answer.text, "option", value="TLP:RED").attributes


async def test_an_absent_case_and_a_malformed_name_read_the_same(analyst):
    for path in ("/cases/CASE-0099", "/cases/nonsense", "/cases/99/timeline", "/cases/0/notes"):
        assert (await analyst.get(path)).status_code == 404, path


async def test_a_case_is_changed_and_two_editors_notice_each_other(analyst):
    case = await opened(analyst)
    form = (await analyst.get(f"{case}/edit")).text
    version = markup.one(form, "input", name="version").attributes["value"]
    given = {
        "title": "Probing by mallory",
        "severity": "critical",
        "tlp": "TLP:RED",
        "tags": "a",
        "summary": "s",
        "version": version,
    }
    assert (await analyst.post(f"{case}/edit", data=given)).status_code == 303
    assert "Probing by mallory" in (await analyst.get(case)).text
    again = await analyst.post(f"{case}/edit", data=given | {"title": "Late"})
    assert again.status_code == 409
    assert "changed by somebody else" in words(again.text)
    assert markup.one(again.text, "input", name="title").attributes["value"] == "Late"


async def test_status_moves_by_buttons(analyst):
    case = await opened(analyst)
    assert [one.words for one in markup.elements((await analyst.get(case)).text, "button", name="status")] == [
        "Contain",
        "Close",
    ]
    assert (await analyst.post(f"{case}/status", data={"status": "closed"})).status_code == 303
    page = (await analyst.get(case)).text
    assert [one.words for one in markup.elements(page, "button", name="status")] == ["Reopen"]
    assert not markup.elements(page, "textarea", name="text")
    refused = await analyst.post(f"{case}/notes", data={"text": "too late"})
    assert refused.status_code == 409
    assert "is closed. Reopen it" in words(refused.text)
    assert markup.one(refused.text, "textarea", name="text").words == "too late"


# Notes


async def test_a_note_is_written_edited_and_remembered(analyst):
    case = await opened(analyst)
    saved = await analyst.post(f"{case}/notes", data={"text": "Two got in. @Jun.Park see CASE-7"})
    assert saved.headers["location"] == "/cases/CASE-0001/notes?saved=CASE-0001-new#N1"
    page = (await analyst.get(f"{case}/notes")).text
    assert markup.one(page, "b", class_="mention").words == "@Jun.Park"
    assert markup.elements(page, "a", href="/cases/CASE-0007")
    form = (await analyst.get(f"{case}/notes/1/edit")).text
    assert markup.one(form, "textarea", name="text").words.startswith("Two got in.")
    edited = await analyst.post(f"{case}/notes/1", data={"text": "Three got in.", "revision": "1"})
    assert edited.status_code == 303
    history = (await analyst.get(f"{case}/notes/1/history")).text
    assert [one.words for one in markup.elements(history, "ins")] == ["Three got in.", "Two got in. @Jun.Park see CASE-7"]
    assert "edited" in words((await analyst.get(f"{case}/notes")).text)


async def test_a_note_that_is_too_long_is_not_lost(analyst):
    case = await opened(analyst)
    long = "word " * 20_001
    answer = await analyst.post(f"{case}/notes", data={"text": long})
    assert answer.status_code == 422
    assert "100,005 bytes; at most 100,000 are kept" in words(answer.text)
    area = markup.one(answer.text, "textarea", name="text")
    assert area.words == long.strip()
    assert "data-kept" in area.attributes


async def test_a_preview_shows_the_note_and_saves_nothing(analyst):
    case = await opened(analyst)
    answer = await analyst.post(f"{case}/notes", data={"text": "**bold** <b>raw</b>", "preview": "true"})
    assert answer.status_code == 200
    assert markup.one(answer.text, "strong").words == "bold"
    assert markup.one(answer.text, "textarea", name="text").words == "**bold** <b>raw</b>"
    assert "No notes yet" in answer.text


async def test_a_note_edited_by_two_shows_both_texts(analyst):
    case = await opened(analyst)
    await analyst.post(f"{case}/notes", data={"text": "first"})
    await analyst.post(f"{case}/notes/1", data={"text": "by the other", "revision": "1"})
    answer = await analyst.post(f"{case}/notes/1", data={"text": "by me", "revision": "1"})
    assert answer.status_code == 409
    assert markup.one(answer.text, "textarea", name="text").words == "by me"
    assert "by the other" in words(answer.text)
    # Having seen it, saving again is meant.
    revision = markup.one(answer.text, "input", name="revision").attributes["value"]
    assert (await analyst.post(f"{case}/notes/1", data={"text": "both", "revision": revision})).status_code == 303


async def test_only_the_author_is_offered_to_edit(analyst, here):
    case = await opened(analyst)
    await analyst.post(f"{case}/notes", data={"text": "mine"})
    await here.add_user("other", "analyst")
    other = await here.as_("other")
    assert not markup.elements((await other.get(f"{case}/notes")).text, "a", href=f"{case}/notes/1/edit")
    refused = await other.post(f"{case}/notes/1", data={"text": "not yours", "revision": "1"})
    assert refused.status_code == 403


# Adding from a trace or an alert


async def test_a_trace_goes_into_a_new_case_with_its_verdict_as_title(analyst, here):
    form = (await analyst.get(f"/cases/add?trace={TRACE}")).text
    title = "orders refused mallory, and the update ran all the same"
    assert markup.one(form, "input", name="title").attributes["value"] == title
    sent = {"trace": TRACE, "case": "new", "title": title, "severity": "critical", "tlp": "TLP:AMBER"}
    answer = await analyst.post("/cases/add", data=sent)
    assert answer.headers["location"] == "/cases/CASE-0001"
    page = (await analyst.get("/cases/CASE-0001")).text
    assert "orders wrote to orders" in words(page)
    assert markup.elements(page, "span", data_verdict="bypassed")
    async with here.database.reading() as db:
        kept = await store.evidence_item(db, 1, 1)
    assert kept.item.sha256 == hashlib.sha256(sample.body()).hexdigest()


async def test_a_trace_goes_into_an_open_case_once(analyst):
    case = await opened(analyst)
    form = (await analyst.get(f"/cases/add?trace={TRACE.upper()}")).text
    assert "checked" in markup.one(form, "input", value="CASE-0001").attributes
    for _ in range(2):
        assert (await analyst.post("/cases/add", data={"trace": TRACE, "case": "CASE-0001"})).headers["location"] == case
    assert "has it already" in (await analyst.get(f"/cases/add?trace={TRACE}")).text
    assert "Evidence 1" in words((await analyst.get(case)).text)


async def test_a_trace_that_cannot_be_had_is_named_and_can_be_kept_later(analyst, here):
    await opened(analyst)
    casework.plug(here, Source([], down=DOWN))
    answer = await analyst.post("/cases/add", data={"trace": TRACE, "case": "CASE-0001"})
    assert answer.headers["location"] == "/cases/CASE-0001/evidence?why=unavailable"
    page = (await analyst.get(answer.headers["location"])).text
    assert "Tempo did not answer." in words(page)
    assert "its bytes are not kept" in words(page)
    casework.plug(here, Source([sample.capture()]))
    assert (await analyst.post("/cases/CASE-0001/evidence", data={"trace": TRACE})).headers["location"].endswith("#E1")
    assert "its bytes are not kept" not in words((await analyst.get("/cases/CASE-0001/evidence")).text)


@pytest.mark.parametrize(
    ("down", "why"), [(SourceRefused("Tempo", "trace by id", "Too large."), "refused"), (None, "gone")], ids=["refused", "gone"]
)
async def test_why_it_could_not_be_had_is_told(analyst, here, down, why):
    await opened(analyst)
    casework.plug(here, Source([], down=down))
    answer = await analyst.post("/cases/CASE-0001/evidence", data={"trace": TRACE})
    assert answer.headers["location"].endswith(f"?why={why}")
    assert "could not be kept" in words((await analyst.get(answer.headers["location"])).text)


@pytest.mark.parametrize("query", ["", "?trace=nonsense", "?trace=", "?" + "&".join(f"trace={n:032x}" for n in range(1, 60))])
async def test_what_names_nothing_to_add_is_refused(analyst, query):
    assert (await analyst.get(f"/cases/add{query}")).status_code == 422


class Alerts:
    """Stands in for the investigation: knows one alert."""

    key = "00000000000000ab-1795229460"

    async def alert(self, key: str, *, now_ns: int):
        assert key == self.key
        episode = Episode(UnixNanos(10**18), fired_ns=UnixNanos(10**18 + 10**9), annotations={"summary": "31 names in 3 min"})
        labels = {"alertname": "AuthCredentialStuffing", "severity": "page", "<b>": "<script>alert(1)</script>"}

        class Seen:
            alert = Alert("00000000000000ab", labels, episode, (episode,))

        return Seen

    async def close(self) -> None:
        """The app closes what it finds."""


async def test_an_alert_goes_into_a_case_with_its_summary_as_title(analyst, here):
    here.app.state.investigation = Alerts()
    form = (await analyst.get(f"/cases/add?alert={Alerts.key}")).text
    assert markup.one(form, "input", name="title").attributes["value"] == "31 names in 3 min"
    assert "selected" in markup.one(form, "option", value="critical").attributes
    sent = {"alert": Alerts.key, "case": "new", "title": "31 names", "severity": "critical", "tlp": "TLP:AMBER"}
    assert (await analyst.post("/cases/add", data=sent)).headers["location"] == "/cases/CASE-0001"
    page = (await analyst.get("/cases/CASE-0001")).text
    assert "AuthCredentialStuffing fires" in words(page)
    assert "AuthCredentialStuffing is pending" in words(page)
    assert "<script>alert" not in page
    assert "has it already" in (await analyst.get(f"/cases/add?alert={Alerts.key}")).text


# Timeline, evidence, custody


async def test_the_overview_tells_the_story_and_the_timeline_everything(analyst, case):
    overview = (await analyst.get(case)).text
    assert re.search(r"The story: \d+ of \d+ events chosen", words(overview))
    assert "Ines" not in words(overview)
    everything = (await analyst.get(f"{case}/timeline")).text
    assert "kept E1" in words(everything)
    times = [one.attributes["datetime"] for one in markup.elements(everything, "time", data_style="clock")]
    assert times == sorted(times)
    picture = markup.one(everything, "svg", class_="chart").attributes["aria-label"]
    assert "1 denied" in picture
    assert "1 bypassed" in picture


async def test_kinds_are_filtered_by_the_address(analyst, case):
    page = (await analyst.get(f"{case}/timeline?kind=note")).text
    rows = [one.words for one in markup.elements(page, "tr") if "data-row" in one.attributes]
    assert len(rows) == 2
    assert all("wrote N" in row for row in rows)


async def test_an_event_is_starred_and_hidden_by_its_buttons(analyst, case):
    page = (await analyst.get(f"{case}/timeline?kind=note")).text
    row = next(one for one in markup.elements(page, "tr") if "data-row" in one.attributes).attributes["id"]
    mark = f"{case}/events/{row.removeprefix('e-')}/mark"
    back = await analyst.post(mark, data={"hidden": "true", "back": f"{case}/timeline?kind=note"})
    assert back.headers["location"] == f"{case}/timeline?kind=note#{row}"
    assert row not in (await analyst.get(f"{case}/timeline")).text
    assert row in (await analyst.get(f"{case}/timeline?hidden=1")).text
    elsewhere = await analyst.post(mark, data={"hidden": "false", "back": "https://evil.example/"})
    assert elsewhere.headers["location"].startswith(f"{case}/timeline#")


async def test_an_event_is_entered_by_hand(analyst, case):
    answer = await analyst.post(f"{case}/events", data={"occurred": "2026-11-21 03:20", "title": "Called the owner"})
    assert answer.status_code == 303
    assert "Called the owner" in words((await analyst.get(f"{case}/timeline?kind=entered")).text)
    wrong = await analyst.post(f"{case}/events", data={"occurred": "later", "title": "Called again", "detail": "kept"})
    assert wrong.status_code == 422
    assert "is not a time" in words(wrong.text)
    assert markup.one(wrong.text, "input", name="title").attributes["value"] == "Called again"


async def test_an_item_shows_what_was_concluded_and_where_it_comes_from(analyst, case):
    page = words((await analyst.get(f"{case}/evidence/2")).text)
    assert "orders refused the update, and the update ran all the same" in page
    assert "http://tempo:3200/api/v2/traces/" in page
    assert "Tempo 3.0.3" in page
    assert "not verified yet" in page
    assert (await analyst.get(f"{case}/evidence/9")).status_code == 404


async def test_the_bytes_come_as_received_and_their_leaving_is_recorded(analyst, case):
    answer = await analyst.get(f"{case}/evidence/1/raw")
    assert hashlib.sha256(answer.content).hexdigest() == answer.headers["x-content-sha256"]
    assert json.loads(answer.content)["resourceSpans"]
    assert answer.headers["content-disposition"].startswith('attachment; filename="CASE-0001-E1-')
    assert "downloaded E1" in words((await analyst.get(f"{case}/custody")).text)
    assert "Evidence downloaded" in words((await analyst.get(f"{case}/activity")).text)


async def test_changed_bytes_are_refused_and_verifying_names_them(analyst, here, case):
    good = await analyst.post(f"{case}/verify")
    assert "All as recorded: 2 items" in words((await analyst.get(good.headers["location"])).text)
    assert "verified" in words((await analyst.get(f"{case}/evidence")).text)
    async with here.database.writing() as db:
        await db.execute(text("UPDATE case_evidence_bytes SET body = x'7b7d'"))
    refused = await analyst.get(f"{case}/evidence/1/raw")
    assert refused.status_code == 409
    assert "E1 is not what was received" in words(refused.text)
    bad = await analyst.post(f"{case}/verify")
    page = (await analyst.get(bad.headers["location"])).text
    assert "of the chain of custody: E1 is not what was received" in words(page)
    assert markup.elements(page, "div", data_tone="deny", role="alert")


async def test_a_kept_trace_is_read_though_its_source_has_forgotten_it(analyst, here, case):
    casework.plug(here, Source([]))
    kept = sample.incident()[-1]
    here.app.state.traces._judge = lambda trace: kept.verdict
    answer = await analyst.get(f"{case}/evidence/2/trace")
    assert answer.status_code == 303
    place, key = answer.headers["location"].rsplit("/", 1)
    assert place == "/uploads"
    opened = here.app.state.uploads.get(key, here.people["analyst"].id)
    assert opened.received.body == kept.received.body
    assert [node.span.name for node in opened.trace.nodes] == [node.span.name for node in kept.trace.nodes]


async def test_the_parts_of_a_case_have_pages(analyst, case):
    for part, says in (
        ("entities", "mallory"),
        ("custody", "opened the case"),
        ("activity", "Case opened"),
        ("evidence", "E2"),
    ):
        answer = await analyst.get(f"{case}/{part}")
        assert answer.status_code == 200
        assert says in words(answer.text), part


async def test_a_viewer_reads_everything_and_is_offered_nothing_to_change(analyst, here, case):
    viewer = await here.as_("viewer")
    for part in ("", "/timeline", "/evidence", "/evidence/1", "/notes", "/entities", "/custody", "/activity"):
        answer = await viewer.get(f"{case}{part}")
        assert answer.status_code == 200, part
        forms = [one.attributes["action"] for one in markup.elements(answer.text, "form", method="post")]
        assert forms == ["/logout"], part
    for part in ("/notes", "/events", "/verify", "/exports", "/status", "/evidence"):
        assert (await viewer.post(f"{case}{part}", data={"text": "x"})).status_code == 403, part


# Exports


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("csv", "CASE-0001-timeline.csv"),
        ("jsonl", "CASE-0001-timeline.jsonl"),
        ("timesketch-csv", "CASE-0001-timeline-timesketch.csv"),
    ],
)
async def test_a_timeline_is_given_out_and_the_record_stands_before(analyst, case, format, name):
    answer = await analyst.post(f"{case}/exports", data={"format": format})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-content-sha256"] == hashlib.sha256(answer.content).hexdigest()
    custody = (await analyst.get(f"{case}/custody")).text
    assert f"exported {name}" in words(custody)
    assert answer.headers["x-clew-custody-head"] in custody


async def test_an_unknown_format_and_an_absent_case_give_no_file(analyst, case):
    assert (await analyst.post(f"{case}/exports", data={"format": "exe"})).status_code == 422
    assert (await analyst.post("/cases/CASE-0099/exports", data={"format": "csv"})).status_code == 404


# Hostile text

PAYLOADS = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}", "'-alert(1)-'", "javascript:alert(1)",
    "</textarea><script>x</script>", "<svg onload=alert(1)>", 'x" onclick="alert(1)', "\u202egnp.exe", "<a href=//evil>x</a>",
]  # fmt: skip


async def test_hostile_text_stays_text_on_every_page(analyst, here):
    for payload in PAYLOADS:
        case = await opened(analyst, title=payload, tags=payload.replace(",", ""), summary=payload)
        hostile = sample.capture(
            data=sample.body(path=payload), judged=sample.verdict(sentence=payload, principal=payload, reason=payload)
        )
        casework.plug(here, Source([hostile]))
        await analyst.post(f"{case}/evidence", data={"trace": TRACE})
        await analyst.post(f"{case}/notes", data={"text": payload})
        await analyst.post(f"{case}/events", data={"occurred": "2026-11-21 03:20", "title": payload, "detail": payload})
        for part in ("", "/timeline", "/evidence", "/evidence/1", "/notes", "/entities", "/custody", "/activity", "/edit"):
            page = (await analyst.get(f"{case}{part}")).text
            for element in markup.elements(page):
                assert not [name for name in element.attributes if name.startswith(("on", "hx-on"))], (payload, part)
                assert element.attributes.get("href", "/").startswith(("/", "#")), (payload, part, element)
                assert element.tag != "img"
            scripts = [one.attributes.get("src", "") for one in markup.elements(page, "script")]
            assert all(src.startswith("/static/") for src in scripts), (payload, part)
            assert "49" not in markup.one(page, "h1").words
