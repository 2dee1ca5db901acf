"""The frame in a real browser: nothing is blocked by our own policy, nothing from telemetry runs, every switch switches."""

import contextlib
import re

import pytest
from support import browser, site

from app.web import charts

THEMES = ["light", "dark"]
WIDTHS = [1440, 800]


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Address and token: the app on a port, and Ines signed in."""
    with browser.serving_signed_in(tmp_path_factory.mktemp("site"), "analyst") as (_, session):
        yield session


@pytest.fixture
def address(session):
    return session[0]


@contextlib.contextmanager
def patterns(chromium, session, **options):
    """The patterns as Ines sees them, with the chart drawn."""
    with browser.page(chromium, session=session, **options) as page:
        page.goto(f"{session[0]}/patterns")
        page.wait_for_selector(".plot .main-svg .xtick")
        yield page


@pytest.fixture
def ines(chromium, session):
    with patterns(chromium, session) as page:
        yield page


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_its_window_and_is_legible_and_nothing_is_blocked(chromium, session, theme, width):
    with patterns(chromium, session, theme=theme, width=width) as page:
        assert page.trouble == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # AA: 4.5 to 1, on the colours as the browser computes them.
        assert page.evaluate(browser.CONTRAST) == []
        assert browser.barriers(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_nobody_is_kept_out_of_the_small_pages(chromium, session, theme):
    with browser.page(chromium, theme=theme) as page:
        page.goto(f"{session[0]}/login")
        assert browser.barriers(page) == []
    with browser.page(chromium, session=session, theme=theme) as page:
        for path in (
            "/alerts",
            "/search",
            "/search?q=%7B%20%7D",
            "/traces/upload",
            "/runbooks",
            f"/traces/{'f' * 32}",
            "/nowhere",
        ):
            page.goto(f"{session[0]}{path}")
            assert browser.barriers(page) == [], path


def test_the_log_in_page_without_script(chromium, address):
    with browser.page(chromium, script=False) as page:
        browser.sign_in(page, address, "ines", site.PASSWORD)
        assert page.locator("h1").inner_text() == "Patterns"
        # What only a script can do is not offered.
        assert page.locator("[data-theme-switch], [data-copy], [data-clock]").locator("visible=true").count() == 0
        page.locator("summary.person").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")


def test_the_theme_switch_turns_to_the_other_theme_and_back_to_the_systems(ines):
    def background():
        return ines.evaluate("getComputedStyle(document.body).backgroundColor")

    light = background()
    ines.keyboard.press("t")
    assert ines.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = background()
    assert dark != light
    ines.reload()
    assert background() == dark
    ines.keyboard.press("t")
    assert ines.evaluate("document.documentElement.dataset.theme") is None
    assert background() == light


def test_a_chart_takes_the_colours_of_the_theme(ines):
    def line():
        return ines.evaluate("getComputedStyle(document.querySelector('.plot .scatterlayer path.js-line')).stroke")

    assert line() == "rgb(28, 29, 27)"
    ines.keyboard.press("t")
    # Not by wait_for_function: that evaluates text, which the page's policy forbids.
    ines.locator(".plot .scatterlayer path.js-line[style*='rgb(237, 236, 232)']").first.wait_for(state="attached")
    assert line() == "rgb(237, 236, 232)"


def test_labels_in_a_chart_are_text(ines):
    hostile = '<a href="https://evil.example/">mallory</a><img src=x onerror="window.pwned=1">'
    ines.evaluate(
        """([raw, safe]) => {
            const element = document.querySelector("[data-figure]");
            const figure = JSON.parse(element.dataset.figure);
            figure.layout.annotations = [{text: safe, x: 0.5, y: 0.5, xref: "paper", yref: "paper", showarrow: false}];
            figure.layout.title = {text: safe};
            figure.data[0].name = safe;
            figure.data[0].text = figure.data[0].x.map(() => safe);
            element.dataset.figure = JSON.stringify(figure);
            document.dispatchEvent(new CustomEvent("clew:theme"));
        }""",
        [hostile, charts.label(hostile, 500)],
    )
    ines.wait_for_selector(".plot .annotation-text")
    assert "<a href" in ines.locator(".plot .annotation-text").text_content()
    assert ines.locator(".plot a, .plot img").count() == 0
    assert ines.evaluate("window.pwned") is None


def test_an_exemplar_opens_its_trace(ines, address):
    ring = ines.locator(".plot .scatterlayer .points path").first
    ring.scroll_into_view_if_needed()
    box = ring.bounding_box()
    ines.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    ines.wait_for_selector(".plot .hoverlayer .hovertext")
    assert "trace 00000000" in ines.locator(".plot .hoverlayer").text_content()
    ines.mouse.down()
    ines.mouse.up()
    ines.wait_for_url(re.compile(r"/traces/[0-9a-f]{32}$"))


def test_plotlys_stylesheet_is_the_one_it_would_have_written(chromium):
    """Taken again from the library on a page without a policy, and compared with the vendored copy."""
    from app import paths

    vendor = paths.folder("static") / "vendor"
    with browser.page(chromium) as page:
        page.set_content("<div id=graph></div>")
        page.add_script_tag(content=(vendor / "plotly-basic-4.1.1.min.js").read_text())
        page.evaluate("Plotly.newPlot('graph', [{y: [1, 2]}])")
        written = page.evaluate("[...document.getElementById('plotly.js-style-global').sheet.cssRules].map(r => r.cssText)")
        page.set_content("<style id=copy></style>")
        page.evaluate(
            "css => { document.getElementById('copy').textContent = css }", (vendor / "plotly-basic-4.1.1.css").read_text()
        )
        copied = page.evaluate("[...document.getElementById('copy').sheet.cssRules].map(r => r.cssText)")
    assert len(written) > 50
    assert copied == written


def test_the_clock_switch_shows_local_time_and_keeps_the_moment(chromium, session):
    with patterns(chromium, session, timezone_id="Asia/Kolkata") as page:
        shown = page.locator("time[data-style]").all_inner_texts()
        assert shown == ["02:58:41.208", "21 Nov, 02:58:41", "2026-11-21 02:58:41.208375 UTC", "03:08:20"]
        page.get_by_role("button", name="UTC").click()
        shown = page.locator("time[data-style]").all_inner_texts()
        assert shown == ["08:28:41.208", "21 Nov, 08:28:41", "2026-11-21 08:28:41.208375 UTC+05:30", "08:38:20"]
        assert "local" in page.locator("[data-clock-words]").inner_text()
        page.get_by_role("button", name="Local").click()
        assert page.locator("time[data-style]").first.inner_text() == "02:58:41.208"


def test_keys_are_never_taken_while_somebody_types(ines):
    ines.locator("#jump").focus()
    ines.keyboard.type("t?j/")
    assert ines.locator("#jump").input_value() == "t?j/"
    assert ines.evaluate("document.documentElement.dataset.theme") is None
    ines.keyboard.press("Escape")
    ines.keyboard.press("?")
    assert ines.locator("#keys-dialog").evaluate("dialog => dialog.open")
    ines.keyboard.press("t")
    assert ines.evaluate("document.documentElement.dataset.theme") is None
    ines.keyboard.press("Escape")
    ines.keyboard.press("Control+k")
    assert ines.evaluate("document.activeElement.id") == "jump"


def test_keys_walk_along_the_rows_and_open_them(ines):
    def at() -> str | None:
        return ines.evaluate("document.querySelector('[data-row][data-at] a')?.textContent")

    def press(*keys: str) -> str | None:
        for key in keys:
            ines.keyboard.press(key)
        return at()

    assert at() is None
    assert press("j") == "02:58:44.016"
    assert press("j", "j") == "02:26:31.077"
    assert press("j") == "02:26:31.077"
    assert press("p") == "02:58:41.208"
    assert press("p", "p") == "02:58:44.016"
    assert press("n") == "02:58:41.208"
    assert press("n") == "02:58:41.208"
    assert ines.evaluate("document.activeElement.matches('[data-at]')")
    press("o")
    assert ines.url.endswith("/patterns#2")


def test_the_copy_button_gives_the_raw_text(chromium, session):
    with patterns(chromium, session, permissions=["clipboard-read", "clipboard-write"]) as page:
        row = page.locator("tr", has_text="right-to-left override")
        assert "U+202E" in row.inner_text()
        row.get_by_role("button").click()
        page.get_by_text("Copied").first.wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == "invoice\u202efdp.exe"


def test_htmx_evaluates_nothing(ines):
    ines.evaluate(
        """() => {
            const box = document.createElement("div");
            box.innerHTML = `<button id="x" hx-on:click="window.pwned = 1" hx-get="/patterns" hx-vals="js:{a: window.pwned = 2}"
                             hx-trigger="click[window.pwned = 3]">x</button>`;
            document.querySelector("main").append(box);
            htmx.process(box);
        }"""
    )
    ines.locator("#x").click()
    ines.wait_for_timeout(200)
    assert ines.evaluate("window.pwned") is None


def test_a_script_in_a_swapped_fragment_does_not_run(ines):
    ines.evaluate(
        """() => htmx.swap({target: document.querySelector("#toasts"), swap: "innerHTML",
              text: "<p>ok</p><script>window.pwned = 1<" + "/script><img src=x onerror='window.pwned = 2'>"})"""
    )
    ines.wait_for_selector("#toasts p")
    ines.wait_for_timeout(200)
    assert ines.evaluate("window.pwned") is None


def test_a_done_toast_leaves_and_an_error_stays(ines):
    ines.clock.install()
    ines.evaluate(
        """() => document.getElementById("toasts").innerHTML =
            '<p class="toast" data-toast>done<button data-dismiss hidden>Close</button></p>' +
            '<p class="toast" data-toast data-tone="error">failed<button data-dismiss hidden>Close</button></p>'"""
    )
    ines.clock.run_for(8500)
    assert ines.locator("#toasts .toast").all_inner_texts() == ["failed\nClose"]
    ines.locator("#toasts [data-dismiss]").click()
    assert ines.locator("#toasts .toast").count() == 0


def test_paper_is_light_and_has_no_controls(ines):
    ines.keyboard.press("t")
    ines.emulate_media(media="print")
    assert ines.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for control in (".topbar", ".foot", ".button"):
        assert ines.locator(control).locator("visible=true").count() == 0, control
