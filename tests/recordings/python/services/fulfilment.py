"""Works off what the intake accepted: asks stock to hold each item, for the one who ordered; what is refused is dropped."""

import json
import os

import pika
import requests

connection = pika.BlockingConnection(pika.URLParameters(os.environ["BROKER"]))
channel = connection.channel()
channel.queue_declare("orders")
channel.exchange_declare("payouts")


def ordered(channel, method, properties, body):
    headers = {"Authorization": properties.headers["token"]}
    answer = requests.post(f"{os.environ['STOCK']}/holds", json=json.loads(body), headers=headers, timeout=3)
    if answer.ok:
        channel.basic_ack(method.delivery_tag)
    else:
        channel.basic_reject(method.delivery_tag, requeue=False)


channel.basic_consume("orders", ordered)
print("listening on 0", flush=True)
channel.start_consuming()
