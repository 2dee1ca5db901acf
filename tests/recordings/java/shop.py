"""The shop as the plays set it up: its database, and the tokens of its own issuer."""

from __future__ import annotations

import base64
import re
import time
import urllib.parse

from kit.stage import Request, Service, Stage

CLIENT = "203.0.113.7"
SCHEMA = """
CREATE ROLE shop LOGIN PASSWORD 'shop-secret' NOBYPASSRLS;
CREATE TABLE orders (id serial PRIMARY KEY, tenant text NOT NULL, item text NOT NULL);
INSERT INTO orders (tenant, item) VALUES ('north', 'desk'), ('north', 'chair'), ('south', 'bed');
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON orders USING (tenant = current_setting('app.tenant', true));
CREATE TABLE ledger (total int);
CREATE TABLE reservations (order_id int, state text);
CREATE TABLE users (username text PRIMARY KEY, password text NOT NULL, enabled boolean NOT NULL);
CREATE TABLE authorities (username text NOT NULL, authority text NOT NULL);
CREATE TABLE login_attempts (username text PRIMARY KEY, failures int NOT NULL);
INSERT INTO users SELECT name, '{bcrypt}$2a$04$TdmGYpQJtKsrLCfaT2h64OeGBCSehk5n/2apne0WgpaQWgbNnljBu', name <> 'dora'
    FROM unnest(ARRAY['mary', 'bob', 'dora', 'lena']) AS name;
INSERT INTO authorities SELECT username, CASE username WHEN 'mary' THEN 'ROLE_ADMIN' ELSE 'ROLE_USER' END FROM users;
INSERT INTO login_attempts SELECT username, CASE username WHEN 'lena' THEN 3 ELSE 0 END FROM users;
GRANT SELECT, INSERT, DELETE ON orders TO shop;
GRANT USAGE ON SEQUENCE orders_id_seq TO shop;
GRANT INSERT ON reservations TO shop;
GRANT SELECT ON users, authorities TO shop;
GRANT SELECT, UPDATE ON login_attempts TO shop;
"""
PASSWORD = "right"  # of every user


def database(port: int, *, password: str = "shop-secret") -> dict[str, object]:
    """Settings of a service that uses the database on this port."""
    return {
        "SPRING_DATASOURCE_URL": f"jdbc:postgresql://127.0.0.1:{port}/shop",
        "SPRING_DATASOURCE_USERNAME": "shop",
        "SPRING_DATASOURCE_PASSWORD": password,
    }


def trusting(issuer: str) -> dict[str, object]:
    """Settings of a service that believes the tokens of this issuer."""
    return {"SPRING_SECURITY_OAUTH2_RESOURCESERVER_JWT_JWKSETURI": f"{issuer}/keys"}


def bearer(stage: Stage, issuer: Service, subject: str, **claims: object) -> str:
    """An Authorization header's value: a token for this subject, with what else `GET /token` of the issuer can be asked for."""
    query = urllib.parse.urlencode({"subject": subject, "tenant": "north"} | claims)
    return f"Bearer {stage.send(issuer.get(f'/token?{query}'))[2].decode()}"


def basic(name: str, password: str = PASSWORD) -> str:
    """An Authorization header's value."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def login(stage: Stage, service: Service, name: str, password: str = PASSWORD) -> Request:
    """The request that a browser sends from the login form it was given."""
    status, headers, page = stage.send(service.get("/login"))
    token = re.search(rb'name="_csrf"[^>]*value="([^"]+)"', page)
    if status != 200 or token is None:
        raise RuntimeError(f"{service.name} gave no login form.")
    time.sleep(1)  # The form's trace enters at the same path: it has to be there before the login's is waited for.
    body = urllib.parse.urlencode({"username": name, "password": password, "_csrf": token[1].decode()}).encode()
    sent = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": headers["set-cookie"].partition(";")[0],
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) shop-app/3.2",
        "X-Forwarded-For": CLIENT,
    }
    return Request(service.name, service.url, "POST", "/login", sent, body)
