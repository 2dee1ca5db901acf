"""From an alert to an exported timeline, page by page, with the real engine and Clew's own trace backend."""

from __future__ import annotations

import json

import pytest
from support import markup
from support import timesketch_reader as timesketch
from support.watched import SUBNET, Watched, firing


@pytest.fixture
async def watched(here, tmp_path):
    told = Watched(tmp_path)
    await told.plug_into(here.app)
    yield told
    await told.close()


def href(page: str, beginning: str) -> str:
    """The first link of a page that begins so."""
    return next(
        one.attributes["href"] for one in markup.elements(page, "a") if one.attributes.get("href", "").startswith(beginning)
    )


def fields(page: str, action: str, **changed: str) -> dict[str, str]:
    """What a browser would send with a form as it stands: here the fields of the page, hidden and chosen ones included."""
    assert markup.elements(page, "form", action=action)
    sent = {}
    for one in markup.elements(page):
        name, kind = one.attributes.get("name", ""), one.attributes.get("type", "")
        if one.tag == "input" and (kind not in ("radio", "checkbox") or "checked" in one.attributes):
            sent[name] = one.attributes.get("value", "")
    return {**sent, **changed}


async def test_an_analyst_walks_from_the_alert_to_the_timeline_of_the_case(here, watched):
    watched.alerts.append(firing(minutes_ago=3, auth_client_subnet=SUBNET))
    for n in range(3):
        await watched.login("198.51.100.7", "j.meyer", "failure", seconds_ago=200 - n)
    trace_id = await watched.login("198.51.100.7", "mallory", "failure", seconds_ago=90)
    browser = await here.as_("analyst")

    alert = (await browser.get(href((await browser.get("/alerts")).text, "/alerts/"))).text
    form = (await browser.get(href(alert, "/cases/add?alert="))).text
    sent = fields(form, "/cases/add", case="new", severity="critical", tlp="TLP:AMBER")
    assert (await browser.post("/cases/add", data=sent)).headers["location"] == "/cases/CASE-0001"

    trace = (await browser.get(f"/traces/{trace_id}")).text
    form = (await browser.get(href(trace, "/cases/add?trace="))).text
    assert "checked" in markup.one(form, "input", value="CASE-0001").attributes
    assert (await browser.post("/cases/add", data=fields(form, "/cases/add"))).headers["location"] == "/cases/CASE-0001"

    noted = await browser.post("/cases/CASE-0001/notes", data={"text": f"The one that worries me is {trace_id}, kept as E1."})
    assert noted.status_code == 303
    case = markup.one((await browser.get("/cases/CASE-0001")).text, "main").words
    for words in ("BruteForce", "mallory", "E1", "denied", "Identity provider"):
        assert words in case, words

    given = await browser.post("/cases/CASE-0001/exports", data={"format": "timesketch-csv"})
    arrived, dropped = timesketch.read_csv("CASE-0001-timeline-timesketch.csv", given.content)
    assert dropped == []
    decision = next(event for event in arrived if event["kind"] == "decision")
    assert (decision["decision"], decision["authz_layer"], decision["service_name"]) == (
        "deny",
        "identity_provider",
        "identity",
    )
    assert (decision["user"], decision["source_ip"], decision["trace_id"]) == ("mallory", "198.51.100.7", trace_id)
    assert {event["kind"] for event in arrived} == {"alert", "decision", "evidence", "note"}
    verified = await browser.post("/cases/CASE-0001/verify")
    assert "All as recorded: 1 item" in (await browser.get(verified.headers["location"])).text


async def test_evidence_is_read_when_tempo_is_gone(here, watched):
    trace_id = await watched.login("198.51.100.7", "mallory", "failure", seconds_ago=90)
    browser = await here.as_("analyst")
    await browser.post("/cases", data={"title": "Kept", "severity": "info", "tlp": "TLP:GREEN"})
    await browser.post("/cases/CASE-0001/evidence", data={"trace": trace_id})
    watched.fails["tempo"] = 503
    raw = await browser.get("/cases/CASE-0001/evidence/1/raw")
    assert trace_id in json.dumps(raw.json()) or raw.json()["trace"]
    copy = await browser.get("/cases/CASE-0001/evidence/1/trace")
    page = await browser.get(copy.headers["location"])
    assert page.status_code == 200
    assert "mallory" in markup.one(page.text, "main").words
    again = await browser.post("/cases/CASE-0001/evidence", data={"trace": "ab" * 16})
    assert again.headers["location"].endswith("?why=unavailable")
