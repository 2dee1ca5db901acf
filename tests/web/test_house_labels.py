"""A house's own labels: wrong ones stop the start with their line, right ones lead to traces."""

import pytest
from support import markup, site
from support.watched import Watched, firing

from app.errors import InvalidInput
from app.main import create_app
from app.settings import load


def test_a_wrong_file_is_refused_before_anything_starts(tmp_path):
    house = tmp_path / "labels.yaml"
    house.write_text("labels:\n  a:\n    attribute: [span.x]\n")
    with pytest.raises(InvalidInput, match="line 3: 'attribute' is not known here"):
        create_app(load(database={"url": f"sqlite:///{tmp_path}/clew.db"}, analysis={"labels_file": str(house)}))


async def test_a_houses_own_label_leads_to_its_traces(tmp_path):
    house = tmp_path / "labels.yaml"
    house.write_text("labels:\n  who:\n    attributes: [span.user.name]\n    entity: user\n")
    async with site.open(tmp_path, analysis={"labels_file": str(house)}) as here:
        watched = Watched(tmp_path)
        await watched.plug_into(here.app)
        watched.alerts.append(firing(minutes_ago=3, who="eve"))
        await watched.login("203.0.113.9", "eve", "failure", seconds_ago=100)
        await watched.login("203.0.113.9", "mallory", "failure", seconds_ago=100)
        browser = await here.as_("viewer")
        html = (await browser.get("/alerts")).text
        assert "About eve" in markup.one(html, "header", class_="group__head").words
        key = markup.one(html, "a", class_="alert-row__name").attributes["href"].removeprefix("/alerts/")
        told = (await browser.get(f"/api/v1/alerts/{key}/traces")).json()
        assert [trace["principal"] for trace in told["traces"]] == ["eve"]
        await watched.close()
