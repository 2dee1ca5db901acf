"""Notes in a real browser: what is typed is not lost, and nothing on a case's pages breaks the content policy."""

from __future__ import annotations

import asyncio

import pytest
from support import browser, casework, site
from support import case_samples as sample
from support.casework import Source

from app import times
from app.main import create_app
from app.security import sessions


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The app on a port, with a filled case: its address and a session of an analyst."""
    folder = tmp_path_factory.mktemp("cases")

    async def prepare():
        async with site.open(folder) as here:
            casework.plug(here, Source([]))
            person = await here.add_user("ines", "analyst")
            await casework.fill(here, person, sample.incident()[-3:])
            async with here.database.writing() as db:
                token = await sessions.issue(db, person.id, at=times.utc_now(), address="127.0.0.1", user_agent="test")
            return here.settings, token

    settings, token = asyncio.run(prepare())
    with browser.launched() as chromium, browser.serving(create_app(settings)) as address:
        yield chromium, address, token


@pytest.fixture
def open_page(served):
    chromium, address, token = served
    opened = []

    def opener(**given):
        context = browser.page(chromium, **given)
        page = context.__enter__()
        opened.append(context)
        page.context.add_cookies([{"name": "clew", "value": token, "url": address}])
        return page, address

    yield opener
    for context in opened:
        context.__exit__(None, None, None)


CASE = "/cases/CASE-0001"


def test_a_draft_survives_leaving_the_page_and_goes_when_it_is_saved(open_page):
    page, address = open_page()
    page.goto(f"{address}{CASE}/notes")
    page.fill("textarea[name=text]", "half a thought")
    page.get_by_text("Draft kept").wait_for()
    page.goto(f"{address}{CASE}/timeline")
    page.goto(f"{address}{CASE}")
    assert page.input_value("textarea[name=text]") == "half a thought"
    assert "not saved yet" in page.inner_text("[data-draft-state]")
    page.fill("textarea[name=text]", "a whole thought")
    page.click("text=Save note")
    page.wait_for_url("**/notes#N3")  # the mark of what was saved has left the address
    assert "a whole thought" in page.inner_text("#N3")
    assert page.input_value("textarea[name=text]") == ""
    page.reload()
    assert page.input_value("textarea[name=text]") == ""
    assert page.trouble == []


def test_a_note_that_was_not_taken_is_still_there(open_page):
    page, address = open_page()
    page.goto(f"{address}{CASE}/notes")
    page.fill("textarea[name=text]", "word " * 20_001)
    page.click("text=Save note")
    page.get_by_text("at most 100,000 are kept").wait_for()
    assert len(page.input_value("textarea[name=text]")) > 100_000
    page.goto(f"{address}{CASE}")
    assert len(page.input_value("textarea[name=text]")) > 100_000
    page.fill("textarea[name=text]", "")
    page.locator("[data-draft-state]").get_by_text("Draft kept").wait_for()


def test_writing_marking_and_exporting_work_without_script(open_page):
    page, address = open_page(script=False)
    page.goto(f"{address}{CASE}/notes")
    page.fill("textarea[name=text]", "without script")
    page.click("text=Save note")
    assert "without script" in page.inner_text("main")
    page.goto(f"{address}{CASE}/timeline?kind=effect")
    starred = page.get_attribute("button[name=starred]", "aria-pressed")
    page.click("button[name=starred]")
    assert page.get_attribute("button[name=starred]", "aria-pressed") != starred
    page.click("summary:has-text('Export')")
    with page.expect_download() as waiting:
        page.click("button[value=jsonl]")
    assert waiting.value.suggested_filename == "CASE-0001-timeline.jsonl"


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_and_break_no_rule(open_page, width, theme):
    page, address = open_page(width=width, theme=theme)
    for path in ("/cases", CASE, *(f"{CASE}/{part}" for part in (
        "timeline", "evidence", "evidence/1", "notes", "entities", "custody", "activity", "edit", "events/new")), "/cases/new",
        f"/cases/add?trace={sample.TRACE_ID}"):  # fmt: skip
        answer = page.goto(f"{address}{path}")
        assert answer.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.trouble == [], path
        if width == 1440:
            assert browser.barriers(page) == [], path
