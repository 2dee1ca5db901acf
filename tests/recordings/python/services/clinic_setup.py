"""Tables, a user and her token, made as the database's owner before the service starts; prints the token."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic_settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - Django has to be set up first
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402

call_command("migrate", verbosity=0)
with connection.cursor() as cursor:
    tables = "auth_user, auth_group, auth_permission, auth_user_groups, auth_user_user_permissions, authtoken_token"
    cursor.execute(f"GRANT SELECT ON {tables}, auth_group_permissions, django_content_type TO shop")
    cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON django_session TO shop")
mary = User.objects.create_user("mary", password="clerk-of-north")
print(Token.objects.create(user=mary).key)
