"""Makes the pictures of the documentation from a running demo: overview, alerts, alert, trace, case and
coverage, in both themes.

    clew demo --fresh                                    prints its address, and the name and password to log in with
    clew lab fault edge-gateway careless                 and billing strip_context: so that coverage has something to tell
    python docs/img/shoot.py --password WORDS            from a checkout with the development requirements, once an alert fires

A case is opened for the picture where there is none. Each picture is 1440 wide and as high as its page, at most 1400.
"""

from __future__ import annotations

import argparse
import re
import struct
import zlib
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1440, 1400
NOTE = """Two of the stolen passwords fitted. The thief read both profiles and their orders, placed one order, then tried
the back office and was refused by the gateway.

Next: end the sessions of both accounts; ask the owners about the orders of 10:31."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    parser.add_argument("--name", default="demo")
    parser.add_argument("--password", required=True)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, base_url=given.address)
        page.goto("/login?next=/alerts")
        page.fill("[name=name]", given.name)
        page.fill("[name=password]", given.password)
        page.click("button[type=submit]")
        page.wait_for_url("**/alerts")
        shots = pages(page)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for name, path in shots.items():
                shoot(page, path, HERE / f"{name}-{theme}.png")
        browser.close()


def pages(page: Any) -> dict[str, str]:
    """The address of each page worth a picture."""
    stuffing = alerts(page, "AuthCredentialStuffing")[0]
    probing = alerts(page, "AuthorizationProbing")
    trace, opened = refused_by_policy(page, probing), case(page, stuffing)
    return {
        "overview": "/overview?last=6h", "alerts": "/alerts", "alert": stuffing, "trace": trace, "case": opened,
        "coverage": "/coverage",
    }  # fmt: skip


def alerts(page: Any, name: str) -> list[str]:
    """The alerts of that name; the list is grouped by nothing, so that the newest of those that fire stands first."""
    page.goto(f"/alerts?group=none&q={name}")
    page.locator(".alert-row__name").first.wait_for()
    return [str(link.get_attribute("href")) for link in page.locator(".alert-row__name").all()]


def refused_by_policy(page: Any, behind: list[str]) -> str:
    """A trace of one of the alerts that the policy engine refused, reached as a reader would reach it."""
    for address in behind:
        page.goto(address)
        page.locator("table.behind .verdict").first.wait_for()
        page.wait_for_load_state("networkidle")
        row = page.locator("table.behind tr", has_text="Policy engine").first
        if row.count():
            return str(row.locator("a").first.get_attribute("href"))
    raise SystemExit("The policy engine refused nothing on the first page of these alerts: start a fresh demo.")


def case(page: Any, stuffing: str) -> str:
    """The first case, or one for the alert, its two log-ins that succeeded and what the thief tried next."""
    page.goto("/cases")
    there = page.locator("main a[href*='/cases/CASE-']")
    if there.count():
        return str(there.first.get_attribute("href"))
    page.goto(stuffing)
    page.locator("table.behind tr[data-row]").first.wait_for()
    traces = [str(link.get_attribute("href")) for link in page.locator("table.behind tr[data-row] td:first-child a").all()[:3]]
    page.goto(f"/cases/add?alert={stuffing.rpartition('/')[2]}")
    page.click("button:has-text('Add to case')")
    page.wait_for_url(re.compile(r"/cases/CASE-\d+"))
    opened = re.findall(r"/cases/CASE-\d+", page.url)[0]
    for trace in traces:
        page.goto(f"/cases/add?trace={re.findall(r'[0-9a-f]{32}', trace)[0]}")
        page.click("button:has-text('Add to case')")
        page.wait_for_url(re.compile(opened))
    page.goto(opened)
    page.fill("textarea[name=text]", NOTE)
    page.click("button:has-text('Save note')")
    page.wait_for_load_state("networkidle")
    return str(opened)


def shoot(page: Any, path: str, file: Path) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.locator("[aria-busy=true], .skeleton").first.wait_for(state="detached")
    page.wait_for_timeout(1500)  # a chart is drawn after its page has come
    high = min(HEIGHT, int(page.evaluate("document.documentElement.scrollHeight")))
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": high}
    file.write_bytes(packed(page.screenshot(clip=clip, full_page=True)))
    print(f"{file.name}: {file.stat().st_size // 1000} kB")


def packed(png: bytes) -> bytes:
    """The same picture in fewer bytes: the browser packs for speed, not for size."""
    chunks, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    rows = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    found = [(kind, body) for kind, body in chunks if kind in (b"IHDR", b"sRGB")]
    found += [(b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return png[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in found
    )


if __name__ == "__main__":
    main()
