"""Databases, caches, brokers, clouds and other parties that refuse the service itself."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Span, exception, trace
from instruments import JS, JVM, PY, Service, aws_js, boto, handler, middlewares, nest, nest_handler

gw = Service("edge", "go", old=True)
meter = Service("meter-reads", "go")
photos = Service("photos", "fastapi")
desk = Service("service-desk", "node")
stock = Service("stock-keeper", "java")
quotas = Service("quotas", "aspnet")


def through(server: Span, code: int | None = None, **kw: object) -> Span:
    """The request by way of the edge, which relays or rewrites the answer."""
    method, _, url = server.request.partition(" ")  # type: ignore[attr-defined]
    path = "/api/" + url.split("/", 3)[3]
    return gw.serve(f"{method} {path}", code or server.code, gw.call(server), **kw)  # type: ignore[attr-defined, arg-type]


# ---------------------------------------------------------------------------------------- PostgreSQL in each driver's words
DENIED = "permission denied for table readings"
trace(
    "pgx-privilege",
    through(meter.serve("GET /readings/{id}", 500, meter.query(
        "SELECT kwh FROM readings WHERE meter = $1", name="query SELECT", table="readings", status="error", mark="sql", message=f"ERROR: {DENIED} (SQLSTATE 42501)",
        attrs={"pgx.sql_state": "42501", "db.user": "meter_ro"}, events=[exception("*pgconn.PgError", f"ERROR: {DENIED} (SQLSTATE 42501)")]))),
    outcome="denied", layer="database", phase="authz", service="meter-reads", where="sql", reason=DENIED, entry_status=500,
    findings=["status_rewritten"], confidence=["high"], enforced_by="meter-reads",
    why="A driver's error with its code; a database's refusal to 500 is status_rewritten.")

ROW = 'new row violates row-level security policy for table "tags"'
trace(
    "psycopg2-row-policy",
    through((tags := Service("tags", "flask", old=True)).serve("POST /tags", 403, tags.query(
        "INSERT INTO tags (owner, name) VALUES (%s, %s)", table="tags", status="error", mark="sql", message=f"InsufficientPrivilege: {ROW}\n",
        events=[exception("psycopg2.errors.InsufficientPrivilege", ROW + "\n")]))),
    outcome="denied", layer="database", phase="authz", service="tags", where="sql", reason="row-level security", entry_status=403, confidence=["high"],
    no_findings=["status_rewritten"],
    why="Row-level security refused the write; the driver's typed class is explicit.")

alchemy = {"scope": f"{PY}.sqlalchemy#0.60b1", "name": "UPDATE tags"}
trace(
    "sqlalchemy-and-driver-both-traced",
    through(tags.serve("PUT /tags/<id>", 500, tags.query(
        "UPDATE tags SET name = %s WHERE id = %s", table="tags", status="error", mark="orm", message="permission denied for table tags\n", **alchemy),
        tags.query("UPDATE tags SET name = %s WHERE id = %s", table="tags", status="error", mark="driver", message="InsufficientPrivilege: permission denied for table tags\n",
                   events=[exception("psycopg2.errors.InsufficientPrivilege", "permission denied for table tags\n")]), status="error")),
    outcome="denied", layer="database", phase="authz", service="tags", where=("orm", "driver"), reason="permission denied for table tags", entry_status=500,
    no_findings=["side_effect_before_denial", "side_effect_after_denial"],
    why="One statement as two sibling spans; a refused write changed nothing.")

trace(
    "jdbc-privilege-without-code",
    through(stock.serve("POST /counts", 500, stock.span("HikariDataSource.getConnection", scope=f"{JVM}.jdbc", lasts=0.3), stock.query(
        "INSERT INTO counts (sku, n) VALUES (?, ?)", table="counts", status="error", mark="sql",
        events=[exception("org.postgresql.util.PSQLException", "ERROR: permission denied for table counts")]),
        events=[exception("org.springframework.dao.PermissionDeniedDataAccessException", "PreparedStatementCallback; ERROR: permission denied for table counts")])),
    outcome="denied", layer="database", phase="authz", service="stock-keeper", where="sql", reason="permission denied for table counts",
    confidence=["high", "medium"], findings=["status_rewritten"],
    why="PostgreSQL's words in the driver's exception; JDBC gives no code.")

trace(
    "npgsql-login-refused",
    through(quotas.serve("GET /quotas", 500, quotas.query(
        "SELECT 1", name="quotas", status="error", mark="sql", message='28P01: password authentication failed for user "quotas_app"',
        attrs={"db.response.status_code": "28P01", "error.type": "28P01"}, events=[
            exception("Npgsql.PostgresException", '28P01: password authentication failed for user "quotas_app"')]))),
    outcome="denied", layer="database", phase="authn", service="quotas", where="sql", reason="password authentication failed", confidence=["high"],
    findings=["status_rewritten"], no_findings=["fail_closed"],
    why="Catalogue §4.25: the database refused the service's own credential; code 28P01 is explicit.")

trace(
    "asyncpg-login-on-server-span-only",
    through(photos.serve("GET /photos/{id}", 500, mark="leaf", events=[
        exception("asyncpg.exceptions.InvalidPasswordError", 'password authentication failed for user "photos"')])),
    outcome="denied", layer="database", phase="authn", service="photos", where="leaf", reason="password authentication failed", confidence=["high"],
    why="Catalogue G: asyncpg's connect has no span; the class on the SERVER span is the database's refusal.")

trace(
    "node-pg-code-in-exception-on-handler",
    through(desk.serve("DELETE /queues/:id", 500, *middlewares(desk, "query", "expressInit"), handler(desk, "/queues/:id", nest(
        desk, "QueuesController", "drop", nest_handler(desk, "drop", desk.query(
            "DELETE FROM queues WHERE id = $1", name="pg.query:DELETE service_desk", table="queues", status="error", mark="sql", message="permission denied for table queues",
            events=[exception("", "PostgreSQL error of type 'error' occurred (code: 42501)")]),
            fault=exception("42501", "permission denied for table queues")), fault=exception("42501", "permission denied for table queues"))))),
    outcome="denied", layer="database", phase="authz", service="service-desk", where="sql", reason="permission denied for table queues", confidence=["high"],
    findings=["status_rewritten"],
    why="The code appears again on the NestJS spans above; the deepest span that states the refusal is the driver's.")

trace(
    "otelsql-event-only",
    through((tar := Service("tariffs", "gin")).serve("GET /tariffs", 503, tar.query(
        "SELECT * FROM tariffs", name="sql.conn.query", system="postgresql", status="error", mark="sql", events=[
            exception("*pq.Error", "pq: permission denied for schema billing")]))),
    outcome="denied", layer="database", phase="authz", service="tariffs", where="sql", reason="permission denied for schema",
    why="otelsql leaves the status message empty; the exception event speaks.")

trace(
    "application-allows-database-refuses",
    through((wages := Service("wages", "fastapi")).serve("GET /wages/{id}", 403, wages.check(True, attrs={"auth.subject": "clerk-4"}), wages.query(
        "SELECT amount FROM wages WHERE id = $1", table="wages", status="error", mark="sql", events=[
            exception("asyncpg.exceptions.InsufficientPrivilegeError", "permission denied for table wages")]))),
    outcome="denied", layer="database", phase="authz", service="wages", where="sql", principal="clerk-4", confidence=["high"],
    layers=[["application", "allow"], ["database", "deny"]],
    why="Catalogue §4.26: two policies drifted apart; the database refused.")

trace(
    "select-finds-nothing-then-404",
    through((notes := Service("notebook", "django")).serve("GET notes/<int:pk>", 404, notes.check(True, attrs={"auth.subject": "w-1"}), notes.query(
        "SELECT * FROM notes WHERE id = %s", table="notes", attrs={"db.response.returned_rows": 0}), path="/notes/4711")),
    outcome="allowed", layer=None, span_id=None, principal="w-1", no_findings=["masked_denial"],
    why="Catalogue G: row filtering is never claimed from zero rows; 404 after the visible checks passed is the business answering.")

# ---------------------------------------------------------------------------------------- other stores
trace(
    "mysql2-text-only",
    through(desk.serve("GET /reports", 500, *middlewares(desk, "query", "expressInit"), desk.query(
        "SELECT * FROM audit", system="mysql", name="SELECT", table="audit", scope=f"{JS}-mysql2#0.55.0", status="error", mark="sql",
        message="SELECT command denied to user 'desk'@'10.42.1.9' for table `desk`.`audit`"))),
    outcome="denied", layer="database", phase="authz", service="service-desk", where="sql", reason="command denied", confidence=["medium"], entry_status=500,
    why="Confidence: a driver's words without a code are medium.")

trace(
    "pymysql-column-privilege",
    through((lab := Service("lab-orders", "flask", old=True)).serve("GET /orders/<id>", 500, lab.query(
        "SELECT ssn FROM patients", system="mysql", table="patients", scope=f"{PY}.pymysql#0.60b1", status="error", mark="sql",
        message="OperationalError: (1143, \"SELECT command denied to user 'lab'@'10.42.1.7' for column 'ssn' in table 'patients'\")",
        events=[exception("pymysql.err.OperationalError", "(1143, \"SELECT command denied to user 'lab'@'10.42.1.7' for column 'ssn' in table 'patients'\")")]))),
    outcome="denied", layer="database", phase="authz", service="lab-orders", where="sql", reason="command denied", confidence=["high"],
    why="MySQL's number 1143 stands in the driver's message: authz.")

trace(
    "mariadb-login-on-server-span",
    through(lab.serve("GET /orders", 500, mark="leaf", status="error", message="OperationalError: (1045, \"Access denied for user 'lab'@'10.42.1.7' (using password: YES)\")",
                      events=[exception("pymysql.err.OperationalError", "(1045, \"Access denied for user 'lab'@'10.42.1.7' (using password: YES)\")")])),
    outcome="denied", layer="database", phase="authn", service="lab-orders", where="leaf", reason="1045",
    why="Catalogue G: PyMySQL's connect has no span; 1045 is a refused login, authn.")

trace(
    "sql-server-permission-229",
    through(quotas.serve("GET /limits", 500, quotas.query(
        "SELECT * FROM limits", system="microsoft.sql_server", table="limits", scope="OpenTelemetry.Instrumentation.SqlClient", status="error", mark="sql",
        message="The SELECT permission was denied on the object 'limits', database 'quotas', schema 'dbo'.",
        attrs={"db.response.status_code": "229", "error.type": "Microsoft.Data.SqlClient.SqlException"}))),
    outcome="denied", layer="database", phase="authz", service="quotas", where="sql", reason="permission was denied", confidence=["high"],
    why="SQL Server's number 229 in db.response.status_code.")

trace(
    "oracle-account-locked",
    through(stock.serve("GET /bins", 500, stock.query(
        "SELECT * FROM bins", system="oracle.db", table="bins", status="error", mark="sql", attrs={"error.type": "28000"},
        events=[exception("java.sql.SQLException", "ORA-28000: The account is locked.")]))),
    outcome="denied", layer="database", phase="authn", service="stock-keeper", where="sql", reason="ORA-28000", confidence=["high"],
    why="Catalogue G: ORA-28000 is a refused login.")

trace(
    "oracle-insufficient-privileges",
    through(stock.serve("POST /bins", 403, stock.query(
        "CREATE TABLE bins_tmp (id NUMBER)", system="oracle", status="error", mark="sql", attrs={"error.type": "1031"},
        events=[exception("java.sql.SQLSyntaxErrorException", "ORA-01031: insufficient privileges")]))),
    outcome="denied", layer="database", phase="authz", service="stock-keeper", where="sql", reason="ORA-01031", confidence=["high"],
    why="Catalogue G: ORA-01031 is a missing privilege.")

trace(
    "mongo-code-name",
    through(photos.serve("GET /albums", 500, photos.span(
        "photos.find", kind="client", scope=f"{PY}.pymongo#0.60b1", status="error", mark="sql", message="not authorized on photos to execute command { find: \"albums\" }",
        attrs={"db.system.name": "mongodb", "db.namespace": "photos", "db.operation.name": "find", "db.collection.name": "albums", "error.type": "Unauthorized",
               "db.response.status_code": "13", "server.address": "mongo-0"}))),
    outcome="denied", layer="database", phase="authz", service="photos", where="sql", reason="not authorized", confidence=["high"],
    why="MongoDB code 13 is Unauthorized, authz.")

trace(
    "mongo-node-login",
    through(desk.serve("GET /chats", 500, desk.span(
        "mongodb.find", kind="client", scope=f"{JS}-mongodb#0.61.0", status="error", mark="sql", message="Authentication failed.",
        attrs={"db.system": "mongodb", "db.name": "chats", "db.operation": "find", "net.peer.name": "mongo-1"}))),
    outcome="denied", layer="database", phase="authn", service="service-desk", where="sql", reason="Authentication failed", confidence=["medium", "low"],
    why="A driver's words without a code: medium at most.")

trace(
    "ioredis-noperm-on-write",
    through(desk.serve("POST /drafts", 500, desk.span(
        "set", kind="client", scope=f"{JS}-ioredis#0.56.0", status="error", mark="sql", message="NOPERM this user has no permissions to access one of the keys used as arguments",
        attrs={"db.system": "redis", "db.statement": "set draft:17 ?", "net.peer.name": "valkey"},
        events=[exception("ReplyError", "NOPERM this user has no permissions to access one of the keys used as arguments")]))),
    outcome="denied", layer="database", phase="authz", service="service-desk", where="sql", reason="NOPERM", findings=["status_rewritten"],
    no_findings=["side_effect_before_denial"],
    why="A cache counts as a database; its ACL refused.")

trace(
    "redis-py-not-logged-in",
    through(photos.serve("GET /thumbs/{id}", 500, photos.span(
        "GET", kind="client", scope=f"{PY}.redis#0.60b1", status="error", mark="sql", attrs={"db.system": "redis", "db.statement": "GET ?", "net.peer.name": "thumbs-cache"},
        message="AuthenticationError: HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used",
        events=[exception("redis.exceptions.AuthenticationError", "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
                          "<user> <pass> option can be used to authenticate the client")]))),
    outcome="denied", layer="database", phase="authn", service="photos", where="sql", reason="HELLO must be called", confidence=["high"],
    why="redis-py strips the code word; the typed class is explicit.")

trace(
    "elasticsearch-index-privilege",
    through((find := Service("finder", "java")).serve("GET /search", 502, find.span(
        "search logs-2026", kind="client", scope=f"{JVM}.elasticsearch-rest-7.0", status="error", mark="sql",
        attrs={"db.system.name": "elasticsearch", "db.operation.name": "search", "db.collection.name": "logs-2026", "http.request.method": "POST",
               "url.full": "http://es-0:9200/logs-2026/_search", "server.address": "es-0", "db.response.status_code": "403", "error.type": "403"},
        events=[exception("org.elasticsearch.client.ResponseException",
                          "security_exception: action [indices:data/read/search] is unauthorized for user [finder] with effective roles [viewer]")]))),
    outcome="denied", layer="database", phase="authz", service="finder", where="sql", reason="is unauthorized for user", confidence=["high"],
    no_findings=["uninstrumented_peer", "side_effect_before_denial"],
    why="Elasticsearch's security_exception; a search by POST is a read.")

trace(
    "cassandra-unauthorized",
    through((feed := Service("timeline", "quarkus")).serve("GET /timeline", 500, feed.query(
        "SELECT * FROM posts", system="cassandra", table="posts", scope=f"{JVM}.cassandra-4.4", status="error", mark="sql", attrs={"db.response.status_code": "8448"},
        events=[exception("com.datastax.oss.driver.api.core.servererrors.UnauthorizedException", "User timeline has no SELECT permission on <table feed.posts> or any of its parents")]))),
    outcome="denied", layer="database", phase="authz", service="timeline", where="sql", reason="has no SELECT permission", confidence=["high"],
    why="Catalogue G: Cassandra 8448 is unauthorized.")

trace(
    "clickhouse-access-denied",
    through(meter.serve("GET /usage", 500, meter.query(
        "SELECT sum(kwh) FROM usage", system="clickhouse", table="usage", scope="github.com/ClickHouse/clickhouse-go", status="error", mark="sql",
        message="code: 497, message: meter: Not enough privileges. To execute this query, it's necessary to have the grant SELECT(kwh) ON grid.usage",
        attrs={"db.response.status_code": "497"}))),
    outcome="denied", layer="database", phase="authz", service="meter-reads", where="sql", reason="Not enough privileges", confidence=["high"],
    why="Catalogue G: ClickHouse 497 is ACCESS_DENIED.")

trace(
    "database-does-not-answer",
    through(stock.serve("GET /bins", 503, stock.check(True), stock.query(
        "SELECT * FROM bins", system="oracle.db", table="bins", status="error", mark="sql", lasts=5000,
        events=[exception("java.sql.SQLRecoverableException", "IO Error: The Network Adapter could not establish the connection")]))),
    outcome="error", layer="database", service="stock-keeper", where="sql", entry_status=503, no_findings=["fail_open", "fail_closed", "slow_auth"],
    why="Rule 5: a database that cannot be reached is an error; every check had allowed.")

# ---------------------------------------------------------------------------------------- brokers
trace(
    "kafkajs-topic-refused",
    through(desk.serve("POST /events", 500, desk.publish(
        "kafka", "desk.events", scope=f"{JS}-kafkajs#0.18.0", status="error", mark="send", message="Not authorized to access topics: [Topic authorization failed]",
        attrs={"error.type": "KafkaJSProtocolError"}))),
    outcome="denied", layer="message_broker", phase="authz", service="service-desk", where="send", reason="authoriz",
    no_findings=["side_effect_before_denial", "uninstrumented_peer"],
    why="kafkajs puts only its class in error.type; the broker's words are in the status message.")

trace(
    "kafka-sasl-login-refused",
    through(stock.serve("POST /moves", 500, stock.publish(
        "kafka", "stock.moves", scope=f"{JVM}.kafka-clients-2.6#2.22.0-alpha", status="error", mark="send",
        events=[exception("org.apache.kafka.common.errors.SaslAuthenticationException", "Authentication failed: Invalid username or password")]))),
    outcome="denied", layer="message_broker", phase="authn", service="stock-keeper", where="send", reason="Authentication failed", confidence=["high"],
    why="Catalogue H: SASL login (58) is authn; the class is typed.")

REFUSED = "(403, \"ACCESS_REFUSED - write access to exchange 'parcels' in vhost '/' refused for user 'photos'\")"
trace(
    "pika-nested-producer-spans",
    through(photos.serve("POST /prints", 500, photos.publish(
        "rabbitmq", "parcels", photos.publish("rabbitmq", "parcels", name="parcels send", scope=f"{PY}.pika#0.60b1", status="error", mark="inner",
                                              events=[exception("pika.exceptions.ChannelClosedByBroker", REFUSED)]),
        name="parcels send", scope=f"{PY}.pika#0.60b1", status="error", mark="outer", events=[exception("pika.exceptions.ChannelClosedByBroker", REFUSED)]))),
    outcome="denied", layer="message_broker", phase="authz", service="photos", where=("inner", "outer"), reason="ACCESS_REFUSED", confidence=["high"],
    why="RabbitMQ's 403 ACCESS_REFUSED; with confirms pika nests two producer spans.")

trace(
    "amqplib-refusal-stands-above",
    through(desk.serve("POST /labels", 500, *middlewares(desk, "query", "expressInit"), handler(
        desk, "/labels", desk.publish("rabbitmq", "labels", scope=f"{JS}-amqplib#0.55.0", status="error", message="message confirmation has been nack'ed", mark="send"),
        status="error", mark="handler", message="Channel closed by server: 403 (ACCESS-REFUSED)",
        events=[exception("403", "Channel closed by server: 403 (ACCESS-REFUSED) with message \"ACCESS_REFUSED - write access to exchange 'labels' in vhost '/' refused for user 'desk'\"")]))),
    outcome="denied", layer="message_broker", phase="authz", service="service-desk", where=("send", "handler"), reason="REFUSED",
    why="Catalogue H: amqplib's producer span says only nack'ed; the broker's words are on the Express span above.")

# ---------------------------------------------------------------------------------------- clouds and other parties
trace(
    "dynamodb-denied-by-policy",
    through(desk.serve("PUT /prefs", 500, aws_js(
        desk, "DynamoDB", "PutItem", 400, "AccessDeniedException", "User: arn:aws:sts::1:assumed-role/desk is not authorized to perform: dynamodb:PutItem", mark="aws"))),
    outcome="denied", layer="external_service", phase="authz", service="service-desk", where="aws", reason="is not authorized to perform", confidence=["high"],
    findings=["status_rewritten"], no_findings=["uninstrumented_peer", "side_effect_before_denial"],
    why="A cloud SDK's error with its typed class; many services answer 400.")

trace(
    "s3-403-may-hide-a-missing-key",
    through(photos.serve("GET /originals/{id}", 404, boto(photos, "S3", "GetObject", 403, "AccessDenied", "Access Denied", mark="aws"))),
    outcome="denied", layer="external_service", phase="authz", service="photos", where="aws", reason="AccessDenied", findings=["masked_denial"], entry_status=404,
    confidence=["high"],
    why="Catalogue §4.5 and outcomes: S3 refused; the service shows a 404.")

trace(
    "sts-token-expired",
    through(photos.serve("POST /uploads", 500, boto(
        photos, "S3", "PutObject", 400, "ExpiredToken", "The provided token has expired.", mark="aws"))),
    outcome="denied", layer="external_service", phase="authn", service="photos", where="aws", reason="ExpiredToken", confidence=["high"],
    no_findings=["side_effect_before_denial"],
    why="Catalogue H: expired keys are authn; a refused PutObject wrote nothing.")

trace(
    "cloud-throttling-is-no-denial",
    through(photos.serve("POST /faces", 500, photos.token(True), boto(photos, "Rekognition", "DetectFaces", 400, "ThrottlingException", "Rate exceeded", mark="aws"))),
    outcome=["error", "denied"], layer=["external_service", "rate_limiter"], service="photos", where="aws", entry_status=500,
    why="Catalogue H lists Throttling under error; layers call throttling rate_limiter wherever it sits.",
    doubt="the law gives both readings for a cloud's throttling")

trace(
    "pubsub-permission-denied",
    through(meter.serve("POST /alarms", 500, meter.ask_alone(
        "google.pubsub.v1.Publisher/Publish", "PERMISSION_DENIED", host="pubsub.googleapis.com", text="User not authorized to perform this action.", mark="gcp"))),
    outcome="denied", layer="external_service", phase="authz", service="meter-reads", where="gcp", reason="not authorized", findings=["status_rewritten"],
    why="Catalogue H: gRPC 7 of googleapis.com is the cloud's refusal.")

trace(
    "key-vault-forbidden",
    through(quotas.serve("GET /secrets", 500, quotas.fetch(
        "GET https://quotas-kv.vault.azure.net/secrets/db?api-version=7.4", 403, mark="azure",
        events=[exception("Azure.RequestFailedException", "The user, group or application does not have secrets get permission on key vault 'quotas-kv'. Code: Forbidden")]))),
    outcome="denied", layer="external_service", phase="authz", service="quotas", where="azure", reason="does not have secrets get permission",
    why="Catalogue H: an Azure service refused our own identity.")

operator = Service("rollout-operator", "go")
trace(
    "kubernetes-forbids-the-operator",
    operator.serve("POST /rollouts", 500, operator.fetch("PATCH https://kubernetes.default.svc/apis/apps/v1/namespaces/prod/deployments/web", 403, mark="k8s")),
    outcome="denied", layer="external_service", phase="authz", service="rollout-operator", where="k8s", findings=["status_rewritten"],
    no_findings=["side_effect_before_denial"],
    why="Catalogue H: the Kubernetes API refused the operator; it sends no spans here, so the CLIENT span is named.")

trace(
    "kubernetes-access-review-is-a-question",
    operator.serve("GET /rollouts/{id}/can-i", 200, operator.token(True, attrs={"auth.subject": "sre-2"}),
                   operator.fetch("POST https://kubernetes.default.svc/apis/authorization.k8s.io/v1/subjectaccessreviews", 201)),
    outcome="allowed", layer=None, principal="sre-2", no_findings=["fail_open"],
    why="Catalogue H: an access review is a question, not a refusal.")

trace(
    "vault-path-denied",
    through((mail := Service("mail-merge", "flask", old=True)).serve("POST /merge", 500, mail.fetch("GET https://vault.internal:8200/v1/secret/data/mail", 403, mark="vault"))),
    outcome="denied", layer="external_service", phase="authz", service="mail-merge", where="vault", findings=["status_rewritten"],
    why="Catalogue H: Vault's 403 is permission denied.")

trace(
    "vault-is-sealed",
    through(mail.serve("POST /merge", 503, mail.fetch("GET https://vault.internal:8200/v1/secret/data/mail", 503, mark="vault"))),
    outcome="error", layer="external_service", service="mail-merge", where="vault", entry_status=503, no_findings=["fail_open", "fail_closed"],
    why="Catalogue H: 503 is sealed or standby: error, never a denial.")

trace(
    "smtp-login-refused",
    through(mail.serve("POST /send", 502, mail.span(
        "smtp.send", kind="client", scope="mail-merge.smtp", status="error", mark="smtp", attrs={"server.address": "smtp.mailer.example", "server.port": 587},
        events=[exception("smtplib.SMTPAuthenticationError", "(535, b'5.7.8 Error: authentication failed: bad username or password')")]))),
    outcome="denied", layer="external_service", phase="authn", service="mail-merge", where="smtp", reason="535",
    no_findings=["side_effect_before_denial"],
    why="Catalogue H: 535 is a refused login at the mail server.")

trace(
    "payment-provider-refuses-our-key",
    through((kasse := Service("kasse", "laravel", old=True)).serve("POST /charges", 502, kasse.fetch("POST https://api.stripe.com/v1/charges", 401, mark="call"))),
    outcome="denied", layer="external_service", phase="authn", service="kasse", where="call", confidence=["medium", "low"],
    findings=["uninstrumented_peer", "status_rewritten"], no_findings=["side_effect_before_denial"],
    why="Rule 7: a CLIENT span with 401 to a host that sends no spans; a refused charge is no side effect.")

trace(
    "third-party-forbids-by-grpc",
    through(meter.serve("POST /weather", 403, meter.ask_alone("weather.v1.Forecast/Get", "PERMISSION_DENIED", host="grpc.weather.example",
                                                              text="plan does not include hourly data", mark="call"))),
    outcome="denied", layer="external_service", phase="authz", service="meter-reads", where="call", reason="hourly", confidence=["medium", "low", "high"],
    findings=["uninstrumented_peer"],
    why="Rule 7: gRPC 7 from a peer with no SERVER span is the peer's denial.",
    doubt="whether the text that a gRPC peer sent makes its answer explicit")
