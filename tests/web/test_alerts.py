"""The list of alerts as a browser gets it: what it shows, what filters do, and every state that it can be in."""

import asyncio

import pytest
from support import markup
from support.watched import SUBNET, Watched, fired, firing, reported

HX = {"hx-request": "true"}


@pytest.fixture
async def watched(here, tmp_path):
    told = Watched(tmp_path)
    await told.plug_into(here.app)
    yield told
    await told.close()


async def page(here, path="/alerts", role="viewer", **headers):
    answer = await (await here.as_(role)).get(path, headers=headers)
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


def rows(html):
    return markup.elements(html, "li", class_="alert-row")


async def test_a_firing_alert_is_one_row_with_its_words_and_a_link(here, watched):
    watched.alerts.append(firing(auth_client_subnet=SUBNET, service_name="identity"))
    watched.reported.append(reported(auth_client_subnet=SUBNET, service_name="identity", cluster="eu"))
    html = await page(here)
    (row,) = rows(html)
    assert "BruteForce" in row.words
    assert f"{SUBNET} failed 31 log-ins" in row.words
    assert "Firing" in row.words
    assert "9 min" in row.words
    assert "1 time" in row.words
    link = markup.one(html, "a", class_="alert-row__name")
    assert link.attributes["href"].startswith("/alerts/")
    assert markup.one(html, "p", class_="page__lede").words == "1 in the last 24 hours, 1 firing. The newest began 9 min ago."


async def test_a_past_alert_is_told_in_the_rules_words_with_its_farthest_value(here, watched):
    watched.history += fired("BruteForce", 120, 100, auth_client_subnet=SUBNET)
    (row,) = rows(await page(here))
    assert "Ended" in row.words
    assert f"{SUBNET} failed 31 log-ins" in row.words
    assert "20 min, until" in row.words
    assert any(asked.startswith("query max_over_time((increase(otel_security_calls_total{") for asked in watched.asked)


async def test_episodes_of_one_alert_are_one_row_with_a_strip(here, watched):
    watched.history += fired("BruteForce", 300, 290, auth_client_subnet=SUBNET)
    for series, more in zip(watched.history, fired("BruteForce", 120, 100, auth_client_subnet=SUBNET), strict=True):
        series["values"] += more["values"]
    html = await page(here)
    (row,) = rows(html)
    assert "2 times" in row.words
    links = [link.attributes["href"] for link in markup.elements(html, "a")]
    newest, before, times = [link for link in links if link.startswith("/alerts/")]
    assert times == f"{newest}#fired"
    assert before != newest
    assert (await (await here.as_("analyst")).get(before)).status_code == 200
    strip = markup.one(html, "svg", class_="strip")
    assert strip.attributes["aria-label"] == "BruteForce fired 2 times in the last 24 hours"
    assert len(markup.elements(html, "rect", class_="on")) == 2


async def test_tempo_is_asked_before_a_trace_is_wanted(here, watched):
    await page(here)
    await asyncio.wait_for(here.app.state.investigation._greeting, 10)
    assert "Tempo just now" in markup.one(await page(here), "section", class_="sources").words
    assert sum("/api/search" in asked for asked in watched.asked) == 1  # it answered: there is nothing more to ask


async def test_a_tempo_that_does_not_answer_is_said_to_fail_until_it_does(here, watched):
    watched.fails["tempo"] = 503
    await page(here)
    await asyncio.wait_for(here.app.state.investigation._greeting, 10)
    assert "Tempo failing since" in markup.one(await page(here), "section", class_="sources").words
    await asyncio.wait_for(here.app.state.investigation._greeting, 10)
    watched.fails.clear()
    for _ in range(100):
        await page(here)
        await asyncio.wait_for(here.app.state.investigation._greeting, 10)
        if "Tempo just now" in markup.one(await page(here), "section", class_="sources").words:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("Tempo answers again, and the page does not say so")


async def test_pending_and_silenced_alerts_say_so(here, watched):
    watched.alerts += [firing("Soon", state="pending", minutes_ago=0.5), firing("Hushed", auth_client_subnet=SUBNET)]
    watched.reported.append(reported("Hushed", state="suppressed", silenced=("s-1",), auth_client_subnet=SUBNET))
    states = {row.words.split()[1]: row.words for row in rows(await page(here))}
    assert "Pending" in states["Soon"]
    assert "Muted" in states["Hushed"]


async def test_groups_name_who_and_say_once_what_is_common(here, watched):
    watched.alerts += [
        firing("BruteForce", minutes_ago=5, auth_client_subnet=SUBNET, service_name="identity"),
        firing("Probing", minutes_ago=6, client_address="198.51.100.9", service_name="identity"),
        firing("Slow", minutes_ago=7, service_name="orders"),
    ]
    html = await page(here)
    heads = [head.words for head in markup.elements(html, "header", class_="group__head")]
    assert [head.split(" Prometheus")[0] for head in heads] == [f"From {SUBNET} 2 alerts", "orders 1 alert"]
    assert "service_nameidentity" in markup.one(html, "footer", class_="group__foot").words
    by_rule = await page(here, "/alerts?group=rule")
    assert [h.words for h in markup.elements(by_rule, "h2") if h.words in ("BruteForce", "Probing", "Slow")] == [
        "BruteForce", "Probing", "Slow",
    ]  # fmt: skip


async def test_filters_stand_in_the_address_and_count_what_they_leave(here, watched):
    watched.alerts += [firing("A", service_name="identity"), firing("B", service_name="orders"), firing("C", state="pending")]
    html = await page(here, "/alerts?service=orders")
    assert [row.words.split()[1] for row in rows(html)] == ["B"]
    pick = markup.one(html, "a", aria_label="Remove service: orders")
    assert pick.attributes["href"] == "/alerts"
    state = next(a for a in markup.elements(html, "a") if a.words == "Pending")
    assert state.attributes["href"] == "/alerts?state=pending&service=orders"
    assert [row.words.split()[1] for row in rows(await page(here, "/alerts?q=orders+identity"))] == []
    assert [row.words.split()[1] for row in rows(await page(here, "/alerts?q=ORDERS+warning"))] == ["B"]


async def test_a_filter_that_hides_everything_says_which_one_to_drop(here, watched):
    watched.alerts += [firing("A", service_name="identity"), firing("B", service_name="identity")]
    html = await page(here, "/alerts?service=billing&severity=warning")
    assert rows(html) == []
    assert "No alert matches these 2 filters" in html
    assert "2 alerts are hidden. Without “service: billing” there are 2." in html
    assert markup.one(html, "a", href="/alerts?severity=warning", class_="button").words == "Remove “service: billing”"


async def test_nothing_fires_and_all_sources_answered(here, watched):
    html = await page(here)
    assert "No alerts in the last 24 hours" in html
    assert "Prometheus and Alertmanager answered at" in html
    assert "1 alerting rule loaded" in html
    assert markup.one(html, "a", href="/alerts?window=7d", class_="button").words == "Show 7 days"


async def test_no_source_at_all_says_what_to_do(here, tmp_path):
    bare = Watched(tmp_path, prometheus=False, alertmanager=False, tempo=False)
    await bare.plug_into(here.app)
    html = await page(here)
    assert "Connect Prometheus to begin" in html
    assert "CLEW_PROMETHEUS__URL" in html
    await bare.close()


async def test_a_source_that_fails_is_named_and_the_others_are_shown(here, watched):
    watched.fails["prometheus"] = 503
    watched.reported.append(reported(auth_client_subnet=SUBNET))
    html = await page(here)
    assert len(rows(html)) == 1
    callout = markup.one(html, "div", class_="callout")
    assert "Prometheus" in callout.words
    assert "Alerts firing now may be missing." in callout.words
    assert "Try again" in callout.words
    assert markup.one(html, "span", class_="source", data_health="failing").words.startswith("Prometheus failing since")


async def test_silence_of_a_failed_source_is_not_called_quiet(here, watched):
    watched.fails["prometheus"] = 503
    html = await page(here)
    assert "No alert is known" in html
    assert "silence here does not mean quiet" in html


async def test_history_alone_may_fail(here, watched):
    watched.alerts.append(firing(auth_client_subnet=SUBNET))
    watched.fails["prometheus query"] = 422
    html = await page(here)
    assert len(rows(html)) == 1
    assert "Past firings are missing" in html


async def test_a_slow_source_does_not_hold_the_page(here, watched):
    release = asyncio.Event()
    watched.held["alertmanager"] = release.wait
    watched.alerts.append(firing(auth_client_subnet=SUBNET))
    html = await page(here)
    assert len(rows(html)) == 1
    assert "Alertmanager has not answered yet; this list is not whole." in html
    board = markup.one(html, "div", id="board")
    assert "load" in board.attributes["hx-trigger"]
    watched.reported.append(reported("Late", team="x"))
    release.set()
    fresh = await page(here, board.attributes["hx-get"], **HX)
    assert {row.words.split()[1] for row in rows(fresh)} == {"BruteForce", "Late"}
    assert "<html" not in fresh


async def test_sources_are_asked_at_once_and_several_readers_share_the_answers(here, watched):
    watched.alerts.append(firing(auth_client_subnet=SUBNET))
    browser = await here.as_("viewer")
    await asyncio.gather(*(browser.get("/alerts") for _ in range(8)))
    assert watched.asked.count("alerts") == 1
    assert watched.asked.count("rules") == 1


async def test_what_clew_has_seen_is_kept_when_prometheus_has_forgotten_it(here, watched):
    watched.history += fired("BruteForce", 120, 100, auth_client_subnet=SUBNET)
    key = markup.one(await page(here), "a", class_="alert-row__name").attributes["href"]
    await here.app.state.investigation.settle()
    watched.history.clear()
    await watched.plug_into(here.app)
    html = await page(here)
    assert markup.one(html, "a", class_="alert-row__name").attributes["href"] == key
    assert f"{SUBNET} failed 31 log-ins" in html


async def test_an_alert_that_nobody_confirms_is_shown_with_its_doubt(here, watched):
    watched.alerts.append(firing(auth_client_subnet=SUBNET))
    await page(here)
    await here.app.state.investigation.settle()
    watched.fails["prometheus"] = 503
    await watched.plug_into(here.app)
    (row,) = rows(await page(here))
    assert "Firing" in row.words
    assert "Prometheus does not confirm it now" in row.words


HOSTILE = ["<script>alert(1)</script>", '" onmouseover="alert(1)', "{{ 7 * 7 }}", "\u202egnp.exe", "x" * 5000, "a\x00b\x1b[31m"]


@pytest.mark.parametrize("value", HOSTILE)
async def test_hostile_labels_and_annotations_stay_text(here, watched, value):
    watched.alerts.append(
        firing(value, service_name=value, auth_client_subnet=value, auth_username=value, annotations={"summary": value})
    )
    watched.alerts[0]["labels"]["severity"] = value
    for path in ("/alerts", "/alerts?group=rule", "/alerts?group=none"):
        html = await page(here, path)
        assert len(rows(html)) == 1
        assert "<script>alert" not in html
        assert not [e for e in markup.elements(html) if "onmouseover" in e.attributes]
        assert "49" not in rows(html)[0].words
        assert "\u202e" not in html
        assert "\x1b" not in html
    link = markup.one(await page(here), "a", class_="alert-row__name")
    assert link.attributes["href"].removeprefix("/alerts/").replace("-", "").isalnum()


async def test_a_hostile_address_is_only_text(here, watched):
    watched.alerts.append(firing(auth_client_subnet=SUBNET))
    html = await page(here, "/alerts?q=%22%3E%3Cscript%3E&service=%3Cb%3E&group=%27&window=9y&state=nonsense")
    assert "<script>" not in html.replace("<script ", "")
    assert "<b>&lt;b&gt;" not in html


async def test_the_api_lists_the_same_with_the_same_filters(here, watched):
    watched.alerts += [firing("A", service_name="identity"), firing("B", service_name="orders")]
    browser = await here.as_("viewer")
    answer = (await browser.get("/api/v1/alerts?service=orders")).json()
    assert [alert["name"] for alert in answer["alerts"]] == ["B"]
    assert answer["whole"] is True
    assert answer["alerts"][0]["state"] == "firing"
    watched.fails["alertmanager"] = 500
    await watched.plug_into(here.app)
    answer = (await browser.get("/api/v1/alerts")).json()
    assert answer["whole"] is False
    assert answer["troubles"][0]["source"] == "Alertmanager"


async def test_nobody_reads_alerts_without_signing_in(here, watched):
    assert (await here.anonymous.get("/alerts")).status_code == 303
    assert (await here.anonymous.get("/api/v1/alerts")).status_code == 401
