"""Stores and brokers that refuse, and errors of theirs that only sound like a refusal."""
# fmt: off
# ruff: noqa: E501
# The indentation of a drawing is its tree.

from __future__ import annotations

from drawing import Span, exception, trace
from instruments import JVM, PY, Service
from systems import tracing_event

edge = Service("front-gateway", "go")
payroll = Service("payroll", "gin")
crm = Service("crm", "laravel", old=True)
lake = Service("lake-api", "fastapi")
graph = Service("kinship", "fastapi")
books = Service("library", "phoenix")
seats = Service("seats", "axum")
find = Service("finder", "flask")
ship = Service("shipping", "spring")
printer = Service("label-printer", "java")


def through(server: Span, code: int | None = None, **kw: object) -> Span:
    method, _, url = server.request.partition(" ")  # type: ignore[attr-defined]
    path = "/api/" + url.split("/", 3)[3]
    return edge.serve(f"{method} {path}", code or server.code, edge.token(True, attrs={"auth.subject": "u-71"}), edge.call(server), **kw)  # type: ignore[attr-defined, arg-type]


trace(
    "mysql-select-denied-under-otelsql",
    through(payroll.serve("GET /salaries/{id}", 500, payroll.query(
        "SELECT amount FROM salaries WHERE id = ?", system="mysql", name="sql.conn.query", table="salaries", status="error", mark="sql", events=[
            exception("*mysql.MySQLError", "Error 1142 (42000): SELECT command denied to user 'payroll'@'10.42.3.9' for table 'salaries'")]))),
    outcome="denied", layer="database", phase="authz", service="payroll", where="sql", entry_status=500, reason="SELECT command denied", confidence=["high"], findings=["status_rewritten", "relayed_by"], principal="u-71",
    why="A driver's error with its number.")

trace(
    "mysql-login-refused-in-php",
    through(crm.serve("GET /leads", 500, crm.span("PDO::__construct", kind="client", scope="io.opentelemetry.contrib.php.pdo#0.2.1", status="error", mark="sql", message="SQLSTATE[HY000] [1045] Access denied for user 'crm'@'10.42.3.9' (using password: YES)",
        attrs={"db.system": "mysql", "code.function": "__construct", "code.namespace": "PDO"}, events=[exception("PDOException", "SQLSTATE[HY000] [1045] Access denied for user 'crm'@'10.42.3.9' (using password: YES)")]))),
    outcome="denied", layer="database", phase="authn", service="crm", where="sql", entry_status=500, reason="Access denied for user", confidence=["high"],
    why="1045: the database refused the service's own login.")

trace(
    "mysql-has-too-many-connections",
    through(crm.serve("GET /leads", 500, crm.span("PDO::__construct", kind="client", scope="io.opentelemetry.contrib.php.pdo#0.2.1", status="error", mark="sql", message="SQLSTATE[HY000] [1040] Too many connections",
        attrs={"db.system": "mysql"}, events=[exception("PDOException", "SQLSTATE[HY000] [1040] Too many connections")]))),
    outcome="error", layer="database", service="crm", where="sql", entry_status=500, no_findings=["status_rewritten", "fail_closed"],
    why="Rule 5: the store broke; no layer refused.")

trace(
    "snowflake-insufficient-privileges",
    through(lake.serve("GET /facts", 500, lake.query("SELECT * FROM ORDERS", system="snowflake", table="ORDERS", status="error", mark="sql", scope="opentelemetry.instrumentation.dbapi#0.60b1",
        events=[exception("snowflake.connector.errors.ProgrammingError", "003001 (42501): 01b8: SQL access control error:\nInsufficient privileges to operate on table 'ORDERS'.")], message="ProgrammingError: 003001 (42501): 01b8: SQL access control error:\nInsufficient privileges to operate on table 'ORDERS'."))),
    outcome="denied", layer="database", phase="authz", service="lake-api", where="sql", entry_status=500, reason="Insufficient privileges", confidence=["high"],
    why="SQLSTATE 42501 in the driver's words.")

trace(
    "neo4j-forbids-a-write",
    through(graph.serve("POST /kin", 403, graph.query("CREATE (a)-[:KIN]->(b)", system="neo4j", name="neo4j.query", status="error", mark="sql", scope=f"{PY}.neo4j",
        events=[exception("neo4j.exceptions.Forbidden", "{code: Neo.ClientError.Security.Forbidden} {message: Create relationship with type 'KIN' on database 'neo4j' is not allowed for user 'kinship' with roles [PUBLIC, reader].}")]))),
    outcome="denied", layer="database", phase="authz", service="kinship", where="sql", entry_status=403, reason="not allowed for user", confidence=["high"], no_findings=["status_rewritten"],
    why="A typed class and the store's own code.")

trace(
    "ecto-row-policy-refuses-an-insert",
    through(books.serve("POST /loans", 500, books.query("INSERT INTO loans (reader) VALUES ($1)", name="library.repo.query:loans", table="loans", status="error", mark="sql",
        message='%Postgrex.Error{message: nil, postgres: %{code: :insufficient_privilege, message: "new row violates row-level security policy for table \\"loans\\"", pg_code: "42501", severity: "ERROR"}}'),
        events=[exception("Elixir.Postgrex.Error", 'ERROR 42501 (insufficient_privilege) new row violates row-level security policy for table "loans"')])),
    outcome="denied", layer="database", phase="authz", service="library", where="sql", entry_status=500, reason="row-level security", confidence=["high"],
    why="Elixir's driver gives the SQLSTATE in its struct.")

trace(
    "sqlx-permission-denied-in-rust",
    through(seats.serve("GET /seats/{id}", 500, seats.span("db.query", kind="client", scope="sqlx-tracing", status="error", mark="sql", attrs={"db.system.name": "postgresql", "db.query.text": "SELECT * FROM seats WHERE id = $1", "server.address": "seats-db", "error.type": "server",
        "exception.message": "error returned from database: permission denied for table seats"}, events=[tracing_event("error returned from database: permission denied for table seats", "ERROR", "sqlx::query")]))),
    outcome="denied", layer="database", phase="authz", service="seats", where="sql", entry_status=500, reason="permission denied for table seats", findings=["status_rewritten"], confidence=["medium", "high"],
    why="PostgreSQL's words on the driver's span, without a code.")

trace(
    "opensearch-user-lacks-the-index",
    through(find.serve("GET /find", 403, Span(find, "Elasticsearch/parcels/_search", "client", (), {"db.system": "elasticsearch", "elasticsearch.method": "POST", "elasticsearch.url": "/parcels/_search", "elasticsearch.target": "parcels"}, f"{PY}.opensearchpy", status="error", mark="sql",
        message="AuthorizationException: AuthorizationException(403, 'security_exception', 'no permissions for [indices:data/read/search] and User [name=finder, backend_roles=[], requestedTenant=null]')",
        events=[exception("opensearchpy.exceptions.AuthorizationException", "AuthorizationException(403, 'security_exception', 'no permissions for [indices:data/read/search] and User [name=finder, backend_roles=[], requestedTenant=null]')")]))),
    outcome="denied", layer="database", phase="authz", service="finder", where="sql", entry_status=403, reason="no permissions for", confidence=["high"],
    why="The search engine's security plugin refused; a typed class.")

trace(
    "etcd-refuses-a-key",
    seats.serve("PUT /config", 500, seats.ask_alone("etcdserverpb.KV/Put", "PERMISSION_DENIED", host="etcd-0.etcd", text="etcdserver: permission denied", mark="ask")),
    outcome="denied", layer="database", phase="authz", service="seats", where="ask", entry_status=500, findings=["status_rewritten"],
    why="A key-value store's role check; gRPC 7 from a peer without spans.")

trace(
    "minio-bucket-policy",
    lake.serve("PUT /exports/{id}", 502, lake.fetch("PUT http://minio.storage.svc:9000/exports/4711.parquet", 403, mark="ask")),
    outcome="denied", layer="external_service", phase="authz", service="lake-api", where="ask", entry_status=502, confidence=["medium"], findings=["status_rewritten", "uninstrumented_peer"],
    why="Rule 7: an object store refused with 403.")

trace(
    "redis-session-store-is-gone",
    through(find.serve("GET /me", 401, find.span("GET", kind="client", scope=f"{PY}.redis#0.60b1", status="error", mark="redis", attrs={"db.system": "redis", "db.statement": "GET ?", "net.peer.name": "sessions", "net.peer.port": 6379},
        events=[exception("redis.exceptions.ConnectionError", "Error 111 connecting to sessions:6379. Connection refused.")]))),
    outcome="error", layer="database", service="finder", where="redis", entry_status=401, findings=["fail_closed"],
    why="Who is named: where a session store broke, the layer is the store's own.")

trace(
    "mongo-go-driver-unauthorized",
    payroll.serve("POST /slips", 500, payroll.span("slips.insert", kind="client", scope="go.opentelemetry.io/contrib/instrumentation/go.mongodb.org/mongo-driver/v2/mongo/otelmongo#0.64.0", status="error", mark="sql",
        attrs={"db.system": "mongodb", "db.operation": "insert", "db.name": "payroll", "db.mongodb.collection": "slips", "net.peer.name": "mongo-0"},
        message="(Unauthorized) not authorized on payroll to execute command { insert: \"slips\", ordered: true, $db: \"payroll\" }")),
    outcome="denied", layer="database", phase="authz", service="payroll", where="sql", entry_status=500, reason="not authorized on payroll", findings=["status_rewritten"], no_findings=["side_effect_before_denial", "side_effect_after_denial"],
    why="MongoDB's own words with its code's name; a refused insert changed nothing.")

# ---------------------------------------------------------------------------------------- brokers
trace(
    "nats-permissions-violation",
    seats.serve("POST /holds", 500, seats.publish("nats", "seats.held", status="error", mark="pub", scope="async-nats", message='nats: Permissions Violation for Publish to "seats.held"')),
    outcome="denied", layer="message_broker", phase="authz", service="seats", where="pub", entry_status=500, reason="Permissions Violation", findings=["status_rewritten"], no_findings=["side_effect_before_denial"],
    why="The broker's own words; a refused message was not sent.")

trace(
    "franz-go-topic-authorization",
    payroll.serve("POST /runs", 202, payroll.query("INSERT INTO runs (id) VALUES (?)", table="runs"), payroll.publish("kafka", "payroll-runs", status="error", mark="pub", scope="github.com/twmb/franz-go/plugin/kotel",
        message="TOPIC_AUTHORIZATION_FAILED: Not authorized to access topics: [Topic authorization failed.]")),
    outcome=["partially_denied", "bypassed", "denied"], layer="message_broker", phase="authz", service="payroll", where="pub", entry_status=202, no_findings=["fail_closed"],
    why="The message was refused and the request went on.", doubt="whether a message that was refused is an optional part")

trace(
    "pulsar-producer-not-authorized",
    ship.serve("POST /labels", 500, ship.publish("pulsar", "persistent://ship/labels/new", status="error", mark="pub", scope=f"{JVM}.pulsar-2.8#2.22.0-alpha", events=[
        exception("org.apache.pulsar.client.api.PulsarClientException$AuthorizationException", "Client is not authorized to Produce on topic persistent://ship/labels/new with auth role shipping")])),
    outcome="denied", layer="message_broker", phase="authz", service="shipping", where="pub", entry_status=500, reason="not authorized to Produce", confidence=["high"],
    why="A typed class of the client library.")

trace(
    "mqtt-broker-refuses-the-device",
    find.span("publish reading", find.span("mqtt connect", kind="client", scope="telemetry.mqtt", status="error", mark="mqtt", attrs={"messaging.system": "mqtt", "server.address": "emqx", "mqtt.reason_code": 135}, message="Connection Refused: Not authorized"), scope="telemetry.mqtt", status="error"),
    outcome="denied", layer="message_broker", service="finder", where="mqtt", reason="Not authorized",
    why="The broker refused the connection; there is no entry, its work was refused.")

# ---------------------------------------------------------------------------------------- what only sounds like it
trace(
    "file-system-says-permission-denied",
    through(lake.serve("POST /exports", 500, lake.span("write parquet", scope="lake.export", status="error", mark="fs", message="PermissionError: [Errno 13] Permission denied: '/var/lib/exports/4711.parquet'",
        events=[exception("PermissionError", "[Errno 13] Permission denied: '/var/lib/exports/4711.parquet'")]))),
    outcome=["error", "denied"], layer="application", service="lake-api", where="fs", entry_status=500,
    why="Rule 5: the application broke: a file's mode is no layer that judges requests.", doubt="the operating system refused the process; no layer of the list fits")

trace(
    "circuit-breaker-does-not-permit-calls",
    through(ship.serve("GET /labels/{id}", 503, ship.span("authz-client", scope="ship.authz", status="error", mark="cb", message="CircuitBreaker 'authz' is OPEN and does not permit further calls",
        events=[exception("io.github.resilience4j.circuitbreaker.CallNotPermittedException", "CircuitBreaker 'authz' is OPEN and does not permit further calls")]))),
    outcome="error", service="shipping", where="cb", entry_status=503, no_findings=["status_rewritten"],
    why="Rule 5: the check could not be asked; a breaker that does not permit calls refuses nobody.")

trace(
    "printer-of-another-depot",
    printer.consume("kafka", "labels", printer.check(False, "printer is assigned to another depot", mark="rule"), scope=f"{JVM}.kafka-clients-2.6#2.22.0-alpha", status="error"),
    outcome="denied", layer="application", phase="authz", service="label-printer", where="rule", reason="another depot", confidence=["high"],
    why="A trace whose entry is a CONSUMER is denied where its work was refused.")

trace(
    "deadlock-in-the-permissions-table",
    through(books.serve("PUT /roles/{id}", 500, books.query("UPDATE permissions SET role = $1 WHERE id = $2", name="library.repo.query:permissions", table="permissions", status="error", mark="sql", message="ERROR 40P01 (deadlock_detected) deadlock detected")),),
    outcome="error", layer="database", service="library", where="sql", entry_status=500, no_findings=["fail_closed", "status_rewritten"],
    why="A failed statement is no refusal, whatever its table is called.")

trace(
    "cache-refuses-and-the-page-is-served",
    through(find.serve("GET /trending", 200, find.span("SET", kind="client", scope=f"{PY}.redis#0.60b1", status="error", mark="redis", attrs={"db.system": "redis", "db.statement": "SET ? ?", "net.peer.name": "cache"},
        events=[exception("redis.exceptions.NoPermissionError", "this user has no permissions to access the 'trending' key")]), find.query("SELECT * FROM trending", table="trending"))),
    outcome="partially_denied", layer="database", phase="authz", service="finder", where="redis", entry_status=200, principal="u-71", no_findings=["side_effect_after_denial"],
    why="A branch was refused and the request as a whole went on, by design.")

trace(
    "denied-by-two-stores-one-of-them-optional",
    through(find.serve("GET /parcels/{id}", 403, find.span("GET", kind="client", scope=f"{PY}.redis#0.60b1", status="error", attrs={"db.system": "redis", "db.statement": "GET ?", "net.peer.name": "cache"},
        events=[exception("redis.exceptions.NoPermissionError", "this user has no permissions to run the 'get' command")]), find.query("SELECT * FROM parcels WHERE id = %s", table="parcels", status="error", mark="sql", message="InsufficientPrivilege: permission denied for table parcels\n",
        events=[exception("psycopg2.errors.InsufficientPrivilege", "permission denied for table parcels\n")]))),
    outcome="denied", layer="database", phase="authz", service="finder", where="sql", entry_status=403, confidence=["high"], reason="permission denied for table parcels",
    why="Rule 3: the cache's refusal was survived; the table's is the one the client saw.")

trace(
    "mysql-read-only-replica",
    through(payroll.serve("POST /slips", 500, payroll.query("INSERT INTO slips (id) VALUES (?)", system="mysql", name="sql.conn.exec", table="slips", status="error", mark="sql", events=[
        exception("*mysql.MySQLError", "Error 1290 (HY000): The MySQL server is running with the --read-only option so it cannot execute this statement")]))),
    outcome="error", layer="database", service="payroll", where="sql", entry_status=500,
    why="No privilege was missing: the store could not do it.")
