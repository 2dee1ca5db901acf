"""The second door: aiohttp, the check a middleware, with aiohttp's client."""

import os

import aiohttp
from aiohttp import web
from hall_rules import refusal


@web.middleware
async def door(request, handler):
    if refused := refusal("aiohttp", request.headers.get("Authorization")):
        raise {401: web.HTTPUnauthorized, 403: web.HTTPForbidden}[refused[0]](text=refused[1])
    return await handler(request)


async def on(request):
    url = f"{os.environ['NEXT']}/rooms/{request.match_info['room']}"
    headers = {"Authorization": request.headers["Authorization"]}
    async with aiohttp.ClientSession() as session, session.request(request.method, url, headers=headers) as answer:
        return web.Response(status=answer.status, body=await answer.read())


app = web.Application(middlewares=[door])
app.add_routes([web.get("/rooms/{room}", on), web.delete("/rooms/{room}", on)])
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
