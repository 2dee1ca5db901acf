"""Identity providers, clouds and hosted engines: most of them send no spans, and the caller's span is all there is."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Span, exception, trace
from instruments import GO, JVM, Service, aws_js, boto
from systems import invoked

bff = Service("crew-bff", "node")
rota = Service("rota", "fastapi")
pay = Service("payouts", "java")
sign = Service("sign-on", "go")
media = Service("media", "go")
desk = Service("desk", "aspnet")


# ---------------------------------------------------------------------------------------- engines that answer in their body
trace(
    "verified-permissions-then-403",
    bff.serve("DELETE /shifts/:id", 403, bff.call(rota.serve("DELETE /shifts/{id}", 403, boto(rota, "VerifiedPermissions", "IsAuthorized", 200, mark="ask")))),
    outcome="denied", layer="policy_engine", phase="authz", service="rota", where="ask", entry_status=403, confidence=["medium"], enforced_by="rota",
    why="Rule 6: a policy engine's answer that records no result, followed at once by a refusal with no other check.")

trace(
    "oso-cloud-then-403",
    bff.serve("GET /crews/:id", 403, bff.query("SELECT org FROM crews WHERE id = $1", table="crews"), bff.fetch("POST https://cloud.osohq.com/api/authorize", 200, mark="ask")),
    outcome="denied", layer="policy_engine", phase="authz", service="crew-bff", where="ask", entry_status=403, confidence=["medium"],
    why="Rule 6: Oso Cloud answers 200 and says no in the body.")

trace(
    "topaz-is-then-permission-denied",
    rota.answer("rota.v1.Rota/Swap", "PERMISSION_DENIED", rota.ask_alone("aserto.authorizer.v2.Authorizer/Is", "OK", host="topaz", mark="ask"), text="not allowed"),
    outcome="denied", layer="policy_engine", phase="authz", service="rota", where="ask", confidence=["medium", "low"],
    why="Rule 6: the authorizer's answer records no result and the refusal followed at once.")

permify = Service("permify", "go", port=3478)
trace(
    "permify-check-then-403",
    bff.serve("GET /files/:id", 403, bff.ask(permify.answer("base.v1.Permission/Check", "OK", permify.span("permissions.check", permify.span("check-engine.exclusion", scope="permify"), scope="permify", attrs={
        "tenant_id": "t1", "entity": "file:1", "permission": "view", "subject": "user:3"}, mark="check"), mark="server"))),
    outcome="denied", layer="policy_engine", phase="authz", service="permify", where=("server", "check"), entry_status=403, enforced_by="crew-bff", confidence=["medium", "high"],
    why="Rule 6; the engine has spans of its own.")

trace(
    "permify-check-says-denied",
    bff.serve("GET /files/:id", 403, bff.ask(permify.answer("base.v1.Permission/Check", "OK", permify.span("permissions.check", scope="permify", attrs={
        "tenant_id": "t1", "entity": "file:1", "permission": "view", "subject": "user:3", "result": "CHECK_RESULT_DENIED"}, mark="check"), mark="server"))),
    outcome="denied", layer="policy_engine", phase="authz", service="permify", where=("server", "check"), entry_status=403, enforced_by="crew-bff",
    why="The engine's own span names its result.")

trace(
    "azure-app-configuration-read-before-own-403",
    desk.serve("GET /tickets/{id}", 403, desk.fetch("GET https://desk.azconfig.io/kv?key=limits", 200), desk.span(
        "AuthorizationHandler SameTenantRequirement", scope="Desk.Authorization", attrs={"authorization.requirement": "SameTenant", "authorization.succeeded": False}, mark="check")),
    outcome="denied", layer="application", phase="authz", service="desk", where="check", entry_status=403,
    why="A configuration fetch does not count; the handler's span says that the requirement was not met.")

# ---------------------------------------------------------------------------------------- AWS
trace(
    "kms-decrypt-in-the-go-sdk",
    bff.serve("GET /payslips/:id", 500, bff.call(media.serve("GET /payslips/{id}", 500, Span(
        media, "KMS.Decrypt", "client", (), {"rpc.system": "aws-api", "rpc.service": "KMS", "rpc.method": "Decrypt", "aws.region": "eu-central-1", "aws.request_id": "c4c0-11", "http.response.status_code": 400},
        f"{GO}/github.com/aws/aws-sdk-go-v2/otelaws#0.64.0", status="error", mark="kms",
        message="operation error KMS: Decrypt, https response error StatusCode: 400, RequestID: c4c0-11, AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/media/i-0f is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-central-1:123456789012:key/4e because no identity-based policy allows the kms:Decrypt action")))),
    outcome="denied", layer="external_service", phase="authz", service="media", where="kms", entry_status=500, reason="kms:Decrypt", findings=["status_rewritten"], confidence=["high"],
    why="A cloud SDK's error with its typed class.")

trace(
    "secrets-manager-in-the-java-sdk",
    bff.serve("POST /payouts", 500, bff.call(pay.serve("POST /payouts", 500, pay.span(
        "SecretsManager.GetSecretValue", kind="client", scope=f"{JVM}.aws-sdk-2.2#2.22.0-alpha", status="error", mark="aws",
        attrs={"rpc.system": "aws-api", "rpc.service": "SecretsManager", "rpc.method": "GetSecretValue", "server.address": "secretsmanager.eu-west-1.amazonaws.com", "http.request.method": "POST", "http.response.status_code": 400, "aws.agent": "java-aws-sdk"},
        events=[exception("software.amazon.awssdk.services.secretsmanager.model.SecretsManagerException", "User: arn:aws:sts::123456789012:assumed-role/pay/x is not authorized to perform: secretsmanager:GetSecretValue on resource: bank-key because no identity-based policy allows the secretsmanager:GetSecretValue action (Service: SecretsManager, Status Code: 400, Request ID: 71aa)")]),
        events=[exception("org.springframework.beans.factory.BeanCreationException", "Error creating bean 'bankClient'")]))),
    outcome="denied", layer="external_service", phase="authz", service="payouts", where="aws", entry_status=500, reason="secretsmanager:GetSecretValue", confidence=["high", "medium"], findings=["status_rewritten"],
    why="Words of IAM on the SDK's span: an authorization refusal of the cloud.")

export = Service("warehouse-export", "lambda-py")
trace(
    "assume-role-refused-in-a-nightly-job",
    invoked(export, boto(export, "STS", "AssumeRole", 403, "AccessDenied", "User: arn:aws:sts::1:assumed-role/export/x is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/lake", mark="sts"),
            trigger="timer", status="error", message="ClientError"),
    outcome="denied", layer="external_service", phase="authz", service="warehouse-export", where="sts", reason="sts:AssumeRole", confidence=["high"],
    why="The job's work was refused by the cloud; the function only failed with it.")

trace(
    "sqs-send-refused-after-the-row-was-written",
    bff.serve("POST /swaps", 500, bff.check(True, attrs={"auth.subject": "crew-7"}), bff.query("INSERT INTO swaps (id) VALUES ($1)", table="swaps"),
              aws_js(bff, "SQS", "SendMessage", 403, "AccessDenied", "User: arn:aws:sts::1:assumed-role/bff/x is not authorized to perform: sqs:sendmessage on resource: swaps", kind="producer", attrs={"messaging.system": "aws_sqs", "messaging.destination.name": "swaps"}, mark="sqs")),
    outcome="denied", layer=["message_broker", "external_service"], phase="authz", service="crew-bff", where="sqs", entry_status=500, findings=["side_effect_before_denial", "status_rewritten"], principal="crew-7",
    side_effects=[["db_write", "before_denial"]],
    why="The queue's policy refused the send; the row stays.")

# ---------------------------------------------------------------------------------------- Google and Azure
trace(
    "gcp-secret-manager-permission-denied",
    media.serve("GET /streams/{id}", 500, media.ask_alone("google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion", "PERMISSION_DENIED", host="secretmanager.googleapis.com",
        text="Permission 'secretmanager.versions.access' denied for resource 'projects/media/secrets/cdn/versions/latest' (or it may not exist).", mark="ask")),
    outcome="denied", layer="external_service", phase="authz", service="media", where="ask", entry_status=500, reason="secretmanager.versions.access", findings=["status_rewritten"],
    why="Rule 7: gRPC 7 from a peer without spans is the peer's denial.")

trace(
    "gcs-object-forbidden",
    media.serve("GET /streams/{id}/poster", 404, media.fetch("GET https://storage.googleapis.com/storage/v1/b/posters/o/4711.jpg?alt=media", 403, mark="ask")),
    outcome="denied", layer="external_service", phase="authz", service="media", where="ask", entry_status=404, confidence=["medium"], findings=["masked_denial"],
    why="Rule 7: a CLIENT span that got 403 from a peer with no SERVER span; the service showed 404 instead.")

trace(
    "bigquery-access-denied-in-python",
    rota.serve("GET /stats", 500, rota.span("BigQuery.job.begin", scope="google.cloud.bigquery", status="error", mark="bq", message="Forbidden: 403 Access Denied",
        attrs={"db.system": "BigQuery", "db.name": "crew-stats", "location": "EU"}, events=[exception("google.api_core.exceptions.Forbidden", "403 Access Denied: Table crew-stats:core.shifts: User does not have permission to query table crew-stats:core.shifts, or perhaps it does not exist.")])),
    outcome="denied", layer=["database", "external_service"], phase="authz", service="rota", where="bq", entry_status=500, findings=["status_rewritten"], confidence=["high"],
    why="A typed class of the client library.", doubt="BigQuery is a database and a cloud service")

trace(
    "blob-storage-role-is-missing",
    desk.serve("GET /attachments/{id}", 500, desk.span("BlobClient.Download", desk.fetch("GET https://deskfiles.blob.core.windows.net/a/4711", 403, name="GET", attrs={"az.client_request_id": "4b1e", "az.service_request_id": "9b2f"}, mark="http"),
        scope="Azure.Storage.Blobs.BlobClient", status="error", attrs={"az.namespace": "Microsoft.Storage", "error.type": "AuthorizationPermissionMismatch"}, mark="sdk",
        message="Azure.RequestFailedException: This request is not authorized to perform this operation using this permission.")),
    outcome="denied", layer="external_service", phase="authz", service="desk", where=("http", "sdk"), entry_status=500, findings=["status_rewritten"],
    why="The storage account refused the service; two spans of one call.")

trace(
    "service-bus-send-claim-is-required",
    desk.serve("POST /tickets", 500, desk.span("ServiceBusSender.Send", kind="client", scope="Azure.Messaging.ServiceBus.ServiceBusSender", status="error", mark="bus",
        attrs={"az.namespace": "Microsoft.ServiceBus", "messaging.system": "servicebus", "messaging.destination.name": "tickets", "server.address": "desk.servicebus.windows.net", "error.type": "System.UnauthorizedAccessException"},
        message="System.UnauthorizedAccessException: Unauthorized access. 'Send' claim(s) are required to perform this operation. Resource: 'sb://desk.servicebus.windows.net/tickets'.")),
    outcome="denied", layer=["message_broker", "external_service"], phase="authz", service="desk", where="bus", entry_status=500, findings=["status_rewritten"],
    why="The broker refused the send.")

trace(
    "cosmos-rbac-blocks-a-read",
    desk.serve("GET /profiles/{id}", 500, desk.span("read_item profiles", kind="client", scope="Azure.Cosmos.Operation", status="error", mark="cosmos",
        attrs={"db.system.name": "azure.cosmosdb", "db.operation.name": "read_item", "db.namespace": "desk", "db.collection.name": "profiles", "db.response.status_code": "403", "azure.cosmosdb.response.sub_status_code": 5300, "server.address": "desk.documents.azure.com",
               "error.type": "Forbidden"},
        message="Response status code does not indicate success: Forbidden (403); Substatus: 5300; Request blocked by Auth desk : Request is blocked because principal [7d0c] does not have required RBAC permissions to perform action [Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read]")),
    outcome="denied", layer="database", phase="authz", service="desk", where="cosmos", entry_status=500, findings=["status_rewritten"], confidence=["high"],
    why="A database's refusal with its code.")

# ---------------------------------------------------------------------------------------- providers of identity
trace(
    "okta-refuses-the-password",
    bff.serve("POST /login", 401, bff.call(sign.serve("POST /sessions", 401, sign.fetch("POST https://crew.okta.com/api/v1/authn", 401, mark="okta")))),
    outcome="denied", layer="identity_provider", phase="authn", service="sign-on", where="okta", entry_status=401, findings=["relayed_by"],
    why="Rule 7: the peer's denial; the peer is an identity provider.")

trace(
    "auth0-action-denies-the-exchange",
    bff.serve("GET /callback", 403, bff.fetch("POST https://crew.eu.auth0.com/oauth/token", 403, mark="auth0"), path="/callback?code=x&state=y"),
    outcome="denied", layer="identity_provider", phase="authn", service="crew-bff", where="auth0", entry_status=403,
    why="A token endpoint that answers 403: the provider's refusal.")

trace(
    "consent-declined-at-entra",
    desk.serve("GET /signin-oidc", 500, mark="entry", path="/signin-oidc", events=[exception("Microsoft.AspNetCore.Authentication.AuthenticationFailureException", "An error was encountered while handling the remote login."),
        exception("Microsoft.IdentityModel.Protocols.OpenIdConnect.OpenIdConnectProtocolException", "Message contains error: 'access_denied', error_description: 'AADSTS65004: User declined to consent to access the app.', error_uri: 'error_uri is null'.")]),
    outcome="denied", layer="identity_provider", phase="authn", service="desk", where="entry", entry_status=500, findings=["status_rewritten"],
    why="The provider sent the refusal back with the browser; the class names the protocol, the text the provider's error.", doubt="whether a refusal that came by redirect may be given to a party without any span")

saml = Service("campus-portal", "django")
trace(
    "saml-response-not-signed-as-agreed",
    saml.serve("POST saml/acs/", 401, saml.span("process_response", scope="campus.saml", status="error", message="OneLogin_Saml2_ValidationError: Signature validation failed. SAML Response rejected", mark="saml",
        events=[exception("onelogin.saml2.errors.OneLogin_Saml2_ValidationError", "Signature validation failed. SAML Response rejected")]), path="/saml/acs/"),
    outcome="denied", layer=["application", "identity_provider"], phase="authn", service="campus-portal", where="saml", entry_status=401, reason="Signature validation failed",
    why="The service's own check of what the provider sent. Rule 13: a signature that does not verify is authn.")

gotrue = Service("gotrue", "go", old=True, port=9999)
trace(
    "gotrue-refresh-token-used-twice",
    bff.serve("GET /me", 401, bff.call(gotrue.serve("POST /token", 400, gotrue.query("SELECT * FROM refresh_tokens WHERE token = $1 LIMIT 1", table="refresh_tokens"), mark="token", path="/token?grant_type=refresh_token"))),
    outcome="denied", layer="identity_provider", phase="authn", service="gotrue", where="token", entry_status=401,
    why="A token endpoint's 400 is a refusal of the provider, which the caller turned into a 401.")

worker = Service("sync-agent", "aspnet")
hub = Service("hub-api", "gin")
kc = Service("keycloak", "quarkus", port=8080)
trace(
    "stale-token-renewed-by-the-client-library",
    worker.span("SyncRun", worker.call(hub.serve("GET /changes", 401, hub.token(False, "token is expired by 12s"))), worker.call(kc.serve("POST /realms/crew/protocol/openid-connect/token", 200)),
                worker.call(hub.serve("GET /changes", 200, hub.token(True, attrs={"auth.subject": "sync-agent"}), hub.query("SELECT * FROM changes WHERE seq > $1", table="changes")), attrs={"http.request.resend_count": 1}), scope="Sync.Agent"),
    outcome="allowed", layer=None, span_id=None, findings=["retried"], no_findings=["fail_open", "side_effect_after_denial"],
    why="Rule 3: a denied attempt that was retried and then allowed is not the origin.")

trace(
    "refresh-fails-after-a-stale-token",
    bff.serve("GET /changes", 401, bff.call(hub.serve("GET /changes", 401, hub.token(False, "token is expired by 40m", mark="stale"))), bff.call(kc.serve("POST /realms/crew/protocol/openid-connect/token", 400, mark="refresh"))),
    outcome="denied", layer=["identity_provider", "application"], phase="authn", where=("refresh", "stale"), service=["keycloak", "hub-api"], entry_status=401,
    why="Two refusals on the way; the later one decided that nothing more could be done, and the hop that asked for it enforces it.", doubt="rule 12 speaks of a later check of the caller's own; the refresh is one, taken by another")

cli = Service("crewctl", "go")
trace(
    "device-code-is-polled-until-the-user-agrees",
    cli.span("crewctl login", cli.fetch("POST https://login.crew.example/oauth2/device/auth", 200), *(cli.fetch("POST https://login.crew.example/oauth2/token", 400) for _ in range(3)),
             cli.fetch("POST https://login.crew.example/oauth2/token", 200), scope="crewctl"),
    outcome=["allowed", "no_auth_evidence"], layer=None, span_id=None, no_findings=["fail_open"],
    why="Rule 3: authorization_pending is answered with 400 until the user has agreed; the last attempt succeeded.")

step = Service("treasury", "ktor")
trace(
    "transfer-wants-a-stronger-login",
    step.serve("POST /transfers", 401, mark="entry", attrs={"http.response.header.www-authenticate": ['Bearer error="insufficient_user_authentication", error_description="A different authentication level is required", acr_values="urn:mfa"']}, ip="192.0.2.201"),
    outcome="denied", layer="application", phase="authn", service="treasury", where="entry", entry_status=401, reason="insufficient_user_authentication", client_address="192.0.2.201",
    why="The service asks for step-up (RFC 9470) by itself.")

trace(
    "expired-certificate-of-the-provider",
    bff.serve("GET /me", 503, bff.call(sign.serve("GET /me", 503, sign.fetch("POST https://id.partner.example/oauth2/introspect", None, error="tls: failed to verify certificate: x509: certificate has expired or is not yet valid", mark="tls",
        message='Post "https://id.partner.example/oauth2/introspect": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-10-14T08:00:00Z is after 2026-10-13T23:59:59Z')))),
    outcome="error", layer="identity_provider", service="sign-on", where="tls", entry_status=503, no_findings=["relayed_by"],
    why="Rule 5: the provider could not be asked; an expired certificate of the provider is no refusal of the caller.")

trace(
    "provider-name-does-not-resolve-fails-closed",
    rota.serve("GET /shifts", 401, rota.fetch("GET https://crew.eu.auth0.com/userinfo", None, error="gaierror", mark="dns", events=[exception("httpx.ConnectError", "[Errno -3] Temporary failure in name resolution")])),
    outcome="error", layer="identity_provider", service="rota", where="dns", entry_status=401, findings=["fail_closed"],
    why="Rule 5: an error is not a denial, even where the client saw 401.")

trace(
    "userinfo-refuses-a-revoked-token",
    rota.serve("GET /shifts", 401, rota.fetch("GET https://crew.eu.auth0.com/userinfo", 401, mark="ask")),
    outcome="denied", layer="identity_provider", phase="authn", service="rota", where="ask", entry_status=401, findings=["uninstrumented_peer"],
    why="Rule 7: the documented answer of a userinfo endpoint.")
