"""Who may call what, and from where: generated from the route table, so that a new route is covered by being there."""

import re

import pytest
from fastapi import APIRouter
from support import site

from app import main
from app.main import create_app, endpoints
from app.security.roles import Permission, Role, allows
from app.settings import load

SAFE = {"GET", "HEAD"}
# Opening a route to everybody is a decision: it is made here as well as on the route.
OPEN = {
    ("GET", "/login"), ("POST", "/login"), ("POST", "/csp-report"),
    ("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/readyz"), ("HEAD", "/readyz"),
    ("GET", "/static/{version}/{name:path}"),
    ("POST", "/hooks/alertmanager"),  # checks its own bearer token
}  # fmt: skip
EXAMPLES = {
    "version": "v",
    "name": "css/tokens.css",
    "trace_id": "9088011ad4c4f4572a769dcd71ab9933",
    "span_id": "c4a69243b15ad3da",
}


def table() -> list[tuple[str, str, Permission | None]]:
    return [(method, one.path, one.access.permission) for one in endpoints(create_app(load())) for method in one.methods]


TABLE = table()
GUARDED = [(method, path, permission) for method, path, permission in TABLE if permission]


def address(path: str) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: EXAMPLES.get(part[1], "1"), path)


def names(rows) -> list[str]:
    return [f"{row[0]} {row[1]}" for row in rows]


def test_the_table_has_the_routes_of_the_app():
    assert ("GET", "/patterns", Permission.READ) in TABLE
    assert len(TABLE) >= 10


def test_only_the_routes_listed_here_are_open_to_everybody():
    assert {(method, path) for method, path, permission in TABLE if permission is None} <= OPEN


def test_every_open_route_says_why():
    for one in endpoints(create_app(load())):
        assert one.access.permission or len(one.access.reason) > 10, one.path


def test_an_app_with_an_undeclared_route_does_not_start(monkeypatch):
    forgetful = APIRouter()

    @forgetful.post("/forgotten")
    async def forgotten() -> None: ...

    monkeypatch.setattr(main, "ROUTERS", (*main.ROUTERS, forgetful))
    with pytest.raises(RuntimeError, match=r"do not say who may call them: POST /forgotten$"):
        create_app(load())


def test_a_mounted_app_counts_as_undeclared():
    app = create_app(load())
    app.mount("/elsewhere", lambda scope, receive, send: None)
    assert [one.path for one in endpoints(app) if one.access is None] == ["/elsewhere"]


async def test_anonymous_people_are_sent_to_the_door_and_machines_told(tmp_path):
    async with site.open(tmp_path) as here:
        browser = here.anonymous
        for method, path, _ in GUARDED:
            answer = await browser.request(method, address(path))
            if path.startswith("/api/"):
                assert answer.status_code == 401, (method, path)
                assert answer.json()["error"]["code"] == "sign_in_needed"
            else:
                assert answer.status_code == 303, (method, path)
                assert answer.headers["location"].startswith("/login"), (method, path)


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_reaches_what_it_is_granted_and_nothing_else(tmp_path, role):
    async with site.open(tmp_path) as here:
        for method, path, permission in GUARDED:
            if path == "/logout":
                continue
            browser = await here.as_(role.value)
            answer = await browser.request(method, address(path))
            if allows(role, permission):
                assert answer.status_code not in (401, 403), (method, path, answer.text[:200])
                assert not answer.headers.get("location", "").startswith("/login"), (method, path)
                assert answer.status_code != 500, (method, path, answer.text[:400])
            else:
                assert answer.status_code == 403, (method, path, answer.status_code)


UNSAFE = [row for row in TABLE if row[0] not in SAFE]


def test_there_are_unsafe_routes_to_test():
    assert {"/login", "/logout"} <= {path for _, path, _ in UNSAFE}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "", "origin": site.ORIGIN},
        {"sec-fetch-site": "cross-site", "origin": site.ORIGIN, "hx-request": "true"},
    ],
    ids=["cross-site", "same-site", "empty", "with our origin"],
)
async def test_every_unsafe_route_refuses_other_sites_even_for_an_admin(tmp_path, headers):
    async with site.open(tmp_path) as here:
        browser = await here.as_("admin")
        for method, path, _ in UNSAFE:
            answer = await browser.request(method, address(path), headers=headers)
            assert answer.status_code == 403, (method, path)
            assert "Nothing was changed" in answer.text, (method, path)


async def test_every_unsafe_route_refuses_a_foreign_origin_of_an_older_browser(tmp_path):
    async with site.open(tmp_path) as here:
        browser = await here.as_("admin")
        del browser.headers["sec-fetch-site"]
        for method, path, _ in UNSAFE:
            for origin in ("https://evil.example", "null"):
                answer = await browser.request(method, address(path), headers={"origin": origin})
                assert answer.status_code == 403, (method, path, origin)


async def test_the_refusal_changed_nothing(tmp_path):
    async with site.open(tmp_path) as here:
        browser = await here.as_("viewer")
        assert (await browser.post("/logout", headers={"sec-fetch-site": "cross-site"})).status_code == 403
        assert (await browser.get("/patterns")).status_code == 200


async def test_the_public_address_is_ours_too_whatever_the_proxy_calls_us(tmp_path):
    async with site.open(tmp_path, web={"public_url": "https://soc.example.net/clew"}) as here:
        for origin, status in (("https://soc.example.net", 401), ("https://soc.example.net.evil.example", 403)):
            browser = here.client()
            del browser.headers["sec-fetch-site"]
            answer = await browser.post("/login", data={"name": "x", "password": "y"}, headers={"origin": origin})
            assert answer.status_code == status, origin


async def test_reading_from_another_site_is_allowed(tmp_path):
    async with site.open(tmp_path) as here:
        browser = await here.as_("viewer")
        assert (await browser.get("/patterns", headers={"sec-fetch-site": "cross-site"})).status_code == 200
