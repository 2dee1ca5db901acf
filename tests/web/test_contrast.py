"""A refused request beside an allowed one: found in Tempo, compared, shown; the trace page asks for it when it is looked at."""

import shlex

import pytest
from support import markup
from support.draw import tagged
from support.poison import PAYLOADS
from support.watched import Watched

from app.times import SECOND, now_ns

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


REFUND = """
    gateway: POST /refunds/{order}  {status} http.route=/refunds/{{id}}
      gateway: auth.token_validate  auth=passed auth.subject={who}
      gateway: > POST http://orders:8080/refunds/{order}  {status}
        orders: POST /refunds/{order}  {status}
          orders: auth.permission_check  {said} user.roles={roles}  @check
"""
CHECK = tagged(REFUND.format(order=7, status=403, who="x", said="", roles="x"))["check"]


async def refund(
    watched, trace_id, status, *, who="anna", role="clerk", seconds_ago=60, reason="missing role finance", now=None
):
    """One request for a refund through gateway and orders, with the check that decides it; `seconds_ago` before `now`."""
    said = "auth=passed" if status < 400 else f"auth=refused because={shlex.quote(reason)}"
    text = REFUND.format(order=trace_id, status=status, who=shlex.quote(who), said=said, roles=shlex.quote(role))
    return await watched.send_drawn(trace_id * 32, text, start=(now or now_ns()) - int(seconds_ago * SECOND))


async def shown(viewer, path, status=200, **headers):
    answer = await viewer.get(path, headers=headers)
    assert answer.status_code == status, answer.text[:400]
    return answer.text


async def test_the_nearest_request_that_was_let_through_is_found_and_compared(watched, viewer):
    now = now_ns()
    denied = await refund(watched, "d", 403, now=now)
    await refund(watched, "1", 201, who="far", role="finance", seconds_ago=170, now=now)
    near = await refund(watched, "2", 201, who="bob", role="clerk finance", seconds_ago=50, now=now)
    await refund(watched, "3", 403, who="eve", seconds_ago=59, now=now)
    html = await shown(viewer, f"/traces/{denied}/contrast")
    assert markup.one(html, "h1").words == (
        "Both passed the token check of gateway; they part at the permission check of orders: "
        'denied lacks role finance: user.roles "clerk" against "clerk finance".'
    )
    chosen = markup.one(html, "tr", aria_current="true")
    assert near in chosen.words
    assert "10.0 s later" in chosen.words
    assert "3" * 32 not in html
    # The span of each side is one click away, in its own trace.
    links = [link.attributes["href"] for link in markup.elements(html, "a")]
    assert f"/traces/{denied}?span={CHECK}" in links
    assert f"/traces/{near}?span={CHECK}" in links


async def test_the_same_persons_success_is_worth_more_than_a_nearer_one(watched, viewer):
    denied = await refund(watched, "d", 403)
    own = await refund(watched, "1", 201, role="clerk finance", seconds_ago=110)
    await refund(watched, "2", 201, who="bob", role="finance", seconds_ago=59)
    html = await shown(viewer, f"/traces/{denied}/contrast")
    assert own in markup.one(html, "tr", aria_current="true").words


async def test_another_one_can_be_named(watched, viewer):
    denied = await refund(watched, "d", 403)
    await refund(watched, "1", 201, who="bob", role="finance")
    other = await refund(watched, "2", 201, who="carol", role="auditor finance", seconds_ago=900)
    html = await shown(viewer, f"/traces/{denied}/contrast?against={other}")
    assert '"clerk" against "auditor finance"' in markup.one(html, "h1").words
    assert other in html


async def test_without_any_the_page_says_where_it_looked(watched, viewer):
    denied = await refund(watched, "d", 403)
    html = await shown(viewer, f"/traces/{denied}/contrast")
    assert markup.one(html, "h1").words == "Nothing to compare with"
    assert "no other request of this route that was answered well within 3 h before and after" in html
    assert markup.elements(html, "input", name="against")


async def test_a_request_that_was_let_through_has_nothing_to_be_compared_with(watched, viewer):
    allowed = await refund(watched, "1", 201, role="finance")
    other = await refund(watched, "2", 201, role="finance")
    html = await shown(viewer, f"/traces/{allowed}/contrast?against={other}")
    assert "Both requests were let through" in markup.one(html, "h1").words
    assert not [asked for asked in watched.asked if "/api/search" in asked]
    assert 'id="compare"' not in await shown(viewer, f"/traces/{allowed}")


async def test_the_trace_page_asks_for_it_later_and_links_to_it_without_script(watched, viewer):
    denied = await refund(watched, "d", 403)
    await refund(watched, "1", 201, who="bob", role="finance")
    html = await shown(viewer, f"/traces/{denied}")
    part = markup.one(html, "div", id="compare")
    assert part.attributes["hx-get"] == f"/traces/{denied}/contrast"
    assert markup.one(html, "a", href=f"/traces/{denied}/contrast").words == "Compare with an allowed request"
    assert not [asked for asked in watched.asked if "/api/search" in asked]
    fragment = await shown(viewer, f"/traces/{denied}/contrast", **HX)
    assert "<html" not in fragment
    assert "they part at the permission check of orders" in fragment
    assert f"/traces/{denied}/contrast?against={'1' * 32}" in fragment


async def test_a_search_that_fails_is_told_and_a_named_trace_still_compared(watched, viewer):
    denied = await refund(watched, "d", 403)
    other = await refund(watched, "1", 201, who="bob", role="finance")
    watched.fails["tempo /api/search"] = 503
    html = await shown(viewer, f"/traces/{denied}/contrast")
    assert markup.elements(html, "div", role="alert")
    html = await shown(viewer, f"/traces/{denied}/contrast?against={other}")
    assert "they part at" in markup.one(html, "h1").words
    assert markup.elements(html, "div", role="alert")


async def test_a_trace_that_is_not_there_is_not_found(watched, viewer):
    denied = await refund(watched, "d", 403)
    await shown(viewer, f"/traces/{denied}/contrast?against={'9' * 32}", 404)
    await shown(viewer, f"/traces/{denied}/contrast?against=nonsense", 422)


async def test_nobody_sees_it_without_signing_in(watched, here):
    answer = await here.anonymous.get(f"/traces/{'d' * 32}/contrast")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


async def test_the_api_gives_the_object(watched, viewer):
    denied = await refund(watched, "d", 403)
    answer = await viewer.get(f"/api/v1/traces/{denied}/contrast")
    assert answer.status_code == 422
    near = await refund(watched, "1", 201, who="bob", role="finance")
    found = (await viewer.get(f"/api/v1/traces/{denied}/contrast")).json()
    assert (found["allowed"]["trace_id"], found["parting"]["name"]) == (near, "auth.permission_check")


@pytest.mark.parametrize("payload", PAYLOADS[:12])
async def test_what_telemetry_wrote_stays_text(watched, viewer, payload):
    denied = await refund(watched, "d", 403, who=payload, role=payload, reason=payload)
    await refund(watched, "1", 201, who="bob", role=f"x {payload}")
    html = await shown(viewer, f"/traces/{denied}/contrast")
    assert markup.one(html, "table", class_="table sides")
    for tag in ("script", "img", "iframe", "svg"):
        assert not [e for e in markup.elements(html, tag) if "onerror" in e.attributes or "alert" in e.words]


async def test_without_tempo_there_is_a_sentence(tmp_path, here, viewer):
    one = Watched(tmp_path, tempo=False)
    await one.plug_into(here.app)
    assert (await viewer.get(f"/traces/{'d' * 32}/contrast")).status_code in (502, 503)
    await one.close()
