"""The page of components, and the frame around it."""

import json
from itertools import pairwise

from support import markup, site

from app.analysis.verdict import Confidence, Decision, Outcome


async def page(here) -> str:
    return (await (await here.as_("viewer")).get("/patterns")).text


async def test_every_verdict_has_its_word_its_shape_and_its_own_name(here):
    html = await page(here)
    chips = markup.elements(html, "span", class_="verdict")
    for outcome in Outcome:
        said = {chip.words for chip in chips if chip.attributes["data-verdict"] == outcome.value}
        assert len(said) == 1, outcome
        assert said.pop(), outcome
    decisions = {chip.attributes["data-decision"] for chip in markup.elements(html, "span", class_="decision")}
    assert decisions == {decision.value for decision in Decision}
    confidence = [one.words for one in markup.elements(html, "span", class_="confidence")]
    assert confidence == [f"{level.value.title()} confidence" for level in Confidence]


async def test_no_verdict_is_colour_alone(here):
    html = await page(here)
    signs = {symbol.attributes["id"] for symbol in markup.elements(html, "symbol")}
    used = {use.attributes["href"].removeprefix("#") for use in markup.elements(html, "use")}
    assert used <= signs
    words = [chip.words for chip in markup.elements(html, class_="verdict")]
    assert all(words)


async def test_hostile_samples_are_shown_and_harmless(here):
    html = await page(here)
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert markup.elements(html, "img") == []
    assert "\u202e" not in html.replace('data-copy="invoice\u202efdp.exe"', "")
    assert "{{ 7 * 7 }}" in html


async def test_the_figure_travels_as_data(here):
    figure = json.loads(markup.one(await page(here), "figure", class_="plot").attributes["data-figure"])
    assert [trace["type"] for trace in figure["data"]] == ["scatter", "scatter", "scatter"]  # the line, its ground, exemplars


async def test_headings_are_in_order_and_one_is_the_first(here):
    levels = [int(one.tag[1]) for one in markup.elements(await page(here)) if one.tag in ("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


async def test_ids_are_unique_and_labels_have_their_fields(here):
    html = await page(here)
    ids = [one.attributes["id"] for one in markup.elements(html) if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for one in markup.elements(html, "label"):
        assert one.attributes.get("for", ids[0]) in ids, one
    for one in markup.elements(html):
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(one.attributes.get(name, "").split()) <= set(ids), one


async def test_every_control_has_a_name(here):
    html = await page(here)
    for one in [*markup.elements(html, "button"), *markup.elements(html, "a")]:
        assert one.words or one.attributes.get("aria-label") or "clew" in str(one.attributes.get("class")), one


async def test_the_frame_knows_its_reader_and_the_places_that_exist(here):
    html = await page(here)
    nav = markup.one(html, "nav", aria_label="Main")
    assert nav.words == " ".join(label for label, _ in here.app.state.places)
    assert "Signed in as Viewer, viewer" in html


async def test_a_demonstration_says_so_on_every_page(tmp_path):
    async with site.open(tmp_path, web={"demo": True}) as here:
        assert "Demonstration: everything here was made up" in await page(here)


async def test_the_order_of_the_styles_is_the_order_of_their_layers(here):
    sheets = [link.attributes["href"] for link in markup.elements(await page(here), "link", rel="stylesheet")]
    kinds = [href.split("/css/")[1].split("/")[0] for href in sheets if "/css/" in href]
    order = ["tokens.css", "base.css", "layout.css", "components", "pages", "print.css"]
    assert [order.index(kind) for kind in kinds] == sorted(order.index(kind) for kind in kinds)
