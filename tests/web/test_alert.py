"""One alert's page: its words, its picture, the traces behind it with their verdicts, and how whole that list is."""

import asyncio
import json
import re

import pytest
from support import markup
from support.watched import RULE, SUBNET, Watched, fired, firing

from app.times import SECOND, now_ns

HX = {"hx-request": "true"}
WHO = {"auth_client_subnet": SUBNET, "service_name": "identity"}


@pytest.fixture
async def watched(here, tmp_path):
    told = Watched(tmp_path)
    await told.plug_into(here.app)
    yield told
    await told.close()


async def get(here, path, status=200, role="analyst", **headers):
    answer = await (await here.as_(role)).get(path, headers=headers)
    assert answer.status_code == status, answer.text[:600]
    return answer.text


async def link(here):
    """The address of the only alert in the list."""
    return markup.one(await get(here, "/alerts"), "a", class_="alert-row__name").attributes["href"]


async def traces(here, address, query=""):
    """The list of traces when all are judged."""
    for _ in range(40):
        html = await get(here, f"{address}/traces{query}", **HX)
        part = markup.one(html, "div", id="traces-part")
        if "delay:800ms" not in part.attributes.get("hx-trigger", ""):
            return html
        await asyncio.sleep(0.05)
    raise AssertionError("the verdicts never came")


def rows(html):
    return [row for row in markup.elements(html, "tr") if "data-row" in row.attributes]


async def an_attack(watched, failures=12):
    """Guessing that ends with a success; gives the id of the success."""
    watched.alerts.append(firing(minutes_ago=3, **WHO))
    for n in range(failures):
        await watched.login("198.51.100.7", "j.meyer", "failure", seconds_ago=200 - n)
    return await watched.login("198.51.100.8", "j.meyer", "success", seconds_ago=100)


async def test_the_page_says_what_fires_since_when_and_who_told(here, watched):
    watched.alerts.append(firing(minutes_ago=10, **WHO))
    html = await get(here, await link(here))
    assert markup.one(html, "h1").words == f"{SUBNET} failed 31 log-ins"
    meta = next(p for p in markup.elements(html, "p") if "alert-meta" in p.attributes.get("class", "")).words
    assert "Firing" in meta
    assert "for 9 min" in meta
    assert "BruteForce, from Prometheus" in meta
    assert "Somebody guesses passwords." in html
    assert markup.one(html, "a", href="/runbooks#AuthBruteForce").words == "Runbook"
    assert "/cases/add?alert=" in html


async def test_the_chart_has_the_curve_the_threshold_and_the_query_to_copy(here, watched):
    watched.alerts.append(firing(minutes_ago=10, **WHO))
    html = await get(here, await link(here))
    figure = json.loads(markup.one(html, "figure").attributes["data-figure"])
    assert set(figure["data"][0]["y"]) == {31.0}
    assert any("threshold 20" in str(one["text"]) for one in figure["layout"]["annotations"])
    asked = next(div.words for div in markup.elements(html, "div", class_="query") if "PromQL" in div.words)
    assert f'auth_client_subnet="{SUBNET}"' in asked
    assert "> 20" in asked
    graph = next(a for a in markup.elements(html, "a") if a.words == "Open in Prometheus").attributes["href"]
    assert graph.startswith("http://prometheus:9090/graph?g0.expr=increase%28otel_security_calls_total%7B")


async def test_the_page_paints_without_waiting_for_tempo(here, watched):
    release = asyncio.Event()
    watched.held["tempo"] = release.wait
    await an_attack(watched)
    html = await asyncio.wait_for(get(here, await link(here)), 10)
    part = markup.one(html, "div", id="traces-part")
    assert part.attributes["hx-get"].endswith("/traces")
    assert part.attributes["hx-trigger"] == "load"
    assert markup.one(html, "a", href=part.attributes["hx-get"]).words == "List the traces"
    assert "Labels" in html
    release.set()


async def test_a_chart_that_is_late_comes_afterwards(here, watched):
    watched.alerts.append(firing(minutes_ago=10, **WHO))
    address = await link(here)
    release = asyncio.Event()

    async def hold():
        await release.wait()

    watched.held["prometheus"] = hold
    html = await get(here, address)
    assert markup.one(html, "div", id="chart").attributes["hx-get"] == f"{address}/chart?range=around"
    release.set()
    fragment = await get(here, f"{address}/chart?range=around", **HX)
    assert markup.one(fragment, "figure")
    assert "<html" not in fragment


async def test_every_trace_is_judged_and_the_unusual_one_stands_first(here, watched):
    success = await an_attack(watched)
    html = await traces(here, await link(here))
    first, *rest = rows(html)
    assert "Allowed" in first.words
    assert "The only success for a name that failed 12 times before" in first.words
    assert len(rest) == 12
    assert all("Denied" in row.words and "Identity provider" in row.words for row in rest)
    anchors = [a for a in markup.elements(html, "a") if a.attributes.get("href", "").startswith("/traces/")]
    assert anchors[0].attributes["href"].startswith(f"/traces/{success}?alert=")
    assert "13 of 13" in markup.one(html, "p", class_="complete").words
    assert "found by search and counted independently by TraceQL metrics" in html


async def test_two_clicks_lead_from_the_list_to_the_verdict(here, watched):
    await an_attack(watched)
    address = await link(here)
    html = await traces(here, address)
    trace = next(a for a in markup.elements(html, "a") if a.attributes.get("href", "").startswith("/traces/"))
    page = await get(here, trace.attributes["href"])
    assert markup.one(page, "section", data_verdict="allowed")
    assert "Trace 1 of 13" in page
    assert f'href="{address}"' in page
    assert 'data-key="]"' in page


async def test_without_script_the_whole_page_comes_with_its_traces(here, watched):
    await an_attack(watched)
    html = await get(here, f"{await link(here)}/traces")
    assert "<html" in html
    assert len(rows(html)) == 13
    assert markup.one(html, "h1")


async def test_verdicts_and_reasons_are_counts_that_filter(here, watched):
    await an_attack(watched)
    address = await link(here)
    html = await traces(here, address)
    chip = next(a for a in markup.elements(html, "a", class_="pick") if "Allowed" in a.words)
    assert chip.words == "Allowed 1"
    assert chip.attributes["href"] == f"{address}/traces?verdict=allowed"
    assert next(a.words for a in markup.elements(html, "a", class_="pick") if "invalid" in a.words) == "invalid_credentials 12"
    assert len(rows(await traces(here, address, "?verdict=allowed"))) == 1
    assert len(rows(await traces(here, address, "?reason=invalid_credentials"))) == 12
    assert "No trace matches this filter" in await traces(here, address, "?verdict=bypassed")


async def test_more_than_a_page_is_paged_in_the_address(here, watched):
    await an_attack(watched, failures=40)
    address = await link(here)
    html = await traces(here, address)
    assert len(rows(html)) == 25
    assert "1 to 25 of 41" in html
    older = next(a for a in markup.elements(html, "a") if a.words == "Next 25")
    assert older.attributes["href"] == f"{address}/traces?page=2"
    assert len(rows(await traces(here, address, "?page=2"))) == 16
    assert len(rows(await traces(here, address, "?page=99"))) == 16


async def test_the_ways_to_find_traces_are_offered_and_say_what_they_ask(here, watched):
    await an_attack(watched)
    await watched.login("203.0.113.9", "visitor", "success", seconds_ago=90)
    address = await link(here)
    html = await traces(here, address)
    ways = [a.words for a in markup.elements(markup_of(html, "How the traces are found"), "a")]
    assert ways == ["By labels, any outcome", "What the rule counts", "By time"]
    counted = await traces(here, address, "?by=counted")
    assert len(rows(counted)) == 12
    assert 'span.auth.result = "failure"' in markup.one(counted, "div", class_="query").words
    by_time = await traces(here, address, "?by=time")
    assert len(rows(by_time)) == 14
    assert "Same service, same time" in by_time


def markup_of(html, label):
    start = html.index(f'aria-label="{label}"')
    return html[html.rindex("<", 0, start) : html.index("</nav>", start)]


async def test_where_labels_match_nothing_time_is_tried_and_that_is_said(here, watched):
    watched.alerts.append(firing(minutes_ago=3, auth_client_subnet="192.0.2.0/24", service_name="identity"))
    await watched.login("203.0.113.9", "visitor", "failure", seconds_ago=100)
    html = await traces(here, await link(here))
    assert len(rows(html)) == 1
    assert "No span matches the alert’s labels; these are the decisions of the same time." in html


async def test_nothing_at_all_behind_it_is_said_plainly(here, watched):
    watched.alerts.append(firing(minutes_ago=3, **WHO))
    html = await traces(here, await link(here))
    assert "No trace is behind it" in html
    assert "0 of 0" in html


async def test_exemplars_come_first_and_a_missing_trace_is_no_secret(here, watched):
    await an_attack(watched)
    at = (now_ns() - 150 * SECOND) / SECOND
    known = f"{3:032x}"
    watched.exemplars.append(
        {"seriesLabels": {"__name__": "otel_security_calls_total", **WHO},
         "exemplars": [{"labels": {"trace_id": known}, "value": "1", "timestamp": at},
                       {"labels": {"trace_id": "f" * 32}, "value": "1", "timestamp": at}]}
    )  # fmt: skip
    html = await traces(here, await link(here))
    found = {row.words: number for number, row in enumerate(rows(html))}
    exemplar = next(words for words in found if "Exemplar of the rule’s series, labels match" in words)
    assert found[exemplar] == 1
    gone = next(words for words in found if "No verdict" in words)
    assert "Tempo has no such trace" in gone
    assert "1 trace could not be judged; each row says why." in html


async def test_what_prometheus_counted_and_no_trace_shows_is_said(here, watched):
    await an_attack(watched)
    early = (now_ns() - 3600 * SECOND) / SECOND
    late = (now_ns() - 160 * SECOND) / SECOND
    watched.counters = {"failure": [(early, 100.0), (late, 112.0)], "success": [(early, 5.0), (late, 12.0)]}
    html = await traces(here, await link(here))
    assert "Prometheus counted 7 allowed and 12 refused in this window." in html
    assert "6 successes have no trace here" in html


async def test_tempo_failing_leaves_the_alert_standing(here, watched):
    watched.alerts.append(firing(minutes_ago=10, **WHO))
    watched.fails["tempo"] = 503
    address = await link(here)
    assert markup.one(await get(here, address), "h1")
    html = await get(here, f"{address}/traces", **HX)
    callout = markup.one(html, "div", class_="callout")
    assert "Tempo" in callout.words
    assert "No list is shown rather than an old one." in callout.words
    assert "Try again" in callout.words
    assert rows(html) == []


async def test_the_page_and_its_case_lead_to_each_other(here, watched):
    watched.alerts.append(firing(minutes_ago=10, **WHO))
    address = await link(here)
    assert "CASE-" not in await get(here, address)
    sent = {"alert": address.rpartition("/")[2], "case": "new", "title": "Guessing", "severity": "warning", "tlp": "TLP:AMBER"}
    await (await here.as_("analyst")).post("/cases/add", data=sent)
    chip = markup.one(await get(here, address), "a", href="/cases/CASE-0001")
    assert chip.words == "CASE-0001"
    assert markup.one(await get(here, "/cases/CASE-0001"), "a", href=address).words == "BruteForce"


async def test_prometheus_failing_leaves_the_kept_alert_and_its_traces(here, watched):
    await an_attack(watched)
    address = await link(here)
    await here.app.state.investigation.settle()
    watched.fails["prometheus"] = 503
    await watched.plug_into(here.app)
    html = await get(here, address)
    assert "does not confirm it now" in html
    assert len(rows(await traces(here, address))) >= 13


async def test_a_search_that_could_not_be_counted_claims_nothing(here, watched):
    await an_attack(watched)
    watched.fails["tempo /api/metrics/query"] = 422
    html = await traces(here, await link(here))
    said = markup.one(html, "p", class_="complete")
    assert said.attributes["data-tone"] == "open"
    assert said.words.startswith("13 found by search")
    assert "Not counted independently" in said.words


async def test_fired_before_lists_what_clew_has_kept(here, watched):
    watched.history += fired("BruteForce", 300, 280, **WHO)
    await get(here, "/alerts")
    await here.app.state.investigation.settle()
    watched.history.clear()
    watched.alerts.append(firing(minutes_ago=10, **WHO))
    await watched.plug_into(here.app)
    html = await get(here, await link(here))
    before = html[html.index("Fired before") :]
    assert "20 min" in before
    assert before.count("<tr") >= 3
    older = next(a for a in markup.elements(before, "a") if a.attributes["href"].startswith("/alerts/"))
    past = await get(here, older.attributes["href"])
    assert "Ended" in past
    assert "fired 20 min from" in past


async def test_alerts_near_in_time_are_one_click_away(here, watched):
    watched.alerts += [firing(minutes_ago=10, **WHO), firing("Probing", minutes_ago=12, client_address="10.1.1.1")]
    watched.alerts.append(firing("LongAgo", minutes_ago=200))
    pages = markup.elements(await get(here, "/alerts"), "a", class_="alert-row__name")
    html = await get(here, next(a for a in pages if a.words == "BruteForce").attributes["href"])
    near = markup.one(html, "ul", class_="panel__body near").words
    assert "Probing, 10.1.1.1" in near
    assert "LongAgo" not in near


@pytest.mark.parametrize("key", ["nonsense", "0123456789abcdef-1", "0123456789abcdef-99999999999", "..%2f..%2fetc"])
async def test_an_unknown_alert_is_not_found_and_says_what_that_means(here, watched, key):
    assert (await (await here.as_("viewer")).get(f"/alerts/{key}")).status_code == 404


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://wiki.example/runbook", True),
        ("javascript:alert(1)", False),
        ("//evil.example/x", False),
        ("/logout", False),
        ("https://a@evil.example/", False),
        ("data:text/html,x", False),
        ('/runbooks#"><script>', True),
    ],
)
async def test_a_runbook_may_lead_to_http_or_to_our_own_page_only(here, watched, url, shown):
    watched.rules = [{**RULE, "annotations": {**RULE["annotations"], "runbook_url": url}}]
    watched.alerts.append(firing(minutes_ago=10, annotations={"summary": "s", "runbook_url": url}, **WHO))
    html = await get(here, await link(here))
    buttons = [a for a in markup.elements(html, "a") if a.words == "Runbook"]
    assert bool(buttons) == shown
    assert "<script>" not in html.replace("<script ", "")


HOSTILE = ['"><img src=x onerror=alert(1)>', '" || true || "', "{ } | rate()", "`", "\\", "a\nb", "\u202ex", "y" * 3000]


@pytest.mark.parametrize("value", HOSTILE)
async def test_hostile_labels_stay_text_and_their_queries_find_only_what_they_name(here, watched, value):
    watched.alerts.append(firing(minutes_ago=3, annotations={}, auth_username=value, service_name="identity"))
    await watched.login("203.0.113.9", "somebody else", "failure", seconds_ago=100)
    wanted = await watched.login("203.0.113.9", value, "failure", seconds_ago=100)
    address = await link(here)
    page = await get(here, address)
    assert not [e for e in markup.elements(page, "img") if "onerror" in e.attributes]
    # What a button copies is the raw value; what is read is marked.
    assert "\u202e" not in re.sub(r'data-copy="[^"]*"', "", page)
    html = await traces(here, address, "?by=any")
    found = [
        a.attributes["href"][8:40] for a in markup.elements(html, "a") if a.attributes.get("href", "").startswith("/traces/")
    ]
    assert found == [wanted]


async def test_the_api_gives_the_alert_and_its_traces(here, watched):
    success = await an_attack(watched)
    key = (await link(here)).removeprefix("/alerts/")
    browser = await here.as_("viewer")
    detail = (await browser.get(f"/api/v1/alerts/{key}")).json()
    assert detail["name"] == "BruteForce"
    assert {"kind": "subnet", "value": SUBNET, "label": "auth_client_subnet"} in detail["entities"]
    told = (await browser.get(f"/api/v1/alerts/{key}/traces?per_page=5")).json()
    assert (told["total"], told["pages"], len(told["traces"]), told["waiting"]) == (13, 3, 5, 0)
    assert told["traces"][0]["trace_id"] == success
    assert told["completeness"]["whole"] is True
    assert told["outcomes"] == {"denied": 12, "allowed": 1}
    assert (await browser.get("/api/v1/alerts/0123456789abcdef-1")).status_code == 404


async def test_a_viewer_reads_and_is_offered_no_deed(here, watched):
    watched.alerts.append(firing(minutes_ago=10, **WHO))
    html = await get(here, await link(here), role="viewer")
    assert "Add to case" not in html


async def test_the_window_is_told_in_words_and_follows_the_rule(here, watched):
    await an_attack(watched)
    html = await traces(here, await link(here))
    assert "From 5 min before it became pending, as far as the rule looks back, until now." in html
    asked = next(line for line in watched.asked if line.startswith("tempo /api/search") and "auth" in line)
    assert "select(span.auth.result, span.auth.failure_reason)" in asked
