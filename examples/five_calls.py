#!/usr/bin/env python3
"""Makes the five calls of the examples against one of them, or against the chain, and prints the trace of each.

    TOKEN_KEY=... python3 five_calls.py http://127.0.0.1:8080

1. ada logs in, and reads her own order            200
2. ada logs in with a wrong password               401
3. ada reads her order with an expired token       401  (signed here, with TOKEN_KEY)
4. victor, who is a visitor, reads an order        403  (he lacks the role clerk)
5. ada writes an order for bea                     403  (the database's row policy)

Needs nothing but Python 3.9. Exit status: 0 when every call was answered as above, else 1; 2 where nobody answers.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request

TIMEOUT_S = 30
# The accounts of database/schema.sql. They protect nothing: change both for anything but trying this out.
DEMO_PASSWORDS = {"ada": "analytical-engine-1", "victor": "visiting-hours-1"}


class Shop:
    """One of the examples, by its address. `calls` is what was asked so far."""

    def __init__(self, url: str, client_address: str | None) -> None:
        self.url = url.rstrip("/")
        self.client_address = client_address
        self.calls: list[dict[str, object]] = []

    def call(self, name: str, expected: int, method: str, path: str, body: object = None, token: str = "") -> dict[str, object]:
        """The answer's JSON. `name` is that of the call in the output; without one it is only a preparation."""
        headers = {"Content-Type": "application/json", "User-Agent": "five-calls/1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if self.client_address:
            headers["X-Forwarded-For"] = self.client_address
        data = None if body is None else json.dumps(body).encode()
        # The address is the argument of whoever runs this.
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                status, trace_id, text = answer.status, answer.headers.get("x-trace-id", ""), answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                status, trace_id, text = refused.code, refused.headers.get("x-trace-id", ""), refused.read()
        if name:
            self.calls.append(
                {"call": name, "method": method, "path": path, "expected": expected, "status": status, "trace_id": trace_id}
            )
        try:
            answered = json.loads(text)
        except ValueError:
            answered = None
        return answered if isinstance(answered, dict) else {}


def five_calls(shop: Shop, passwords: dict[str, str], key: bytes) -> None:
    """The calls, in order; the answers are in `shop.calls`."""
    ada = {"name": "ada", "password": passwords["ada"]}
    token = str(shop.call("signed_in", 200, "POST", "/login", ada).get("token", ""))
    shop.call("own_order", 200, "GET", "/orders/1", token=token)
    shop.call("wrong_password", 401, "POST", "/login", {**ada, "password": ada["password"] + "x"})
    shop.call("expired_token", 401, "GET", "/orders/1", token=expired(token, key))
    victor = {"name": "victor", "password": passwords["victor"]}
    visitor = str(shop.call("", 200, "POST", "/login", victor).get("token", ""))
    shop.call("missing_role", 403, "GET", "/orders/1", token=visitor)
    shop.call("other_customer", 403, "POST", "/orders", {"customer": "bea", "item": "lamp"}, token=token)


def expired(token: str, key: bytes) -> str:
    """The same token as it would have been an hour ago, signed anew. A token that cannot be read stays as it is."""
    try:
        head, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return token
    now = int(time.time())
    claims.update(iat=now - 3600, exp=now - 1800)
    signed = f"{head}.{_base64(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{signed}.{_base64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the five calls of the examples and print the trace of each.")
    parser.add_argument("url", help="where the service, or the chain's gateway, listens")
    parser.add_argument(
        "--token-key", default=os.environ.get("TOKEN_KEY"), help="the services' TOKEN_KEY (default: $TOKEN_KEY)"
    )
    for name, password in DEMO_PASSWORDS.items():
        variable = f"{name.upper()}_PASSWORD"
        parser.add_argument(
            f"--{name}-password", default=os.environ.get(variable, password), help=f"default: ${variable}, else the demo's"
        )
    parser.add_argument("--client-address", help="sent as X-Forwarded-For, as a proxy before the service would")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    given = parser.parse_args()
    if not given.token_key:
        parser.error("the key that the services sign tokens with is needed: --token-key or TOKEN_KEY")
    return given


def main() -> int:
    given = arguments()
    shop = Shop(given.url, given.client_address)
    try:
        five_calls(shop, {"ada": given.ada_password, "victor": given.victor_password}, given.token_key.encode())
    except OSError as error:
        print(f"{given.url} does not answer: {getattr(error, 'reason', error)}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(shop.calls, indent=2))
    else:
        for one in shop.calls:
            note = "" if one["status"] == one["expected"] else f"  expected {one['expected']}"
            print(f"{one['call']:<15} {one['method']:<4} {one['path']:<10} {one['status']}  {one['trace_id'] or '-':<32}{note}")
    return int(any(one["status"] != one["expected"] for one in shop.calls))


if __name__ == "__main__":
    sys.exit(main())
