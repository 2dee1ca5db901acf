"""Every recorded trace has a page: what the engine concludes is what stands on it, whatever the system that wrote the spans."""

from pathlib import Path

import pytest
import pytest_asyncio
from support import markup, site
from support.shelf import Shelf

from app.analysis.examine import examine
from app.traces import build, otlp
from app.web.formats import visible

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOLDEN = sorted((Path(__file__).resolve().parents[1] / "golden").rglob("traces/*.json"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with site.open(tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def viewer(here):
    return await here.as_("viewer")


async def test_there_are_recorded_traces():
    assert len(GOLDEN) >= 60


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
async def test_the_page_says_what_the_engine_concludes(here, viewer, file):
    trace = build.build(otlp.decode(file.read_bytes()))
    judged = examine(trace)
    answer = await viewer.get(Shelf(here.app).put(trace))
    assert answer.status_code == 200
    found = markup.elements(answer.text)
    outcome = [e for e in found if e.tag == "section" and "judgement" in e.attributes.get("class", "")]
    assert [e.attributes["data-verdict"] for e in outcome] == [judged.outcome.value]
    heading = next(e.words for e in found if e.tag == "h1")
    assert heading[:60] == markup.one(f"<p>{visible(judged.sentence)}</p>", "p").words[:60]
    if judged.span_id is not None:
        rows = [e for e in found if e.attributes.get("id") == f"s-{judged.span_id}"]
        assert [row.attributes.get("aria-current") for row in rows] == ["true"]
    ids = {e.attributes["id"] for e in found if "id" in e.attributes}
    jump = next(e for e in found if "data-jump" in e.attributes)
    assert jump.attributes["href"].partition("#")[2] in ids
    assert len(answer.content) <= 150_000
    assert len(found) <= 3_000
