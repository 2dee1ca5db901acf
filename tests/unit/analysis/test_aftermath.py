"""What the request changed, and when, measured from the end of the deciding span."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged

from app.analysis import effects
from app.traces.model import Resource, Scope, Span, SpanKind, Status

CHECK = 'orders: auth.permission_check  auth=refused because="missing role"'


def refused(before: str = "", after: str = ""):
    lines = [before, CHECK, after]
    return judged("orders: POST /orders  403\n" + "\n".join(f"  {line}" for line in lines if line))


def test_a_write_before_the_refusal_is_a_finding():
    trace = refused(before="orders: INSERT orders")
    assert trace.effects == {("db_write", "before_denial")}
    assert "side_effect_before_denial" in trace.kinds


def test_and_after_it_another():
    trace = refused(after="orders: send orders.submitted")
    assert trace.effects == {("message", "after_denial")}
    assert "side_effect_after_denial" in trace.kinds
    assert trace.outcome == "denied"  # the refusal reached the client all the same


def test_a_rollback_takes_it_back():
    trace = refused(before="orders: INSERT orders", after="orders: ROLLBACK")
    assert trace.effects == {("db_write", "before_denial")}
    assert not trace.kinds & {"side_effect_before_denial", "side_effect_after_denial"}


def test_a_statement_that_was_only_prepared_wrote_nothing():
    assert refused(before="orders: INSERT orders  pgx.prepare_stmt.name=s1").effects == set()


def test_so_does_a_compensation():
    trace = refused(before="orders: INSERT orders", after="orders: DELETE orders")
    assert not trace.kinds & {"side_effect_before_denial", "side_effect_after_denial"}


@pytest.mark.parametrize("record", ["orders: INSERT audit_log", "orders: INSERT login_attempts", "orders: send security-events",
                                    "orders: INSERT outbox"])  # fmt: skip
def test_a_record_of_the_refusal_is_no_finding(record):
    trace = refused(after=record)
    assert trace.effects == {("audit", "after_denial")}
    assert "side_effect_after_denial" not in trace.kinds


def test_counting_a_failed_login_is_a_record_too():
    trace = judged("""
        identity: POST /login  401
          identity: auth.login  auth=refused because="wrong password"
          identity: UPDATE users  db.query.text="UPDATE users SET failed_logins = failed_logins + 1"
    """)
    assert trace.effects == {("audit", "after_denial")}


def test_bookkeeping_of_a_cache_is_shown_and_no_finding():
    trace = refused(before='orders: SET  kind=client db.system=redis db.statement="SET session:9 x"')
    assert trace.effects == {("cache_write", "before_denial")}
    assert "side_effect_before_denial" not in trace.kinds


def test_a_write_that_failed_changed_nothing():
    trace = refused(before='orders: INSERT orders  error="duplicate key"')
    assert trace.effects == set()


def test_the_request_itself_on_its_way_is_no_side_effect():
    trace = judged("""
        gateway: POST /orders  403
          gateway: > POST http://orders:8080/orders  403
            orders: POST /orders  403
              orders: auth.permission_check  auth=refused because="missing role"
    """)
    assert trace.effects == set()


def test_nor_is_a_retry_of_what_was_refused():
    trace = judged("""
        bff: POST /pay  403
          bff: > POST http://billing:8080/payments  403
            billing: POST /payments  403
          bff: > POST http://billing:8080/payments  403
            billing: POST /payments  403
    """)
    assert trace.effects == set()


def test_a_mutating_call_to_another_service_is_one():
    trace = refused(before="orders: > POST https://api.carrier.example/v1/labels  201")
    assert ("http_write", "before_denial") in trace.effects
    assert "side_effect_before_denial" in trace.kinds


@pytest.mark.parametrize("call", ["POST http://identity/oauth2/token", "POST http://opa/v1/data/x", "POST http://search:9200/orders/_search",
                                  "GET http://stock/s"])  # fmt: skip
def test_a_call_that_only_asks_is_none(call):
    assert refused(before=f"orders: > {call}  200").effects == set()


def test_in_a_fan_out_only_the_refused_branch_has_a_denial():
    trace = judged("""
        bff: POST /dashboard  200
          bff: > POST http://orders:8080/views  200 beside
            orders: POST /views  200
              orders: INSERT views
          bff: > GET http://billing:8080/invoices  403 beside
            billing: GET /invoices  403
              billing: auth.permission_check  auth=refused because="missing scope"
    """)
    assert ("db_write", "no_denial") in trace.effects
    assert not trace.kinds & {"side_effect_before_denial", "side_effect_after_denial"}


def test_times_are_compared_after_correcting_clocks():
    trace = judged("""
        gateway: POST /x  403 0-100ms
          gateway: > POST http://orders:8080/x  403 10-90ms
            orders: POST /x  403 20-80ms skew=-5000
              orders: auth.permission_check  auth=refused because=no 25-30ms skew=-5000
              orders: send orders.submitted  40-45ms skew=-5000
    """)
    assert {"clock_skew", "side_effect_after_denial"} <= trace.kinds


# ------------------------------------------------------------------------------------------------ one span at a time

RESOURCE, SCOPE = Resource("app", {}), Scope("test", "", {})


def change(name="x", kind=SpanKind.CLIENT, status=Status.UNSET, **attributes):
    spelled = {key.replace("__", "."): value for key, value in attributes.items()}
    found = effects.change(Span("a" * 32, "b" * 16, "", name, kind, 1, 2, spelled, RESOURCE, SCOPE, status))
    return (found.kind.value, found.target) if found else None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"db__system": "postgresql", "db__statement": "INSERT INTO orders (a) VALUES (1)"}, ("db_write", "orders")),
        ({"db__system.name": "postgresql", "db__operation.name": "UPDATE", "db__collection.name": "t"}, ("db_write", "t")),
        ({"db__system": "postgresql", "db__statement": "SELECT nextval('ids')", "db__name": "shop"}, ("db_write", "shop")),
        ({"db__system": "postgresql", "db__statement": "WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d"}, ("db_write", "t")),
        ({"db__system": "postgresql", "db__statement": "SELECT * FROM t FOR UPDATE"}, None),
        ({"db__system": "postgresql", "db__operation": "INSERT postgres", "db__name": "shop"}, ("db_write", "shop")),
        ({"db__system": "postgresql", "db__statement": "COMMIT"}, None),
        ({"db__system": "mongodb", "db__operation": "findAndModify", "db__mongodb.collection": "orders"}, ("db_write", "orders")),
        ({"db__system": "mongodb", "db__operation": "find", "db__mongodb.collection": "orders"}, None),
        ({"db__system": "redis", "db__statement": "GET cart:1"}, None),
        ({"db__system": "redis", "db__statement": "HSET cart:1 a b"}, ("cache_write", "cart:1")),
        ({"db__system": "elasticsearch", "http__request.method": "POST", "url__full": "http://es/i/_search"}, None),
        ({"messaging__system": "kafka", "messaging__operation": "publish", "messaging__destination": "t"}, ("message", "t")),
        ({"messaging__system": "kafka", "messaging__operation": "receive", "messaging__destination": "t"}, None),
        ({"rpc__system": "aws-api", "rpc__service": "S3", "rpc__method": "PutObject"}, ("object_write", "S3.PutObject")),
        ({"rpc__system": "aws-api", "rpc__service": "DynamoDB", "rpc__method": "GetItem"}, None),
        ({"rpc__system": "aws-api", "rpc__service": "SNS", "rpc__method": "Publish"}, ("message", "SNS.Publish")),
        ({"rpc__system": "aws-api", "rpc__service": "SES", "rpc__method": "SendEmail"}, ("mail", "SES.SendEmail")),
        ({"rpc__system": "grpc", "rpc__service": "p.Pay", "rpc__method": "Charge", "server__address": "pay"}, ("http_write", "pay/p.Pay/Charge")),
        ({"rpc__system": "grpc", "rpc__service": "p.Pay", "rpc__method": "GetCharge", "server__address": "pay"}, None),
        ({"http__method": "POST", "http__url": "https://api.sendgrid.com/v3/mail/send", "http__status_code": 202}, ("mail", "api.sendgrid.com/v3/mail/send")),
        ({"http__method": "DELETE", "http__url": "http://stock/items/1", "http__status_code": 404}, None),
    ],
)  # fmt: skip
def test_what_counts_as_a_change(attributes, expected):
    assert change(**attributes) == expected


def test_a_request_that_is_served_changes_nothing_itself():
    assert change(kind=SpanKind.SERVER, http__request__method="POST") is None


@pytest.mark.parametrize("comment", ["/* shop:orders */ ", "-- orders.sql:12\n", "/* a */ /* b */ (", "# by the reporter\n"])
def test_a_comment_hides_no_write(comment):
    attributes = {"db.system": "postgresql", "db.statement": comment + "UPDATE orders SET state = 1"}
    span = Span("", "a", "", "query", SpanKind.CLIENT, 0, 0, attributes, Resource("", {}), Scope("", "", {}))
    assert effects.change(span).kind == "db_write"


def test_a_cloud_call_that_names_a_messaging_system_as_well_sends_a_message():
    span = "orders: SQS.SendMessage  kind=client rpc.system=aws-api rpc.service=SQS rpc.method=SendMessage messaging.system=aws_sqs"
    assert refused(before=span).effects == {("message", "before_denial")}


def test_mail_by_smtp_is_mail():
    assert refused(before="orders: smtp.send  kind=client server.address=smtp.shop.example").effects == {
        ("mail", "before_denial")
    }
    assert refused(before="orders: smtp connect  kind=client server.address=smtp.shop.example").effects == set()


def test_a_connections_event_tells_that_its_writes_were_rolled_back():
    trace = judged("""
        orders: POST /return  403 0-50ms
          orders: connection  kind=client jdbc.datasource.driver=org.postgresql.Driver event=acquired: event=rollback: 5-40ms
          orders: query  kind=client jdbc.datasource.driver=org.postgresql.Driver jdbc.query[0]="INSERT INTO holds VALUES (?)" 10-12ms
          orders: auth.permission_check  auth=refused 15-16ms
    """)
    assert trace.effects == {("db_write", "before_denial")}
    assert "side_effect_before_denial" not in trace.kinds


def test_a_write_after_the_next_items_check_passed_is_that_items():
    trace = judged("""
        orders: POST /cancellations  207
          orders: work
            orders: auth.permission_check  auth=refused because="order 100 is closed"
            orders: auth.permission_check  auth=passed
            orders: INSERT cancellations
    """)
    assert trace.outcome == "partially_denied"
    assert "side_effect_after_denial" not in trace.kinds


def test_a_caller_knows_of_a_refusal_when_its_call_has_ended():
    trace = judged("""
        hub: PUT /papers/2  403 0-60ms
          hub: > POST http://policy/decide  403 1-28ms
            policy: POST /decide  403 5-34ms
          hub: INSERT audit_log  29-31ms
    """)
    assert trace.effects == {("audit", "after_denial")}
