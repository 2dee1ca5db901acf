"""The main job in a real browser: an alert, its traces, the verdict, a note, evidence, the exported timeline.

Real parts throughout: `clew demo` with the shop's own processes, the embedded backend, Debian's Prometheus and Chromium.
What Clew says is held against what the attack's script wrote down when it was made.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import signal

import pytest
from support import browser
from support.parts import require
from support.running_demo import RunningDemo

from app.lab import truth

# The earlier incident's rule with refusals inside the shop (not at its front door) and its attack.
RULE, ATTACK = "AuthorizationProbing", "authorization-probing"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    require("prometheus", "prometheus")
    folder = tmp_path_factory.mktemp("journey")
    running = RunningDemo(folder, folder / "data")
    try:
        running.until("Attack: ")
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGINT)


@pytest.fixture(scope="module")
def done(demo) -> dict[str, truth.Request]:
    """What was really done, by trace id."""
    runs, _ordinary = truth.read(demo.data / "shop" / "ground-truth.jsonl")
    return {line.trace_id: line for run in runs for line in run.requests if run.end}


def test_from_an_alert_to_the_verdict_to_the_exported_timeline(demo, done):
    password = re.search(r"log in as  demo   password  (\S+)", demo.said)[1]
    probing = [line for line in done.values() if line.attack == ATTACK]
    attacker = next(iter({line.address for line in probing}))
    with browser.launched() as chromium, browser.page(chromium) as page:
        page.goto(demo.url("port"))
        page.get_by_label("Name", exact=True).fill("demo")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()

        # From the list of alerts to the deciding span in two clicks: the alert, then the trace.
        page.wait_for_url("**/alerts")
        subnet = attacker.rpartition(".")[0] + ".0/24"
        row = page.locator("[data-alert]", has_text=RULE).filter(has_text=subnet).first
        row.get_by_role("link", name=RULE).click()
        found = page.locator("#traces")
        found.get_by_text(re.compile(r"found by search")).first.wait_for()
        assert "counted independently" in found.inner_text()
        assert page.locator(".js-plotly-plot .main-svg").count(), "the metric that tripped the rule is drawn"
        refused = page.get_by_role("row").filter(has_text="Denied").first
        trace_id = re.search(r"/traces/([0-9a-f]{32})", refused.get_by_role("link").first.get_attribute("href"))[1]
        refused.get_by_role("link").first.click()

        # The verdict, against what was really configured to refuse.
        expected = done[trace_id].expected
        page.locator("[data-verdict]").first.wait_for()
        verdict = page.request.get(f"{demo.url('port')}/api/v1/traces/{trace_id}").json()
        assert (verdict["outcome"], verdict["layer"], verdict["service"], verdict["entry"]["status"]) == (
            expected.outcome,
            expected.layer,
            expected.service,
            expected.status,
        )
        headline = page.locator("#verdict").inner_text()
        assert " refused " in headline
        assert expected.service in headline
        assert (expected.reason or "") in headline
        page.get_by_role("link", name="Jump to the deciding span").click()
        deciding = page.locator("#span")
        assert verdict["span_id"] in deciding.inner_text()
        assert "Deny" in deciding.inner_text()

        # Evidence: the bytes as received, on a new case.
        page.get_by_role("link", name="Add to case").click()
        page.get_by_label("Title").fill("Probing by a customer")
        page.get_by_role("button", name="Add to case").click()
        page.get_by_role("heading", name="Probing by a customer").wait_for()
        case = re.search(r"/cases/(CASE-\d+)", page.url)[1]
        raw = page.request.get(f"{demo.url('port')}/traces/{trace_id}/raw").body()
        stored = page.request.get(f"{demo.url('port')}/cases/{case}/evidence/1/raw").body()
        assert stored == raw
        assert hashlib.sha256(raw).hexdigest()[:8] in page.locator("section[aria-labelledby=h-evidence]").inner_text()
        page.get_by_role("button", name="Verify all").click()
        page.wait_for_url("**/custody")
        assert "Checked" in page.locator("main").inner_text()
        page.goto(f"{demo.url('port')}/cases/{case}")

        # A note, with markup that must stay text.
        page.get_by_label("New note").fill("They tried **every** number. <img src=x onerror=alert(1)>")
        page.get_by_role("button", name="Save note").click()
        page.get_by_text("They tried every number.").first.wait_for()
        assert not page.locator("main img").count()

        # The timeline, exported in the three formats.
        exports = {}
        for kind in ("csv", "jsonl", "timesketch-csv"):
            page.locator("summary", has_text="Export").click()
            with page.expect_download() as download:
                page.locator(f"button[name=format][value={kind}]").click()
            exports[kind] = download.value.path().read_text()
            page.reload()
        assert not page.trouble

    rows = list(csv.DictReader(io.StringIO(exports["csv"])))
    lines = [json.loads(line) for line in exports["jsonl"].splitlines()]
    sketch = list(csv.DictReader(io.StringIO(exports["timesketch-csv"])))
    assert len(rows) == len(lines) == len(sketch) >= 3
    for events in (rows, lines, sketch):
        refusals = [e for e in events if e["trace_id"] == trace_id and e["span_id"] == verdict["span_id"]]
        assert refusals, "the deciding span stands on the timeline"
    [event] = [e for e in sketch if e["span_id"] == verdict["span_id"] and e["decision"] == "deny"]
    assert (event["authz_layer"], event["service_name"], event["source_ip"]) == (
        expected.layer,
        expected.service,
        done[trace_id].address,
    )
    assert any("every" in json.dumps(e) for e in lines), "the note stands on the timeline"
