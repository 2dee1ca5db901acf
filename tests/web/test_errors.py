"""One error, three readers: a page, a fragment, the API. Never a traceback, never a blank."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from support import markup

from app import errors
from app.security.tables import AuditRow
from app.web.deps import Db

SECRET = "a secret of the house"
KINDS = [
    (errors.InvalidInput("The end lies before the start.", field="end"), 422, "invalid_input"),
    (errors.NotATrace("These bytes are not a trace."), 422, "invalid_input"),
    (errors.NotFound("There is no case CASE-0150 that you can open."), 404, "not_found"),
    (errors.Conflict("Jun changed it first."), 409, "conflict"),
    (errors.Forbidden("A viewer cannot export this case.", needs="analyst"), 403, "forbidden"),
    (errors.EvidenceChanged("E1 no longer has its hash."), 409, "evidence_changed"),
    (errors.SourceUnavailable("Tempo", "search", "Tempo did not answer within 15 s."), 502, "source_unavailable"),
    (errors.SourceRefused("Tempo", "search", "Tempo refused the query.", detail="parse error"), 502, "source_refused"),
    (errors.SourceUnreadable("Tempo", "search", "Tempo's answer is not a trace."), 502, "source_unreadable"),
]  # fmt: skip


@pytest.fixture
def raising(here):
    """Routes that fail as told."""

    def add(error: Exception, name: str = "fails") -> None:
        async def fail(db: Db) -> None:
            raise error

        for path in (f"/{name}", f"/api/v1/{name}"):
            here.app.add_api_route(path, fail, methods=["GET", "POST"])

    return add


async def test_each_error_is_a_page_with_its_sentence_and_an_answer_of_the_api_in_one_shape(here, raising):
    browser = await here.as_("viewer")
    for number, (error, status, code) in enumerate(KINDS):
        raising(error, f"fails{number}")
        page = await browser.get(f"/fails{number}")
        assert page.status_code == status, error
        assert markup.one(page.text, "h1").words == error.sentence
        assert page.headers["x-request-id"] in page.text
        assert "Signed in as Viewer" in page.text
        assert ("Try again" in page.text) == isinstance(error, errors.SourceUnavailable), error

        answer = await here.anonymous.get(f"/api/v1/fails{number}")
        assert answer.status_code == status, error
        assert answer.headers["content-type"] == "application/json"
        said = answer.json()["error"]
        assert (said["code"], said["message"]) == (code, error.sentence)
        assert said["request_id"] == answer.headers["x-request-id"]
        assert said.get("field") == getattr(error, "field", None)
        assert said.get("needs") == getattr(error, "needs", None)


async def test_a_fragment_that_could_not_be_had_says_so_in_its_place(here, raising):
    raising(errors.SourceUnavailable("Tempo", "search", "Tempo did not answer within 15 s."))
    answer = await here.anonymous.get("/fails", headers={"hx-request": "true", "hx-request-type": "partial"})
    assert answer.status_code == 502
    assert "<html" not in answer.text
    assert markup.one(answer.text, role="alert").words.startswith("Tempo did not answer within 15 s.")
    assert "hx-retarget" not in answer.headers


async def test_a_deed_that_failed_leaves_the_page_alone(here, raising):
    raising(errors.Conflict("Jun changed it first."))
    answer = await here.anonymous.post("/fails", headers={"hx-request": "true", "hx-request-type": "partial"})
    assert (answer.headers["hx-retarget"], answer.headers["hx-reswap"]) == ("#toasts", "beforeend")
    assert "Jun changed it first." in markup.one(answer.text, "p", class_="toast").words


async def test_the_back_button_gets_a_whole_page(here, raising):
    raising(errors.NotFound("Gone."))
    answer = await here.anonymous.get("/fails", headers={"hx-request": "true", "hx-request-type": "full"})
    assert "<html" in answer.text


async def test_a_session_that_ended_meanwhile_sends_the_whole_page_to_the_door(here):
    headers = {"hx-request": "true", "hx-request-type": "partial", "hx-current-url": "http://127.0.0.1:8000/traces/ab?span=1"}
    answer = await here.anonymous.get("/patterns", headers=headers)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login?next=/traces/ab%3Fspan%3D1")
    outside = await here.anonymous.get(
        "/patterns", headers={**headers, "hx-current-url": "https://evil.example//evil.example/"}
    )
    assert outside.headers["hx-redirect"].startswith("/login")


@pytest.mark.parametrize("path", ["/fails", "/api/v1/fails"])
async def test_what_nobody_foresaw_is_words_and_a_number_for_the_log(here, raising, path, capsys):
    raising(ZeroDivisionError(SECRET))
    answer = await here.anonymous.get(path)
    assert answer.status_code == 500
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


@pytest.mark.parametrize(("kind", "status"), [(OperationalError, 503), (DatabaseError, 503), (IntegrityError, 500)])
async def test_a_database_that_fails_is_said_without_its_words(here, raising, kind, status):
    raising(kind(f"SELECT {SECRET}", {}, Exception("disk I/O error")))
    for path in ("/fails", "/api/v1/fails"):
        answer = await here.anonymous.get(path)
        assert answer.status_code == status
        assert SECRET not in answer.text
        assert "disk" not in answer.text


async def test_telemetrys_own_words_in_an_error_are_text(here, raising):
    hostile = "<img src=x onerror=alert(1)>\u202e"
    raising(errors.SourceRefused("Tempo", "search", f"Tempo said {hostile}", detail=hostile))
    page = await here.anonymous.get("/fails")
    fragment = await here.anonymous.get("/fails", headers={"hx-request": "true"})
    for answer in (page, fragment):
        assert "<img" not in answer.text
        assert markup.elements(answer.text, "img") == []


async def test_an_error_undoes_what_was_written_before_it(here):
    from app import times
    from app.security import audit
    from app.security.audit import Act
    from app.security.roles import CLEW

    async def write_then_fail(db: Db) -> None:
        await audit.record(db, Act.CASE_OPENED, by=CLEW, on=("case", "1"), at=times.utc_now())
        raise errors.Conflict("Somebody was quicker.")

    here.app.add_api_route("/half", write_then_fail, methods=["POST"])
    assert (await here.anonymous.post("/half")).status_code == 409
    async with here.database.reading() as db:
        assert (await db.scalars(select(AuditRow))).all() == []


async def test_a_commit_that_fails_never_looks_like_success(here):
    """The reply leaves after the commit. A deferred constraint fails exactly there."""

    async def write(db: Db) -> dict[str, str]:
        await db.execute(text("PRAGMA defer_foreign_keys = ON"))
        await db.execute(text("INSERT INTO sessions VALUES ('x', 'nobody', '2026-01-01', '2026-01-01', '', '')"))
        return {"saved": "yes"}

    here.app.add_api_route("/saves", write, methods=["POST"])
    answer = await here.anonymous.post("/saves")
    assert answer.status_code == 500
    assert "saved" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/login", 405)])
async def test_wrong_addresses_have_words(here, method, path, status):
    answer = await here.anonymous.request(method, path)
    assert answer.status_code == status
    assert markup.one(answer.text, "h1").words
    if status == 405:
        assert "GET" in answer.headers["allow"]


async def test_a_body_that_is_too_large_is_refused_and_said(here):
    answer = await here.anonymous.post("/login", content=b"x" * (33 * 2**20))
    assert answer.status_code == 413
    assert "That is too large" in answer.text


@pytest.mark.parametrize("path", ["/csp-report", "/login"])
async def test_a_body_that_hides_its_length_is_cut_off_too(here, path):
    async def drip():
        for _ in range(33):
            yield b"x" * 2**20

    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await here.anonymous.post(path, content=drip(), headers=headers)
    # The form parser has a smaller bound of its own for one field.
    assert answer.status_code == (400 if path == "/login" else 413)
    assert answer.headers["content-security-policy"]


async def test_parameters_that_are_wrong_name_the_field(here):
    @here.app.get("/api/v1/typed")
    async def typed(limit: int) -> None: ...

    answer = await here.anonymous.get("/api/v1/typed?limit=<b>")
    said = answer.json()["error"]
    assert (answer.status_code, said["field"]) == (422, "limit")
    assert "<b>" not in said["message"]
