"""Uploaded traces live in memory, for a while, each for the one who sent it."""

import asyncio

import pytest
from support.stories import allowed

from app.errors import NotFound
from app.investigation.opened import Opened
from app.sources.values import TraceBytes
from app.times import UnixNanos
from app.web.uploads import Uploads


async def test_an_upload_is_for_the_one_who_sent_it_and_for_a_while():
    trace, judged = allowed()
    opened = Opened(trace, TraceBytes(trace.trace_id, b"{}", "application/json", "", "", UnixNanos(1)), judged)
    uploads = Uploads(keep_s=0.02, most=2)
    key = uploads.put(opened, "ann")
    assert uploads.get(key, "ann") is opened
    with pytest.raises(NotFound):
        uploads.get(key, "bob")
    await asyncio.sleep(0.06)
    with pytest.raises(NotFound):
        uploads.get(key, "ann")
    oldest = uploads.put(opened, "ann")
    for _ in range(2):
        uploads.put(opened, "ann")
    with pytest.raises(NotFound):
        uploads.get(oldest, "ann")
