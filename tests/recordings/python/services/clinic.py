"""A Django service: Django REST framework's tokens, permissions and throttles, and Django's own decorators, on PostgreSQL."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic_settings")
django.setup()

from django.contrib.auth.decorators import login_required  # noqa: E402 - Django has to be set up first
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import Http404, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.throttling import ScopedRateThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


def asked(query, *values):
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else []


class MayAdd(IsAuthenticated):
    message = "Only those who may add visits."

    def has_permission(self, request, view):
        return request.method == "GET" or request.user.has_perm("clinic.add_visit")


class Visits(APIView):
    permission_classes = (IsAuthenticated, MayAdd)

    def get(self, request):
        return Response(asked("SELECT id, item FROM orders"))

    def post(self, request):
        asked("INSERT INTO reservations (item) VALUES (%s)", request.data["item"])
        return Response(status=201)


class Rows(APIView):
    """The policy on orders, and the missing grant on ledger, are the database's to enforce."""

    def post(self, request):
        asked("INSERT INTO orders (tenant, item) VALUES ('south', 'couch')")
        return Response(status=201)

    def get(self, request):
        return Response(asked("SELECT sum(total) FROM ledger"))


class Quotes(APIView):
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "quotes"

    def get(self, request):
        return Response([])


class Discharge(APIView):
    """The note is written, and committed, before anybody asks who may discharge."""

    def post(self, request):
        asked("INSERT INTO reservations (item) VALUES ('discharge')")
        if not request.user.is_staff:
            raise PermissionDenied("Only staff may discharge.")
        return Response()


@login_required
def account(request):
    return HttpResponse("yours")


def ward(request):
    raise PermissionDenied("The ward is closed to visitors.")


def hidden(request):
    if not request.user.is_authenticated:
        raise Http404("There is no such page.")
    return HttpResponse("here")


def contact(request):
    return HttpResponse("sent")


urlpatterns = [
    path("api/visits/", Visits.as_view()),
    path("api/rows/", Rows.as_view()),
    path("api/quotes/", Quotes.as_view()),
    path("api/discharge/", Discharge.as_view()),
    path("account/", account),
    path("ward/", ward),
    path("hidden/", hidden),
    path("contact/", contact),
]
application = get_wsgi_application()
