"""Keycloak judges passwords, clients and tokens, and a Spring service under the Java agent asks it about each token."""

from __future__ import annotations

import json
import time

from keycloak import INTROSPECT, TOKEN, browser_login, form, password, start
from kit.stage import At, Service, Stage
from kit.stores import postgres
from shop import CLIENT

SCHEMA = """
CREATE ROLE keycloak LOGIN PASSWORD 'keycloak-secret';
GRANT ALL ON DATABASE shop TO keycloak;
ALTER SCHEMA public OWNER TO keycloak;
"""
GRANT = At("keycloak", "TokenEndpoint.processGrantRequest")
ANSWER = At("keycloak", "TokenIntrospectionEndpoint.introspect")
REFUSED = {
    "outcome": "denied", "layer": "identity_provider", "enforced_by": "keycloak", "confidence": "high",
    "client_address": CLIENT,
}  # fmt: skip


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as store:
        stage.uses(store.versions)
        keycloak = start(stage, stage.tools.keycloak, store.port)
        good = token(stage, keycloak)
        logins(stage, keycloak)
        asked(stage, keycloak, good)
        spring(stage, keycloak, good, token(stage, keycloak, client_id="kiosk"))
    stage.record(
        "keycloak-database-down", password(keycloak, "mary"), expect=500,
        outcome="error", layer="database", service="keycloak", entry_status=500,
        why="PostgreSQL, where Keycloak's realm and users are, was stopped: Keycloak can judge nobody.",
    )  # fmt: skip


def logins(stage: Stage, keycloak: Service) -> None:
    stage.record(
        "keycloak-password-allowed", password(keycloak, "mary"), expect=200,
        outcome="allowed", layers=[["identity_provider", "allow"]], confidence="high", entry_status=200, client_address=CLIENT,
        why="mary's password is right, and the client app may use the password grant: event LOGIN.",
    )  # fmt: skip
    stage.record(
        "keycloak-password-wrong", password(keycloak, "bob", "wrong"), expect=400,
        **REFUSED, phase="authn", span=(GRANT, At("keycloak", "PasswordCredentialProvider.isValid")), entry_status=400,
        why="The password is not bob's: event LOGIN_ERROR with invalid_user_credentials, told as 400 invalid_grant.",
    )  # fmt: skip
    stage.record(
        "keycloak-user-unknown", password(keycloak, "nobody"), expect=400,
        **REFUSED, phase="authn", span=GRANT, reason="user_not_found", entry_status=400,
        why="There is no user nobody: user_not_found behind the same answer as a wrong password.",
    )  # fmt: skip
    stage.record(
        "keycloak-user-disabled", password(keycloak, "dora"), expect=400,
        **REFUSED, phase="authn", span=GRANT, reason="user_disabled", entry_status=400,
        why="dora is disabled: user_disabled, told to the client as 400 invalid_grant.",
    )  # fmt: skip
    for _ in range(2):
        stage.send(password(keycloak, "lena", "wrong"))
        time.sleep(1.5)  # Its trace has to be there before that of the next one is waited for.
    stage.record(
        "keycloak-brute-force", password(keycloak, "lena"), expect=400,
        **REFUSED, phase="authn", span=GRANT, entry_status=400,
        why="After two wrong passwords lena is shut out for a while (failureFactor 2); the right one does not help.",
    )  # fmt: skip
    secret = {"client_id": "helpdesk", "client_secret": "wrong", "grant_type": "client_credentials"}
    stage.record(
        "keycloak-client-secret", form(keycloak, TOKEN, **secret), expect=401,
        **REFUSED, phase="authn", span=GRANT, entry_status=401,
        why="The secret is not the client helpdesk's: invalid_client_credentials.",
    )  # fmt: skip
    stage.record(
        "keycloak-client-not-permitted",
        password(keycloak, "mary", client_id="report", client_secret="report-secret"), expect=400,
        **REFUSED, span=GRANT, entry_status=400,
        why="The client report has direct access grants switched off: unauthorized_client, whoever the user is.",
    )  # fmt: skip
    stage.record(
        "keycloak-form-wrong-password", browser_login(keycloak, "bob", "wrong"), expect=200,
        **REFUSED, phase="authn", findings=["masked_denial"], entry_status=200,
        span=(At("keycloak", "LoginActionsService.authenticateForm"), At("keycloak", "PasswordCredentialProvider.isValid")),
        why="The password is not bob's: the login form is shown again with 200 and the refusal in its text.",
    )  # fmt: skip
    stage.record(
        "keycloak-form-login", browser_login(keycloak, "mary", "right"), expect=302,
        outcome="allowed", entry_status=302, confidence="high", no_findings=["masked_denial"],
        why="mary's password is right: Keycloak redirects to the application with a code.",
    )  # fmt: skip


def asked(stage: Stage, keycloak: Service, good: str) -> None:
    client = {"client_id": "helpdesk", "client_secret": "helpdesk-secret"}
    stage.record(
        "keycloak-introspection", form(keycloak, INTROSPECT, token=good, **client), expect=200,
        outcome="allowed", layers=[["identity_provider", "allow"]], entry_status=200,
        why="The client helpdesk may introspect, it is in the token's audience, and the token is active.",
    )  # fmt: skip
    stage.record(
        "keycloak-userinfo-forged",
        keycloak.get("/realms/shop/protocol/openid-connect/userinfo", **sent(f"{good[:-4]}AAAA")), expect=401,
        **REFUSED, phase="authn", span=At("keycloak", "UserInfoEndpoint.issueUserInfoGet"), reason="invalid_token",
        entry_status=401,
        why="The token's signature was tampered with: userinfo answers invalid_token.",
    )  # fmt: skip
    stage.record(
        "keycloak-admin-api", keycloak.get("/admin/realms/shop/users", **sent(good)), expect=403,
        outcome="denied", layer="identity_provider", phase="authz", service="keycloak", entry_status=403,
        why="mary's token is good and has no role of realm-management, which the admin API asks for.",
    )  # fmt: skip


def spring(stage: Stage, keycloak: Service, good: str, elsewhere: str) -> None:
    opaque = "SPRING_SECURITY_OAUTH2_RESOURCESERVER_OPAQUETOKEN"
    settings = {
        f"{opaque}_INTROSPECTIONURI": f"{keycloak.url}{INTROSPECT}",
        f"{opaque}_CLIENTID": "helpdesk",
        f"{opaque}_CLIENTSECRET": "helpdesk-secret",
    }
    helpdesk = stage.tools.agent(stage, "helpdesk", **settings)
    stage.record(
        "keycloak-spring-allowed", helpdesk.get("/tickets", **sent(good)), expect=200,
        outcome="allowed", layers=[["identity_provider", "allow"]], entry_status=200, client_address=CLIENT,
        why="Keycloak says that mary's token is active, and /tickets asks for no more.",
    )  # fmt: skip
    stage.record(
        "keycloak-spring-token", helpdesk.get("/tickets", **sent(f"{good[:-4]}AAAA")), expect=401,
        outcome="denied", layer="identity_provider", phase="authn", span=ANSWER, enforced_by="helpdesk", entry_status=401,
        client_address=CLIENT,
        why="Keycloak says active = false of the tampered token, and Spring Security refuses it.",
    )  # fmt: skip
    stage.record(
        "keycloak-spring-audience", helpdesk.get("/tickets", **sent(elsewhere)), expect=401,
        outcome="denied", layer="identity_provider", phase="authn", span=ANSWER, enforced_by="helpdesk", entry_status=401,
        client_address=CLIENT,
        why="Keycloak says active = false to the helpdesk, which is not in the audience of the kiosk's good token.",
    )  # fmt: skip
    stage.record(
        "keycloak-spring-scope", helpdesk.get("/staff", **sent(good)), expect=403,
        outcome="denied", layer="application", phase="authz", span=At("helpdesk", "GET /staff"), enforced_by="helpdesk",
        entry_status=403, client_address=CLIENT, confidence="medium",
        why="Keycloak says that the token is active; the service's rule hasAuthority(SCOPE_staff) refuses mary.",
    )  # fmt: skip
    stage.stop(helpdesk)
    wrong = settings | {f"{opaque}_CLIENTSECRET": "outdated"}
    outdated = stage.tools.agent(stage, "helpdesk", **wrong)
    stage.record(
        "keycloak-spring-service-credential", outdated.get("/tickets", **sent(good)), expect=500,
        outcome="denied", layer="identity_provider", phase="authn", span=ANSWER, enforced_by="helpdesk", entry_status=500,
        findings=["status_rewritten"],
        why="Keycloak refuses the helpdesk's own secret at introspection; the service can judge no token.",
    )  # fmt: skip
    stage.stop(outdated)


def token(stage: Stage, keycloak: Service, **fields: str) -> str:
    status, _, body = stage.send(password(keycloak, "mary", **fields), timeout_s=120)
    if status != 200:
        raise RuntimeError(f"Keycloak gave no token: {status} {body[:300]!r}")
    found: str = json.loads(body)["access_token"]
    return found


def sent(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}", "X_Forwarded_For": CLIENT}
