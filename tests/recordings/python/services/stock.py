"""Stock, the last of the chain: a Flask service whose decorators look at the caller's roles, with psycopg behind it."""

import functools
import os
from collections.abc import Callable

import jwt
import psycopg
from flask import Flask, abort, g, jsonify, request

SECRET = os.environ["SECRET"]
app = Flask(__name__)


@app.before_request
def caller() -> None:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        g.caller = jwt.decode(given, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError as wrong:
        abort(401, str(wrong))


def needs(role: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    def decorate(view: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(view)
        def guarded(**path: object) -> object:
            if role not in g.caller.get("roles", []):
                abort(403, f"The role {role} is needed.")
            return view(**path)

        return guarded

    return decorate


@app.post("/holds")
def hold() -> object:
    item = request.get_json()["item"]
    if item == "safe" and "manager" not in g.caller.get("roles", []):
        abort(403, "Only a manager may hold a safe.")
    with psycopg.connect(os.environ["DATABASE"]) as connection:
        connection.execute("INSERT INTO holds (item) VALUES (%s)", [item])
    return jsonify(item=item), 201


@app.get("/items/<int:number>")
def item(number: int) -> object:
    return jsonify(number=number)


@app.get("/secrets/<int:number>")
@needs("auditor")
def secret(number: int) -> object:
    return jsonify(number=number)


@app.errorhandler(401)
@app.errorhandler(403)
def refused(error: Exception) -> object:
    return jsonify(detail=error.description), error.code
