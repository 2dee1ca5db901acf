"""The first door: Tornado, with its own asynchronous client."""

import asyncio
import os

import tornado.httpclient
import tornado.web
from hall_rules import refusal


class Door(tornado.web.RequestHandler):
    def prepare(self):
        if refused := refusal("tornado", self.request.headers.get("Authorization")):
            raise tornado.web.HTTPError(*refused)

    async def get(self, room):
        await self._on(room)

    async def delete(self, room):
        await self._on(room)

    async def _on(self, room):
        answer = await tornado.httpclient.AsyncHTTPClient().fetch(
            f"{os.environ['NEXT']}/rooms/{room}", method=self.request.method, raise_error=False,
            headers={"Authorization": self.request.headers["Authorization"]},
        )  # fmt: skip
        self.set_status(answer.code)
        self.finish(answer.body or b"")


async def main():
    port = int(os.environ["PORT"])
    tornado.web.Application([(r"/rooms/(\d+)", Door)]).listen(port, "127.0.0.1", xheaders=True)
    await asyncio.Event().wait()


asyncio.run(main())
