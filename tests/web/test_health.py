"""What supervisors ask, and what browsers report."""

import json

import structlog


async def test_alive_and_ready(here):
    assert (await here.anonymous.get("/healthz")).text == "ok\n"
    assert (await here.anonymous.get("/readyz")).text == "ok\n"
    assert (await here.anonymous.head("/healthz")).status_code == 200


async def test_not_ready_without_a_database_but_alive(here, monkeypatch, tmp_path):
    await here.database.close()
    (tmp_path / "clew.db").write_bytes(b"not a database any more" * 1000)
    for other in ("clew.db-wal", "clew.db-shm"):
        (tmp_path / other).unlink(missing_ok=True)
    answer = await here.anonymous.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "database does not answer\n")
    assert (await here.anonymous.get("/healthz")).status_code == 200
    page = await here.client("x" * 43).get("/patterns")
    assert page.status_code == 503
    assert "The database did not do what Clew asked" in page.text


async def test_a_policy_violation_is_one_line_of_the_log(here):
    report = {
        "csp-report": {"document-uri": "http://127.0.0.1/\nforged: line", "violated-directive": "script-src", "secret": "x"}
    }
    with structlog.testing.capture_logs() as lines:
        answer = await here.anonymous.post("/csp-report", content=json.dumps(report))
    assert answer.status_code == 204
    (line,) = [line for line in lines if line["event"] == "csp_violation"]
    assert line["violated_directive"] == "script-src"
    assert "secret" not in line


async def test_nonsense_is_refused_and_not_logged(here):
    with structlog.testing.capture_logs() as lines:
        for body in (b"", b"{}", b"[]", b'"csp-report"', b'{"csp-report": 1}', b"\xff", b"[" * 10_000, b"x" * 20_000):
            answer = await here.anonymous.post("/csp-report", content=body)
            assert answer.status_code == 400, body[:20]
    assert not [line for line in lines if line["event"] == "csp_violation"]


async def test_the_log_is_json_whatever_is_in_it(capsys, here):
    from app.web import logs

    old = structlog.get_config()
    try:
        logs.configure()
        for path in ("/a%0d%0a%7b%22event%22:%22forged%22%7d", "/%1b[2J", "/%e2%80%ae", "/" + "x" * 5000):
            await here.anonymous.get(path)
    finally:
        structlog.configure(**old)
    lines = capsys.readouterr().err.splitlines()
    events = [json.loads(line) for line in lines]
    assert [one["event"] for one in events] == ["request"] * 4
    assert all(len(one["path"]) <= 200 for one in events)
