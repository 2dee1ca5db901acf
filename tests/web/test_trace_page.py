"""The trace page, asked as a browser asks: the verdict is read, every control is a link, everything has an address."""

import hashlib
import json

import pytest
import pytest_asyncio
from support import markup, site, stories
from support.shelf import Shelf
from support.stories import span_id

from app.analysis.verdict import Outcome
from app.errors import SourceUnavailable
from app.traces import build, otlp

HX = {"hx-request": "true"}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    """One app for all of these tests: none of them leaves anything in it but people."""
    async with site.open(tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest.fixture
def shelf(here):
    before = here.app.state.traces
    yield Shelf(here.app)
    here.app.state.traces = before


async def opened(here, path: str, role: str = "viewer", **headers: str):
    answer = await (await here.as_(role)).get(path, headers=headers)
    assert answer.status_code == 200, answer.text[:300]
    return answer.text


def rows(html: str):
    return [row for row in markup.elements(html, "li") if "wf__row" in row.attributes.get("class", "")]


async def test_the_sentence_is_the_heading_and_the_proofs_stand_beside_it(here, shelf):
    html = await opened(here, shelf.put(*stories.refused_by_policy()))
    assert markup.one(html, "h1").words == "policy refused mallory: subject is not a member of tenant 42"
    judgement = markup.one(html, "section", data_verdict="denied").words
    assert "Denied by the policy engine · authorization · High confidence" in judgement
    assert 'authz.decision = "deny"' in judgement
    assert "Not the origin: the deepest span with a 4xx" in judgement


async def test_the_deciding_span_is_two_clicks_away_without_script(here, shelf):
    path = shelf.put(*stories.refused_by_policy())
    html = await opened(here, path)
    jump = markup.one(html, "a", data_key="d")
    row = next(row for row in rows(html) if "data-selected" in row.attributes)
    assert jump.attributes["href"] == f"{path}#{row.attributes['id']}"
    assert "Deny" in row.words
    assert "Deny" in markup.one(html, "aside", id="span").words


@pytest.mark.parametrize(
    "story",
    [stories.refused_out_of_sight, stories.broken_policy, stories.let_through, stories.allowed],
    ids=lambda s: s.__name__,
)
async def test_every_outcome_has_its_page(here, shelf, story):
    trace, judged = story()
    html = await opened(here, shelf.put(trace, judged))
    assert markup.one(html, "section", data_verdict=judged.outcome.value)
    assert markup.one(html, "h1").words == judged.sentence


async def test_silence_is_calm(here, shelf):
    trace, _ = stories.allowed()
    html = await opened(here, shelf.put(trace, stories.verdict(trace)))
    assert markup.one(html, "h1").words == "Nothing in this trace speaks of authentication or authorization."
    assert "data-plain" in markup.one(html, "section", data_verdict="no_auth_evidence").attributes
    assert not markup.elements(html, "line", class_="thread")


async def test_a_row_leads_to_its_span_with_and_without_script(here, shelf):
    path = shelf.put(*stories.refused_by_policy())
    html = await opened(here, path)
    link = next(a for a in markup.elements(html, "a", class_="wf__op") if a.words == "auth.permission_check")
    chosen = await opened(here, link.attributes["href"].split("#")[0])
    assert markup.one(chosen, "h2", id="h-span").words == "auth.permission_check"
    fragment = await opened(here, link.attributes["hx-get"], **HX)
    assert "<html" not in fragment
    assert markup.one(fragment, "aside", id="span")
    whole = await opened(here, link.attributes["hx-get"])
    assert markup.one(whole, "h1").words == "auth.permission_check"


async def test_a_fold_unfolds_with_and_without_script(here, shelf):
    trace, judged = stories.long_export()
    path = shelf.put(trace, judged)
    html = await opened(here, path)
    fold = max((row for row in rows(html) if "data-fold" in row.attributes), key=lambda row: len(row.words))
    link = next(
        a for a in markup.elements(html, "a", class_="wf__op") if a.words in fold.words and "to=" in a.attributes["hx-get"]
    )
    fragment = await opened(here, link.attributes["hx-get"], **HX)
    assert "<html" not in fragment
    assert len(rows(fragment)) > 100
    listed = await opened(here, link.attributes["href"].split("#")[0])
    assert [row.attributes.get("id") for row in rows(fragment)][:50] == [row.attributes["id"] for row in rows(listed)][:50]


async def test_every_span_can_be_reached_by_following_next(here, shelf):
    trace, judged = stories.long_export(rows=120)
    path = shelf.put(trace, judged) + "?from=0"
    seen: list[str] = []
    while path:
        html = await opened(here, path)
        seen += [row.attributes["id"] for row in rows(html) if row.attributes.get("id")]
        following = [a for a in markup.elements(html, "a") if a.words.startswith("Next ")]
        path = following[0].attributes["href"].split("#")[0] if following else ""
    assert seen == [f"s-{node.span.span_id}" for node in trace.nodes]


@pytest.mark.parametrize("size", [18, 2_400, 20_000])
async def test_a_page_stays_small_whatever_the_trace(here, shelf, size):
    trace, judged = stories.refused_by_policy() if size < 100 else stories.long_export(rows=size // 4)
    html = await opened(here, shelf.put(trace, judged))
    assert len(html.encode()) <= 150_000
    assert len(markup.elements(html)) <= 3_000
    assert any("Deny" in row.words and "data-selected" in row.attributes for row in rows(html))
    assert f"{len(trace):,} spans" in html


async def test_filters_are_in_the_address_and_can_be_taken_back(here, shelf):
    path = shelf.put(*stories.refused_by_policy())
    html = await opened(here, f"{path}?service=identity")
    assert "2 of 18 spans are of identity." in html
    assert markup.one(html, "option", value="identity").attributes.get("selected") is not None
    assert markup.elements(html, "a", href=f"{path}#spans")
    html = await opened(here, f"{path}?find=tenant")
    assert len([row for row in rows(html) if "data-match" in row.attributes]) == 2
    html = await opened(here, f"{path}?show=path")
    assert markup.one(html, "a", href=f"{path}?show=path#spans").attributes.get("aria-current") == "true"


async def test_the_way_back_to_the_alert_goes_along(here, shelf):
    path = shelf.put(*stories.refused_by_policy())
    html = await opened(here, f"{path}?alert=abc-1")
    assert markup.elements(html, "a", href="/alerts/abc-1")
    links = [a.attributes["href"] for a in markup.elements(html, "a", class_="wf__op")]
    assert all("alert=abc-1" in link for link in links)


async def test_raw_bytes_come_as_received_with_their_hash(here, shelf):
    trace, judged = stories.refused_by_policy()
    path = shelf.put(trace, judged)
    answer = await (await here.as_("viewer")).get(f"{path}/raw")
    assert answer.content == otlp.encode_json(node.span for node in trace.nodes)
    assert answer.headers["x-content-sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert answer.headers["content-disposition"] == f'attachment; filename="{trace.trace_id}.json"'
    assert hashlib.sha256(answer.content).hexdigest() in await opened(here, path)
    normalised = await (await here.as_("viewer")).get(f"{path}/otlp.json")
    assert len(build.build(otlp.decode(normalised.content))) == len(trace)
    one = await (await here.as_("viewer")).get(f"{path}/spans/{span_id('decide')}/otlp.json")
    assert [span.name for span in otlp.decode(one.content).spans] == ["POST /v1/decide"]


async def test_the_api_gives_the_verdict_as_explain_prints_it(here, shelf):
    trace, judged = stories.refused_by_policy()
    shelf.put(trace, judged)
    answer = await (await here.as_("viewer")).get(f"/api/v1/traces/{trace.trace_id}")
    assert answer.json()["outcome"] == "denied"
    assert answer.json()["span_id"] == span_id("decide")
    assert set(answer.json()) == set(judged.__struct_fields__)
    missing = await (await here.as_("viewer")).get(f"/api/v1/traces/{'b' * 32}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


async def test_grafana_is_a_link_where_it_is_configured(here, shelf, monkeypatch):
    trace, judged = stories.refused_by_policy()
    path = shelf.put(trace, judged)
    assert not markup.elements(await opened(here, path), "a", target="_blank")
    monkeypatch.setattr(here.settings.grafana, "url", "https://grafana.example")
    link = markup.one(await opened(here, path), "a", target="_blank")
    assert link.attributes["href"].startswith("https://grafana.example/explore?schemaVersion=1&panes=%7B")
    assert trace.trace_id in link.attributes["href"]
    assert link.attributes["rel"] == "noreferrer noopener"


async def test_what_was_wrong_with_the_data_is_told(here, shelf):
    t = stories.Teller()
    t.span("gw", "", "shop", "GET /", 0, 1)
    t.span("lost", "nobody", "worker", "job", 0, 1)
    trace = t.trace(partial=True, note="trace exceeds max size")
    html = await opened(here, shelf.put(trace, stories.verdict(trace)))
    about = next(s.words for s in markup.elements(html, "section") if "trace-data" in s.attributes.get("class", ""))
    assert "Parents missing1 span names a parent that is not in the trace." in about
    assert "It said: trace exceeds max size" in about
    assert "The parent of the next span is not in the trace" in " ".join(row.words for row in rows(html))


# ------------------------------------------------------------------------------------------------------------- states


async def test_a_trace_nobody_has_is_told_with_what_may_be_why(here, shelf):
    answer = await (await here.as_("viewer")).get(f"/traces/{'c' * 32}")
    assert answer.status_code == 404
    assert "Tempo has no trace cccccccc…" in answer.text
    assert "older than what Tempo keeps" in answer.text
    assert markup.elements(answer.text, "a", href=f"/traces/{'c' * 32}?fresh=1")


async def test_a_source_that_fails_is_told_on_a_page_that_stands(here, shelf):
    shelf.failure = SourceUnavailable("Tempo", "trace by id", "Tempo did not answer within 15 s.", detail="ReadTimeout")
    html = await opened(here, f"/traces/{'c' * 32}")
    assert "Tempo did not answer within 15 s." in markup.one(html, "div", role="alert").words
    assert markup.elements(html, "a", href=f"/traces/{'c' * 32}")
    fragment = await (await here.as_("viewer")).get(f"/traces/{'c' * 32}/spans/{'d' * 16}", headers=HX)
    assert fragment.status_code == 502
    assert "Tempo did not answer" in fragment.text
    api = await (await here.as_("viewer")).get(f"/api/v1/traces/{'c' * 32}")
    assert (api.status_code, api.json()["error"]["code"]) == (502, "source_unavailable")


async def test_without_a_tempo_the_page_says_so(here):
    assert "No Tempo is set up" in await opened(here, f"/traces/{'c' * 32}")


@pytest.mark.parametrize("wrong", ["xyz", "0" * 32, "a" * 33, "9088011ad4c4f457-2a769dcd71ab9933"])
async def test_what_is_no_trace_id_is_told(here, shelf, wrong):
    answer = await (await here.as_("viewer")).get(f"/traces/{wrong}")
    assert answer.status_code == 422
    assert shelf.asked == []


async def test_a_shortened_id_leads_to_the_one_address(here, shelf):
    t = stories.Teller(trace_id="ab".zfill(32))
    t.span("gw", "", "shop", "GET /", 0, 1)
    trace = t.trace()
    path = shelf.put(trace, stories.verdict(trace))
    answer = await (await here.as_("viewer")).get("/traces/AB?alert=k")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?alert=k")


async def test_fetching_again_asks_the_source_and_returns_to_the_address(here, shelf):
    trace, judged = stories.refused_by_policy()
    path = shelf.put(trace, judged)
    await opened(here, path)
    answer = await (await here.as_("viewer")).get(f"{path}?span={span_id('gw')}&fresh=1")
    assert answer.headers["location"] == f"{path}?span={span_id('gw')}"
    assert shelf.asked == [trace.trace_id, trace.trace_id]


async def test_a_span_that_is_not_in_the_trace_is_not_found(here, shelf):
    path = shelf.put(*stories.refused_by_policy())
    viewer = await here.as_("viewer")
    assert (await viewer.get(f"{path}/spans/{'e' * 16}")).status_code == 404
    assert markup.one((await viewer.get(f"{path}?span={'e' * 16}")).text, "h2", id="h-span").words == "POST /v1/decide"


# ------------------------------------------------------------------------------------------------------------- uploads


def body() -> bytes:
    trace, _ = stories.refused_by_policy()
    return otlp.encode_json(node.span for node in trace.nodes)


async def test_an_uploaded_trace_gets_the_same_page_and_is_stored_nowhere(here, shelf):
    analyst = await here.as_("analyst")
    answer = await analyst.post("/traces/upload", files={"file": ("trace.json", body(), "application/json")})
    assert answer.status_code == 303
    page = await analyst.get(answer.headers["location"])
    assert "policy" in markup.one(page.text, "h1").words
    assert not markup.elements(page.text, "a", href=f"/cases/add?trace={stories.TRACE_ID}")
    link = next(a for a in markup.elements(page.text, "a", class_="wf__op") if a.words == "POST /v1/decide")
    assert (await analyst.get(link.attributes["hx-get"], headers=HX)).status_code == 200
    assert (await analyst.get(answer.headers["location"] + "/raw")).content == body()
    assert shelf.asked == []


async def test_an_upload_is_for_the_one_who_sent_it(here, shelf):
    answer = await (await here.as_("analyst")).post("/traces/upload", data={"text": body().decode()})
    other = await here.as_("admin")
    assert (await other.get(answer.headers["location"])).status_code == 404
    assert (await (await here.as_("viewer")).post("/traces/upload", data={"text": "{}"})).status_code == 403


@pytest.mark.parametrize("sent", ["", "not a trace", '{"resourceSpans": []}', "<html>", "[" * 50_000])
async def test_what_is_no_trace_is_told_beside_the_field_and_kept(here, shelf, sent):
    answer = await (await here.as_("analyst")).post("/traces/upload", data={"text": sent})
    assert answer.status_code == 422
    assert markup.one(answer.text, "span", class_="wrong").words
    assert markup.one(answer.text, "textarea").words == " ".join(sent.split())


async def test_the_engine_judges_what_the_shelf_only_holds(here, shelf):
    """The page shows what `examine` concludes, not what a test told it."""
    trace, _ = stories.refused_by_policy()
    path = shelf.put(trace)
    html = await opened(here, path)
    told = json.loads((await (await here.as_("viewer")).get(f"/api/v1{path}")).text)
    assert told["outcome"] == Outcome.DENIED
    assert markup.one(html, "section", data_verdict=told["outcome"])
    assert markup.one(html, "h1").words == told["sentence"]


# --------------------------------------------------------------------------------------------------------------- cases


async def test_a_trace_in_a_case_says_so_and_outlives_its_source(here, shelf):
    trace, judged = stories.refused_by_policy()
    path = shelf.put(trace, judged)
    assert "not yet in a case" in await opened(here, path)
    analyst = await here.as_("analyst")
    sent = {"trace": trace.trace_id, "case": "new", "title": "Probing", "severity": "warning", "tlp": "TLP:AMBER"}
    case = (await analyst.post("/cases/add", data=sent)).headers["location"]
    link = next(a for a in markup.elements(await opened(here, path), "a") if a.words == f"E1 in {case.rpartition('/')[2]}")
    assert link.attributes["href"] == f"{case}/evidence/1"
    Shelf(here.app)  # an empty one: Tempo has forgotten it
    gone = await analyst.get(path)
    assert gone.status_code == 404
    copy = next(a for a in markup.elements(gone.text, "a") if a.words == "Read the kept copy")
    shown = await analyst.get((await analyst.get(copy.attributes["href"])).headers["location"])
    assert f"Shown from evidence E1 of {case.rpartition('/')[2]}, not from Tempo." in shown.text
    assert markup.one(shown.text, "section", data_verdict="denied")
