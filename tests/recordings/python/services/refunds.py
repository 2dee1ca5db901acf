"""Refunds that are accepted at once (202) and paid out by a Celery worker, which asks whether the caller may have one."""

import os

import psycopg
from celery import Celery
from flask import Flask, jsonify, request

queue = Celery("refunds", broker=os.environ["REDIS"])
queue.conf.task_default_queue = "refunds"
app = Flask(__name__)
LIMIT = 100


@queue.task(name="refunds.pay")
def pay(order: int, amount: int, roles: list[str]) -> None:
    with psycopg.connect(os.environ["DATABASE"]) as connection:
        connection.execute("INSERT INTO reservations (item) VALUES (%s)", [f"refund of {order}"])
    if amount > LIMIT and "manager" not in roles:
        raise PermissionError(f"Refunds above {LIMIT} need the role manager.")


@queue.task(name="refunds.book")
def book(order: int) -> None:
    with psycopg.connect(os.environ["DATABASE"]) as connection:
        connection.execute("UPDATE ledger SET total = total + %s", [order])


@app.post("/refunds")
def accepted() -> object:
    asked = request.get_json()
    pay.delay(asked["order"], asked["amount"], asked["roles"])
    return jsonify(), 202


@app.post("/bookings")
def booked() -> object:
    book.delay(request.get_json()["order"])
    return jsonify(), 202
