"""The frame of the overview: what time it speaks of, its controls, and the parts that are there already."""

from __future__ import annotations

from dataclasses import dataclass

from app.web.views import overview_asked as asking
from app.web.views.overview import PanelView
from app.web.views.overview_now import NowView


@dataclass(frozen=True)
class OverviewView:
    """now_href: where the line of figures is had; now: the line, where the page was asked for whole
    problem: what is wrong with the time asked for
    setup:   what has to be set up before there is anything to show
    """

    asked: asking.Asked
    window_words: str
    now_href: str
    now: NowView | None
    panels: dict[str, PanelView]
    bases: tuple[tuple[str, str, bool], ...]
    problem: str = ""
    problem_field: str = ""
    setup: bool = False

    def wrong(self, name: str) -> str:
        return self.problem if self.problem_field == name else ""

    @property
    def whole_href(self) -> str:
        """The page with everything in it, for a reader without script."""
        return self.asked.href(whole="1")
