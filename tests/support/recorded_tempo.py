"""The recorded answers of a real Tempo 3.0.3, served again over httpx."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx2 as httpx

ANSWERS = Path(__file__).parents[1] / "data" / "tempo-answers"
START_S, END_S = 1_789_999_200, 1_790_001_000  # what the data set covers


def recorded(name: str) -> dict[str, Any]:
    """One recording: path, params, status, content_type and json, text or base64."""
    found: dict[str, Any] = json.loads((ANSWERS / f"{name}.json").read_text())
    return found


def response(recording: dict[str, Any]) -> httpx.Response:
    headers = {"Content-Type": recording["content_type"]} if recording["content_type"] else {}
    if "json" in recording:
        body = json.dumps(recording["json"]).encode()
    elif "base64" in recording:
        body = base64.b64decode(recording["base64"])
    else:
        body = recording.get("text", "").encode()
    return httpx.Response(recording["status"], content=body, headers=headers)


class RecordedTempo(httpx.AsyncBaseTransport):
    """Answers a request as the real one did: by its path, its query `q`, and the kind of answer accepted.

    Other parameters are kept in `requests` for the test to look at.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._by_key: dict[tuple[str, str, bool], dict[str, Any]] = {}
        for path in sorted(ANSWERS.rglob("*.json"), key=lambda path: (path.parent.name == "bad", path)):
            recording = json.loads(path.read_text())
            protobuf = "protobuf" in recording["headers"].get("Accept", "")
            # limit-5 and its like repeat a query: the first recording, under the query's own name, is the whole answer
            self._by_key.setdefault((recording["path"], recording["params"].get("q", ""), protobuf), recording)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        key = (request.url.path, request.url.params.get("q", ""), "protobuf" in request.headers["Accept"])
        recording = self._by_key.get(key)
        if recording is None:
            return response(recorded("unknown-path"))
        return response(recording)
