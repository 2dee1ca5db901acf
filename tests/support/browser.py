"""A real browser for tests: Debian's Chromium, driven by Playwright, and the app on a real port for it.

with browser.serving(app) as address, browser.open_page(theme="dark", width=800) as page:
    page.goto(address + "/login")
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from support import parts, site

from app.main import create_app
from app.settings import load

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextlib.contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """Run an app in a thread, on a free port of this machine unless one is told; gives its address."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
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
def serving_signed_in(folder: Path, role: str) -> Iterator[tuple[Any, tuple[str, str]]]:
    """The app on its own database, with Ines of that role: gives the app, and its address with her token."""
    tokens: list[str] = []

    async def prepare() -> None:
        async with site.open(folder) as here:
            tokens.append(await here.token_for(await here.add_user("ines", role)))

    # Playwright's own loop runs in this thread.
    preparing = threading.Thread(target=lambda: asyncio.run(prepare()))
    preparing.start()
    preparing.join()
    app = create_app(load(database={"url": f"sqlite:///{folder}/clew.db"}))
    with serving(app) as address:
        yield app, (address, tokens[0])


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


def barriers(page: Any) -> list[str]:
    """What axe-core finds on the page that keeps somebody out: violations that it calls serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


# Every element with text of its own: its colour against the nearest opaque background behind it. Gives those below 4.5 to 1.
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => [r, g, b].map((c) => linear(c / 255))
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.getClientRects().length || element.closest("svg, :disabled, .vh, .skip, noscript, script")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    const words = element.textContent.trim().slice(0, 30);
    if (ratio < 4.5) faint.push(`${element.className || element.tagName} ${words} ${ratio.toFixed(2)}`);
  }
  return faint;
}"""
