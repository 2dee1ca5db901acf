"""Searching, end to end on Clew's own backend: the TraceQL is in sight, every result has its verdict, gaps are told."""

import asyncio

import httpx2 as httpx
import pytest
from support import markup, site
from support.poison import PAYLOADS
from support.watched import Watched

from app.times import SECOND, iso, now_ns
from app.traceql.parse import parse

HX = {"hx-request": "true"}


@pytest.fixture
async def watched(here, tmp_path):
    one = Watched(tmp_path)
    await one.plug_into(here.app)
    yield one
    await one.close()


@pytest.fixture
async def viewer(here):
    return await here.as_("viewer")


async def filled(watched: Watched) -> list[str]:
    """Five refused log-ins of mallory and two that passed of alice."""
    refused = [await watched.login("203.0.113.7", "mallory", "failure", seconds_ago=60 + n) for n in range(5)]
    passed = [await watched.login("192.0.2.10", "alice", "success", seconds_ago=30 + n) for n in range(2)]
    return refused + passed


def traceql(html: str) -> str:
    return markup.one(html, "textarea", name="q").words


async def test_the_empty_page_offers_fields_and_a_first_step(watched, viewer):
    html = (await viewer.get("/search")).text
    assert [e.attributes["name"] for e in markup.elements(html, "input", class_="input") if "id" in e.attributes] == [
        "service", "principal", "address", "route", "reason", "start", "end",
    ]  # fmt: skip
    assert markup.elements(html, "a", href="/search?ended=refused&last=1h")
    assert not markup.elements(html, "div", role="alert")


async def test_fields_become_traceql_and_find_traces_with_their_verdicts(watched, viewer):
    await filled(watched)
    html = (await viewer.get("/search?principal=mallory&last=1h")).text
    assert 'span.auth.subject = "mallory"' in traceql(html)
    assert markup.one(html, "p", class_="complete").words.startswith("5 ")
    assert "5 of 5" in html
    assert len(markup.elements(html, "span", data_verdict="denied")) >= 5
    rows = [row.words for row in markup.elements(html, "tr") if "mallory" in row.words]
    assert all("POST /login" in row and "Denied" in row for row in rows)


async def test_the_window_keeps_to_its_times(watched, viewer):
    await filled(watched)
    end = iso(now_ns() - 45 * SECOND, digits=0)
    html = (await viewer.get("/search", params={"service": "identity", "start": "2026-01-01", "end": end})).text
    assert markup.one(html, "p", class_="complete").words.startswith("5 ")


async def test_own_traceql_is_asked_as_written(watched, viewer):
    await filled(watched)
    asked = '{ span.auth.result = "success" }'
    html = (await viewer.get("/search", params={"q": asked, "last": "1h"})).text
    assert traceql(html) == asked
    assert markup.one(html, "p", class_="complete").words.startswith("2 ")


async def test_what_is_no_traceql_is_told_with_its_place_and_may_be_asked_all_the_same(watched, viewer):
    answer = await viewer.get("/search", params={"q": "{ status = ", "last": "1h"})
    assert answer.status_code == 422
    assert "TraceQL, line 1, column" in markup.one(answer.text, "span", id="q-wrong").words
    assert traceql(answer.text) == "{ status ="
    anyway = next(a.attributes["href"] for a in markup.elements(answer.text, "a") if a.words == "Ask Tempo all the same")
    told = (await viewer.get(anyway)).text
    assert "TraceQL" in markup.one(told, "div", role="alert").words


@pytest.mark.parametrize(("query", "field"), [("start=yesterday", "start"), ("start=2026-11-21&end=2026-11-20", "end"),
                                              ("last=3w", "last")])  # fmt: skip
async def test_a_wrong_time_is_told_at_its_field(watched, viewer, query, field):
    answer = await viewer.get(f"/search?service=x&{query}")
    assert answer.status_code == 422
    assert markup.one(answer.text, "span", id=f"f-{field}-wrong").words


async def test_filters_by_verdict_count_and_can_be_taken_back(watched, viewer):
    await filled(watched)
    html = (await viewer.get("/search?service=identity&last=1h")).text
    facet = next(a for a in markup.elements(html, "a") if "verdict=allowed" in a.attributes.get("href", ""))
    narrowed = (await viewer.get(facet.attributes["href"])).text
    rows = [row.words for row in markup.elements(narrowed, "tr") if "POST /login" in row.words]
    assert len(rows) == 2
    assert all("alice" in row for row in rows)
    assert "5 traces are hidden by the filters." in narrowed
    assert markup.elements(narrowed, "a", href="/search?last=1h&service=identity")


async def test_results_come_in_pages(watched, viewer):
    for n in range(60):
        await watched.login("203.0.113.7", "mallory", "failure", seconds_ago=60 + n)
    html = (await viewer.get("/search?service=identity&last=1h")).text
    assert "1 to 50 of 60" in html
    following = next(a for a in markup.elements(html, "a") if a.words == "Next 50")
    html = (await viewer.get(following.attributes["href"])).text
    assert "51 to 60 of 60" in html
    assert len([row for row in markup.elements(html, "tr") if "POST /login" in row.words]) == 10


async def test_nothing_found_says_so_and_offers_a_longer_time(watched, viewer):
    html = (await viewer.get("/search?service=nowhere&last=1h")).text
    assert "No trace matches" in html
    assert "Tempo searched the whole time, in the last hour." in html
    assert markup.elements(html, "a", href="/search?last=7d&service=nowhere")


async def test_what_is_still_being_judged_is_asked_for_again(watched, viewer, here, monkeypatch):
    await filled(watched)
    gate = asyncio.Event()
    fetch = here.app.state.clients.tempo.trace

    async def slowly(trace_id: str):
        await gate.wait()
        return await fetch(trace_id)

    monkeypatch.setattr(here.app.state.clients.tempo, "trace", slowly)
    monkeypatch.setattr("app.investigation.searching._JUDGE_S", 0.05)
    html = (await viewer.get("/search?principal=mallory&last=1h")).text
    assert "5 not judged yet." in html
    results = markup.one(html, "div", id="results")
    assert results.attributes["hx-trigger"] == "load delay:1500ms"
    gate.set()
    monkeypatch.setattr("app.investigation.searching._JUDGE_S", 5.0)
    fragment = (await viewer.get(results.attributes["hx-get"], headers=HX)).text
    assert "<html" not in fragment
    assert "hx-get" not in markup.one(fragment, "div", id="results").attributes
    assert len(markup.elements(fragment, "span", data_verdict="denied")) >= 5


@pytest.mark.parametrize("how", [503, httpx.ConnectError("refused")], ids=["503", "refused"])
async def test_a_tempo_that_fails_is_told_on_a_page_that_stands(watched, viewer, how):
    watched.fails["tempo"] = how
    answer = await viewer.get("/search?service=identity&last=1h")
    assert answer.status_code == 200
    assert "Tempo" in markup.one(answer.text, "div", role="alert").words
    assert 'resource.service.name = "identity"' in traceql(answer.text)


async def test_without_a_tempo_the_page_says_so(here, viewer):
    assert "No Tempo is set up" in (await viewer.get("/search?service=x")).text
    assert (await viewer.get("/search")).status_code == 200
    assert (await viewer.get("/api/v1/search?service=x")).status_code == 502


@pytest.mark.parametrize("name", ["service", "principal", "address", "route", "reason", "q"])
async def test_hostile_words_stay_values_and_text(watched, viewer, name):
    for payload in PAYLOADS[:12]:
        answer = await viewer.get("/search", params={name: payload, "last": "1h"})
        assert answer.status_code in (200, 422)
        tags = {e.tag for e in markup.elements(answer.text)}
        assert not tags & {"iframe", "img", "base", "object"}
        assert not [a for e in markup.elements(answer.text) for a in e.attributes if a.startswith("on")]
        if name != "q":
            parse(traceql(answer.text))


async def test_the_api_lists_traces_with_verdicts_and_what_may_be_missing(watched, viewer):
    ids = await filled(watched)
    told = (await viewer.get("/api/v1/search?service=identity&last=1h")).json()
    assert told["complete"] is True
    assert told["missing"] == []
    assert {trace["trace_id"] for trace in told["traces"]} == set(ids)
    first = next(trace for trace in told["traces"] if trace["trace_id"] == ids[0])
    assert first["verdict"]["outcome"] == "denied"
    assert first["verdict"]["principal"] == "mallory"
    wrong = await viewer.get("/api/v1/search", params={"q": "{"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "q")


async def test_a_list_that_is_not_whole_says_where(here, watched, viewer, monkeypatch):
    await filled(watched)
    monkeypatch.setattr("app.investigation.searching.MOST_TRACES", 3)
    monkeypatch.setattr(here.app.state.clients.tempo.settings, "search_limit", 2)
    html = (await viewer.get("/search?service=identity&last=1h")).text
    assert "there may be more" in html
    assert "Not searched: the search ended at" in html


async def test_a_trace_found_by_search_opens(tmp_path):
    async with site.open(tmp_path) as here:
        watched = Watched(tmp_path / "w")
        await watched.plug_into(here.app)
        ids = await filled(watched)
        page = await (await here.as_("viewer")).get(f"/traces/{ids[0]}")
        await watched.close()
    assert markup.one(page.text, "section", data_verdict="denied")
    assert "identity refused mallory" in markup.one(page.text, "h1").words


async def test_a_principal_leads_to_its_other_requests(watched, viewer):
    await filled(watched)
    html = (await viewer.get("/search?service=identity&last=1h")).text
    (link, *_) = [one.attributes["href"] for one in markup.elements(html, "a", class_="entity") if "alice" in one.words]
    assert link == "/search?principal=alice"
    assert "alice" in (await viewer.get(link)).text


async def test_an_allowed_request_whose_check_broke_is_not_shown_as_calmly_allowed(watched, viewer):
    text = """
        orders: POST /refunds  200
          orders: auth.authorize  auth.result=error
            orders: > POST http://policy:8181/v1/decide  503 error
          orders: INSERT refunds
    """
    await watched.send_drawn("ab" * 16, text, start=now_ns() - 60 * SECOND)
    html = (await viewer.get("/search?service=orders&last=1h")).text
    row = markup.one(html, "tr", data_row="")
    assert "Allowed" in row.words
    assert "Failed open" in row.words
    (fact,) = (await viewer.get("/api/v1/search?service=orders&last=1h")).json()["traces"]
    assert fact["verdict"]["failed_open"] is True
    page = (await viewer.get(f"/traces/{'ab' * 16}")).text
    assert "Allowed, failed open" in markup.one(page, "p", class_="judgement__kicker").words
    assert "data-failed-open" in markup.one(page, "section", data_verdict="allowed").attributes
