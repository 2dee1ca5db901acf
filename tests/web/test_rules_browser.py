"""A house rule written in a real browser: numbered lines, a marked mistake, a trial, a draft that survives."""

from __future__ import annotations

import pytest
from support import browser
from support.draw import spans_of

from app.traces.otlp import encode_json

GATE = """rules:
  - id: house.gate
    match: {span_name: '^gate\\.ask$'}
    layer: application
    phase: dawn
    decision:
      deny: [{attr: {gate.answer: shut}}]
"""
TRACE = encode_json(spans_of("orders: GET /x  403\n  orders: gate.ask  gate.answer=shut")).decode()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with (
        browser.serving_signed_in(tmp_path_factory.mktemp("rules"), "admin") as (_, session),
        browser.launched() as chromium,
    ):
        yield chromium, session


def test_a_rule_is_written_mended_tried_and_saved(served):
    chromium, session = served
    with browser.page(chromium, session=session) as page:
        page.goto(f"{session[0]}/rules")
        page.click("text=Add a house rule")
        page.fill("[name=name]", "Gate")
        page.fill("[name=text]", GATE)
        assert page.locator(".editor__numbers").inner_text().split() == [str(number) for number in range(1, 9)]
        page.get_by_text("Draft kept").wait_for()
        assert "YAML" in page.locator("[data-draft-state]").inner_text()

        page.reload()
        assert page.input_value("[name=text]") == GATE, "what was typed and not sent is still there"
        page.fill("[name=name]", "Gate")
        page.get_by_role("button", name="Save", exact=True).click()
        page.locator(".mistake").wait_for()
        assert page.locator(".editor__numbers b").inner_text().strip() == "5"
        assert page.evaluate("document.activeElement.value.slice(document.activeElement.selectionStart).trim()").startswith(
            "phase: dawn"
        ), "the cursor stands on the line that is wrong"
        # The browser says that the form was refused; nothing else is amiss.
        assert all("422" in words for words in page.trouble)
        page.trouble.clear()

        page.fill("[name=text]", GATE.replace("dawn", "authz"))
        assert page.locator(".editor__numbers b").count() == 0
        page.fill("[name=trace]", TRACE)
        page.click("button[formaction]")
        page.locator("#tried").wait_for()
        assert "The verdict changes" in page.locator("#tried").inner_text()
        assert "house.gate" in page.locator(".trial__side").nth(1).inner_text()

        page.get_by_role("button", name="Save", exact=True).click()
        page.wait_for_url("**/rules/*")
        assert page.locator("h1").inner_text() == "Gate"
        page.goto(f"{session[0]}/rules/new")
        assert "dawn" not in page.input_value("[name=text]"), "a draft goes when it is saved"
        assert page.trouble == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/rules", "/rules/new", "/rules/rule?id=envoy.ext-authz.http"])
def test_nobody_is_kept_out(served, path, theme):
    chromium, session = served
    with browser.page(chromium, session=session, theme=theme, width=800) as page:
        page.goto(session[0] + path)
        assert browser.barriers(page) == []
        assert page.evaluate(browser.CONTRAST) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.trouble == []
