"""The coverage page in a real browser: its part loads by itself, it fits, it is legible, and nobody is kept out."""

import pytest
from support import browser, reports

from app.doctor.finding import Severity
from app.doctor.report import Connection
from app.web.checkups import Checkups


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address and token of a viewer; each check finds one thing more than the last."""
    with browser.serving_signed_in(tmp_path_factory.mktemp("site"), "viewer") as (app, session):
        made = []

        async def examine(length):
            made.append(length)
            more = [reports.finding(Severity.HARMFUL, title=f"found by look {number}") for number in range(1, len(made))]
            failing = Connection("Prometheus", True, "http://prometheus:9090", reachable=False,
                                 problem="Prometheus refuses connections.", remedy="Start it.")  # fmt: skip
            return reports.report(
                reports.finding(Severity.BROKEN, title="Tempo keeps no refusal"), *more, reports.finding(Severity.WEAK),
                checked_ago_s=30, checks=(reports.unchecked(),), connections=(reports.tempo(), failing),
            )  # fmt: skip

        app.state.checkups = Checkups(examine)
        yield session


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 1440), ("light", 800), ("dark", 800)])
def test_the_report_comes_by_itself_fits_and_is_legible(chromium, served, theme, width):
    with browser.page(chromium, session=served, theme=theme, width=width) as page:
        page.goto(f"{served[0]}/coverage")
        page.get_by_text("Do not rely on what Clew shows now").wait_for()
        page.locator("details.checks, .doctor").first.wait_for()
        assert page.trouble == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(browser.CONTRAST) == []
        assert browser.barriers(page) == []


def test_checking_again_replaces_the_report_where_it_stands(chromium, served):
    with browser.page(chromium, session=served) as page:
        page.goto(f"{served[0]}/coverage?last=24h")
        page.get_by_role("button", name="Check again").click()
        page.get_by_text("found by look 1").wait_for()
        page.locator("#coverage:not([hx-get])").wait_for()
        assert page.url.endswith("/coverage?last=24h")
        assert page.trouble == []


def test_a_finding_leads_to_what_its_check_means(chromium, served):
    with browser.page(chromium, session=served, theme="dark", width=800) as page:
        page.goto(f"{served[0]}/coverage")
        page.get_by_role("link", name="coverage.propagation_in").first.click()
        page.wait_for_url("**/coverage/checks#coverage-propagation_in")
        assert page.locator("tr:has(:target)").inner_text().startswith("coverage.propagation_in")
        assert page.evaluate("document.documentElement.scrollWidth") == 800
        assert page.evaluate(browser.CONTRAST) == []
        assert browser.barriers(page) == []


def test_without_script_one_button_makes_the_report(chromium, served):
    with browser.page(chromium, session=served, script=False) as page:
        page.goto(f"{served[0]}/coverage?last=6h")
        page.get_by_role("button", name="Check now").click()
        page.get_by_text("Do not rely on what Clew shows now").wait_for()
