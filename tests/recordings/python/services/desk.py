"""A desk that works with a token of its own: it keeps an old one, and gets a new one where the old one is refused."""

import os

import httpx
from fastapi import FastAPI, Response

app = FastAPI(openapi_url=None)
client = httpx.AsyncClient(timeout=3.0)
kept = {"token": os.environ["STALE"]}


@app.get("/desk/{path:path}")
async def through(path: str) -> Response:
    answer = await ask(path)
    if answer.status_code == 401:
        login = {"username": "mary", "password": os.environ["PASSWORD"]}
        issued = await client.post(f"{os.environ['IDENTITY']}/token", data=login)
        if issued.status_code != 200:
            return Response("The desk cannot log in.", 401)
        kept["token"] = issued.json()["access_token"]
        answer = await ask(path)
    return Response(answer.content, answer.status_code)


async def ask(path: str) -> httpx.Response:
    return await client.get(f"{os.environ['ORDERS']}/{path}", headers={"Authorization": f"Bearer {kept['token']}"})
