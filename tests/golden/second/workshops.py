"""Application frameworks and what houses write by hand: their own words for yes and no."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Event, Span, exception, trace
from instruments import JS, PY, Service, spring
from systems import tracing_event

edge = Service("campus-edge", "go")
exam = Service("exams", "aspnet")
blog = Service("notices", "rails", old=True)
grade = Service("grading", "laravel")
dorm = Service("dormitory", "symfony")
lab = Service("lab-booking", "phoenix")
staff = Service("staff", "quarkus")
room = Service("rooms", "micronaut")
fees = Service("tuition", "ktor")
lend = Service("lending", "axum")
bike = Service("bicycles", "actix")
task = Service("reports-worker", "fastapi")
api = Service("campus-graph", "aspnet")
hall = Service("halls", "node")
mail = Service("postbox", "spring")


def via(server: Span, code: int | None = None, **kw: object) -> Span:
    """The request by way of the edge, whose own check passes."""
    method, _, url = server.request.partition(" ")  # type: ignore[attr-defined]
    path = "/campus/" + url.split("/", 3)[3]
    return edge.serve(f"{method} {path}", code or server.code, edge.token(True, attrs={"auth.subject": "st-9"}), edge.call(server), **kw)  # type: ignore[attr-defined, arg-type]


# ---------------------------------------------------------------------------------------- frameworks
trace(
    "rails-action-policy",
    via(blog.serve("PUT /notices/:id", 403, blog.query("SELECT notices.* FROM notices WHERE id = $1", table="notices"), mark="entry", name="NoticesController#update",
                   attrs={"code.namespace": "NoticesController", "code.function": "update"}, events=[exception("ActionPolicy::Unauthorized", "Not authorized: NoticePolicy#update? returns false")])),
    outcome="denied", layer="application", phase="authz", service="notices", where="entry", entry_status=403, reason="NoticePolicy#update?", confidence=["high"], findings=["relayed_by"],
    why="An exception class of an authorization library on the service's own span.")

trace(
    "devise-sends-to-sign-in",
    blog.serve("GET /notices/new", 302, attrs={"http.response.header.location": "https://campus.example/users/sign_in", "rails.devise.message": "timeout"}, mark="entry"),
    outcome="denied", layer="application", phase="authn", service="notices", where="entry", entry_status=302, findings=["masked_denial"],
    why="Outcomes: a redirect to a login page.")

trace(
    "laravel-gate-says-unauthorized",
    via(grade.serve("PATCH /grades/{grade}", 403, grade.query("select * from `grades` where `id` = ? limit 1", system="mysql", table="grades"), mark="entry", events=[
        exception("Illuminate\\Auth\\Access\\AuthorizationException", "This action is unauthorized.")])),
    outcome="denied", layer="application", phase="authz", service="grading", where="entry", entry_status=403, reason="unauthorized", confidence=["high"],
    why="The framework's typed exception on the span of the hop.")

trace(
    "symfony-voter-denies-inside-the-controller",
    via(dorm.serve("POST /keys/{id}", 403, dorm.span("App\\Controller\\KeyController::handOut", dorm.query("SELECT k0_.id FROM keys k0_ WHERE k0_.id = ?", table="keys"), scope="io.opentelemetry.contrib.php.symfony#1.1.0", status="error", mark="ctl",
        events=[exception("Symfony\\Component\\Security\\Core\\Exception\\AccessDeniedException", "Access Denied. The user doesn't have ROLE_WARDEN.")]))),
    outcome="denied", layer="application", phase="authz", service="dormitory", where="ctl", entry_status=403, reason="ROLE_WARDEN", confidence=["high"],
    why="The framework's typed exception; the voter has no span, the controller carries it.")

trace(
    "phoenix-plug-halts",
    via(lab.serve("DELETE /bookings/:id", 403, lab.span("LabWeb.Plugs.FetchSession", scope="lab", lasts=0.2), lab.span("LabWeb.Plugs.EnsureRole", scope="lab", attrs={"plug.halted": True, "role.required": "supervisor"}, mark="plug"))),
    outcome="denied", layer="application", phase="authz", service="lab-booking", where="plug", entry_status=403, confidence=["medium", "high"],
    why="Rule 6: a named guard that is the last span before its refusal.")

trace(
    "quarkus-security-event",
    via(staff.serve("GET /staff/{id}/salary", 403, mark="entry", events=[
        Event("quarkus.security.authentication.success", {"quarkus.security.identity.principal": "st-9", "quarkus.security.identity.anonymous": "false"}),
        Event("quarkus.security.authorization.failure", {"quarkus.security.authorization.failure": "io.quarkus.security.ForbiddenException", "quarkus.security.authorization.context": "io.quarkus.security.runtime.interceptor.check.RolesAllowedCheck",
              "quarkus.security.identity.principal": "st-9"})])),
    outcome="denied", layer="application", phase="authz", service="staff", where="entry", entry_status=403, confidence=["high", "medium"],
    why="The framework's own security event on the hop's span.")

trace(
    "micronaut-authorization-exception",
    via(room.serve("POST /rooms", 403, room.span("SecurityFilter", scope="io.micronaut.security", status="error", mark="filter", events=[exception("io.micronaut.security.authentication.AuthorizationException", "")]))),
    outcome="denied", layer="application", phase="authz", service="rooms", where="filter", entry_status=403,
    why="A named filter with the framework's class, the last span before the refusal.")

trace(
    "ktor-answers-401-without-a-word",
    via(fees.serve("GET /fees/{id}", 401, mark="entry")),
    outcome="denied", layer="application", phase="authn", service="tuition", where="entry", entry_status=401, confidence=["medium"], findings=["relayed_by"], no_findings=["status_rewritten"],
    why="Rule 6: the hop called nobody below it.")

trace(
    "axum-layer-with-a-tracing-event",
    via(lend.serve("POST /loans", 403, lend.span("require_scope", scope="axum-otel", attrs={"code.namespace": "lending::auth", "busy_ns": 21000}, mark="guard", events=[
        tracing_event("missing scope loans:write", "WARN", "lending::auth", subject="st-9")]))),
    outcome="denied", layer="application", phase="authz", service="lending", where="guard", entry_status=403, confidence=["medium", "high", "low"],
    why="Rule 6: a named guard that is the last span before its refusal.")

trace(
    "actix-root-span-carries-the-error",
    via(bike.serve("GET /bicycles/{id}", 401, mark="entry", attrs={"exception.message": "JWT error: ExpiredSignature", "exception.details": "Jwt(Error(ExpiredSignature))", "otel.kind": "server", "request_id": "b7b1"}, status="error")),
    outcome="denied", layer="application", phase="authn", service="bicycles", where="entry", entry_status=401, reason="ExpiredSignature",
    why="The hop's own span names its reason.")

trace(
    "spring-denial-wrapped-by-a-future",
    via(mail.serve("POST /letters", 500, mark="entry", events=[
        exception("java.util.concurrent.CompletionException", "org.springframework.security.access.AccessDeniedException: Access is denied")])),
    outcome="denied", layer="application", phase="authz", service="postbox", where="entry", entry_status=500, findings=["status_rewritten"], reason="Access is denied",
    why="A wrapper around the framework's refusal is still that refusal; the hop turned it into a 500.")

trace(
    "denial-stands-only-in-the-stack-trace",
    via(mail.serve("GET /letters/{id}", 500, mark="entry", events=[
        exception("org.springframework.web.util.NestedServletException", "Request processing failed", stack="org.springframework.web.util.NestedServletException: Request processing failed\n\tat org.springframework.web.servlet.FrameworkServlet.processRequest(FrameworkServlet.java:1014)\nCaused by: org.springframework.security.access.AccessDeniedException: Access is denied\n\tat org.springframework.security.access.vote.AffirmativeBased.decide(AffirmativeBased.java:73)\n")])),
    outcome=["denied", "error"], layer="application", service="postbox", where="entry", entry_status=500, confidence=["medium", "low", "high"],
    why="The root cause in the stack is the refusal of a framework; text only.", doubt="a reader who does not open stack traces sees a broken application")

trace(
    "hot-chocolate-not-authorized",
    via(api.serve("POST /graphql", 200, api.span("query { transcript }", scope="HotChocolate.Diagnostics", status="error", mark="op", attrs={"graphql.operation.type": "query", "graphql.http.kind": "HttpPost"}, events=[
        Event("Error", {"graphql.error.message": "The current user is not authorized to access this resource.", "graphql.error.code": "AUTH_NOT_AUTHORIZED", "graphql.error.path": "/transcript"})]))),
    outcome="denied", layer="application", phase="authz", service="campus-graph", where="op", entry_status=200, findings=["masked_denial"], reason="not authorized",
    why="Rule 14: an operation refused as a whole is denied, masked.")

router = Service("apollo-router", "axum")
subg = Service("halls-subgraph", "node")
trace(
    "apollo-router-drops-one-field",
    router.serve("POST /graphql", 200, router.span("supergraph", router.span("query_planning", scope="apollo-router", lasts=0.3), router.span("execution", router.span("fetch", router.call(subg.serve("POST /graphql", 200, subg.query("SELECT * FROM halls", table="halls"))),
        scope="apollo-router", attrs={"apollo.subgraph.name": "halls"}), scope="apollo-router"), scope="apollo-router", mark="super", attrs={"graphql.operation.name": "Halls", "graphql.errors.code": "UNAUTHORIZED_FIELD_OR_TYPE", "graphql.errors.message": "Unauthorized field or type"}), scope="apollo-router"),
    outcome="partially_denied", layer=["api_gateway", "application"], phase="authz", service="apollo-router", where="super", entry_status=200,
    unmended="what an Apollo Router writes of its errors is named by whoever configured it; a house rule reads it",
    why="Rule 14: a field refused beside others that resolved.")

trace(
    "celery-task-may-not-export",
    task.span("run/reports.tasks.export", task.query("SELECT dept FROM users WHERE id = $1", table="users"), kind="consumer", scope=f"{PY}.celery#0.60b1", status="error", mark="job",
              attrs={"celery.action": "run", "celery.task_name": "reports.tasks.export", "celery.state": "FAILURE", "messaging.message.id": "7f", "messaging.destination": "celery"},
              events=[exception("reports.errors.NotPermitted", "user 88 may not export department 12")], message="NotPermitted: user 88 may not export department 12"),
    outcome="denied", layer="application", phase="authz", service="reports-worker", where="job", reason="may not export",
    why="A trace whose entry is a CONSUMER is denied where its work was refused; the class and the words say so.")

# ---------------------------------------------------------------------------------------- a house's own words
trace(
    "house-attribute-outcome-denied",
    via(hall.serve("POST /halls/:id/book", 403, hall.span("entitlement", attrs={"campus.authz.outcome": "denied", "campus.authz.rule": "evening-hours-need-a-sponsor", "campus.authz.subject": "st-9"}, scope="campus-authz", mark="rule"))),
    outcome="denied", layer="application", phase="authz", service="halls", where="rule", entry_status=403,
    why="A hand-written decision: the key ends in authz.outcome and the value says denied, the 403 follows.")

trace(
    "house-attribute-security-decision-on-entry",
    hall.serve("GET /halls/:id/plan", 403, mark="entry", attrs={"security.decision": "DENY", "security.reason": "clearance below level 3", "security.principal": "guest-4"}),
    outcome="denied", layer="application", phase="authz", service="halls", where="entry", entry_status=403, confidence=["high", "medium"],
    why="The hop's own span carries the decision in the house's words.")

trace(
    "house-attribute-access-granted-false",
    via(hall.serve("GET /halls/:id/keys", 404, hall.span("canSeeKeys", attrs={"access.granted": False, "access.reason": "tenant mismatch"}, scope="halls", mark="rule"))),
    outcome="denied", layer="application", phase="authz", service="halls", where="rule", entry_status=404, findings=["masked_denial"],
    why="Outcomes: masked as 404; an explicit negative decision came last.")

trace(
    "house-attribute-verdict-allows-and-404",
    via(hall.serve("GET /halls/:id", 404, hall.span("entitlement", attrs={"campus.authz.outcome": "allowed"}, scope="campus-authz"), hall.query("SELECT * FROM halls WHERE id = $1", table="halls"))),
    outcome="allowed", layer=None, span_id=None, no_findings=["masked_denial"],
    why="A business answer after visible checks passed.")

trace(
    "guard-with-a-german-name",
    via(fees.serve("POST /fees/{id}/waive", 403, fees.query("SELECT * FROM fees WHERE id = ?", table="fees"), fees.span("Berechtigungsprüfung", scope="tuition", status="error", message="Rolle Kassenleitung fehlt", mark="check"))),
    outcome="denied", layer="application", phase="authz", service="tuition", where="check", entry_status=403, reason="Kassenleitung",
    why="Rule 6: a named guard that failed and was the last span before the refusal.")

trace(
    "guard-with-a-japanese-name",
    via(hall.serve("DELETE /halls/:id", 403, hall.span("権限チェック", scope="halls", attrs={"auth.result": "failure", "auth.failure_reason": "管理者ロールがありません"}, status="error", mark="check"))),
    outcome="denied", layer="application", phase="authz", service="halls", where="check", entry_status=403, reason="管理者", confidence=["high"],
    why="Rule 4: the explicit decision in `auth.result`; its language does not matter.")

trace(
    "cached-decision",
    via(hall.serve("PUT /halls/:id", 403, hall.span("GET", kind="client", scope=f"{JS}-ioredis#0.56.0", attrs={"db.system": "redis", "db.statement": "get authz:st-9:halls:edit", "net.peer.name": "cache"}), hall.span(
        "authorize", attrs={"authz.decision": "deny", "authz.reason": "no grant", "authz.cache": "hit"}, scope="campus-authz", mark="rule"))),
    outcome="denied", layer="application", phase="authz", service="halls", where="rule", entry_status=403, reason="no grant", confidence=["high"],
    why="A cached decision is a decision of the one who acts on it.")

trace(
    "tenant-guard-throws-not-found",
    via(exam.serve("GET /exams/{id}", 404, exam.span("TenantGuard", scope="Exams.Security", status="error", mark="guard", events=[exception("Exams.Security.TenantMismatchException", "exam 4711 belongs to tenant 3, caller is of tenant 8")]))),
    outcome="denied", layer="application", phase="authz", service="exams", where="guard", entry_status=404, findings=["masked_denial"], confidence=["medium", "low", "high"],
    why="A guard threw because of the tenant, and the client saw a 404: masked.")

trace(
    "two-checks-only-the-second-stops-it",
    via(hall.serve("POST /halls/:id/close", 403, hall.span("show banner", hall.check(False, "no marketing consent", attrs={"auth.resource": "banner"}), scope="halls"), hall.span("close hall", hall.query("SELECT * FROM bookings WHERE hall = $1", table="bookings"),
        hall.check(False, "not a hall manager", mark="rule", attrs={"auth.resource": "hall:4711"}), scope="halls"))),
    outcome="denied", layer="application", phase="authz", service="halls", where="rule", entry_status=403, reason="hall manager", confidence=["high"],
    why="Rule 12: where the caller went on after a refusal to a later check of its own that refused, the later one is the origin.")

trace(
    "denied-in-words-and-booked-all-the-same",
    via(hall.serve("POST /halls/:id/book", 201, hall.span("authorize", attrs={"authz.decision": "deny", "authz.reason": "quota of the faculty is used up"}, scope="campus-authz", mark="rule"), hall.query("INSERT INTO bookings (hall) VALUES ($1)", table="bookings"))),
    outcome="bypassed", layer="application", phase="authz", service="halls", where="rule", entry_status=201, findings=["fail_open", "side_effect_after_denial"], side_effects=[["db_write", "after_denial"]],
    why="A layer refused the protected action and it happened all the same.")

trace(
    "saga-compensates-after-a-refusal",
    via(mail.serve("POST /trips", 403, mail.call(room.serve("POST /reservations", 201, room.query("INSERT INTO reservation (id) VALUES (?)", table="reservation"))), mail.call(fees.serve("POST /charges", 403, fees.check(False, "account is on hold", mark="rule"))),
                    mail.call(room.serve("DELETE /reservations/{id}", 204, room.query("DELETE FROM reservation WHERE id = ?", table="reservation"))))),
    outcome="denied", layer="application", phase="authz", service="tuition", where="rule", entry_status=403, reason="on hold", confidence=["high"],
    why="Rule 2: followed down to the hop that took it; the compensation afterwards changes nothing about who refused.")

trace(
    "spring-observation-of-a-denied-message",
    spring(mail, "POST /letters", 403, mail.span("authorize method", attrs={"spring.security.object": "method", "spring.security.authentication.type": "JwtAuthenticationToken", "spring.security.authentication.authorities": "[ROLE_STUDENT]",
        "spring.security.authorization.decision": "false", "spring.security.authorization.decision.details": "AuthorityAuthorizationDecision [granted=false, authorities=[ROLE_CLERK]]"}, scope="org.springframework.boot", status="error", mark="rule"), exc="AuthorizationDeniedException"),
    outcome="denied", layer="application", phase="authz", service="postbox", where="rule", entry_status=403, confidence=["high"],
    why="Spring Security's own observation.")
