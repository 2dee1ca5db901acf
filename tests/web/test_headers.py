"""What every answer forbids the browser: pages, fragments, errors, files, redirects."""

import pytest
from support import site

PLAIN = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'; style-src-elem 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; report-uri /csp-report"
)

ANSWERS = [
    ("GET", "/login"), ("GET", "/"), ("GET", "/patterns"), ("GET", "/nothing/here"), ("POST", "/patterns"), ("GET", "/healthz"),
    ("GET", "/api/v1/me"), ("GET", "/api/v1/nothing"), ("GET", "/static/x/css/tokens.css"), ("GET", "/static/x/nothing"),
    ("OPTIONS", "/login"), ("POST", "/csp-report"), ("BREW", "/coffee"),
]  # fmt: skip


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "viewer"])
async def test_every_answer_is_secured(here, signed_in):
    browser = await here.as_("viewer") if signed_in else here.anonymous
    for method, path in ANSWERS:
        check(await browser.request(method, path), method, path, signed_in)


def check(answer, method: str, path: str, signed_in: bool) -> None:
    policy = answer.headers["content-security-policy"]
    charts = signed_in and (method, path) == ("GET", "/patterns")
    assert policy.replace("; style-src-attr 'unsafe-inline'", "") == PLAIN
    assert ("style-src-attr 'unsafe-inline'" in policy) == charts
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-request-id"]
    assert "server" not in answer.headers
    if "/static/" not in path:
        assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers


async def test_no_policy_allows_inline_script_or_eval(here):
    answer = await (await here.as_("viewer")).get("/patterns")
    script = [part for part in answer.headers["content-security-policy"].split("; ") if part.startswith("script-src")]
    assert script == ["script-src 'self'"]


async def test_behind_tls_the_browser_is_told_to_stay_there(tmp_path):
    async with site.open(tmp_path, security={"trusted_proxies": ["127.0.0.1"]}) as here:
        answer = await here.anonymous.get("/login", headers={"x-forwarded-proto": "https"})
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_a_stranger_cannot_claim_tls(here):
    answer = await here.anonymous.get("/login", headers={"x-forwarded-proto": "https"})
    assert "strict-transport-security" not in answer.headers


async def test_an_unforeseen_error_is_secured_too(here):
    @here.app.get("/breaks")
    async def breaks() -> None:
        raise ZeroDivisionError("a secret of the house")

    answer = await here.anonymous.get("/breaks")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == PLAIN
    assert answer.headers["cache-control"] == "no-store"


async def test_static_files_are_kept_for_ever_under_their_version_only(here):
    version = here.app.state.assets.version
    now = await here.anonymous.get(f"/static/{version}/css/tokens.css")
    old = await here.anonymous.get("/static/000000000000/css/tokens.css")
    assert now.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert now.headers["content-type"].startswith("text/css")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")


async def test_nothing_outside_the_folder_is_served(here):
    beyond = ["../app/main.py", "..%2fapp%2fmain.py", "css/../../pyproject.toml", "/etc/passwd", "css", "", "css/tokens.css%00"]
    for name in beyond:
        answer = await here.anonymous.get(f"/static/x/{name}")
        assert answer.status_code == 404, name
