"""Takes orders over HTTP and hands them to RabbitMQ, with the broker's confirmation awaited."""

import os

import pika
from flask import Flask, jsonify, request

app = Flask(__name__)


def handed_over(exchange: str, key: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(os.environ["BROKER"])) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        headers = {"token": request.headers.get("Authorization", "")}
        channel.basic_publish(exchange, key, request.get_data(), pika.BasicProperties(headers=headers))


@app.post("/orders")
def ordered() -> object:
    handed_over("", "orders")
    return jsonify(), 202


@app.post("/payouts")
def paid_out() -> object:
    handed_over("payouts", "")
    return jsonify(), 202
