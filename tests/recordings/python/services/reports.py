"""Reports kept in an object store, read with this service's own keys."""

import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from flask import Flask, abort, request

app = Flask(__name__)
store = boto3.client(
    "s3", region_name="us-east-1", endpoint_url=os.environ["STORE"], aws_access_key_id=os.environ["KEY"],
    aws_secret_access_key=os.environ["KEY_SECRET"], config=Config(connect_timeout=1, retries={"total_max_attempts": 1}),
)  # fmt: skip


@app.get("/reports/<path:name>")
def report(name: str) -> object:
    return store.get_object(Bucket="reports", Key=name)["Body"].read()


@app.put("/reports/<path:name>")
def kept(name: str) -> object:
    try:
        store.put_object(Bucket="reports", Key=name, Body=request.data)
    except ClientError as refused:
        abort(403, refused.response["Error"]["Code"])
    return "", 204
