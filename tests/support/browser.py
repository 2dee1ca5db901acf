"""A real browser for tests: Debian's Chromium, driven by Playwright, and the app on a real port for it.

with browser.serving(app) as address, browser.open_page(theme="dark", width=800) as page:
    page.goto(address + "/login")
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from support import parts

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Run an app on a free port of this machine, in a thread; gives its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server stopped while starting"
            assert time.monotonic() < deadline, "the server did not start within 30 s"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listening.close()


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """Chromium, as a Playwright browser; skips the test where it is missing."""
    path = parts.require("chromium", "chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page(
    browser: Any,
    *,
    theme: str = "light",
    width: int = 1440,
    height: int = 900,
    script: bool = True,
    session: tuple[str, str] | None = None,
    **options: Any,
) -> Iterator[Any]:
    """A page of its own in a launched browser. What went wrong in it is in `page.trouble`: errors and policy violations.

    session: address and token of somebody who is signed in already (site.token_for), where the door is not what is tested.
    options: of Playwright's new_context.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, java_script_enabled=script, **options
    )
    if session:
        address, token = session
        context.add_cookies([{"name": "clew", "value": token, "url": address}])
    one = context.new_page()
    one.trouble = []
    one.on("console", lambda message: one.trouble.append(message.text) if message.type == "error" else None)
    one.on("pageerror", lambda error: one.trouble.append(str(error)))
    try:
        yield one
    finally:
        context.close()


def sign_in(page: Any, address: str, name: str, password: str, next: str = "/patterns") -> None:
    """Go through the door as a person would."""
    page.goto(f"{address}/login?next={next}")
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(f"**{next}")
