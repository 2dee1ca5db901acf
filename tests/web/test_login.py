"""The door, as a browser without script meets it."""

import pytest
from sqlalchemy import select
from support import markup, site

from app.security.tables import AuditRow, SessionRow


def form(**given: str) -> dict[str, str]:
    return {"name": "ines", "password": site.PASSWORD, **given}


@pytest.fixture
async def ines(here):
    return await here.add_user("ines", "analyst")


async def test_nobody_can_sign_in_yet_and_the_page_says_how(here):
    page = (await here.anonymous.get("/login")).text
    assert "Nobody can sign in yet." in page
    assert "clew user add NAME --role admin" in page


@pytest.mark.usefixtures("ines")
async def test_the_form_works_without_script(here):
    page = (await here.anonymous.get("/login?next=/patterns")).text
    assert markup.one(page, "form").attributes | {"class": ""} == {"class": "", "method": "post", "action": "/login"}
    fields = {field.attributes["name"]: field.attributes for field in markup.elements(page, "input")}
    assert fields["next"]["value"] == "/patterns"
    assert fields["name"]["autocomplete"] == "username"
    assert fields["password"]["type"] == "password"
    assert fields["password"]["autocomplete"] == "current-password"
    labels = {label.attributes["for"] for label in markup.elements(page, "label")}
    assert {fields["name"]["id"], fields["password"]["id"]} == labels
    assert "Nobody can sign in yet" not in page


@pytest.mark.usefixtures("ines")
async def test_through_the_door_and_to_where_one_wanted_to_go(here):
    browser = here.anonymous
    sent = await browser.get("/patterns?view=all&x=1")
    assert sent.headers["location"] == "/login?next=/patterns%3Fview%3Dall%26x%3D1"
    answer = await browser.post("/login", data=form(next="/patterns?view=all&x=1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/patterns?view=all&x=1")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("clew=")
    assert "; HttpOnly; SameSite=Lax" in cookie
    page = await browser.get("/patterns")
    assert "Signed in as Ines, analyst" in page.text


@pytest.mark.usefixtures("ines")
async def test_a_wrong_password_keeps_the_name_and_never_the_password(here):
    answer = await here.anonymous.post("/login", data=form(password="wrong <b>", next="/patterns"))
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert markup.one(answer.text, role="alert").words.startswith("Name or password is not right.")
    fields = {field.attributes["name"]: field.attributes["value"] for field in markup.elements(answer.text, "input")}
    assert fields == {"next": "/patterns", "name": "ines", "password": ""}


@pytest.mark.usefixtures("ines")
async def test_the_answer_is_the_same_for_a_name_that_does_not_exist(here):
    known = await here.anonymous.post("/login", data=form(password="wrong"))
    unknown = await here.anonymous.post("/login", data=form(name="nobody", password="wrong"))
    assert known.status_code == unknown.status_code
    assert known.text.replace('value="ines"', "") == unknown.text.replace('value="nobody"', "")


@pytest.mark.usefixtures("ines")
async def test_five_failures_and_the_door_stays_shut_for_a_while(here):
    for _ in range(5):
        assert (await here.anonymous.post("/login", data=form(password="wrong"))).status_code == 401
    answer = await here.anonymous.post("/login", data=form())
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300
    assert "Too many wrong tries. Wait 5 minutes." in answer.text


@pytest.mark.usefixtures("ines")
async def test_a_forged_address_neither_escapes_nor_spreads_the_lock(tmp_path):
    async with site.open(tmp_path, security={"lockout_address_failures": 3}) as here:
        for n in range(3):
            forged = {"x-forwarded-for": f"198.51.100.{n}"}
            await here.anonymous.post("/login", data={"name": f"name{n}", "password": "x"}, headers=forged)
        locked = await here.anonymous.post("/login", data=form(), headers={"x-forwarded-for": "198.51.100.77"})
        assert locked.status_code == 429


@pytest.mark.usefixtures("ines")
async def test_a_session_planted_before_login_is_not_the_one_after_it(here):
    """Fixation: the attacker knows the reference the victim's browser had; after the log-in it must be worth nothing."""
    victim = await here.as_("ines")
    planted = victim.cookies["clew"]
    answer = await victim.post("/login", data=form())
    assert answer.status_code == 303
    assert f"clew={planted}" not in answer.headers["set-cookie"]
    attacker = here.client(planted)
    assert (await attacker.get("/patterns")).headers["location"].startswith("/login")


@pytest.mark.usefixtures("ines")
async def test_a_reference_of_the_attackers_own_making_is_not_taken_over(here):
    invented = "a" * 43
    answer = await here.client(invented).post("/login", data=form())
    assert f"clew={invented}" not in answer.headers["set-cookie"]
    assert (await here.client(invented).get("/patterns")).status_code == 303


async def test_signing_out_ends_the_session_on_the_server(here, ines):
    browser = await here.as_("ines")
    token = browser.cookies["clew"]
    answer = await browser.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert answer.headers["set-cookie"].startswith("clew=; Max-Age=0")
    assert (await here.client(token).get("/patterns")).status_code == 303
    async with here.database.reading() as db:
        assert (await db.scalars(select(SessionRow))).all() == []
        assert list(await db.scalars(select(AuditRow.act))) == ["signed_out"]


async def test_signing_out_is_not_a_link(here):
    browser = await here.as_("viewer")
    assert (await browser.get("/logout")).status_code == 405
    assert (await browser.get("/patterns")).status_code == 200


@pytest.mark.usefixtures("ines")
async def test_the_door_leads_nowhere_else(here):
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "/login", "javascript:x"):
        answer = await here.anonymous.post("/login", data=form(next=target))
        assert answer.headers["location"] == "/", target
        page = await here.anonymous.get("/login", params={"next": target})
        assert "evil" not in page.text, target


async def test_who_is_signed_in_does_not_see_the_door(here):
    browser = await here.as_("viewer")
    answer = await browser.get("/login?next=/patterns")
    assert (answer.status_code, answer.headers["location"]) == (303, "/patterns")


@pytest.mark.usefixtures("ines")
async def test_over_tls_the_cookie_is_bound_to_the_host(tmp_path):
    async with site.open(tmp_path, security={"trusted_proxies": ["127.0.0.1"]}) as here:
        answer = await here.anonymous.post("/login", data=form(), headers={"x-forwarded-proto": "https"})
        assert answer.headers["set-cookie"].startswith("__Host-clew=")
        assert answer.headers["set-cookie"].endswith("; Secure")


@pytest.mark.usefixtures("ines")
async def test_a_server_for_others_asks_for_https_and_says_so(tmp_path):
    async with site.open(tmp_path, web={"host": "0.0.0.0"}) as here:
        browser = here.anonymous
        assert "Signing in needs HTTPS." not in (await browser.get("/login")).text
        page = await browser.get("http://clew.example.net/login")
        assert "Signing in needs HTTPS." in page.text
        # Over plain HTTP a browser sends no Sec-Fetch-Site, and with no-referrer no Origin either.
        assert '<meta name="referrer" content="same-origin">' in page.text
        answer = await browser.post("/login", data=form())
        assert answer.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize("length", [300, 100_000])
@pytest.mark.usefixtures("ines")
async def test_monstrous_input_is_refused_quietly(here, length):
    answer = await here.anonymous.post("/login", data=form(name="x" * length, password="y" * length))
    assert answer.status_code in (401, 422)
    assert "y" * 300 not in answer.text


async def test_a_disabled_person_is_out_at_once(here):
    from app import times
    from app.security import accounts
    from app.security.roles import COMMAND_LINE

    await here.add_user("root", "admin")
    browser = await here.as_("analyst")
    assert (await browser.get("/patterns")).status_code == 200
    async with here.database.writing() as db:
        await accounts.disable(db, "analyst", by=COMMAND_LINE, at=times.utc_now())
    assert (await browser.get("/patterns")).status_code == 303
