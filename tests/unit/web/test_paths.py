import pytest

from app.web.routes.auth import local_path
from app.web.routes.front import destination

TRACE = "9088011ad4c4f4572a769dcd71ab9933"


@pytest.mark.parametrize("target", ["/", "/alerts", "/traces/abc?span=1&x=%2F", "/cases/CASE-0147"])
def test_paths_of_ours_are_followed(target):
    assert local_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "", "alerts", "https://evil.example/", "//evil.example/", "///evil.example/", "/\\evil.example", "\\\\evil.example",
        "javascript:alert(1)", "/%0d%0a", "/a\r\nSet-Cookie: x", "/\t/evil.example", "https:/evil.example", "/login",
        "/login?next=/x", "/logout", "http://[", "/a b\x00", "?next=/", "#x", ".//evil.example",
    ],
)  # fmt: skip
def test_everything_else_leads_to_the_front_page(target):
    followed = local_path(target)
    assert followed == "/" or followed == "/%0d%0a"
    assert "\n" not in followed
    assert not followed.startswith("//")


def test_an_anchor_is_dropped_and_a_query_kept():
    assert local_path("/traces/abc?span=1#row") == "/traces/abc?span=1"


@pytest.mark.parametrize(
    ("pasted", "path"),
    [
        (TRACE, f"/traces/{TRACE}"),
        (f"  {TRACE.upper()}\n", f"/traces/{TRACE}"),
        (f"0x{TRACE}", f"/traces/{TRACE}"),
        ("9088011a-d4c4-f457-2a76-9dcd71ab9933", f"/traces/{TRACE}"),
        (TRACE[:16], f"/traces/{TRACE[:16]}"),
        ("case-0147", "/cases/CASE-0147"),
        ("AuthBruteForce", "/alerts?q=AuthBruteForce"),
        ("203.0.113.50&state=x", "/alerts?q=203.0.113.50%26state%3Dx"),
        (TRACE + "0", f"/alerts?q={TRACE}0"),
        ("", "/"),
        ("x" * 999, "/alerts?q=" + "x" * 200),
    ],
)
def test_what_is_pasted_leads_to_where_it_is(pasted, path):
    assert destination(pasted) == path
