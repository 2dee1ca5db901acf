"""The trace page in a real browser: it fits, it is legible, keys and clicks show the span, and nothing hostile runs."""

import contextlib
import re

import pytest
from support import browser, stories
from support.poison import PAYLOADS, poisoned
from support.shelf import Shelf
from support.stories import span_id

STORIES = {
    "denied": stories.refused_by_policy,
    "inconclusive": stories.refused_out_of_sight,
    "error": stories.broken_policy,
    "bypassed": stories.let_through,
    "allowed": stories.allowed,
    "long": stories.long_export,
}
# Those that a browser could run, were they markup.
RUNNABLE = [payload for payload in PAYLOADS if "<" in payload or "javascript:" in payload][:8]
LOOKS = [(name, "light", 1440) for name in STORIES] + [(name, "dark", 800) for name in ("denied", "inconclusive", "error")]


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address and token of an analyst, and the path of each trace by name."""
    with browser.serving_signed_in(tmp_path_factory.mktemp("site"), "analyst") as (app, session):
        shelf = Shelf(app)
        paths = {}
        for number, (name, story) in enumerate(STORIES.items(), start=1):
            paths[name] = shelf.put(*story(), at=f"{number:032x}")
        for number, payload in enumerate(RUNNABLE, start=100):
            paths[f"hostile-{number}"] = shelf.put(*poisoned(payload), at=f"{number:032x}")
        yield session, paths


@contextlib.contextmanager
def looking(chromium, served, name, query="", **options):
    session, paths = served
    with browser.page(chromium, session=session, **options) as page:
        page.goto(session[0] + paths[name] + query)
        yield page


def shown_span(page) -> str:
    return page.locator("#h-span").inner_text()


def shows_span(page, name: str) -> None:
    """Wait until the panel shows it. Not by wait_for_function: that evaluates text, which the page's policy forbids."""
    page.locator("#h-span", has_text=re.compile(f"^{re.escape(name)}$")).wait_for()


@pytest.mark.parametrize(("name", "theme", "width"), LOOKS)
def test_the_page_fits_its_window_and_is_legible_and_nothing_is_blocked(chromium, served, name, theme, width):
    with looking(chromium, served, name, theme=theme, width=width) as page:
        assert page.trouble == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(browser.CONTRAST) == []
        assert browser.barriers(page) == []


def test_the_key_d_goes_to_the_deciding_span(chromium, served):
    with looking(chromium, served, "long", f"?span={span_id('gw')}") as page:
        assert shown_span(page) == "POST /api/exports"
        page.keyboard.press("d")
        shows_span(page, "auth.permission_check")
        row = page.locator(f"#s-{span_id('chk598')}")
        assert row.get_attribute("aria-current") == "true"
        assert row.evaluate("r => { const b = r.getBoundingClientRect(); return b.top > 0 && b.bottom < innerHeight }")


def test_the_deciding_span_is_reached_without_script(chromium, served):
    with looking(chromium, served, "denied", f"?span={span_id('gw')}", script=False) as page:
        page.get_by_role("link", name="Jump to the deciding span").click()
        assert shown_span(page) == "POST /v1/decide"
        row = page.locator(f"#s-{span_id('decide')}")
        assert row.evaluate("r => { const b = r.getBoundingClientRect(); return b.top > 0 && b.bottom < innerHeight }")


def test_a_click_on_a_row_shows_its_span_marks_it_and_changes_the_address(chromium, served):
    with looking(chromium, served, "denied") as page:
        page.locator(f"#s-{span_id('publish')} .wf__op").click()
        shows_span(page, "publish orders.events")
        assert page.locator(".wf__row[data-selected]").count() == 1
        assert page.locator(f"#s-{span_id('publish')}").get_attribute("data-selected") is not None
        assert page.url.endswith(f"?span={span_id('publish')}")
        page.reload()
        assert shown_span(page) == "publish orders.events"
        assert page.trouble == []


def test_keys_walk_along_rows_and_denials_and_open_them(chromium, served):
    with looking(chromium, served, "denied") as page:
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("o")
        shows_span(page, "auth.token_validate")
        page.keyboard.press("n")
        assert page.locator(".wf__row[data-at]").get_attribute("id") == f"s-{span_id('decide')}"
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.name") == "find"
        page.keyboard.press("Escape")
        page.keyboard.press("e")
        page.wait_for_url("**/cases/add?trace=*")


def test_a_fold_opens_in_place(chromium, served):
    with looking(chromium, served, "long") as page:
        before = page.locator(".wf__row").count()
        page.locator(".wf__row[data-fold] .wf__op").first.click()
        page.locator(".wf__row").nth(before + 100).wait_for()
        page.locator(f"#s-{span_id('chk10')} .wf__op").click()
        shows_span(page, "auth.permission_check")
        assert page.trouble == []


def test_choosing_a_service_filters_at_once(chromium, served):
    with looking(chromium, served, "denied") as page:
        page.locator("#wf-service").select_option("identity")
        page.wait_for_url("**service=identity**")
        assert "2 of 18 spans are of identity." in page.locator(".wf__note").inner_text()


def test_no_payload_runs_whatever_is_clicked(chromium, served):
    session, paths = served
    asked = []
    with browser.page(chromium, session=session) as page:
        page.on("dialog", lambda dialog: (asked.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url) if not request.url.startswith(session[0]) else None)
        for name in (name for name in paths if name.startswith("hostile")):
            page.goto(session[0] + paths[name])
            page.keyboard.press("d")
            page.locator(".wf__row .wf__op").nth(1).click()
            page.locator(".wf__row[data-selected]").wait_for()
            assert page.evaluate("document.querySelectorAll('iframe, img, base, object, embed, main script').length") == 0
            assert (
                page.evaluate("[...document.querySelectorAll('*')].filter(e => e.hasAttribute('hx-on') || e.onclick).length")
                == 0
            )
        assert asked == []
        assert page.trouble == []
