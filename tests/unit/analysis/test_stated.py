"""Every check of a trace with its own word, also the second of a kind that a verdict does not name."""

from support import stories
from support.stories import INNER, SERVER, Teller, http, span_id

from app.analysis.stated import stated
from app.analysis.verdict import Decision


def test_each_check_says_how_it_decided():
    trace, _ = stories.failed_open()
    found = stated(trace)
    assert found[span_id("token")] is Decision.ALLOW
    assert found[span_id("route")] is Decision.ALLOW
    assert found[span_id("check")] is Decision.ERROR


def test_a_check_without_an_answer_and_an_ordinary_span_are_left_out():
    teller = Teller()
    teller.span("gw", "", "edge", "GET /", 0, 5, SERVER, http(200, "GET", "/"))
    teller.span("silent", "gw", "edge", "auth.permission_check", 1, 2, INNER)
    teller.span("refused", "gw", "edge", "auth.permission_check", 2, 3, INNER, {"auth.result": "failure"})
    assert stated(teller.trace()) == {span_id("refused"): Decision.DENY}
