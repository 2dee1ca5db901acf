"""The third door: Pyramid, with an access control list and a security policy of its own, and requests as its client."""

import os

import requests
from hall_rules import refusal
from pyramid.authorization import ACLHelper, Allow
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPUnauthorized
from pyramid.response import Response


class Guests:
    def identity(self, request):
        refused = refusal("pyramid", request.headers.get("Authorization"))
        if refused and refused[0] == 401:
            raise HTTPUnauthorized(refused[1])
        return "stranger" if refused else "guest"

    def authenticated_userid(self, request):
        return self.identity(request)

    def permits(self, request, context, permission):
        return ACLHelper().permits(context, [self.identity(request)], permission)

    def remember(self, request, userid, **kw):
        return []

    def forget(self, request, **kw):
        return []


class Room:
    __acl__ = ((Allow, "guest", "enter"),)

    def __init__(self, request):
        pass


def on(request):
    headers = {"Authorization": request.headers["Authorization"]}
    url = f"{os.environ['NEXT']}/rooms/{request.matchdict['room']}"
    answer = requests.request(request.method, url, headers=headers, timeout=5)
    return Response(answer.content, status=answer.status_code)


with Configurator() as configuration:
    configuration.set_security_policy(Guests())
    configuration.add_route("room", "/rooms/{room}", factory=Room)
    configuration.add_view(on, route_name="room", permission="enter")
    app = configuration.make_wsgi_app()
