"""A Flask portal: flask-login's sessions in Redis, roles by a decorator, Flask-Limiter, orders through SQLAlchemy."""

import functools
import os
import uuid
from collections.abc import Callable

import redis
from flask import Flask, abort, jsonify, request, session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

app = Flask(__name__)
app.secret_key = "known to everybody, as this is a recording"
login = LoginManager(app)
if "LOGIN_PAGE" in os.environ:
    login.login_view = "signing_in"
store = redis.Redis.from_url(os.environ["REDIS"], socket_timeout=2, decode_responses=True)
orders = create_engine(os.environ["DATABASE"].replace("postgresql:", "postgresql+psycopg2:"))
limiter = Limiter(get_remote_address, app=app)
PEOPLE = {"mary": ("clerk-of-north", {"clerk"}), "rose": ("head-of-north", {"clerk", "manager"})}


class Person(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name
        self.roles = PEOPLE[name][1]


@login.user_loader
def person(name: str) -> Person | None:
    """A session of ours is a key in Redis; without it the cookie is worth nothing."""
    return Person(name) if store.get(f"session:{session.get('sid')}") == name else None


def needs(role: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    def decorate(view: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(view)
        def guarded(**path: object) -> object:
            if role not in current_user.roles:
                abort(403)
            return view(**path)

        return guarded

    return decorate


@app.post("/login")
def signing_in() -> object:
    name, password = request.form["name"], request.form["password"]
    if name not in PEOPLE or PEOPLE[name][0] != password:
        abort(401)
    session["sid"] = uuid.uuid4().hex
    store.set(f"session:{session['sid']}", name, ex=600)
    login_user(Person(name))
    return jsonify(name=name)


@app.get("/orders")
@login_required
def listed() -> object:
    with orders.connect() as connection:
        connection.execute(text("SELECT set_config('app.tenant', 'north', true)"))
        return jsonify([row.item for row in connection.execute(text("SELECT item FROM orders"))])


@app.post("/orders")
@login_required
def added() -> object:
    """A row for whichever tenant is asked for; the policy decides."""
    try:
        with orders.begin() as connection:
            connection.execute(text("SELECT set_config('app.tenant', 'north', true)"))
            connection.execute(text("INSERT INTO orders (tenant, item) VALUES (:tenant, 'lamp')"), dict(request.get_json()))
    except ProgrammingError:
        abort(403)
    return jsonify(), 201


@app.delete("/orders/<int:number>")
@login_required
@needs("manager")
def removed(number: int) -> object:
    return "", 204


@app.post("/views")
@login_required
def viewed() -> object:
    """Counts in a key that this service's Redis user may not touch."""
    return jsonify(views=store.incr("counter:views"))


@app.get("/quotes")
@limiter.limit("1/hour")
def quotes() -> object:
    return jsonify([])
