"""The overview: each panel by itself, from metrics or from traces, with its query, its doubts and its own failure."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
from support import casework, markup, reports
from support.poison import PAYLOADS
from support.watched import SUBNET, Watched, firing

from app.doctor.finding import Severity
from app.investigation.overview import metrics
from app.times import DAY, MINUTE, iso, now_ns
from app.web.checkups import Checkups

HX = {"hx-request": "true"}
PANELS = ("success", "sources", "names", "refusals", "layers", "latency", "alerts", "cases")
FIGURES = ("success", "sources", "names", "refusals", "latency")
STEPS = {"span_name": "auth.login"}


def told_by_prometheus(query):
    """Labelled answers to each panel's question, as the shipped metrics would give them."""
    if query == metrics.PRESENT:
        return [({}, 4.0)]
    if "auth_user_bucket" in query:
        return [({"auth_client_subnet": SUBNET}, 128.0)]
    if "_bucket{" in query:
        count = 0 if "offset 168h" in query else 60 if "offset 24h" in query else 100
        slow = 0.5 if "offset" in query else 0.9
        return [({**STEPS, "le": bound}, count * part) for bound, part in (("0.1", slow), ("0.4", 1.0), ("+Inf", 1.0))]
    if query.startswith("sum by (auth_client_subnet, auth_result)"):
        failed = [
            ({"auth_client_subnet": SUBNET, "auth_result": "failure"}, 30.4),
            ({"auth_client_subnet": "unknown", "auth_result": "failure"}, 2.0),
        ]
        return [*failed, ({"auth_client_subnet": SUBNET, "auth_result": "success"}, 10.0)]
    if query.startswith("sum by (span_name, auth_result)"):
        return [
            ({**STEPS, "auth_result": "success"}, 3.0),
            ({**STEPS, "auth_result": "failure"}, 1.0),
            ({**STEPS, "auth_result": "error"}, 1.0),
        ]
    if "service_name, span_name" in query:
        return [({"service_name": "identity", "span_name": "auth.login"}, 32.0)]
    return None


@pytest.fixture
async def watched(here, tmp_path):
    told = Watched(tmp_path)
    told.series = told_by_prometheus
    await told.plug_into(here.app)
    yield told
    await told.close()


async def traced(here, tmp_path):
    """The same site with traces and no Prometheus."""
    told = Watched(tmp_path, prometheus=False)
    await told.plug_into(here.app)
    for n in range(6):
        await told.login("203.0.113.9", f"user{n % 3}", "failure", seconds_ago=300 - n)
    await told.login("203.0.113.9", "user1", "success", seconds_ago=100)
    return told


async def get(here, path, status=200, role="viewer", **headers):
    answer = await (await here.as_(role)).get(path, headers=headers)
    assert answer.status_code == status, answer.text[:600]
    return answer.text


async def panel(here, key, **asked):
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    html = await get(here, f"/overview/{key}{f'?{query}' if query else ''}", **HX)
    assert "<html" not in html
    return html


def figure(html):
    return json.loads(markup.one(html, "figure").attributes["data-figure"])


def rows(html):
    """The cells of each row of the panel's table, in one line."""
    return [" ".join(cell.words for cell in markup.elements(row, "td")).strip() for row in html.split("<tr>")[2:]]


async def test_the_page_comes_without_asking_anybody_and_every_part_comes_by_itself(here, watched):
    html = await get(here, "/overview?last=6h&refresh=1m")
    assert watched.asked == []
    parts = [part for part in markup.elements(html, "div") if "data-live" in part.attributes]
    assert [urlsplit(part.attributes["hx-get"]).path for part in parts] == [
        f"/overview/{key}" for key in ("now", "success", "alerts", "cases", "sources", "names", "refusals", "layers", "latency")
    ]
    assert all(parse_qs(urlsplit(part.attributes["hx-get"]).query)["last"] == ["6h"] for part in parts)
    assert {part.attributes["hx-trigger"] for part in parts} == {"load, refresh"}
    assert markup.one(html, "div", id="overview").attributes["data-every-s"] == "60"
    current = [a.words for a in markup.elements(html, "a", aria_current="true")]
    assert current == ["6 h", "1 min", "Metrics"]
    assert markup.one(html, "a", href="/overview", aria_current="page").words == "Overview"


async def test_without_script_one_link_brings_everything_at_once(here, watched):
    whole = next(
        a.attributes["href"] for a in markup.elements(await get(here, "/overview"), "a") if a.words.startswith("Load all")
    )
    html = await get(here, whole)
    assert len(markup.elements(html, "figure")) == 5
    assert "skeleton" not in html
    assert "2 cases" not in html
    assert "no case is in hand" in html


async def test_sources_have_their_share_and_lead_to_their_refused_requests(here, watched):
    html = await panel(here, "sources")
    assert rows(html) == [f"{SUBNET} 30 10 75.0 %", "no address 2 0 100 %"]
    bar = figure(html)["data"][0]
    assert bar["x"] == [30, 2]
    sought = parse_qs(urlsplit(bar["customdata"][0]).query)
    assert sought["address"] == [SUBNET]
    assert sought["ended"] == ["refused"]
    assert {"start", "end"} <= sought.keys()
    assert bar["customdata"][1] == "", "no address is nothing to search for"
    assert any(
        a.attributes["href"] == bar["customdata"][0]
        for a in markup.elements(
            html,
            "a",
        )
        if "href" in a.attributes
    )
    assert f"Most refusals: {SUBNET}, 30, 75.0 % of its checks." in html


async def test_each_question_can_be_copied_and_asked_again_elsewhere(here, watched):
    here.app.state.settings.grafana.url = "https://grafana.example"
    for key in FIGURES:
        html = await panel(here, key)
        asked = [query.removeprefix("query ") for query in watched.asked if query.startswith("query")]
        shown = [box.words for box in markup.elements(html, "div", class_="query")]
        assert shown
        assert all(text.startswith("PromQL") for text in shown)
        raw = [button.attributes["data-copy"] for button in markup.elements(html, "button") if "data-copy" in button.attributes]
        assert len(raw) == len(shown)
        assert all(any(one in query for query in asked) for one in raw), key
        links = {a.words: a.attributes["href"] for a in markup.elements(html, "a")}
        assert parse_qs(urlsplit(links["Run in Prometheus"]).query)["g0.expr"][0] in raw
        assert links["Open in Grafana"].startswith("https://grafana.example/explore?")


async def test_without_grafana_there_is_no_dead_link(here, watched):
    assert "Grafana" not in await panel(here, "sources")


async def test_success_is_told_with_how_many_it_is_of_and_what_broke(here, watched):
    html = await panel(here, "success", last="15m")
    assert "Log-ins: 75.0 % of 60 succeeded." in html
    assert "15 checks broke and decided nothing" in html
    curve, others, refused = figure(html)["data"]
    assert curve["y"] == [0.75] * 15
    assert others["y"] == [None] * 15
    assert refused["y"] == [1] * 15
    assert len(rows(html)) == 15


async def test_latency_names_the_baseline_it_is_held_against(here, watched):
    html = await panel(here, "latency")
    # A week before nothing was measured; the day before the median lay at the first bound, today within its bucket.
    assert "Usual: the same time the day before." in html
    (row,) = rows(html)
    assert row == "auth.loginusual: the day before 100 under 100 ms 100 ms 370 ms 394 ms p99 × 0.94"
    assert [words.words for words in markup.elements(html, "p", class_="soft")][-2:] == ["A week before", "The day before"]


async def test_latency_says_when_there_is_nothing_to_hold_it_against(here, watched):
    watched.series = lambda query: [] if "offset" in query and "_bucket" in query else told_by_prometheus(query)
    html = await panel(here, "latency")
    assert "Nothing to hold them against" in html
    assert "none" in rows(html)[0]


async def test_names_are_marked_as_an_estimate(here, watched):
    html = await panel(here, "names")
    assert rows(html) == [f"{SUBNET} ≈ 177 128"]
    assert "Estimated" in html


async def test_layers_come_from_verdicts_and_lead_to_their_traces(here, watched):
    for n in range(3):
        await watched.login("203.0.113.9", "mallory", "failure", seconds_ago=200 - n)
    for _ in range(40):
        html = await panel(here, "layers")
        if "still to be judged" not in html and rows(html):
            break
        await asyncio.sleep(0.05)
    assert rows(html) == ["Identity provider 3"]
    assert "3 refused traces looked at, all there are." in html
    link = next(a for a in markup.elements(html, "a") if a.words == "Identity provider").attributes["href"]
    assert parse_qs(urlsplit(link).query)["layer"] == ["identity_provider"]
    assert "Shown: Identity provider3" in markup.one(await get(here, link), "div", class_="facets").words


async def test_a_source_that_fails_takes_only_its_own_panels_along(here, watched):
    watched.alerts.append(firing("BruteForce", auth_client_subnet=SUBNET))
    assert "BruteForce" in await panel(here, "alerts")
    for route in ("prometheus query", "prometheus query_range"):
        watched.fails[route] = 503
    for key in FIGURES:
        html = await panel(here, key)
        assert "Prometheus" in markup.one(html, "div", role="alert").words
        assert "Panels that do not ask it are not affected." in html
        other = next(a for a in markup.elements(html, "a") if a.words == "Show the traces instead")
        assert parse_qs(urlsplit(other.attributes["href"]).query)["source"] == ["traces"]
    assert 'role="alert"' not in await panel(here, "cases")
    assert 'role="alert"' not in await panel(here, "layers")
    now = await panel(here, "now")
    assert "their source did not answer" in now
    assert "0 open, 0 contained" in now


async def test_no_alert_known_is_not_shown_as_none_while_a_source_is_silent(here, watched):
    quiet = await panel(here, "now")
    assert next(one.words for one in markup.elements(quiet, "dd") if one.attributes["class"].startswith("value")) == "0"
    watched.fails["prometheus alerts"] = 503
    await asyncio.sleep(1.6)  # the board is kept for those who ask at the same time
    now = await panel(here, "now")
    assert next(one.words for one in markup.elements(now, "dd") if one.attributes["class"].startswith("value")) == "not known"
    assert "none is known; Prometheus did not answer" in now


async def test_one_question_that_fails_leaves_the_others_their_answers(here, watched):
    watched.fails["prometheus query"] = httpx.ReadError("cut off")
    assert "Prometheus" in markup.one(await panel(here, "sources"), "div", role="alert").words
    assert "75.0 %" in await panel(here, "success")


async def test_no_metrics_at_all_is_another_thing_than_none_refused(here, watched):
    watched.series = lambda query: []
    html = await panel(here, "sources")
    assert "otel_security_calls_total" in html
    assert markup.one(html, "a", href="/coverage")


async def test_nothing_refused_says_so(here, watched):
    watched.series = lambda query: [({}, 4.0)] if query == metrics.PRESENT else []
    html = await panel(here, "sources", last="24h")
    assert "Nothing was refused in the last 24 h" in html
    assert "/coverage" not in html


async def test_without_prometheus_the_traces_answer_and_say_what_they_cannot(here, tmp_path):
    told = await traced(here, tmp_path)
    try:
        assert "Figures from" not in await get(here, "/overview"), "there is no choice"
        html = await panel(here, "sources")
        assert rows(html) == ["203.0.113.9 6"]
        assert "How often a source succeeded is not told: successes are sampled." in html
        assert "what sampling left out is not counted" in html
        search = next(a for a in markup.elements(html, "a") if a.words == "Search these traces").attributes["href"]
        assert parse_qs(urlsplit(search).query)["q"] == ['{ span.auth.result = "failure" }']
        assert "Search" in await get(here, search)
        assert rows(await panel(here, "names")) == ["203.0.113.9 3"]
        assert rows(await panel(here, "refusals")) == ["identity auth.login 6"]
        html = await panel(here, "success")
        assert "Log-ins: 14.3 % of 7 succeeded." in html
        assert "the true shares are higher" in html
        html = await panel(here, "latency")
        assert rows(html)[0].startswith("auth.login 7 ")
        assert "may be off by a third" in html
    finally:
        await told.close()


async def test_a_range_longer_than_tempo_answers_is_counted_piece_by_piece(here, tmp_path):
    told = await traced(here, tmp_path)
    try:
        start = iso(now_ns() - 3 * DAY - 10 * MINUTE, digits=0)[:16].replace("T", "+")
        assert rows(await panel(here, "sources", start=start)) == ["203.0.113.9 6"]
        asked = [one for one in told.asked if one.startswith("tempo /api/metrics/query ")]
        assert len(asked) == 1 + 4, "refused once, then a piece for each begun day"
        html = await panel(here, "sources", start="2025-01-01", end="2026-01-01")
        assert "Tempo answers ranges of at most 24 h" in html
    finally:
        await told.close()


async def test_with_no_source_at_all_the_page_says_what_to_set(here):
    html = await get(here, "/overview")
    assert "CLEW_PROMETHEUS__URL" in html
    assert "data-live" not in html
    assert "No source of alerts" in await panel(here, "alerts")
    assert "No Prometheus is set up" in await panel(here, "sources")


async def test_now_counts_alerts_cases_and_coverage(here, watched):
    html = await panel(here, "now")
    assert "No alert fires; no case is in hand." in html
    assert "not checked yet" in html
    assert markup.one(html, "a", href="/coverage").words == "Coverage"

    watched.alerts += [firing("A", x="1"), firing("B", x="2"), firing("C", state="pending")]
    watched.alerts[1]["labels"]["severity"] = "critical"
    await casework.fill(here, await here.add_user("ines", "analyst"))
    report = reports.report(reports.finding(Severity.BROKEN), reports.finding())

    async def examine(length):
        return report

    here.app.state.checkups = Checkups(examine)
    await here.app.state.checkups.report("1h", within_s=5)
    await asyncio.sleep(1.6)  # the board is kept for those who ask at the same time
    html = await panel(here, "now")
    assert "2 alerts fire, 1 of them critical; 1 case is in hand." in html
    values = [value.words for value in markup.elements(html, "dd") if value.attributes["class"].startswith("value")]
    assert values == ["2", "1", "75.0 %", "30", f"{report.score.value} of 100"]
    assert "1 broken, 2 findings" in html
    alerts = await panel(here, "alerts")
    assert [row.split()[:2] for row in rows(alerts)] == [["Critical", "Bx"], ["Warning", "Ax"]]
    cases = await panel(here, "cases")
    assert "CASE-0001" in cases
    assert 'href="/cases/CASE-0001"' in cases


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_what_telemetry_wrote_stays_text(here, watched, payload):
    def hostile(query):
        return [({name: payload if name not in ("le", "auth_result") else value for name, value in labels.items()}, number)
                for labels, number in told_by_prometheus(query) or []]  # fmt: skip

    watched.series = hostile
    for key in ("sources", "names", "refusals", "latency"):
        html = await panel(here, key)
        assert not markup.elements(html, "script") + markup.elements(html, "img") + markup.elements(html, "iframe")
        assert not [one for one in markup.elements(html) if any(name.startswith("on") for name in one.attributes)]
        assert all(a.attributes["href"].startswith(("/", "http://prometheus:9090/")) for a in markup.elements(html, "a"))
        assert not {"\x1b", "\x00", "\u202e", "\u200b"} & set(html)
        # Plotly reads markup in labels: none of theirs may be any.
        assert "<" not in json.dumps(figure(html)["layout"])


async def test_a_time_that_is_none_is_told_at_its_field_and_asks_nothing(here, watched):
    html = await get(here, "/overview?start=yesterday", 422)
    field = markup.one(html, "input", id="f-start")
    assert field.attributes["aria-invalid"] == "true"
    assert field.attributes["value"] == "yesterday"
    assert "data-live" not in html
    assert watched.asked == []


async def test_a_fixed_time_is_not_refreshed(here, watched):
    html = await get(here, "/overview?start=2026-11-21+02:50&end=2026-11-21+03:12&refresh=30s")
    assert markup.one(html, "div", id="overview").attributes["data-every-s"] == "0"
    assert "start=2026-11-21+02%3A50" in html


async def test_a_panel_that_does_not_exist_is_not_found(here):
    await get(here, "/overview/weather", 404)


async def test_the_api_gives_the_same_figures(here, watched):
    watched.alerts.append(firing("A"))
    answer = await (await here.as_("viewer")).get("/api/v1/overview?last=15m")
    told = answer.json()
    assert told["alerts"] == {"firing": 1, "critical": 0, "whole": True}
    assert told["coverage"] is None
    assert told["cases"] == {"open": 0, "contained": 0, "closed": 0}
    assert told["sources"]["basis"] == "metrics"
    assert told["sources"]["figures"][0] == {"source": SUBNET, "failed": 30, "succeeded": 10, "share": 0.75}
    assert told["sources"]["asked"][0]["query"] == metrics.sources(15 * 60 * 10**9)
    assert told["success"]["figures"]["logins"][0]["share"] == 0.75
    assert told["success"]["asked"][0]["step_s"] == 60
    assert told["latency"]["figures"][0]["baseline"] == "the day before"
    assert told["names"]["figures"] == [{"source": SUBNET, "least": 128, "estimate": 177}]
    assert told["layers"]["figures"]["looked_at"] == 0


async def test_the_api_tells_which_part_failed(here, watched):
    watched.fails["prometheus query"] = 503
    told = (await (await here.as_("viewer")).get("/api/v1/overview")).json()
    assert told["sources"]["figures"] is None
    assert "Prometheus" in told["sources"]["error"]
    assert told["success"]["error"] is None
    assert told["success"]["figures"]


async def test_the_api_refuses_a_time_that_is_none(here):
    answer = await (await here.as_("viewer")).get("/api/v1/overview?last=9y")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "last"
