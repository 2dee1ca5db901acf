"""The last door: Falcon, the check a hook, with rooms in MariaDB through PyMySQL."""

import os

import falcon
import pymysql
from hall_rules import refusal


def door(request, response, resource, params):
    if refused := refusal("falcon", request.get_header("Authorization")):
        raise {401: falcon.HTTPUnauthorized, 403: falcon.HTTPForbidden}[refused[0]](description=refused[1])


def asked(query, room):
    with pymysql.connect(
        host="127.0.0.1", port=int(os.environ["DATABASE_PORT"]), user="hall", password=os.environ["DATABASE_PASSWORD"],
        database="shop", connect_timeout=2,
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute(query, [room])
        return cursor.fetchall()


@falcon.before(door)
class Rooms:
    def on_get(self, request, response, room):
        response.media = asked("SELECT name FROM rooms WHERE id = %s", room)

    def on_delete(self, request, response, room):
        asked("DELETE FROM rooms WHERE id = %s", room)


app = falcon.App()
app.add_route("/rooms/{room}", Rooms())
