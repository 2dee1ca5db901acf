"""The comparison in a real browser: it fits its window, is legible in both themes, and leads to both spans."""

import msgspec
import pytest
from support import browser
from support.draw import spans_of, tagged
from support.shelf import Shelf

from app.traces.build import build
from app.traces.otlp import Decoded

REFUND = """
    gateway: POST /refunds/{order}  {status} http.route=/refunds/{{id}} client.address={address} user_agent.original={agent}
      gateway: auth.token_validate  auth=passed auth.subject={who}
      gateway: > POST http://orders:8080/refunds/{order}  {status}
        orders: POST /refunds/{order}  {status} resource.service.version={version}
          orders: auth.permission_check  {said} user.roles={roles} auth.policy=refunds-v3 tenant=north  @check
"""
DENIED = REFUND.format(order=4711, status=403, who="anna", roles="[clerk]", address="203.0.113.7", agent="curl/8",
                       version="2.4.1", said='auth=refused because="missing role finance_admin"')  # fmt: skip
ALLOWED = (
    REFUND.format(order=4712, status=201, who="bob", roles="[clerk,finance_admin]", address="192.0.2.10", agent="app/3",
                  version="2.4.0", said="auth=passed")
    + "          orders: INSERT refunds\n          orders: send refunds.created\n"
)  # fmt: skip
IDS = "d" * 32, "a" * 32


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address and token of a viewer; both traces are on the shelf."""
    with browser.serving_signed_in(tmp_path_factory.mktemp("site"), "viewer") as (app, session):
        shelf = Shelf(app)
        for trace_id, drawing in zip(IDS, (DENIED, ALLOWED), strict=True):
            spans = [msgspec.structs.replace(span, trace_id=trace_id) for span in spans_of(drawing)]
            shelf.put(build(Decoded(spans)))
        yield session


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 1440), ("light", 800), ("dark", 800)])
def test_the_page_fits_its_window_and_is_legible(chromium, served, theme, width):
    with browser.page(chromium, session=served, theme=theme, width=width) as page:
        page.goto(f"{served[0]}/traces/{IDS[0]}/contrast?against={IDS[1]}")
        assert "denied lacks role finance_admin" in page.locator("h1").inner_text()
        assert page.trouble == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(browser.CONTRAST) == []


def test_the_trace_page_leads_there_and_from_there_to_the_span_of_the_other_trace(chromium, served):
    with browser.page(chromium, session=served, script=False) as page:
        page.goto(f"{served[0]}/traces/{IDS[0]}")
        page.get_by_role("link", name="Compare with an allowed request").click()
        page.get_by_label("Another trace of this route").fill(IDS[1])
        page.get_by_role("button", name="Compare").click()
        page.locator(".sides__parting td").nth(1).get_by_role("link").click()
        assert page.url.endswith(f"/traces/{IDS[1]}?span={tagged(DENIED)['check']}")


def test_the_trace_page_asks_for_the_answer_when_it_is_looked_at(chromium, served):
    with browser.page(chromium, session=served) as page:
        page.goto(f"{served[0]}/traces/{IDS[0]}")
        page.locator("#compare").scroll_into_view_if_needed()
        page.locator("#compare", has_text="Without Tempo there is nothing to search in.").wait_for()
        assert page.trouble == []
