"""Logins, tokens, sessions and directories: what identity providers say and how they break."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, exception, trace
from instruments import (
    JVM,
    Service,
    authenticate,
    boto,
    filters,
    given,
    keycloak_event,
    middlewares,
    spring,
)

keycloak = Service("keycloak", "quarkus", dns="sso.clinic.example")
portal = Service("clinic-portal", "aspnet")
gateway = Service("mobile-gateway", "go", old=True)
accounts = Service("account-service", "java")
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15"

# ---------------------------------------------------------------------------------------- Keycloak
trace(
    "keycloak-form-shown-again",
    keycloak.serve("POST /realms/{realm}/login-actions/authenticate", 200, mark="kc", status="error", ip="203.0.113.24", agent=SAFARI,
                   path="/realms/clinic/login-actions/authenticate?client_id=portal",
                   events=[keycloak_event("LOGIN_ERROR", "invalid_user_credentials", ip="203.0.113.24", auth_method="openid-connect", username="pt-20931")]),
    outcome="denied", layer="identity_provider", phase="authn", service="keycloak", where="kc", reason="invalid_user_credentials",
    entry_status=200, findings=["masked_denial"], confidence=["high"], client_address="203.0.113.24",
    why="Catalogue D: Keycloak shows the form again with 200; the LOGIN_ERROR event is the refusal.")

trace(
    "keycloak-refresh-token-stale",
    portal.serve("GET /records", 302, portal.fetch(
        "POST https://sso.clinic.example/realms/clinic/protocol/openid-connect/token", 400, keycloak.serve(
            "POST /realms/{realm}/protocol/{protocol}/token", 400, path="/realms/clinic/protocol/openid-connect/token", mark="kc", status="error",
            events=[keycloak_event("REFRESH_TOKEN_ERROR", "invalid_token", reason="Session not active", grant_type="refresh_token")])),
        attrs={"http.response.header.location": ["https://sso.clinic.example/realms/clinic/protocol/openid-connect/auth?client_id=portal"]}),
    outcome="denied", layer="identity_provider", phase="authn", service="keycloak", where="kc", reason="invalid_token", entry_status=302,
    findings=["masked_denial"],
    why="Rule 2: the identity provider refused the refresh; the portal sends the browser to the login page.")

trace(
    "keycloak-uma-permission",
    Service("imaging", "java").serve("GET /scans/{id}", 403, Service("imaging", "java").fetch(
        "POST https://sso.clinic.example/realms/clinic/protocol/openid-connect/token", 403, keycloak.serve(
            "POST /realms/{realm}/protocol/{protocol}/token", 403, path="/realms/clinic/protocol/openid-connect/token", mark="kc", status="error",
            events=[keycloak_event("PERMISSION_TOKEN_ERROR", "access_denied", reason="not_authorized")]))),
    outcome="denied", layer="identity_provider", phase="authz", service="keycloak", where="kc", reason="access_denied", enforced_by="imaging",
    why="Catalogue D: PERMISSION_TOKEN_ERROR is authz. An identity product stays identity_provider.")

trace(
    "keycloak-upstream-provider-broke",
    keycloak.serve("GET /realms/{realm}/broker/{provider}/endpoint", 502, path="/realms/clinic/broker/eid/endpoint", mark="kc",
                   events=[keycloak_event("IDENTITY_PROVIDER_LOGIN_ERROR", "identity_provider_error", identity_provider="eid")]),
    outcome="error", layer="identity_provider", service="keycloak", where="kc", entry_status=502, no_findings=["fail_open"],
    why="Rule 5: eventError identity_provider_error is a dependency that broke, no refusal.")

# ---------------------------------------------------------------------------------------- Ory
kratos = Service("kratos", "go", port=4433)
ORY = "github.com/ory/kratos"
trace(
    "kratos-login-fails",
    kratos.serve("POST /self-service/login", 400, kratos.query("SELECT * FROM identity_credentials WHERE identifier = $1", table="identity_credentials"),
                 path="/self-service/login?flow=5b1c", scope=ORY, mark="kratos", ip="198.51.100.77",
                 events=[Event("LoginFailed", {"SelfServiceMethodUsed": "password", "LoginRequestedAAL": "aal1", "ClientIP": "198.51.100.77",
                                               "ErrorReason": "The provided credentials are invalid"})]),
    outcome="denied", layer="identity_provider", phase="authn", service="kratos", where="kratos", reason="credentials are invalid",
    client_address="198.51.100.77", entry_status=400,
    why="The LoginFailed event is Kratos' own decision; 400 is how its API says no.")

trace(
    "kratos-whoami-no-session",
    gateway.serve("GET /me", 401, gateway.fetch("GET http://kratos:4433/sessions/whoami", 401, kratos.serve(
        "GET /sessions/whoami", 401, scope=ORY, mark="whoami", attrs={"error.reason": "No valid session cookie found."})), ip="192.0.2.51"),
    outcome="denied", layer="identity_provider", phase="authn", service="kratos", where="whoami", enforced_by="mobile-gateway",
    no_findings=["relayed_by"], confidence=["high", "medium"], client_address="192.0.2.51",
    why="A hop that asked for the decision enforces it, it does not relay; whoami's 401 is its documented answer.")

trace(
    "kratos-wants-second-factor",
    (bank := Service("online-bank", "undici")).serve("GET /transfers", 403, bank.fetch(
        "GET http://kratos.auth:4433/sessions/whoami", 403, mark="whoami"), ip="192.0.2.52"),
    outcome="denied", layer="identity_provider", phase="authn", service="online-bank", where="whoami", findings=["uninstrumented_peer"],
    confidence=["high", "medium"],
    why="Rule 7: the documented answer of a whoami endpoint (403: higher assurance needed) from a peer that sends no spans.")

hydra = Service("hydra", "go", port=4444)
trace(
    "hydra-code-exchange-fails",
    bank.serve("GET /callback", 401, bank.fetch("POST http://hydra:4444/oauth2/token", 400, hydra.serve(
        "POST /oauth2/token", 400, scope="github.com/ory/hydra", mark="hydra", events=[
            Event("OAuth2TokenExchangeError", {"OAuth2GrantType": "authorization_code", "OAuth2ClientID": "online-bank",
                                               "ErrorReason": "invalid_grant: the authorization code has already been used"})]))),
    outcome="denied", layer="identity_provider", phase="authn", service="hydra", where="hydra", reason="already been used", entry_status=401,
    why="Hydra's event is an explicit refusal by the identity provider.")

# ---------------------------------------------------------------------------------------- other providers
zitadel = Service("zitadel", "go", old=True)
trace(
    "zitadel-session-terminated",
    gateway.serve("GET /profile", 401, gateway.ask(zitadel.answer("zitadel.auth.v1.AuthService/GetMyUser", "UNAUTHENTICATED", zitadel.span(
        "github.com/zitadel/zitadel/internal/auth/repository.(*TokenVerifierRepo).VerifyAccessToken", scope="zitadel", status="error", mark="inner",
        attrs={"grpc_code": "16", "grpc_msg": "auth token has been revoked", "error_id": "AUTHZ-Kl3p0"},
        events=[exception("*zerrors.UnauthenticatedError", "auth token has been revoked")]), text="auth token has been revoked"))),
    outcome="denied", layer="identity_provider", phase="authn", service="zitadel", where="inner", reason="revoked", confidence=["high"],
    why="Who is named: an identity product stays identity_provider when its own API refuses; grpc_code 16 is explicit.")

trace(
    "token-endpoint-says-invalid-grant",
    (crm := Service("crm-connector", "flask")).serve("POST /sync", 401, crm.fetch(
        "POST https://login.partner.example/oauth2/token", 400, mark="ask"), ip="192.0.2.60"),
    outcome="denied", layer="identity_provider", phase="authn", service="crm-connector", where="ask", findings=["uninstrumented_peer"],
    why="Catalogue D: invalid_grant is a 400 of the token endpoint; the peer sends no spans, so the CLIENT span is named.")

trace(
    "introspection-answers-200-then-401",
    gateway.serve("GET /orders", 401, gateway.call(Service("auth-core", "java", port=9000).serve("POST /oauth2/introspect", 200))),
    outcome=["inconclusive", "denied"], entry_status=401,
    why="Rule 6: a callee that answered 2xx may have said no in its body: inconclusive; catalogue D infers an inactive token.",
    doubt="page and catalogue differ; the page outranks, but introspection is the one check asked")

trace(
    "userinfo-refuses-token",
    (wiki := Service("wiki", "laravel", old=True)).serve("GET /page/{slug}", 401, wiki.fetch("GET https://idp.example/oidc/userinfo", 401, mark="ask")),
    outcome="denied", layer="identity_provider", phase="authn", service="wiki", where="ask", confidence=["high", "medium"],
    no_findings=["relayed_by"],
    why="Rule 7: the documented answer of a userinfo endpoint.")

trace(
    "cognito-wrong-password",
    (signup := Service("member-api", "fastapi")).serve("POST /signin", 401, boto(
        signup, "Cognito Identity Provider", "InitiateAuth", 400, "NotAuthorizedException", "Incorrect username or password.", mark="cognito"),
        ip="203.0.113.88"),
    outcome="denied", layer="identity_provider", phase="authn", service="member-api", where="cognito", reason="Incorrect username or password",
    confidence=["high"], client_address="203.0.113.88", no_findings=["uninstrumented_peer"],
    why="Cognito's denials are 400 with a typed class; cloud SDK calls are no missing hops.")

trace(
    "entra-client-secret-expired",
    (mailer := Service("calendar-sync", "fastapi")).serve("POST /calendar/sync", 500, mailer.fetch(
        "POST https://login.microsoftonline.com/6f1c/oauth2/v2.0/token", 401, mark="ask", events=[exception(
            "azure.core.exceptions.ClientAuthenticationError", "AADSTS7000222: The provided client secret keys for app 'calendar' are expired.")])),
    outcome="denied", layer="identity_provider", phase="authn", service="calendar-sync", where="ask", reason="AADSTS7000222", entry_status=500,
    findings=["status_rewritten"],
    why="Catalogue H: failures of login.microsoftonline.com carry AADSTS codes and belong to identity_provider.")

# ---------------------------------------------------------------------------------------- directories
trace(
    "ldap-account-locked",
    gateway.serve("POST /login", 401, gateway.call(accounts.serve("POST /login", 401, accounts.span(
        "ldap.bind", kind="client", scope="account-service.ldap", status="error", mark="bind", attrs={"server.address": "dc1.corp.example", "server.port": 636},
        events=[exception("javax.naming.AuthenticationException",
                          "[LDAP: error code 49 - 80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 775, v4563]")]))),
        ip="192.0.2.71"),
    outcome="denied", layer="identity_provider", phase="authn", service="account-service", where="bind", reason="775", findings=["relayed_by"],
    confidence=["high"], no_findings=["slow_auth"],
    why="A directory is the user store: LDAP error 49 with sub-code 775 (locked) is its refusal.")

trace(
    "ldap-no-access-to-subtree",
    (hr := Service("people-search", "flask")).serve("GET /people/<uid>", 403, hr.span(
        "ldap.search", kind="client", scope="people-search.ldap", status="error", mark="search", attrs={"server.address": "ldap.corp.example"},
        message="LDAPInsufficientAccessRightsResult: insufficientAccessRights",
        events=[exception("ldap3.core.exceptions.LDAPInsufficientAccessRightsResult", "50 - insufficientAccessRights - None - None - searchResDone")])),
    outcome="denied", layer="identity_provider", phase="authz", service="people-search", where="search", reason="insufficientAccess",
    why="Catalogue D: result 50 is insufficient access, authz.")

trace(
    "ldap-server-down",
    gateway.serve("POST /login", 503, gateway.call(accounts.serve("POST /login", 503, accounts.span(
        "auth.login", accounts.span("ldap.bind", kind="client", scope="account-service.ldap", status="error", mark="bind", lasts=3000,
                                    attrs={"server.address": "dc1.corp.example"},
                                    events=[exception("javax.naming.CommunicationException", "dc1.corp.example:636; socket closed")]),
        status="error", scope="account-service.auth", attrs={"auth.method": "password"})))),
    outcome="error", layer="identity_provider", service="account-service", where="bind", entry_status=503, no_findings=["fail_open", "fail_closed"],
    why="Rule 5 and 12: the store could not be reached; the deepest span that itself carries the failure. 503 is no refusal status.")

# ---------------------------------------------------------------------------------------- hand-written logins and their stores
sessions = {"db.system": "redis", "net.peer.name": "session-cache", "net.peer.port": 6379}
JEDIS = f"{JVM}.lettuce-5.1#2.22.0-alpha"
trace(
    "login-wrong-password-is-recorded",
    gateway.serve("POST /v1/login", 401, gateway.call(accounts.serve(
        "POST /login", 401,
        accounts.login(False, "invalid_credentials", accounts.query("SELECT id, hash FROM users WHERE login = ?", table="users"),
                       attrs={"auth.method": "password", "auth.username": "r.okafor"}, mark="refusal"),
        accounts.query("INSERT INTO login_attempts (login, ip, ok) VALUES (?, ?, ?)", table="login_attempts"))), ip="203.0.113.99"),
    outcome="denied", layer="identity_provider", phase="authn", service="account-service", where="refusal", reason="invalid_credentials",
    principal="r.okafor", client_address="203.0.113.99", side_effects=[["audit", "after_denial"]],
    findings=["relayed_by", "pii_in_attributes"], no_findings=["side_effect_after_denial"], layers=[["identity_provider", "deny"]],
    why="Interface: a record of the refusal itself is `audit`, never a finding. A service that verifies logins for others is identity_provider.")

trace(
    "session-store-refuses-write",
    gateway.serve("POST /v1/login", 500, gateway.call(accounts.serve(
        "POST /login", 500,
        accounts.login(True, "", accounts.query("SELECT id, hash FROM users WHERE login = ?", table="users"), attrs={"auth.method": "password"}),
        accounts.span("SET", kind="client", scope=JEDIS, attrs=sessions | {"db.operation": "SET", "db.statement": "SET sess:? ?"}, status="error", mark="store",
                      message="NOPERM this user has no permissions to run the 'set' command",
                      events=[exception("io.lettuce.core.RedisCommandExecutionException",
                                        "NOPERM this user has no permissions to run the 'set' command")])))),
    outcome="denied", layer="database", phase="authz", service="account-service", where="store", reason="NOPERM", entry_status=500,
    findings=["status_rewritten"], layers=[["identity_provider", "allow"], ["database", "deny"]],
    why="Who is named: where a session store refused, the layer is the store's own.")

trace(
    "user-store-times-out",
    gateway.serve("POST /v1/login", 504, gateway.call(accounts.serve("POST /login", 504, accounts.span(
        "auth.login", accounts.query("SELECT id, hash FROM users WHERE login = ?", system="mysql", table="users", status="error", mark="store", lasts=5000,
                                     events=[exception("com.mysql.cj.jdbc.exceptions.MySQLTimeoutException", "Statement cancelled due to timeout")]),
        status="error", scope="account-service.auth", attrs={"auth.method": "password"})))),
    outcome="error", layer="database", service="account-service", where="store", entry_status=504, no_findings=["slow_auth", "fail_open"],
    why="Who is named: where a user store broke, the layer is the store's own; slow_auth is for routes outside login.")

trace(
    "login-from-mail-address",
    gateway.serve("POST /v1/login", 401, gateway.call(accounts.serve("POST /login", 401, accounts.login(
        False, "account locked after 5 attempts", attrs={"auth.method": "password", "auth.username": "jo.santos@example.com"}, mark="refusal"))),
        ip="2001:db8::7:1"),
    outcome="denied", layer="identity_provider", phase="authn", service="account-service", where="refusal", reason="locked",
    principal="jo.santos@example.com", client_address="2001:db8::7:1", findings=["pii_in_attributes"],
    why="A mail address in clear is personal data; the login service refused.")

trace(
    "login-allowed-after-slow-hash",
    gateway.serve("POST /v1/login", 200, gateway.call(accounts.serve("POST /login", 200, accounts.login(
        True, "", accounts.span("argon2 verify", lasts=1400.0), attrs={"auth.method": "password", "auth.subject": "usr_5f0c"})))),
    outcome="allowed", layer=None, no_findings=["slow_auth", "pii_in_attributes"], principal="usr_5f0c",
    why="slow_auth is for requests outside login routes; an opaque id is no personal data.")

# ---------------------------------------------------------------------------------------- keys, tokens, sessions checked by services
trace(
    "key-set-download-times-out",
    (pay := Service("payouts", "fastapi")).serve("POST /payouts", 401, pay.fetch(
        "GET https://login.example/.well-known/jwks.json", None, error="ConnectTimeout", mark="keys", lasts=5000,
        events=[exception("httpx.ConnectTimeout", "timed out")])),
    outcome="error", layer="identity_provider", service="payouts", where="keys", entry_status=401, findings=["fail_closed"], no_findings=["uninstrumented_peer"],
    why="Rule 5: the key download failed and the service failed closed; the connection itself failed, so no missing hop.")

trace(
    "key-set-read-then-token-refused",
    pay.serve("POST /payouts", 401, pay.fetch("GET https://login.example/.well-known/jwks.json", 200),
              pay.token(False, "Signature verification failed", mark="refusal", attrs={"auth.token_type": "jwt"})),
    outcome="denied", layer="application", phase="authn", service="payouts", where="refusal", reason="Signature", confidence=["high"],
    why="Who is named: an entry that forwards nothing is application; rule 13: a signature that does not verify is authn.")

trace(
    "spring-cannot-reach-key-set",
    spring(lend := Service("lending", "spring"), "GET /loans", 401, filters(
        lend, authenticate(lend, "bearer", "AuthenticationServiceException", lend.fetch(
            "GET https://login.example/realms/main/protocol/openid-connect/certs", None, error="java.net.ConnectException", mark="keys",
            events=[exception("java.net.ConnectException", "Connection refused")]),
            text="An error occurred while attempting to decode the Jwt: Couldn't retrieve remote JWK set"), reached="BearerTokenAuthenticationFilter")),
    outcome="error", layer="identity_provider", service="lending", where="keys", entry_status=401, findings=["fail_closed"],
    why="Rules 5 and 12: AuthenticationServiceException is an error; the deepest span that carries the failure is the key download.")

trace(
    "spring-bearer-expired",
    spring(lend, "GET /loans", 401, filters(lend, authenticate(
        lend, "bearer", "InvalidBearerTokenException", text="An error occurred while attempting to decode the Jwt: Jwt expired at 2026-10-12T09:00:00Z", mark="refusal"),
        reached="BearerTokenAuthenticationFilter")),
    outcome="denied", layer="application", phase="authn", service="lending", where="refusal", reason="expired", confidence=["high"],
    why="Spring's own authentication observation names the failure.")

trace(
    "introspection-outage-breaks-gateway",
    (edge := Service("partner-gateway", "undici")).serve("GET /v1/stock", 401, *middlewares(edge, "query", "introspectToken"), edge.fetch(
        "POST http://auth-core:9000/oauth2/introspect", 503, Service("auth-core", "java", port=9000).serve("POST /oauth2/introspect", 503, mark="idp"))),
    outcome="error", layer="identity_provider", service="auth-core", where="idp", entry_status=401, findings=["fail_closed"],
    why="Rule 5: a 5xx of the identity provider is an error even where the client saw a 401.")

trace(
    "session-expired-laravel-419",
    (shop := Service("boutique", "laravel", old=True)).serve("POST /cart/{id}", 419, shop.query("SELECT * FROM sessions WHERE id = ?", system="mysql", table="sessions"),
                                                             mark="leaf", ip="192.0.2.5"),
    outcome="denied", layer="application", phase="authn", service="boutique", where="leaf", entry_status=419, confidence=["medium"],
    why="Catalogue A: 419 is an expired session; a database read that succeeded does not count as another who could have refused.")

trace(
    "cookie-scheme-redirects-to-login",
    portal.serve("GET /Records/{id}", 302, mark="leaf", attrs={"http.response.header.location": ["https://portal.clinic.example/Account/Login?ReturnUrl=%2FRecords"]}),
    outcome="denied", layer="application", phase="authn", service="clinic-portal", where="leaf", findings=["masked_denial"], entry_status=302,
    confidence=["medium", "low"],
    why="Outcomes: a refusal masked as a redirect to a login page; catalogue F: ASP.NET cookie schemes answer 302.")

trace(
    "csrf-token-does-not-match",
    spring(lend, "POST /loans", 403, filters(
        lend, reached="CsrfFilter", status="error", mark="chain",
        message="Invalid CSRF Token 'null' was found on the request parameter '_csrf' or header 'X-CSRF-TOKEN'.",
        events=[exception("org.springframework.security.web.csrf.InvalidCsrfTokenException",
                          "Invalid CSRF Token 'null' was found on the request parameter '_csrf' or header 'X-CSRF-TOKEN'.")])),
    outcome="denied", layer="application", phase="authn", service="lending", where="chain", reason="CSRF", entry_status=403,
    why="Rule 13: a CSRF refusal is the application's own, authn.")

trace(
    "token-expires-on-the-way",
    gateway.serve("POST /v1/statements", 401, gateway.token(True, attrs={"auth.token_type": "jwt", "auth.subject": "cust-88"}), gateway.call(
        (stmt := Service("statements", "aspnet")).serve("POST /statements", 401, stmt.query("SELECT ledger FROM entries WHERE owner = $1", lasts=58_000.0, table="entries"),
                                                        stmt.call((arch := Service("archive", "gin")).serve("PUT /archive/{id}", 401, arch.token(
                                                            False, "token is expired by 3s", mark="refusal"))))), ip="192.0.2.9"),
    outcome="denied", layer="application", phase="authn", service="archive", where="refusal", reason="expired by 3s", findings=["relayed_by"],
    layers=[["api_gateway", "allow"], ["application", "deny"]], principal="cust-88", confidence=["high"],
    why="Rule 2: two hops relay what the third refused; its token had expired while the request ran.")

trace(
    "stale-token-is-renewed",
    (app := Service("field-app-bff", "node")).serve(
        "GET /jobs", 200,
        app.call((jobs := Service("jobs", "go")).serve("GET /jobs", 401, jobs.token(False, "token is expired"))),
        app.fetch("POST https://login.example/oauth2/token", 200),
        app.call(jobs.serve("GET /jobs", 200, jobs.token(True, attrs={"auth.subject": "tech-7"})), attrs={"http.request.resend_count": 1}), ip="192.0.2.33"),
    outcome="allowed", layer=None, span_id=None, findings=["retried"], no_findings=["fail_open", "status_rewritten", "masked_denial"],
    why="Rule 3: a denied attempt that was retried and then allowed is not the origin (`retried`).")


trace(
    "signed-in-and-session-stored",
    gateway.serve("POST /v1/login", 200, gateway.call(accounts.serve(
        "POST /login", 200, accounts.login(True, attrs={"auth.method": "password", "auth.subject": "usr_77d1"}),
        accounts.span("SET", kind="client", scope=JEDIS, attrs=given(sessions | {"db.operation": "SET", "db.statement": "SET sess:? ?"})))), ip="192.0.2.34"),
    outcome="allowed", layer=None, principal="usr_77d1", side_effects=[["cache_write", "no_denial"]], no_findings=["side_effect_after_denial"],
    why="A login that succeeded; the session it stored is a cache write without any denial.")

trace(
    "account-disabled-in-java-store",
    spring(lend, "POST /login", 401, filters(lend, authenticate(lend, "usernamepassword", "DisabledException", text="User is disabled", mark="refusal"),
                                             reached="UsernamePasswordAuthenticationFilter")),
    outcome="denied", layer=["application", "identity_provider"], phase="authn", service="lending", where="refusal", reason="disabled",
    why="Spring's observation: DisabledException. A framework's own authentication is the application's; a login route may be the provider's.")
