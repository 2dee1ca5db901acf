import pytest

from app.security.origin import refusal

HOST = "clew.example.net"


def decide(method="POST", *, fetch_site=None, origin=None, host=HOST, trusted=()):
    return refusal(method, fetch_site=fetch_site, origin=origin, host=host, trusted_hosts=trusted)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_allowed_from_everywhere(method):
    assert decide(method, fetch_site="cross-site", origin="https://evil.example") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY", "post"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "nonsense"])
def test_the_browsers_word_that_it_came_from_elsewhere_is_enough(method, site):
    # Even with an Origin of our own: the two cannot differ in an honest browser.
    assert decide(method, fetch_site=site, origin=f"https://{HOST}")


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_pages_and_the_persons_own_act_pass(site):
    assert decide(fetch_site=site, origin="null") is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "", f"https://{HOST}.evil.example", f"https://evil.example/{HOST}", f"https://{HOST}:8443",
        f"ftp://{HOST}", f"https://user@{HOST}", f"//{HOST}", HOST, "https://[::1", f"https://{HOST}@evil.example",
    ],
)  # fmt: skip
def test_an_older_browsers_origin_must_be_ours(origin):
    assert decide(origin=origin)


@pytest.mark.parametrize("origin", [f"https://{HOST}", f"http://{HOST}"])
def test_our_own_origin_passes_whatever_the_scheme_behind_a_proxy(origin):
    assert decide(origin=origin) is None


def test_a_public_host_passes_beside_the_one_the_proxy_names():
    assert decide(origin="https://soc.example.net", host="10.0.0.5:8000")
    assert decide(origin="https://soc.example.net", host="10.0.0.5:8000", trusted={"soc.example.net"}) is None


def test_a_client_without_these_headers_is_no_browser():
    assert decide() is None


def test_an_origin_is_not_trusted_because_the_host_header_is_missing():
    assert decide(origin="https://evil.example", host=None)


def test_the_reason_is_short_and_names_the_origin():
    reason = decide(origin="https://evil.example" + "x" * 500)
    assert reason.startswith("it came from https://evil.example")
    assert len(reason) < 140
