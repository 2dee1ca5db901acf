"""What the JSON API says about itself."""

import pytest

from app.security.roles import GRANTS, Role


@pytest.mark.parametrize("role", list(Role))
async def test_who_am_i(here, role):
    answer = await (await here.as_(role.value)).get("/api/v1/me")
    assert answer.json() == {
        "name": role.value,
        "display_name": role.value.title(),
        "role": role.value,
        "permissions": sorted(GRANTS[role]),
    }


async def test_the_description_is_for_people_who_are_signed_in(here):
    assert (await here.anonymous.get("/api/v1/openapi.json")).status_code == 401
    description = (await (await here.as_("viewer")).get("/api/v1/openapi.json")).json()
    assert description["openapi"].startswith("3.")
    assert description["info"]["title"] == "Clew"


async def test_it_describes_the_api_and_not_the_pages(here):
    description = (await (await here.as_("viewer")).get("/api/v1/openapi.json")).json()
    assert "/api/v1/me" in description["paths"]
    assert all(path.startswith(("/api/v1/", "/hooks/")) for path in description["paths"])
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation["tags"], (method, path)
            assert operation.get("description") or operation.get("summary"), (method, path)
    names = [operation["operationId"] for operations in description["paths"].values() for operation in operations.values()]
    assert len(set(names)) == len(names)


async def test_errors_are_described_in_their_one_shape(here):
    description = (await (await here.as_("viewer")).get("/api/v1/openapi.json")).json()
    answer = description["paths"]["/api/v1/me"]["get"]["responses"]["401"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Failed"}


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_the_frameworks_own_pages_are_off(here, path):
    assert (await (await here.as_("admin")).get(path)).status_code == 404
