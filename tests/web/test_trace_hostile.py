"""Everything in a trace may be written by an attacker: on the page it is text, at most so long, with its tricks visible."""

import re

import pytest
import pytest_asyncio
from support import markup, site, stories
from support.shelf import Shelf
from support.stories import CLIENT, INNER, SERVER, Teller, hop, span_id, verdict

from app.analysis.verdict import (
    Decision,
    EffectKind,
    EffectTime,
    Finding,
    FindingKind,
    Ground,
    Layer,
    LayerDecision,
    Outcome,
    Phase,
    Place,
    SideEffect,
)
from app.traces.model import Event, Link, Status

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "' autofocus onfocus=alert(1) x='",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "<a hx-get=/logout hx-trigger=load>x</a>",
    "<div data-hx-post='/cases' hx-on:load='alert(1)'></div>",
    "</textarea></title></style></noscript><iframe src=//evil.example>",
    "<base href=//evil.example/><meta http-equiv=refresh content='0;url=//evil.example'>",
    "]]><!--<x onmouseover=alert(1)>-->",
    "invoice\u202efdp.exe",
    "\x1b[2J\x1b[31mall is well\x00",
    "adm\u200bin p\u0430yp\u0430l",
    "=HYPERLINK(\"http://evil.example\")",
    "%3Cscript%3Ealert(1)%3C/script%3E",
)  # fmt: skip


def poisoned(payload: str):
    """A trace with the payload in every place that a sender chooses, and a verdict that repeats it."""
    t = Teller()
    everywhere = {
        payload: payload, "http.request.method": payload, "http.route": payload, "url.path": payload,
        "client.address": payload, "session.id": payload, "auth.failure_reason": payload, "authz.resource": f"k:{payload}",
        "list": [payload, {payload: payload}], "http.response.status_code": 403,
    }  # fmt: skip
    t.span("gw", "", payload, payload, 0, 100, SERVER, everywhere, trace_state=payload)
    t.span("orders", "gw", f"{payload}-2", payload, 5, 90, SERVER, everywhere)
    check = t.span("check", "orders", f"{payload}-2", payload, 10, 20, INNER, everywhere, status=Status.ERROR,
                   status_message=payload, events=(Event(payload, t.spans[0].start_ns, {payload: payload}),),
                   links=(Link("b" * 32, "c" * 16, {payload: payload}),))  # fmt: skip
    t.span("db", "orders", f"{payload}-2", payload, 30, 40, CLIENT,
           {"db.system.name": payload, "server.address": payload, "db.collection.name": payload})  # fmt: skip
    for n in range(40):
        t.span(f"n{n}", "orders", payload, payload, 41 + n / 10, 42 + n / 10, INNER, {payload: payload})
    trace = t.trace(partial=True, note=payload)
    return trace, verdict(
        trace, outcome=Outcome.DENIED, layer=Layer.APPLICATION, phase=Phase.AUTHZ, service=f"{payload}-2", span_id=check,
        rule=payload, reason=payload, enforced_by=Place(f"{payload}-2", span_id("orders"), 403),
        entry=Place(payload, span_id("gw"), 403), principal=payload, client_address=payload, because=(payload, payload),
        layers=(
            LayerDecision(Layer.APPLICATION, f"{payload}-2", Decision.DENY, check, payload, target="", rule=payload),
            LayerDecision(Layer.DATABASE, payload, Decision.ALLOW, span_id("db"), payload, target=payload),
            LayerDecision(Layer.APPLICATION, payload, Decision.NOT_REACHED, reason=payload, target=payload),
        ),
        path=(hop(trace, "gw", None, 403, relay=True), hop(trace, "orders", payload, 403)),
        side_effects=(SideEffect(payload, span_id("db"), EffectKind.DB_WRITE, payload, EffectTime.AFTER_DENIAL),),
        findings=(Finding(FindingKind.MISSING_HOP, payload, span_id("db"), payload),
                  Finding(FindingKind.RELAYED_BY, payload, span_id("gw"), payload)),
        sentence=f"{payload}-2 refused {payload}: {payload}", settles=(payload,),
        grounds=(Ground(payload, "origin", check, payload, payload, payload),
                 Ground(payload, "ruled_out", span_id("gw"), payload, payload, payload)),
    )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with site.open(tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def viewer(here):
    return await here.as_("viewer")


_EXPECTED_TAGS = {
    "html", "head", "meta", "title", "link", "script", "body", "svg", "symbol", "path", "circle", "rect", "line", "text",
    "use", "g", "a", "header", "nav", "div", "form", "label", "input", "kbd", "button", "details", "summary", "p", "span",
    "main", "ol", "ul", "li", "b", "time", "section", "h1", "h2", "h3", "h4", "code", "dl", "dt", "dd", "bdi", "select",
    "option", "table", "thead", "tbody", "tr", "th", "td", "aside", "footer", "dialog", "small", "noscript",
}  # fmt: skip


def assert_harmless(html: str) -> None:
    found = markup.elements(html)
    assert {element.tag for element in found} <= _EXPECTED_TAGS
    for element in found:
        for name, value in element.attributes.items():
            assert not name.startswith("on"), (element.tag, name)
            assert name != "style"
            assert not name.startswith(("data-hx", "hx-on")), name
            if name in ("href", "src", "action", "hx-get"):
                assert re.match(r"(/|\?|#|https://grafana)", value), value
            if name == "hx-get":
                assert value.startswith("/traces/"), value
    assert len([e for e in found if e.tag == "script"]) == len(
        [e for e in found if e.tag == "script" and "src" in e.attributes]
    )
    # What cannot be seen or turns the text around is not read as it is: only what a form sends back or a button copies has it.
    read = "".join([markup.one(html, "body").words, *(e.attributes.get("aria-label", "") for e in found)])
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00-\x08\x0b\x0c\x0e-\x1f]", read)


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_payload_in_every_place_stays_text(here, viewer, payload):
    trace, judged = poisoned(payload)
    path = Shelf(here.app).put(trace, judged)
    for place in ("", f"/spans/{span_id('check')}"):
        answer = await viewer.get(path + place)
        assert answer.status_code == 200, (place, answer.text[:200])
        assert_harmless(answer.text)
        assert len(answer.content) <= 260_000, place


@pytest.mark.parametrize("payload", PAYLOADS[:3])
async def test_every_way_to_look_at_it_is_as_harmless(here, viewer, payload):
    trace, judged = poisoned(payload)
    path = Shelf(here.app).put(trace, judged)
    for place in ("?find=<script>", "?from=0", "?show=path", f"?span={span_id('gw')}", f"/spans/{span_id('db')}"):
        answer = await viewer.get(path + place)
        assert answer.status_code == 200
        assert_harmless(answer.text)
    fragment = await viewer.get(f"{path}/rows?from=0&to=200", headers={"hx-request": "true"})
    assert_harmless(f"<body>{fragment.text}</body>")


@pytest.mark.parametrize("payload", PAYLOADS[:6])
async def test_the_engine_and_the_page_bear_the_payload_together(here, viewer, payload):
    trace, _ = poisoned(payload)
    answer = await viewer.get(Shelf(here.app).put(trace))
    assert answer.status_code == 200
    assert_harmless(answer.text)


async def test_tricks_are_marked_and_the_raw_value_is_one_click_away(here, viewer):
    trace, judged = poisoned("invoice\u202efdp.exe")
    html = (await viewer.get(Shelf(here.app).put(trace, judged))).text
    assert '<span class="ctl" title="right-to-left override">U+202E</span>' in html
    copies = {e.attributes.get("data-copy") for e in markup.elements(html, "button")}
    assert "invoice\u202efdp.exe" in copies


async def test_what_is_downloaded_is_what_was_sent(here, viewer):
    trace, judged = poisoned("=cmd\x1b[2J\u202e")
    path = Shelf(here.app).put(trace, judged)
    assert "=cmd\\u001b[2J\u202e" in (await viewer.get(f"{path}/raw")).text


@pytest.mark.parametrize("size", [2_000, 200_000])
async def test_values_without_end_are_cut_and_their_length_told(here, viewer, size):
    t = Teller()
    long = "A" * size
    t.span("gw", "", long, long, 0, 1, SERVER, {"k": long, long: "v"}, status_message=long)
    trace = t.trace()
    judged = verdict(trace, principal=long, client_address=long, sentence=f"shop refused {long}", service=long,
                     outcome=Outcome.DENIED, span_id=span_id("gw"), layer=Layer.APPLICATION)  # fmt: skip
    answer = await viewer.get(Shelf(here.app).put(trace, judged))
    assert len(answer.content) <= 150_000
    assert "more characters" in answer.text
    whole = await viewer.get(f"/traces/{trace.trace_id}/spans/{span_id('gw')}")
    assert len(whole.content) <= 150_000


@pytest.mark.parametrize("name", ["find", "service", "span", "show", "alert"])
async def test_the_address_itself_is_hostile(here, viewer, name):
    path = Shelf(here.app).put(*stories.refused_by_policy())
    for payload in PAYLOADS[::3]:
        answer = await viewer.get(path, params={name: payload.encode("utf-8", "replace")})
        assert answer.status_code in (200, 422), (name, payload)
        assert_harmless(answer.text)
