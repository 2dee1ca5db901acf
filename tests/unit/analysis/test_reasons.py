"""Words to codes: a system's own words keep, the code and its meaning are the same for everybody."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged

from app.analysis import reasons
from app.analysis.verdict import Phase


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Jwt_is_missing", "token_missing"),
        ("No authorization token was found", "token_missing"),
        ("token is expired", "token_expired"),
        ("jwt expired", "token_expired"),
        ("session expired", "token_expired"),
        ("Jwt_not_yet_valid", "token_not_yet_valid"),
        ("token signature does not verify", "token_signature"),
        ("Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt", "token_signature"),
        ("Audiences_in_Jwt_are_not_allowed", "token_audience"),
        ("invalid issuer", "token_issuer"),
        ("jwt malformed", "token_malformed"),
        ("refresh token was revoked", "token_revoked"),
        ("token is not active", "token_revoked"),
        ("invalid_token", "token_invalid"),
        ("mfa_required", "mfa_required"),
        ("session_aal2_required", "mfa_required"),
        ("invalid_user_credentials", "bad_credentials"),
        ("[LDAP: error code 49 - data 52e]", "bad_credentials"),
        ("NOAUTH Authentication required.", "bad_credentials"),
        ("user_not_found", "user_unknown"),
        ("user_temporarily_disabled", "account_locked"),
        ("account is locked", "account_locked"),
        ("user_disabled", "account_disabled"),
        ("invalid_client", "client_invalid"),
        ("rejected_by_user", "consent_denied"),
        ("EBADCSRFTOKEN", "csrf"),
        ("Rejecting IP 203.0.113.77", "ip_blocked"),
        ("SQL Injection Attack Detected via libinjection", "waf_rule"),
        ("No bursty traffic allowed", "rate_limited"),
        ("missing scope prices:read", "scope_missing"),
        ("missing role orders:read", "role_missing"),
        ("expressionAttribute=hasRole('ADMIN')", "role_missing"),
        ("new row violates row-level security policy for table t", "row_policy"),
        ("permission denied for table t", "db_privilege"),
        ("not the owner", "ownership"),
        ("subject is not a member of tenant 42", "tenant_mismatch"),
        ("lacks permission payroll:read", "permission_missing"),
        ("rbac_access_denied_matched_policy[none]", "policy_denied"),
        ("policy_denied", "policy_denied"),
        ("unknown_user", "user_unknown"),
        ("upstream_error", "dependency_error"),
        ("context deadline exceeded", "dependency_error"),
        ("Full authentication is required to access this resource", "login_required"),
        ("Forbidden resource", "access_denied"),
    ],
)
def test_words_have_a_code(text, code):
    found = reasons.of(text)
    assert found is not None
    assert found.code == code
    assert found.means


@pytest.mark.parametrize(
    "text", ["", "order is under dispute", "record is locked for editing", "retention period has not ended"]
)
def test_words_of_the_business_have_none(text):
    assert reasons.of(text) is None


def test_a_code_may_say_the_phase():
    assert reasons.of("invalid audience").phase is Phase.AUTHN
    assert reasons.of("missing role x").phase is Phase.AUTHZ
    assert reasons.of("access denied").phase is None


@pytest.mark.parametrize(
    ("wrapped", "plain"),
    [
        ('<_InactiveRpcError: status = StatusCode.PERMISSION_DENIED details = "no role" >', "no role"),
        ("7 PERMISSION_DENIED: no role", "no role"),
        ("rpc error: code = PermissionDenied desc = no role", "no role"),
        ("no role\n", "no role"),
        ("x" * 5000, "x" * 500),
    ],
)
def test_what_an_instrumentation_wrapped_around_the_words_is_taken_off(wrapped, plain):
    assert reasons.plain(wrapped) == plain


def test_codes_are_unique():
    assert len(reasons.codes()) == len(set(reasons.codes())) >= 29


def test_the_empty_exception_of_a_grpc_abort_gives_way_to_what_the_caller_was_told():
    trace = judged("""
        planner: GET /routes  403
          planner: > zones.v1.Zones/List  7 error='details = "zone data is not licensed"'
            zones: = zones.v1.Zones/List  7 raises="grpc._cython.cygrpc.AbortError:Locally aborted."
    """)
    assert trace.reason == "zone data is not licensed"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("code=403, message=administrators only", "administrators only"),
        ("code=401, message=Unauthorized, internal=invalid key", "invalid key"),
        ("code=401, message=invalid key, internal=sql: no rows", "invalid key"),
    ],
)
def test_echos_errors_are_taken_apart(text, plain):
    assert reasons.plain(text) == plain


def test_a_grpc_reason_is_found_beyond_the_proxy_that_handed_it_on():
    trace = judged("""
        teller: > shop.v1.Ledger/Close  7 error='details = "Close needs the role manager"'
          ledger: ingress  kind=server 200 component=proxy grpc.status_code=7
            ledger: = shop.v1.Ledger/Close  7
    """)
    assert trace.reason == "Close needs the role manager"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ('error="InsufficientPrivilege: permission denied for table x" raises="psycopg.errors.InsufficientPrivilege:permission denied for table x"',
         "permission denied for table x"),
        ('error="ReadTimeout: " raises="httpx.ReadTimeout:"', "did not answer in time (httpx.ReadTimeout)"),
        ('error="" raises="httpx.ConnectError:"', "could not be reached (httpx.ConnectError)"),
        ('error="Note: the ledger is closed" raises="psycopg.errors.RaiseException:Note: the ledger is closed"',
         "Note: the ledger is closed"),
    ],
)  # fmt: skip
def test_an_exceptions_class_is_no_reason_where_there_are_words(error, reason):
    trace = judged(f"orders: GET /x  500 error\n  orders: SELECT x  {error}")
    assert trace.reason == reason
