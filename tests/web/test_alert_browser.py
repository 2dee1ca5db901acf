"""Alerts in a real browser: the refresh and its pause, traces that come afterwards, and nothing that breaks our own policy."""

import asyncio
import threading
import urllib.request

import pytest
from support import browser, site
from support.watched import SUBNET, Watched, firing

from app.main import create_app
from app.settings import load

WHO = {"auth_client_subnet": SUBNET, "service_name": "identity"}


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as opened:
        yield opened


class Lively:
    """The app on a port with a watched system behind it; `told` may be changed while pages are open."""

    def __init__(self, address, token, told, loop):
        self.session, self.told, self._loop = (address, token), told, loop
        self.address = address

    def login(self, *given, **more):
        return asyncio.run_coroutine_threadsafe(self.told.login(*given, **more), self._loop).result(20)


@pytest.fixture
def lively(tmp_path):
    tokens = []

    async def prepare():
        async with site.open(tmp_path) as here:
            tokens.append(await here.token_for(await here.add_user("ines", "analyst")))

    preparing = threading.Thread(target=lambda: asyncio.run(prepare()))
    preparing.start()
    preparing.join()
    app = create_app(load(database={"url": f"sqlite:///{tmp_path}/clew.db"}, web={"refresh_s": 2}))
    told = Watched(tmp_path)
    plugged = threading.Event()
    loops = []

    @app.middleware("http")
    async def plug(request, call_next):
        # The clients belong to the server's own event loop.
        if not plugged.is_set():
            plugged.set()
            loops.append(asyncio.get_running_loop())
            await told.plug_into(app)
        return await call_next(request)

    with browser.serving(app) as address:
        urllib.request.urlopen(f"{address}/healthz", timeout=20).close()
        yield Lively(address, tokens[0], told, loops[0])


@pytest.fixture
def page(chromium, lively):
    with browser.page(chromium, session=lively.session) as one:
        yield one
    assert one.trouble == []


def names(page):
    return [name.inner_text() for name in page.query_selector_all(".alert-row__name")]


def test_new_alerts_come_by_themselves_until_the_key_pauses_them(page, lively):
    lively.told.alerts.append(firing("First", **WHO))
    page.goto(f"{lively.address}/alerts")
    assert names(page) == ["First"]
    assert page.is_visible("[data-refresh-live]")
    lively.told.alerts.append(firing("Second", team="x"))
    page.wait_for_selector("text=Second", timeout=15_000)
    page.keyboard.press("r")
    page.wait_for_selector("text=Refresh paused", timeout=5_000)
    lively.told.alerts.append(firing("Third", team="y"))
    page.wait_for_selector("text=1 change waiting", timeout=15_000)
    assert "Third" not in names(page)
    page.keyboard.press("r")
    page.wait_for_selector("text=Third", timeout=15_000)
    assert not page.is_visible("text=Refresh paused")
    assert page.inner_text("#alerts-lede").startswith("3 in the last 24 hours")


def test_no_key_is_taken_while_somebody_types(page, lively):
    lively.told.alerts.append(firing("First", **WHO))
    page.goto(f"{lively.address}/alerts")
    page.keyboard.press("/")
    page.keyboard.type("rrr")
    assert page.input_value("[name=q].input, main [name=q]") == "rrr"
    assert not page.is_visible("text=Refresh paused")


def test_the_row_stood_on_stays_through_a_refresh(page, lively):
    lively.told.alerts += [firing("First", minutes_ago=5, **WHO), firing("Second", minutes_ago=6, team="x")]
    page.goto(f"{lively.address}/alerts")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert "Second" in page.inner_text("[data-at]")
    lively.told.alerts.append(firing("Third", minutes_ago=1, team="y"))
    page.wait_for_selector("text=Third", timeout=15_000)
    assert "Second" in page.inner_text("[data-at]")
    page.keyboard.press("o")
    page.wait_for_url("**/alerts/*-*")
    assert page.inner_text("h1") == "x failed 31 log-ins"


def test_the_alert_is_drawn_and_its_traces_follow_with_their_verdicts(page, lively):
    lively.told.alerts.append(firing(minutes_ago=3, **WHO))
    for number in range(6):
        lively.login("198.51.100.7", "j.meyer", "failure", seconds_ago=150 - number)
    success = lively.login("198.51.100.8", "j.meyer", "success", seconds_ago=90)
    page.goto(f"{lively.address}/alerts")
    page.click(".alert-row__name")
    page.wait_for_selector(".plot .main-svg .xtick")
    page.wait_for_selector("#traces-part tbody tr:nth-child(7)", timeout=20_000)
    page.wait_for_selector("text=The only success for a name that failed 6 times before", timeout=20_000)
    assert browser.barriers(page) == []
    page.click("#traces-part tbody tr:first-child a")
    page.wait_for_url(f"**/traces/{success}?alert=*")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 800])
def test_neither_page_scrolls_sideways(chromium, lively, theme, width):
    lively.told.alerts.append(firing("A" * 90, annotations={"summary": "w" * 300}, auth_username="u" * 200, **WHO))
    lively.login("198.51.100.7", "n" * 90, "failure", seconds_ago=500)
    with browser.page(chromium, session=lively.session, theme=theme, width=width) as page:
        page.goto(f"{lively.address}/alerts")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert browser.barriers(page) == []
        page.click(".alert-row__name")
        page.wait_for_selector("#traces-part table, #traces-part .empty", timeout=20_000)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert browser.barriers(page) == []
        assert page.trouble == []
