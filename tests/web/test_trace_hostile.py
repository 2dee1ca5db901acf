"""Everything in a trace may be written by an attacker: on the page it is text, at most so long, with its tricks visible."""

import re

import pytest
import pytest_asyncio
from support import markup, site, stories
from support.poison import PAYLOADS, poisoned
from support.shelf import Shelf
from support.stories import SERVER, Teller, span_id, verdict

from app.analysis.verdict import Layer, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    "option", "table", "thead", "tbody", "tr", "th", "td", "aside", "footer", "dialog", "small", "noscript", "wbr",
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
