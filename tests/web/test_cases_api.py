"""Cases in the JSON API."""

from __future__ import annotations

import hashlib
import json

import pytest
from support import case_samples as sample
from support import casework
from support.casework import Source

from app.errors import SourceUnavailable

CASES = "/api/v1/cases"


@pytest.fixture
async def analyst(here):
    casework.plug(here, Source([sample.capture()]))
    return await here.as_("analyst")


async def opened(analyst, **given) -> str:
    answer = await analyst.post(CASES, json={"title": "Order probing", **given})
    assert answer.status_code == 201, answer.text
    return f"{CASES}/{answer.json()['name']}"


async def test_a_case_is_opened_read_listed_and_changed(analyst):
    case = await opened(analyst, severity="critical", tlp="TLP:RED", tags=["a"])
    one = (await analyst.get(case)).json()
    assert (one["name"], one["status"], one["severity"], one["tlp"], one["tags"]) == (
        "CASE-0001",
        "open",
        "critical",
        "TLP:RED",
        ["a"],
    )
    assert (await analyst.get(CASES)).json() == {"cases": [one], "total": 1}
    changed = await analyst.patch(case, json={"status": "contained", "version": one["version"]})
    assert (changed.json()["status"], changed.json()["title"]) == ("contained", "Order probing")
    late = await analyst.patch(case, json={"title": "x", "version": one["version"]})
    assert late.status_code == 409
    assert late.json()["error"]["code"] == "conflict"
    assert (await analyst.get(f"{CASES}?status=closed")).json()["total"] == 0


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": "x", "severity": "huge"}, {"title": "x" * 201}, {"title": 7}])
async def test_a_wrong_body_is_refused_in_the_one_shape(analyst, body):
    answer = await analyst.post(CASES, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_input"


async def test_notes_are_added_and_edited_by_revision(analyst):
    case = await opened(analyst)
    first = (await analyst.post(f"{case}/notes", json={"text": "Two got in."})).json()
    assert (first["number"], first["revision"], first["edited_at"]) == (1, 1, None)
    edited = await analyst.put(f"{case}/notes/1", json={"text": "Three.", "revision": 1})
    assert (edited.json()["revision"], edited.json()["edited_by"]) == (2, "Analyst")
    assert (await analyst.put(f"{case}/notes/1", json={"text": "Four.", "revision": 1})).status_code == 409
    assert [note["text"] for note in (await analyst.get(f"{case}/notes")).json()] == ["Three."]


async def test_a_trace_is_kept_and_its_bytes_come_back(analyst):
    case = await opened(analyst)
    kept = await analyst.post(f"{case}/evidence", json={"trace_id": sample.TRACE_ID, "query": "{ status = error }"})
    item = kept.json()["evidence"]
    assert kept.status_code == 201
    assert (item["name"], item["query"], kept.json()["fresh"]) == ("E1", "{ status = error }", True)
    assert json.loads(item["verdict"])["outcome"] == "bypassed"
    raw = await analyst.get(item["raw"])
    assert raw.content == sample.body()
    assert raw.headers["x-content-sha256"] == item["sha256"]
    assert not (await analyst.post(f"{case}/evidence", json={"trace_id": sample.TRACE_ID})).json()["fresh"]
    assert [one["name"] for one in (await analyst.get(f"{case}/evidence")).json()] == ["E1"]
    assert (await analyst.get(f"{case}/evidence/1")).json()["sha256"] == item["sha256"]


async def test_a_source_that_fails_is_named(analyst, here):
    case = await opened(analyst)
    casework.plug(here, Source([], down=SourceUnavailable("Tempo", "trace by id", "Tempo did not answer within 15 s.")))
    answer = await analyst.post(f"{case}/evidence", json={"trace_id": sample.TRACE_ID})
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "Tempo did not answer within 15 s."
    assert (await analyst.get(f"{case}/evidence")).json() == []


async def test_the_timeline_is_paged_and_exported(analyst):
    case = await opened(analyst)
    await analyst.post(f"{case}/evidence", json={"trace_id": sample.TRACE_ID})
    entered = await analyst.post(f"{case}/events", json={"occurred": "2026-11-21T03:20:00Z", "title": "Called the owner"})
    assert entered.json()["datetime"] == "2026-11-21T03:20:00.000000+00:00"
    assert (await analyst.post(f"{case}/events", json={"occurred": "soon", "title": "x"})).status_code == 422
    page = (await analyst.get(f"{case}/timeline?limit=2&offset=1")).json()
    assert page["total"] == 4
    assert [event["kind"] for event in page["events"]] == ["effect", "entered"]
    decisions = (await analyst.get(f"{case}/timeline?kind=decision")).json()
    assert [event["outcome"] for event in decisions["events"]] == ["bypassed"]
    given = await analyst.post(f"{case}/exports?format=jsonl")
    assert hashlib.sha256(given.content).hexdigest() == given.headers["x-content-sha256"]
    assert json.loads(given.text.splitlines()[0])["message"] == decisions["events"][0]["message"]
    assert (await analyst.get(f"{case}/custody")).json()["head"] == given.headers["x-clew-custody-head"]


async def test_verifying_says_what_was_found(analyst):
    case = await opened(analyst)
    await analyst.post(f"{case}/notes", json={"text": "x"})
    found = (await analyst.post(f"{case}/verify")).json()
    assert (found["passed"], found["entries"], found["first_bad"]) == (True, 2, None)
    chain = (await analyst.get(f"{case}/custody?limit=1")).json()
    assert chain["total"] == 3
    newest = chain["entries"][0]
    assert json.loads(newest["record"])["action"] == "evidence.verified"
    # Anybody can check a link with nothing but SHA-256.
    assert (
        hashlib.sha256(bytes.fromhex(newest["prev"]) + newest["record"].encode()).hexdigest() == newest["hash"] == chain["head"]
    )


async def test_what_is_absent_is_not_found(analyst):
    case = await opened(analyst)
    for path in (f"{CASES}/CASE-0099", f"{CASES}/x", f"{CASES}/99/notes", f"{CASES}/99/timeline", f"{case}/evidence/7"):
        answer = await analyst.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["error"]["code"] == "not_found"


async def test_a_viewer_reads_and_does_not_write(analyst, here):
    case = await opened(analyst)
    viewer = await here.as_("viewer")
    for part in ("", "/notes", "/evidence", "/timeline", "/custody"):
        assert (await viewer.get(f"{case}{part}")).status_code == 200, part
    for part, body in (("/notes", {"text": "x"}), ("/evidence", {"trace_id": "1"}), ("/verify", None), ("/exports", None)):
        answer = await viewer.post(f"{case}{part}", json=body)
        assert answer.status_code == 403, part
        assert answer.json()["error"]["needs"] == "analyst"


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\u202e", "ß" * 10, "😀"])
async def test_odd_text_is_stored_and_comes_back(analyst, text):
    case = await opened(analyst)
    answer = await analyst.post(f"{case}/notes", json={"text": f"x{text}"})
    assert answer.json()["text"] == f"x{text}".replace("\x00", "�")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/evidence/99999999999999999999"), ("GET", "/evidence/0"), ("GET", "/evidence/-1/raw"), ("PUT", "/notes/1e9"),
        ("GET", "/timeline?offset=99999999999999999999"), ("GET", "/timeline?kind=x"), ("GET", "/custody?limit=0"),
        ("GET", "/notes?limit=100000"), ("POST", "/exports?format=exe"),
    ],
)  # fmt: skip
async def test_numbers_beyond_reason_are_refused_and_never_break_anything(analyst, method, path):
    case = await opened(analyst)
    answer = await analyst.request(method, f"{case}{path}", json={"text": "x", "revision": 1})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "invalid_input"


async def test_odd_names_find_nobody_and_nothing(analyst):
    case = await opened(analyst)
    assert (await analyst.patch(case, json={"assignee": "a\x00b"})).status_code == 422
    assert (await analyst.post("/cases/1/events/%00/mark", data={"starred": "true"})).status_code == 404
    huge = {"occurred": "9999-12-31T23:59:59Z", "title": "x"}
    assert (await analyst.post(f"{case}/events", json=huge)).status_code == 422
