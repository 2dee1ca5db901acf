"""The overview in a real browser: panels come, refresh without a jump, keep what is open; ranges, theme and access."""

import asyncio
import threading
import urllib.request

import pytest
from support import browser, site
from support.watched import SUBNET, Watched, firing

from app.investigation.overview import metrics, service
from app.main import create_app
from app.settings import load

FAILED = {"now": 30.0}
PICTURES = ("success", "sources", "names", "refusals", "layers", "latency")


def told(query):
    step = {"span_name": "auth.login"}
    if query == metrics.PRESENT:
        return [({}, 4.0)]
    if "auth_user_bucket" in query:
        return [({"auth_client_subnet": SUBNET}, 12.0)]
    if "_bucket{" in query:
        return [({**step, "le": bound}, 100 * part) for bound, part in (("0.1", 0.5), ("0.4", 1.0), ("+Inf", 1.0))]
    if query.startswith("sum by (auth_client_subnet, auth_result)"):
        rows = [({"auth_client_subnet": SUBNET, "auth_result": "failure"}, FAILED["now"])]
        return [*rows, ({"auth_client_subnet": "<b>other</b>", "auth_result": "failure"}, 3.0)]
    if query.startswith("sum by (span_name, auth_result)"):
        return [({**step, "auth_result": "success"}, 3.0), ({**step, "auth_result": "failure"}, 1.0)]
    return [({"service_name": "identity", "span_name": "auth.login"}, 32.0)] if "service_name, span_name" in query else None


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The app on a port, with a watched system behind it: gives address and token."""
    folder = tmp_path_factory.mktemp("overview")
    tokens = []

    async def prepare():
        async with site.open(folder) as opened:
            tokens.append(await opened.token_for(await opened.add_user("ines", "analyst")))

    preparing = threading.Thread(target=lambda: asyncio.run(prepare()))
    preparing.start()
    preparing.join()
    app = create_app(load(database={"url": f"sqlite:///{folder}/clew.db"}))
    watched = Watched(folder)
    watched.series = told
    watched.alerts.append(firing("BruteForce", auth_client_subnet=SUBNET))
    plugged = threading.Event()

    @app.middleware("http")
    async def plug(request, call_next):
        # The clients belong to the server's own event loop.
        if not plugged.is_set():
            plugged.set()
            await watched.plug_into(app)
            await watched.login("203.0.113.9", "mallory", "failure", seconds_ago=200)
        return await call_next(request)

    with pytest.MonkeyPatch.context() as patch, browser.serving(app) as address:
        patch.setattr(service, "_SAME_S", 0.2)  # else all who ask within some seconds get the same answer
        urllib.request.urlopen(f"{address}/healthz", timeout=20).close()
        yield address, tokens[0]


@pytest.fixture
def page(chromium, here):
    with browser.page(chromium, session=here) as one:
        yield one
    assert one.trouble == []


def loaded(page, address, query=""):
    page.goto(f"{address}/overview{query}")
    page.locator("#overview").wait_for()
    page.wait_for_selector(".skeleton", state="detached")
    # No polling by text: the content policy forbids eval, to tests as well.
    for key in PICTURES:
        page.wait_for_selector(f"#panel-{key} .plot .main-svg", state="attached")
    page.wait_for_load_state("networkidle")


def test_every_panel_comes_with_its_picture_its_table_and_its_query(page, here):
    loaded(page, here[0])
    for key in PICTURES:
        assert page.locator(f"#panel-{key} .plot .main-svg").first.is_visible(), key
        assert page.locator(f"#panel-{key} [data-keep='{key}-query']").count() == 1
    assert page.locator("#panel-alerts a", has_text="BruteForce").is_visible()
    page.locator("#panel-sources summary", has_text="As a table").click()
    page.locator("#panel-sources td a").first.click()
    page.wait_for_url("**/search?address=*")


def test_a_bar_leads_to_the_requests_it_counts(page, here):
    loaded(page, here[0])
    page.locator("#panel-sources .bars .point path").first.scroll_into_view_if_needed()
    box = page.locator("#panel-sources .bars .point path").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#panel-sources .plot[data-leads]")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/search?address=198.51.100.0*")


def test_a_refresh_moves_nothing_and_closes_nothing(page, here):
    loaded(page, here[0], "?refresh=30s&last=15m")
    page.locator("#panel-sources summary", has_text="Query").click()
    page.locator("#panel-refusals").scroll_into_view_if_needed()
    # Every frame from here on: is the picture there, is the query open, where is the page?
    page.evaluate("""() => {
      window.frames_seen = [];
      const look = () => {
        const panel = document.querySelector("#panel-sources");
        frames_seen.push([panel.offsetHeight, Boolean(panel.querySelector(".main-svg")), scrollY,
          panel.querySelector("[data-keep='sources-query']").open].join());
        requestAnimationFrame(look);
      };
      look();
    }""")
    FAILED["now"] = 77.0
    try:
        page.wait_for_timeout(400)
        page.evaluate(
            "document.querySelectorAll('[data-live]').forEach((part) => part.dispatchEvent(new CustomEvent('refresh')))"
        )
        page.wait_for_selector("#panel-sources .plot[aria-label*=', 77,']")
    finally:
        FAILED["now"] = 30.0
    page.wait_for_load_state("networkidle")
    assert len(set(page.evaluate("frames_seen"))) == 1
    assert page.locator("#panel-sources .bars .point").count() == 2


@pytest.mark.slow
def test_a_page_refreshes_itself_when_due_and_not_while_hidden(page, here):
    page.clock.install()
    page.add_init_script("Object.defineProperty(document, 'visibilityState', {get: () => window.shown ?? 'hidden'})")
    loaded(page, here[0], "?refresh=30s")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/overview/" in request.url else None)
    page.clock.run_for(65_000)
    assert asked == [], "nobody looks"
    with page.expect_request("**/overview/sources*"):
        page.evaluate("window.shown = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_load_state("networkidle")
    asked.clear()
    with page.expect_request("**/overview/sources*"):
        page.clock.run_for(31_000)


def test_the_address_holds_range_and_refresh(page, here):
    loaded(page, here[0])
    page.get_by_role("link", name="6 h", exact=True).click()
    page.get_by_role("link", name="5 min", exact=True).click()
    page.wait_for_url("**/overview?last=6h&refresh=5m")
    page.fill("#f-start", "2026-11-21 02:50")
    page.fill("#f-end", "2026-11-21 03:12")
    page.locator(".overview__custom button").click()
    page.wait_for_url("**start=2026-11-21+02%3A50&end=2026-11-21+03%3A12*")
    assert page.input_value("#f-start") == "2026-11-21 02:50"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 800])
def test_nobody_is_kept_out(chromium, here, theme, width):
    with browser.page(chromium, theme=theme, width=width, session=here) as page:
        loaded(page, here[0])
        for summary in page.locator(".more > summary").all():
            summary.click()
        assert browser.barriers(page) == []
        assert page.evaluate(browser.CONTRAST) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.trouble == []
