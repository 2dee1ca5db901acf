"""Who is named: layers, phases, targets and roles."""

# ruff: noqa: E501 - drawings are as wide as they are
import pytest
from support.draw import judged

from app.analysis import peers


@pytest.mark.parametrize(
    ("service", "layer"),
    [("edge-gateway", "api_gateway"), ("kong-ingress", "api_gateway"), ("storefront", "application"), ("shop-api", "application"),
     ("payment-gateway", "application"), ("identity", "identity_provider"), ("my-waf", "edge_waf")],
)  # fmt: skip
def test_where_the_structure_is_silent_the_name_decides(service, layer):
    trace = judged(f"""
        {service}: GET /account  401
          {service}: auth.token_validate  auth=refused because="token is expired"  @check
    """)
    assert (trace.origin, trace.layer) == ("check", layer)


def test_an_entry_that_forwards_is_a_gateway_whatever_its_name():
    trace = judged("""
        front: GET /api/cart  200
          front: auth.token_validate  auth=passed
          front: > GET http://cart:8080/cart  200
            cart: GET /cart  200
    """)
    assert ("api_gateway", "allow") in trace.met


def test_an_entry_that_does_work_of_its_own_is_not():
    trace = judged("""
        orders: POST /orders  200
          orders: auth.permission_check  auth=passed
          orders: > POST http://stock:8080/reservations  201
            stock: POST /reservations  201
    """)
    assert ("application", "allow") in trace.met


def test_a_service_that_verifies_for_others_is_an_identity_provider():
    trace = judged("""
        gateway: GET /x  401
          gateway: > POST http://members:8080/token/introspect  200
            members: POST /token/introspect  200
              members: auth.token_validate  auth=refused because="token is not active"  @check
    """)
    assert (trace.origin, trace.layer) == ("check", "identity_provider")


def test_a_service_that_returns_a_verdict_about_others_is_a_policy_engine():
    trace = judged("""
        orders: GET /x  403  @orders
          orders: > GET http://members:8080/membership/7  200
            members: GET /membership/7  200
              members: auth.permission_check  auth=refused because="not a member of team 7"  @check
    """)
    assert (trace.origin, trace.layer, trace.enforced_by.span_id) == ("check", "policy_engine", trace.tags["orders"])


def test_and_one_that_refuses_its_own_thing_is_not():
    trace = judged("""
        gateway: GET /policies/7  403
          gateway: > GET http://insurance-policy:8080/policies/7  403
            insurance-policy: GET /policies/7  403
              insurance-policy: auth.permission_check  auth=refused because="not the owner"
    """)
    assert trace.layer == "application"


def test_an_identity_product_stays_one_when_its_own_interface_refuses():
    trace = judged("""
        gateway: GET /admin/users  403
          gateway: > GET http://keycloak:8080/admin/realms/shop/users  403
            keycloak: GET /admin/realms/shop/users  403  @keycloak
    """)
    assert (trace.origin, trace.layer, trace.phase) == ("keycloak", "identity_provider", "authz")


def test_an_in_process_library_takes_the_layer_of_its_service():
    inside = "{0}: GET /x  403\n  {0}: cedar.authorization  cedar.decision=Deny"
    assert judged(inside.format("docs")).layer == "application"
    assert judged(inside.format("edge-gateway")).layer == "api_gateway"


@pytest.mark.parametrize(
    ("service", "more", "layer"),
    [
        ("ingress.shop", "upstream_cluster=outbound|8080||orders", "api_gateway"),
        ("istio-ingressgateway", "node_id=router~10.0.0.1~x", "api_gateway"),
        ("orders.shop", "upstream_cluster=inbound|8080|| istio.mesh_id=m", "service_mesh"),
        ("shop-waypoint", "node_id=waypoint~10.0.0.1~x", "service_mesh"),
        ("edge-proxy", "waf.action=block", "edge_waf"),
    ],
)
def test_a_proxy_that_refuses_by_itself_is_named_by_where_it_stands(service, more, layer):
    trace = judged(
        f"{service}: ingress  kind=server scope=envoy component=proxy http.status_code=403 response_flags=- {more}  @proxy"
    )
    assert (trace.origin, trace.layer) == ("proxy", layer)


@pytest.mark.parametrize(("plugin", "layer"), [("acl", "api_gateway"), ("ip-restriction", "edge_waf"), ("opa", "policy_engine"),
                                               ("bot-detection", "edge_waf")])  # fmt: skip
def test_a_products_own_rule_outranks_the_general_one(plugin, layer):
    trace = judged(f"""
        kong: kong  kind=server scope=kong-internal http.status_code=403
          kong: kong.access.plugin.{plugin}  scope=kong-internal  @plugin
    """)
    assert (trace.origin, trace.layer) == ("plugin", layer)


@pytest.mark.parametrize(
    ("reason", "phase"),
    [("token signature does not verify", "authn"), ("CSRF token mismatch", "authn"), ("missing role orders:read", "authz"),
     ("invalid audience", "authn"), ("not the owner", "authz")],
)  # fmt: skip
def test_the_reason_outranks_the_spans_name(reason, phase):
    trace = judged(f"""
        orders: POST /orders  403
          orders: auth.permission_check  auth=refused because="{reason}"
    """)
    assert (trace.layer, trace.phase) == ("application", phase)


@pytest.mark.parametrize(("status", "phase"), [(401, "authn"), (403, "authz"), (407, "authn"), (440, "authn")])
def test_a_bare_status_says_which_phase(status, phase):
    assert judged(f"audit: GET /audit  {status}").phase == phase


def test_an_anonymous_user_who_was_refused_is_a_matter_of_identity():
    trace = judged("""
        app: GET /x  401
          app: authorize request  spring.security.authorization.decision=false spring.security.authentication.type=AnonymousAuthenticationToken
    """)
    assert (trace.layer, trace.phase) == ("application", "authn")


def test_the_deciders_name_stands_in_the_target_where_it_sends_no_spans():
    trace = judged("""
        orders: GET /x  500
          orders: SELECT invoices  db.response.status_code=42501 error="permission denied for table invoices"  @db
    """)
    entry = next(e for e in trace.layers if e.decision == "deny")
    assert (entry.service, entry.target, entry.span_id) == ("orders", "shop", trace.tags["db"])


def test_a_house_may_say_what_its_services_are():
    drawing = """
        orders: GET /x  401
          orders: auth.token_validate  auth=refused because="token is expired"
    """
    assert judged(drawing).layer == "application"
    assert judged(drawing, role_overrides={"orders": "gateway"}).layer == "api_gateway"


def test_layers_that_the_route_usually_meets_were_not_reached():
    from app.analysis.verdict import Layer

    trace = judged(
        """
        gateway: GET /x  401
          gateway: auth.token_validate  auth=refused because="token is expired"
        """,
        route_layers=((Layer.API_GATEWAY, "gateway"), (Layer.DATABASE, "ordersdb")),
    )
    assert [(e.layer, e.decision) for e in trace.layers] == [("api_gateway", "deny"), ("database", "not_reached")]


def test_the_entrys_answer_is_the_clients():
    trace = judged("""
        web: > GET https://shop.example/api/x  403 resource.telemetry.sdk.language=webjs
          gateway: GET /api/x  403  @gateway
    """)
    assert (trace.entry.service, trace.entry.status, trace.entry.span_id) == ("gateway", 403, trace.tags["gateway"])


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("city-gateway", "gateway"),
        ("edge-eu-west-1", "gateway"),
        ("orders-envoy", "gateway"),
        ("auth-service", "identity"),
        ("auth-api-v2", "identity"),
        ("policy-decision-point", "policy"),
        ("opa-sidecar", "policy"),
        ("shop-rate-limiter", "limiter"),
        ("cloudflare-tunnel", "waf"),
        ("edge-cache", None),
        ("login-banners", None),
        ("keto-recipes", None),
        ("identity-theft-reports", None),
        ("policy-quotes", None),
        ("policyholder", None),
    ],
)
def test_a_name_says_what_a_service_is_by_its_last_word(name, role):
    found = peers.name_role(name)
    assert (found.value if found is not None else None) == role


def test_a_service_called_policies_that_refuses_its_own_documents_is_no_engine():
    trace = judged("""
        gateway: GET /api/policies/7  403
          gateway: > GET http://policies:8080/policies/7  403
            policies: GET /policies/7  403
              policies: auth.permission_check  auth=refused because="not the holder"  @check
    """)
    assert (trace.origin, trace.layer, trace.enforced_by.service) == ("check", "application", "policies")
    assert "relayed_by" in trace.kinds


def test_one_that_is_asked_and_says_no_in_a_good_answer_is():
    trace = judged("""
        docs: GET /docs/7  403
          docs: > GET http://permissions:8080/users/9/docs/7  200
            permissions: GET /users/9/docs/7  200
              permissions: evaluate  auth=refused because="not shared"  @check
    """)
    assert (trace.origin, trace.layer, trace.enforced_by.service) == ("check", "policy_engine", "docs")


@pytest.mark.parametrize(
    ("why", "decider"),
    [("token was revoked", "idp"), ("token lacks scope orders:read", "check")],
    ids=["its issuer", "the asker"],
)
def test_who_refused_a_token_that_was_looked_up(why, decider):
    trace = judged(f"""
        gateway: GET /x  401
          gateway: auth.token_validate  auth=refused because="{why}" @check
            gateway: > POST http://city-id/oauth2/introspect  200
              city-id: POST /oauth2/introspect  200 @idp
    """)
    assert trace.origin == decider
    assert trace.layer == {"idp": "identity_provider", "check": "api_gateway"}[decider]
    assert trace.enforced_by.service == "gateway"


def test_a_question_asked_inside_a_check_that_passed_was_answered_well():
    trace = judged("""
        gateway: GET /x  200
          gateway: auth.token_validate  auth=passed
            gateway: > POST http://city-id/oauth2/introspect  200
              city-id: POST /oauth2/introspect  200
    """)
    assert ("identity_provider", "allow") in trace.met
    assert ("identity_provider", "unknown") not in trace.met


def test_a_field_that_a_graph_refused_is_the_applications_refusal_whatever_its_caller_makes_of_it():
    trace = judged("""
        people: DELETE /people/7  403
          people: > POST http://graph/graphql  200
            graph: POST /graphql  200
              graph: graphql.resolve dismiss  error="Forbidden: administrators only" scope=@opentelemetry/instrumentation-graphql  @field
    """)
    assert (trace.origin, trace.layer, trace.enforced_by.service) == ("field", "application", "graph")


@pytest.mark.parametrize(("status", "enforcer"), [(401, "hub"), (400, "identity")], ids=["it asked", "it handed a log-in on"])
def test_a_token_endpoint_that_has_spans_decided_itself(status, enforcer):
    trace = judged(f"""
        hub: POST /login  {status}
          hub: > POST http://identity/oauth2/token  400
            identity: POST /oauth2/token  400 @identity
    """)
    assert (trace.origin, trace.layer, trace.enforced_by.service) == ("identity", "identity_provider", enforcer)


def test_a_proxy_without_call_spans_enforces_what_it_asked_for():
    trace = judged("""
        caddy: GET /asked/orders  403
          auth: GET /verify  403 @auth
    """)
    assert (trace.origin, trace.layer, trace.enforced_by.service) == ("auth", "identity_provider", "caddy")
    assert "relayed_by" not in trace.kinds
