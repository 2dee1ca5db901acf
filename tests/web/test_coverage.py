"""The coverage page: the worst first, with evidence and remedy; what could not be checked is never shown as fine."""

from __future__ import annotations

import asyncio

import httpx2 as httpx
import msgspec
import pytest
from support import markup, reports
from support.poison import PAYLOADS
from support.watched import Watched

from app.doctor.checks import CHECKS
from app.doctor.finding import Severity
from app.doctor.report import Connection, Report, SampleSize, Share
from app.web.checkups import Checkups

HX = {"hx-request": "true"}


@pytest.fixture
async def viewer(here):
    return await here.as_("viewer")


@pytest.fixture
async def told(here):
    """Gives the page the report it is to show."""

    def tell(report: Report) -> None:
        async def examine(length):
            return report

        here.app.state.checkups = Checkups(examine)

    yield tell
    await here.app.state.checkups.close()


async def part(viewer, last="1h"):
    answer = await viewer.get(f"/coverage?last={last}", headers=HX)
    assert answer.status_code == 200, answer.text
    return answer.text


def headline(html):
    return markup.elements(html, "div", class_="callout")[0]


async def test_the_page_comes_at_once_and_its_part_brings_the_report(told, viewer):
    told(reports.report(reports.finding()))
    html = (await viewer.get("/coverage")).text
    waiting = markup.one(html, "div", id="coverage")
    assert waiting.attributes["hx-get"] == "/coverage?last=1h"
    assert waiting.attributes["hx-trigger"].startswith("load")
    assert "billing does not take over" not in html
    html = await part(viewer)
    assert "billing does not take over" in html
    assert "hx-trigger" not in markup.one(html, "div", id="coverage").attributes
    assert "Checked 3 min ago" in markup.one(html, "div", id="coverage").words
    assert "billing does not take over" in (await viewer.get("/coverage")).text


async def test_findings_stand_worst_first_with_evidence_and_what_to_paste(told, viewer):
    told(reports.report(
        reports.finding(Severity.NOTE, title="a note"), reports.finding(Severity.BROKEN, title="Tempo keeps no refusal"),
        reports.finding(Severity.WEAK, title="something weak"), reports.finding(),
    ))  # fmt: skip
    html = await part(viewer)
    found = [item for item in markup.elements(html, "li") if "data-check" in item.attributes]
    assert [item.words.split()[0] for item in found] == ["Broken", "Harmful", "Weak", "Note"]
    harmful = found[1].words
    assert "38 of 120 traces" in harmful
    assert "Remedy. Let the hop in front of it pass traceparent on." in harmful
    assert markup.elements(html, "a", href="/traces/4bf92f3577b34da6a3ce929d0e0e4736")
    copies = [button.attributes["data-copy"] for button in markup.elements(html, "button") if "data-copy" in button.attributes]
    assert "proxy_pass_request_headers on;\n" in copies


@pytest.mark.parametrize(
    ("report", "tone", "words"),
    [
        (reports.report(reports.finding(Severity.BROKEN, title="The clock of Tempo is 90 s behind")), "deny",
         "Do not rely on what Clew shows now: the clock of Tempo is 90 s behind"),
        (reports.report(reports.finding(), reports.finding()), "error", "Two things cost verdicts"),
        (reports.report(checks=(reports.unchecked(),)), "open", "One thing could not be checked"),
        (reports.report(sample=SampleSize(0, 0, 120)), "open", "No trace came in this time"),
        (reports.report(connections=(Connection("Tempo", False), Connection("Prometheus", False))), "error",
         "No source is set up"),
        (reports.report(), None, "Clew sees what it needs to"),
    ],
    ids=["broken", "harmful", "unknown", "empty", "nothing-set-up", "fine"],
)  # fmt: skip
async def test_the_first_sentence_says_whether_the_answers_can_be_trusted(told, viewer, report, tone, words):
    told(report)
    first = headline(await part(viewer))
    assert first.attributes.get("data-tone") == tone
    assert words in first.words


async def test_what_could_not_be_checked_is_told_with_its_reason(told, viewer):
    told(reports.report(checks=(reports.unchecked(),)))
    html = await part(viewer)
    assert "No Prometheus is set up." in markup.one(html, "section", id="unknown").words
    assert not markup.elements(html, "details", class_="panel checks")


async def test_a_source_that_fails_says_what_to_do(told, viewer):
    failing = reports.tempo(reachable=False, problem="Tempo refuses connections.", remedy="Start it, or set CLEW_TEMPO__URL.",
                            version="", clock_ns=None, features=())  # fmt: skip
    told(reports.report(connections=(failing, Connection("Prometheus", False))))
    html = await part(viewer)
    cards = {card.attributes["aria-label"]: card for card in markup.elements(html, "section", class_="panel card")}
    assert cards["Tempo"].attributes["data-health"] == "failing"
    assert "Start it, or set CLEW_TEMPO__URL." in cards["Tempo"].words
    assert cards["Prometheus"].attributes["data-health"] == "off"


async def test_shares_are_told_against_their_whole_and_never_rounded_up(told, viewer):
    told(reports.report(services=(reports.service(auth_signals=Share(1999, 2000), principal=Share(1, 2)),)))
    html = await part(viewer)
    meters = {one.attributes["title"]: one for one in markup.elements(html, "span", class_="meter")}
    assert meters["1,999 of 2,000"].words == "99%"
    assert "data-tone" not in meters["1,999 of 2,000"].attributes
    assert meters["1 of 2"].attributes["data-tone"] == "error"
    # A tenth of the routine is kept on purpose.
    assert "data-tone" not in meters["10 of 100"].attributes


async def test_checking_again_begins_a_check_and_shows_the_old_report_meanwhile(here, viewer):
    gate = asyncio.Event()
    made = []

    async def examine(length):
        if made:
            await gate.wait()
        made.append(reports.report(reports.finding(title=f"look {len(made)}"), checked_ago_s=60))
        return made[-1]

    here.app.state.checkups = Checkups(examine)
    assert "look 0" in await part(viewer)
    html = (await viewer.post("/coverage/check?last=1h", headers=HX)).text
    assert "look 0" in html
    assert markup.one(html, "div", id="coverage").attributes["hx-get"] == "/coverage?last=1h"
    gate.set()
    assert "look 1" in await part(viewer)
    await here.app.state.checkups.close()


async def test_without_script_the_button_leads_back_to_the_page(told, viewer):
    told(reports.report())
    answer = await viewer.post("/coverage/check?last=6h")
    assert (answer.status_code, answer.headers["location"]) == (303, "/coverage?last=6h")
    assert "Clew sees what it needs to" in (await viewer.get("/coverage?last=6h")).text


async def test_a_check_that_breaks_is_told_with_a_way_to_ask_again(here, viewer):
    async def examine(length):
        raise RuntimeError("a mistake of ours")

    here.app.state.checkups = Checkups(examine)
    answer = await viewer.get("/coverage?last=1h", headers=HX)
    assert answer.status_code == 500
    assert "Clew could not finish this" in markup.one(answer.text, "div", role="alert").words
    assert "a mistake of ours" not in answer.text
    assert (await viewer.get("/coverage?last=1h")).status_code == 200


async def test_the_api_gives_the_whole_report(told, viewer):
    report = reports.report(reports.finding())
    told(report)
    answer = await viewer.get("/api/v1/coverage?last=24h")
    assert answer.headers["content-type"] == "application/json"
    assert msgspec.json.decode(answer.content, type=Report) == report


async def test_only_known_times_and_only_people_who_are_signed_in(told, viewer, here):
    told(reports.report())
    assert (await viewer.get("/coverage?last=7d")).status_code == 422
    assert (await viewer.get("/api/v1/coverage?last=7d")).json()["error"]["field"] == "last"
    assert (await here.anonymous.get("/api/v1/coverage")).status_code == 401
    assert (await here.anonymous.get("/coverage")).status_code == 303


async def test_what_telemetry_wrote_stays_text(told, viewer):
    for payload in PAYLOADS:
        told(reports.report(
            reports.finding(title=payload, subject=payload, detail=payload, measured=payload, remedy=payload, paste=payload),
            services=(reports.service(payload),), connections=(reports.tempo(version=payload, problem=payload),),
            checks=(reports.unchecked(payload, payload),),
        ))  # fmt: skip
        html = await part(viewer)
        assert not markup.elements(html, "script")
        assert not [one for one in markup.elements(html, "img") if one]
        assert not any(name.startswith("on") for one in markup.elements(html) for name in one.attributes)


async def test_the_real_doctor_looks_at_real_sources(here, viewer, tmp_path):
    watched = Watched(tmp_path, alertmanager=False)
    await watched.plug_into(here.app)
    for number in range(3):
        await watched.login("203.0.113.7", "mallory", "failure", seconds_ago=60 + number)
    html = await part(viewer)
    cards = {card.attributes["aria-label"]: card.attributes["data-health"]
             for card in markup.elements(html, "section", class_="panel card")}  # fmt: skip
    assert cards["Tempo"] == "ok"
    assert cards["Alertmanager"] == "off"
    watched.fails["tempo"] = httpx.ConnectError("refused")
    await here.app.state.checkups.close()
    here.app.state.checkups = Checkups(here.app.state.checkups._examine)
    html = await part(viewer)
    assert headline(html).attributes["data-tone"] == "deny"
    await watched.close()


async def test_every_check_is_explained_where_its_findings_point(told, viewer):
    told(reports.report(reports.finding()))
    html = (await viewer.get("/coverage/checks")).text
    anchors = {one.attributes.get("id") for one in markup.elements(html, "a")}
    assert {check.id.replace(".", "-") for check in CHECKS} <= anchors
    (link,) = [one for one in markup.elements(await part(viewer), "a") if one.words == "coverage.propagation_in"]
    assert link.attributes["href"] == "/coverage/checks#coverage-propagation_in"
    assert not markup.elements(html, "img")
    # The other documents have no page here.
    assert not [one for one in markup.elements(html, "a") if ".md" in one.attributes.get("href", "")]
