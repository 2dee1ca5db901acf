"""The pages of rules: reading them, writing a house's own, trying it, and what a mistake costs: nothing."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text as sql
from support import casework, markup
from support.casework import Source
from support.draw import draw, spans_of

from app.analysis.rulebook import shipped
from app.errors import NotFound, SourceUnavailable
from app.house.live import LiveRules
from app.sources.values import TraceBytes
from app.times import UnixNanos
from app.traces.otlp import encode_json
from app.web.routes import rule_trial

GATE = """rules:
  - id: house.gate
    system: The gate of this house
    summary: Whether it opened.
    match: {span_name: '^gate\\.ask$'}
    layer: application
    phase: authz
    decision:
      deny: [{attr: {gate.answer: shut}}]
    reason_from: [gate.why]
"""
DRAWING = 'orders: GET /x  403\n  orders: gate.ask  gate.answer=shut gate.why="after hours"  @gate'
ALL = f"{len(shipped())} of {len(shipped())}"
TRACE = encode_json(spans_of(DRAWING)).decode()


@pytest.fixture
async def admin(here):
    return await here.as_("admin")


def words(html: str) -> str:
    return markup.one(html, "main").words


async def post(browser, path, **given):
    """The form as a browser sends it."""
    return await browser.post(path, files={name: (None, str(value)) for name, value in given.items()})


async def added(browser, name="Gate", text=GATE, **given) -> str:
    answer = await post(browser, "/rules", name=name, text=text, enabled="1", **given)
    assert answer.status_code == 303, words(answer.text)
    return answer.headers["location"].partition("?")[0]


async def version(browser, rule: str) -> str:
    page = (await browser.get(f"{rule}/edit")).text
    return markup.one(page, "input", name="version").attributes["value"]


async def test_the_shipped_rules_can_be_looked_through(here):
    viewer = await here.as_("viewer")
    page = (await viewer.get("/rules")).text
    assert ALL in words(page)
    assert "envoy.ext-authz.grpc" in words(page)
    found = (await viewer.get("/rules?q=policy+OPA")).text
    lines = [one.words for one in markup.elements(found, "tr", data_row="")]
    assert 0 < len(lines) < 20
    assert all("opa" in line.lower() and "policy" in line.lower() for line in lines)
    assert "No rule has these words" in (await viewer.get("/rules?q=nothing-is-called-so")).text


async def test_a_rule_is_shown_with_its_own_lines_and_leads_to_a_copy(here, admin):
    page = (await admin.get("/rules/rule?id=envoy.ext-authz.http")).text
    assert "- id: envoy.ext-authz.http" in words(page)
    assert "envoy.ext-authz.grpc" not in words(page)
    copy = markup.one(page, "a", href="/rules/new?like=envoy.ext-authz.http")
    form = (await admin.get(copy.attributes["href"])).text
    assert markup.one(form, "textarea", name="text").words.startswith("rules: - id: envoy.ext-authz.http")
    assert markup.one(form, "input", name="name").attributes["value"] == "envoy.ext-authz.http"
    viewer = (await (await here.as_("viewer")).get("/rules/rule?id=envoy.ext-authz.http")).text
    assert not markup.elements(viewer, "a", href="/rules/new?like=envoy.ext-authz.http")
    assert (await admin.get("/rules/rule?id=no.such")).status_code == 404


async def test_a_house_rule_judges_from_the_moment_it_is_saved(here, admin):
    async def uploaded() -> str:
        answer = await admin.post("/traces/upload", files={"text": (None, TRACE)})
        return answer.headers["location"]

    before = await uploaded()
    assert "house.gate" not in (await admin.get(before)).text
    rule = await added(admin)
    # The same upload, judged anew: a verdict that was kept does not outlive the rules it was reached by.
    for address in (before, await uploaded()):
        page = (await admin.get(address)).text
        assert "after hours" in words(page)
        links = markup.elements(page, "a", href="/rules/rule?id=house.gate")
        assert {link.words for link in links} == {"house.gate", "house rulehouse.gate"}
    shown = (await admin.get("/rules/rule?id=house.gate")).text
    assert markup.elements(shown, "a", href=f"{rule}#L2")
    off = await admin.post(f"{rule}/enabled", data={"enabled": "false", "version": "1"})
    assert off.status_code == 303
    assert "house.gate" not in (await admin.get(before)).text
    assert (await admin.get("/rules/rule?id=house.gate")).status_code == 404


async def test_verdicts_of_traces_in_tempo_are_forgotten_too(here, admin):
    trace = draw(DRAWING)
    received = TraceBytes(trace.trace_id, b"{}", "application/json", "", "", UnixNanos(1))
    asked = []

    async def fetch(trace_id):
        asked.append(trace_id)
        return trace, received

    here.app.state.traces._fetch = fetch
    address = f"/api/v1/traces/{trace.trace_id}"
    assert (await admin.get(address)).json()["rule"] == "generic.http.server-403"
    await added(admin)
    assert (await admin.get(address)).json()["rule"] == "house.gate"
    assert len(asked) == 2


async def test_a_rule_may_take_the_place_of_a_shipped_one(admin):
    await added(admin, text=GATE.replace("house.gate", "generic.hand-written.login"))
    page = (await admin.get("/rules/rule?id=generic.hand-written.login")).text
    assert "house rule Gate" in words(page)
    theirs = shipped().by_id["generic.hand-written.login"]
    assert f"the shipped rule of {theirs.file}, line {theirs.line}" in words(page)
    assert ALL in words((await admin.get("/rules")).text)


async def test_a_mistake_is_shown_at_its_line_and_nothing_typed_is_lost(admin):
    wrong = GATE.replace("phase: authz", "phase: <b>dawn</b>")
    for path in ("/rules", "/rules/try"):
        answer = await post(admin, path, name="My gate", text=wrong, enabled="1", trace=TRACE, trace_id="")
        assert answer.status_code == 422
        area = markup.one(answer.text, "textarea", name="text")
        assert (area.attributes["data-wrong-line"], area.attributes["aria-invalid"]) == ("7", "true")
        assert "data-kept" in area.attributes
        assert "phase: <b>dawn</b>" in area.words
        assert "Line 7. phase is one of authn, authz." in words(answer.text)
        [marked] = markup.elements(answer.text, "li", data_wrong="")
        assert marked.words == "7 phase: <b>dawn</b>"
        assert markup.one(answer.text, "input", name="name").attributes["value"] == "My gate"
        assert "gate.answer" in markup.one(answer.text, "textarea", name="trace").words
        assert "checked" in markup.one(answer.text, "input", name="enabled").attributes
    assert "No house rules yet" in (await admin.get("/rules")).text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "<script>alert(1)</script>", "text": GATE}, "A name begins with a letter or digit"),
        ({"name": "", "text": GATE}, "The name is missing."),
        ({"name": "Gate", "text": ""}, "There is no text."),
        ({"name": "Gate", "text": GATE + "#" * 65_536}, "at most 65,536 are kept"),
        ({"name": "Gate", "text": "{" * 3_000}, "Line 1."),
        ({"name": "Gate", "text": GATE.replace("^gate\\.ask$", "(a+)+$(?=b)")}, "cannot be read"),
        ({"name": "Gate", "text": GATE.replace("^gate\\.ask$", "(?:.{499}){2}" * 30)}, "Line 5."),
    ],
)
async def test_what_is_not_taken_says_why(admin, given, said):
    answer = await post(admin, "/rules", enabled="1", **given)
    assert answer.status_code == 422
    assert said in words(answer.text)
    assert "<script>alert" not in answer.text
    assert markup.one(answer.text, "textarea", name="text").words.strip() == " ".join(given["text"].split())


async def test_hostile_text_is_text_everywhere(admin):
    hostile = GATE.replace("Whether it opened.", "<img src=x onerror=alert(1)> \\u202E {{ 7 * 7 }}").replace(
        "The gate of this house", "'\"></td><script>alert(2)</script>'"
    )
    rule = await added(admin, text=hostile)
    for path in ("/rules", rule, f"{rule}/edit", f"{rule}/history", "/rules/rule?id=house.gate"):
        page = await admin.get(path)
        assert page.status_code == 200, path
        assert "<img src=x" not in page.text, path
        assert "<script>alert" not in page.text, path
        assert "49" not in markup.one(page.text, "main").words.partition("onerror")[2][:40], path


async def test_two_editors_notice_each_other_and_both_texts_are_shown(admin):
    rule = await added(admin)
    theirs = GATE.replace("shut", "barred")
    assert (await post(admin, f"{rule}/edit", name="Gate", text=theirs, version="1")).status_code == 303
    mine = GATE.replace("shut", "locked")
    late = await post(admin, f"{rule}/edit", name="Gate", text=mine, version="1")
    assert late.status_code == 409
    assert "Gate was changed by Admin since you opened this page. Nothing was saved." in words(late.text)
    assert "locked" in markup.one(late.text, "textarea", name="text").words
    assert "barred" in markup.one(late.text, "pre", class_="code").words
    # Saving again, with the newer text seen, is meant.
    assert markup.one(late.text, "input", name="version").attributes["value"] == "2"
    assert (await post(admin, f"{rule}/edit", name="Gate", text=mine, version="2")).status_code == 303
    history = (await admin.get(f"{rule}/history")).text
    assert [one.words for one in markup.elements(history, "h2")][:3] == ["Version 3", "Version 2", "Version 1"]
    assert {one.words for one in markup.elements(history, "ins")} >= {"deny: [{attr: {gate.answer: locked}}]"}


@pytest.mark.parametrize("deed", ["enabled", "delete"])
async def test_a_button_of_an_older_page_does_nothing(admin, deed):
    rule = await added(admin)
    await post(admin, f"{rule}/edit", name="Gate 2", text=GATE, version="1")
    assert (await admin.post(f"{rule}/{deed}", data={"version": "1", "enabled": "false"})).status_code == 409
    assert "Gate 2" in words((await admin.get(rule)).text)
    assert "in force" in words((await admin.get(rule)).text).lower()


async def test_what_was_deleted_meanwhile_can_still_be_saved(admin):
    rule = await added(admin)
    assert (await admin.get(f"{rule}/delete")).status_code == 200
    assert (await admin.post(f"{rule}/delete", data={"version": "1"})).status_code == 303
    late = await post(admin, f"{rule}/edit", name="Gate", text=GATE, version="1")
    assert late.status_code == 404
    assert "saved, it becomes a new one" in words(late.text)
    assert markup.elements(late.text, "form", action="/rules")
    history = (await admin.get(f"{rule}/history")).text
    assert "It was deleted" in words(history)
    again = markup.elements(history, "a", class_="button")[-1].attributes["href"]
    assert "house.gate" in markup.one((await admin.get(again)).text, "textarea", name="text").words


async def test_one_id_is_given_once(admin):
    await added(admin)
    answer = await post(admin, "/rules", name="Other", text=GATE, enabled="1")
    assert "Line 2. the id 'house.gate' is taken by line 2 of Gate." in words(answer.text)
    # Kept without being in force it takes nobody's place; then it cannot be put in force.
    kept = await post(admin, "/rules", name="Other", text=GATE)
    assert kept.status_code == 303
    rule = kept.headers["location"].partition("?")[0]
    refused = await admin.post(f"{rule}/enabled", data={"enabled": "true", "version": "1"})
    assert refused.status_code == 422
    assert "is taken by line 2 of Gate" in words(refused.text)
    assert "house.gate" in markup.one(refused.text, "textarea", name="text").words


async def test_a_rule_that_is_not_sound_any_more_is_told_and_breaks_nothing(here, admin):
    rule = await added(admin)
    other = await added(admin, "Other", GATE.replace("house.gate", "house.other"))
    async with here.database.writing() as db:
        old = GATE.replace("layer: application", "layer: reception")
        await db.execute(sql("UPDATE house_rules SET text = :text WHERE name = 'Gate'"), {"text": old})
    # What another process sees, or this one after an update.
    live: LiveRules = here.app.state.rules
    fresh = LiveRules(live.database, live.files, live._without, live._apply)
    await fresh.refresh()
    here.app.state.rules = fresh
    page = await admin.get("/rules")
    assert page.status_code == 200
    assert "is not used, because it cannot be read any more" in words(page.text)
    assert "Gate, line 6: layer is one of" in words(page.text)
    shown = (await admin.get(rule)).text
    assert [one.words for one in markup.elements(shown, "li", data_wrong="")] == ["6 layer: reception"]
    assert "Line 6." in words((await admin.get(f"{rule}/edit")).text)
    assert (await admin.get(other)).status_code == 200
    location = (await admin.post("/traces/upload", files={"text": (None, TRACE)})).headers["location"]
    assert "house.other" in (await admin.get(location)).text
    mended = await post(admin, f"{rule}/edit", name="Gate", text=GATE, version="1")
    assert mended.status_code == 303
    assert "not used" not in words((await admin.get("/rules")).text)


# ------------------------------------------------------------------------------------------------------------- trying


async def test_a_trial_shows_both_verdicts_and_saves_nothing(admin):
    answer = await post(admin, "/rules/try", name="", text=GATE, trace=TRACE, trace_id="")
    assert answer.status_code == 200, words(answer.text)
    said = words(answer.text)
    assert "The verdict changes: span id, rule, reason, confidence." in said
    sides = [one.words for one in markup.elements(answer.text, "div", class_="trial__side")]
    assert "rule generic.http.server-403" in sides[0]
    assert "rule house.gate" in sides[1]
    assert "after hours" in sides[1]
    row = markup.elements(answer.text, "tr")[-1].words
    assert all(word in row for word in ("deny", "gate.ask", "orders", "yes"))
    assert markup.one(answer.text, "textarea", name="text").words.startswith("rules: - id: house.gate")
    page = words((await admin.get("/rules")).text)
    assert "No house rules yet" in page
    assert ALL in page


async def test_a_trial_of_a_kept_rule_is_compared_with_the_rules_without_it(admin):
    rule = await added(admin)
    document = rule.rpartition("/")[2]
    answer = await post(admin, "/rules/try", name="Gate", text=GATE, trace=TRACE, document=document, version="1")
    sides = [one.words for one in markup.elements(answer.text, "div", class_="trial__side")]
    assert "rule generic.http.server-403" in sides[0]
    assert markup.elements(answer.text, "form", action=f"{rule}/edit")


async def test_a_trace_that_cannot_be_tried_is_told_beside_its_field(here, admin, monkeypatch):
    for given, said in (
        ({}, "Paste a trace, or give the id"),
        ({"trace": "{"}, "This is not"),
        ({"trace": "x" * (4 * 2**20 + 1)}, "4,194,305 bytes; at most 4,194,304"),
        ({"trace_id": "zz"}, "trace id"),
        ({"trace_id": "ab" * 16}, "No Tempo is set up"),
    ):
        answer = await post(admin, "/rules/try", name="Gate", text=GATE, **given)
        assert said in words(answer.text), given.keys()
        assert "house.gate" in markup.one(answer.text, "textarea", name="text").words
    casework.plug(here, Source([], down=SourceUnavailable("Tempo", "trace by id", "Tempo did not answer within 15 s.")))
    answer = await post(admin, "/rules/try", name="Gate", text=GATE, trace_id="ab" * 16)
    assert "Tempo did not answer within 15 s." in words(answer.text)
    assert "house.gate" in markup.one(answer.text, "textarea", name="text").words


async def test_a_trace_of_tempo_is_tried_by_its_id(here, admin):
    trace = draw(DRAWING)

    async def fetch(trace_id):
        if trace_id != trace.trace_id:
            raise NotFound("Tempo has no such trace.")
        return trace, TraceBytes(trace_id, b"{}", "application/json", "", "", UnixNanos(1))

    here.app.state.traces._fetch = fetch
    answer = await post(admin, "/rules/try", name="Gate", text=GATE, trace_id=trace.trace_id)
    assert markup.elements(answer.text, "a", href=f"/traces/{trace.trace_id}")
    assert "The verdict changes" in words(answer.text)
    missing = await post(admin, "/rules/try", name="Gate", text=GATE, trace_id="ab" * 16)
    assert "Tempo has no such trace." in words(missing.text)


async def test_names_of_spans_are_hostile_too(admin):
    trace = TRACE.replace("after hours", "<script>alert(1)</script>").replace('"orders"', '"<b>orders"')
    answer = await post(admin, "/rules/try", name="Gate", text=GATE, trace=trace)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<b>orders" not in answer.text.replace("&lt;b&gt;orders", "")
    assert "<b>orders" in words(answer.text)


async def test_a_trial_is_bounded(admin, monkeypatch):
    monkeypatch.setattr(rule_trial, "MOST_PAIRS", 1)
    answer = await post(admin, "/rules/try", name="Gate", text=GATE, trace=TRACE)
    assert "1 rule on 2 spans is too much to try at once" in words(answer.text)
    monkeypatch.setattr(rule_trial, "MOST_SPANS", 1)
    answer = await post(admin, "/rules/try", name="Gate", text=GATE, trace=TRACE)
    assert "The trace has 2 spans; rules are tried on at most 1." in words(answer.text)


async def test_only_one_trial_runs_at_a_time(here, admin):
    async with here.app.state.rules.trials:
        waiting = asyncio.create_task(post(admin, "/rules/try", name="Gate", text=GATE, trace=TRACE))
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert not done
    assert (await waiting).status_code == 200


# ------------------------------------------------------------------------------------------------------------ the API


async def test_the_api_does_what_the_pages_do(here, admin):
    viewer = await here.as_("viewer")
    rules = (await viewer.get("/api/v1/rules?q=envoy.ext-authz.http")).json()
    assert [one["id"] for one in rules["rules"]] == ["envoy.ext-authz.http"]
    assert (rules["total"], rules["skipped"]) == (len(shipped()), [])
    new = {"name": "Gate", "text": GATE}
    assert (await viewer.post("/api/v1/rules/house", json=new)).status_code == 403
    made = await admin.post("/api/v1/rules/house", json=new)
    assert made.status_code == 201
    rule = made.json()
    assert (rule["enabled"], rule["usable"], rule["version"], rule["text"]) == (True, True, 1, GATE)
    [in_force] = [one for one in (await viewer.get("/api/v1/rules")).json()["rules"] if one["origin"] == "database"]
    assert (in_force["id"], in_force["house_rule"], in_force["line"]) == ("house.gate", rule["id"], 2)
    address = f"/api/v1/rules/house/{rule['id']}"
    changed = await admin.patch(address, json={"enabled": False, "text": "rules: []", "version": 1})
    assert changed.status_code == 422
    assert changed.json()["error"]["message"] == "Gate, line 1: there is no rule in it."
    assert (await admin.get(address)).json() == rule
    off = await admin.patch(address, json={"enabled": False, "name": "Door", "version": 1})
    assert (off.json()["enabled"], off.json()["name"], off.json()["version"]) == (False, "Door", 3)
    assert (await admin.patch(address, json={"enabled": True, "version": 1})).status_code == 409
    assert (await admin.delete(address, params={"version": 1})).status_code == 409
    assert (await admin.delete(address, params={"version": 3})).status_code == 204
    assert (await admin.get("/api/v1/rules/house")).json() == {"house_rules": []}
    assert (await admin.get(address)).status_code == 404


async def test_the_api_tries_rules(admin):
    import json

    answer = await admin.post("/api/v1/rules/try", json={"text": GATE, "trace": json.loads(TRACE)})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["without"]["rule"], found["with"]["rule"]) == ("generic.http.server-403", "house.gate")
    assert found["rules"][0]["held"][0]["decision"] == "deny"
    wrong = await admin.post("/api/v1/rules/try", json={"text": "rules: 1", "trace": json.loads(TRACE)})
    assert wrong.json()["error"]["message"].startswith("this text, line 1:")
