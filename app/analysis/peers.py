"""What a service or a called peer is, as far as names, paths and protocols tell.

Names are weak evidence and are asked last: structure and products' own marks come first (see roles.py).
"""

from __future__ import annotations

import enum
import functools

import re2

from app.traces import semconv
from app.traces.model import Span, SpanKind


class Peer(enum.Enum):
    """What is at the other end of a call."""

    SERVICE = "service"  # another service, about which nothing more is known
    POLICY = "policy"  # asked for a decision
    IDENTITY = "identity"  # login, tokens, sessions
    KEYS = "keys"  # a download of keys: it cannot refuse a request
    CONFIGURATION = "configuration"  # no more can a service's own settings
    LIMITER = "limiter"
    DATABASE = "database"
    BROKER = "broker"
    CLOUD = "cloud"  # a cloud provider's API through its SDK
    SIDE = "side"  # telemetry, feature flags: no part of the request


class NameRole(enum.Enum):
    """What a service's name suggests."""

    GATEWAY = "gateway"
    IDENTITY = "identity"
    POLICY = "policy"
    LIMITER = "limiter"
    WAF = "waf"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GATEWAY = _words("""
    gateway gw edge ingress ingressgateway igw proxy envoy kong nginx traefik apisix haproxy apigw apigateway
    krakend tyk zuul frontdoor lb loadbalancer caddy oathkeeper pomerium apigee ambassador emissary contour gloo
    openresty skipper
""")
_IDENTITY = _words("""
    identity idp auth authn login signin sso iam keycloak oauth oauth2 oidc hydra kratos dex zitadel okta auth0
    cognito authelia authentik ldap adfs saml sts uaa logto fusionauth authserver identityserver authentication
    tokens sessions
""")
_POLICY = _words("""
    policy policies pdp opa authz authorizer authorization permission permissions openfga fga cerbos spicedb keto
    cedar entitlement entitlements rbac abac acl acls permify authzed topaz permit accesscontrol
""")
_LIMITER = _words("""
    ratelimit ratelimiter limiter throttle throttler quota quotas
""")
_WAF = _words("""
    waf coraza modsecurity cloudflare akamai fastly cdn imperva firewall cloudfront
""")
# An insurance's policies are its business, and a payment gateway is no API gateway.
_NOT_A_POLICY_ENGINE = _words("insurance insurances claims return returns refund refunds privacy cookie retention pricing")
_NOT_A_GATEWAY = _words("""
    payment payments sms mail email notification notifications iot message messaging data
""")
# What may follow the word that says what a service is: auth-service, gateway-eu-west, policy-decision-point, opa-sidecar.
_FILLERS = _words("""
    service svc server api app application engine manager provider backend frontend controller node cluster platform system
    core hub center centre agent sidecar router layer tier point decision checker validator verifier issuer enforcer guard
    web ui portal page front public internal external private grpc http rest prod production staging stage dev test qa
    main primary secondary blue green canary eu us uk ap emea apac west east north south central global local dp cp
    plane tunnel pod docker container v ingress egress filter plugin dataplane store
""")
# Words that are the things of a business as often as the work of an engine.
_THINGS = _words("policy policies permission permissions entitlement entitlements acl acls")
_CONFIGURATION = _words("config configs configserver configuration configurations")

_SPLIT = re2.compile(r"[^a-z0-9]+")


@functools.lru_cache(maxsize=4096)
def name_role(service: str) -> NameRole | None:
    """What a service's or host's name suggests; of a dotted name only the first label speaks.

    Names are built like other words, with what a thing is at the end: city-gateway is a gateway, edge-cache a cache.
    """
    lowered = service[:256].lower()
    label = lowered.split(".", 1)[0]
    words = frozenset(word for word in _SPLIT.split(label) if word)
    head = _head(label)
    if head & _WAF:
        return NameRole.WAF
    if head & _LIMITER or head & {"limit", "limiting"}:
        return NameRole.LIMITER
    if head & _GATEWAY and not words & _NOT_A_GATEWAY:
        return NameRole.GATEWAY
    if (head & _POLICY and not words & _NOT_A_POLICY_ENGINE) or ("control" in head and "access" in words):
        return NameRole.POLICY
    if head & _IDENTITY or _PUBLIC_IDENTITY.search(lowered):
        return NameRole.IDENTITY
    return None


@functools.lru_cache(maxsize=4096)
def _head(label: str) -> frozenset[str]:
    """The last word of a name that says what it is, and the fillers after it, which may say it as well."""
    found = []
    for word in reversed([word for word in _SPLIT.split(label) if word]):
        found.append(word)
        if not (word in _FILLERS or any(c.isdigit() for c in word)) or word in _IDENTITY | _GATEWAY:
            break
    return frozenset(found)


def is_thing(service: str) -> bool:
    """Whether a name that suggests an engine may as well be that of a business's own things: policies, permissions."""
    return bool(_head(service[:256].lower().split(".", 1)[0]) & _THINGS)


_PUBLIC_IDENTITY = re2.compile(
    r"(^|\.)(login\.microsoftonline\.com|accounts\.google\.com|oauth2\.googleapis\.com|sts\.amazonaws\.com|.*\.auth0\.com|"
    r".*\.okta(preview)?\.com|cognito-idp\..*|.*\.b2clogin\.com|.*\.onelogin\.com|securetoken\.googleapis\.com)$"
)

_CLOUD_HOSTS = re2.compile(r"(^|\.)(amazonaws\.com(\.cn)?|googleapis\.com|azure\.(com|net)|windows\.net|microsoft\.com)$")

_KEYS_PATH = re2.compile(r"(?i)(/\.well-known/|jwks|/certs/?$|/discovery/|/keys/?$|/public-?keys?/?$|/actuator/|/health)")
_POLICY_PATH = re2.compile(
    r"(?i)(^/v[01]/(data|query)(/|$)|/relation-tuples/(batch/)?check|/check/resources|/stores/[^/]+/(batch-)?check$|"
    r"/(decide|decision|decisions|authorize|authz|evaluate|evaluations?|is-?allowed|is_allowed|allowed|can-?i|pdp|enforce)/?$|"
    r"/permissions?/(check|checkbulk|evaluate)/?$|/(check|check-?access|checkpermission|check-?permissions?|access-?check)/?$|"
    r"^/authz/)"
)
_IDENTITY_PATH = re2.compile(
    r"(?i)(/introspect|/userinfo|/whoami|/openid-connect/|/oauth2?/|/connect/(token|userinfo|introspect)|/token/?$|/tokens/?$|"
    r"/access_token|/login/?$|/log-?in/?$|/sign-?in/?$|/signin|/sessions?/?$|/sessions?/(validate|verify|check|current)|"
    r"/(validate|verify|authenticate)(-?token|-?session)?/?$|/realms/|/saml|/sso|/mfa|/otp|/dex/|/outpost\.|/api/verify|"
    r"/api/authz/|^/auth/|/auth/?$)"
)
# Where an asker learns whether a credential is good: an answer here is a decision, not a relayed refusal.
_ASKED_IDENTITY_PATH = re2.compile(
    r"(?i)(/introspect|/userinfo|/whoami|/(validate|verify|check)(-?token|-?session|-?credentials?)?/?$|"
    r"/sessions?/(validate|verify|check|current)|/oauth2/auth/?$|/api/verify|/api/authz/|/outpost\.|^/auth/?$)"
)
_LOGIN_PATH = re2.compile(
    r"(?i)(/log-?in\b|/sign-?in\b|/signin|/oauth2?/|/token/?$|/tokens/?$|/openid-connect/|/connect/token|/authenticate|/sso|"
    r"/saml|/mfa|/otp|/sessions?/?$|/self-service/|/password|/realms/|/auth/callback|/register|/signup|/sign-?up|/logout)"
)
_SIDE_WORDS = ("/v1/traces", "/v1/metrics", "/v1/logs", "/api/v2/spans", "flag", "telemetry", "/collect")
_SIDE_PATH = re2.compile(
    r"(?i)(/v1/(traces|metrics|logs)$|/api/v2/spans$|/feature-?flags?|/flags?/evaluat|/telemetry|/collect$)"
)
_POLICY_RPC = re2.compile(
    r"(?i)(^envoy\.service\.auth\.|PermissionsService|OpenFGAService|CerbosService|CheckService|"
    r"/(Check\w*|IsAllowed|IsAuthorized\w*|Authorize|Evaluate\w*|Decide|Enforce|Can|HasPermission|Lookup\w*|BatchCheck|"
    r"ListObjects|ListUsers)$)"
)
_IDENTITY_RPC = re2.compile(
    r"(?i)/(Introspect\w*|ValidateToken|VerifyToken|Verify\w*Token|Login|SignIn|Authenticate\w*|GetSession|ValidateSession|"
    r"CheckSession|WhoAmI|IssueToken)$"
)
_NO_RPC = re2.compile(r"(?i)^grpc\.(health|reflection)\.")
_CONNECTION = re2.compile(
    r"(?i)(connect(ion)?[ _]?(error|refused|reset|failed|aborted|timeout|exception)|econn|enotfound|eai_again|ehostunreach|"
    r"no such host|name resolution|getaddrinfo|dns|dial (tcp|udp)|no route to host|unreachable|tls|ssl|certificate|handshake|"
    r"cannotconnect|socket hang up|broken pipe|no connection established|failed to connect)"
)
# Words of a client that got no answer at all, unless it gave up waiting for one.
_BROKE_OFF = re2.compile(r"(?i)^[^\n]*\bi/o error on [^\n]*(null|refused|reset|unreachable|unknown host|no route)")


def of_call(span: Span) -> Peer:
    """What the span called."""
    if semconv.db_system(span):
        return Peer.DATABASE
    if semconv.messaging_system(span):
        return Peer.BROKER
    if semconv.rpc_system(span) == "aws-api":
        service = semconv.rpc_service(span).lower()
        if "cognito" in service or service == "sts":
            return Peer.IDENTITY
        return Peer.POLICY if "verifiedpermissions" in service else Peer.CLOUD
    by_path = of_target(semconv.path(span), rpc_name(span) or span.name)
    if by_path is not None:
        return by_path
    peer = semconv.peer(span)
    role = name_role(peer)
    if role is NameRole.POLICY and not (is_thing(peer) and _was_refused_a_thing(span)):
        return Peer.POLICY
    if role is NameRole.IDENTITY:
        return Peer.IDENTITY
    if role is NameRole.LIMITER:
        return Peer.LIMITER
    if role is None and semconv.method(span) == "GET" and _head(peer.lower().split(".", 1)[0]) & _CONFIGURATION:
        return Peer.CONFIGURATION
    return Peer.SERVICE


def _was_refused_a_thing(span: Span) -> bool:
    """Whether the call was for something at a path of its own and was refused it; engines say no in a good answer."""
    return bool(semconv.path(span)) and semconv.http_status(span) in (401, 403)


def rpc_name(span: Span) -> str:
    """service/method of an RPC span, or ""."""
    if not semconv.rpc_system(span):
        return span.name if span.name.startswith(("async envoy.service", "envoy.service")) else ""
    service, method = semconv.rpc_service(span), semconv.rpc_method(span)
    return f"{service}/{method}" if method else span.name


@functools.lru_cache(maxsize=8192)
def of_target(path: str, name: str) -> Peer | None:
    """What a path or an RPC name is about; None where it says nothing of access."""
    name = name[:256].removeprefix("async ").removesuffix(" egress")
    path = path[:1024]
    if "envoy.service.ratelimit" in name or "RateLimitService" in name:
        return Peer.LIMITER
    if "envoy.service.auth" in name:
        return Peer.POLICY
    if name == "JWT Remote PubKey Fetch":
        return Peer.KEYS
    if name == "AuthRequest":  # Traefik's ForwardAuth
        return Peer.IDENTITY
    if path:
        found = _PATHS.Match(path)
        return _BY_PATH[min(found)][1] if found else None
    if "/" in name and not _NO_RPC.search(name):
        if _POLICY_RPC.search(name):
            return Peer.POLICY
        if _IDENTITY_RPC.search(name):
            return Peer.IDENTITY
    return None


# In the order of precedence; searched for in one pass.
_BY_PATH = ((_SIDE_PATH, Peer.SIDE), (_KEYS_PATH, Peer.KEYS), (_POLICY_PATH, Peer.POLICY), (_IDENTITY_PATH, Peer.IDENTITY))
_PATHS = re2.Set.SearchSet()
for _pattern, _ in _BY_PATH:
    _PATHS.Add(_pattern.pattern)
_PATHS.Compile()


_PROBE_PATH = re2.compile(r"(?i)^/(actuator/health\w*|health|healthz|livez|readyz|ready|live|ping|status|metrics)(/|$)")


def is_probe(span: Span) -> bool:
    """Whether the request asked after the service's health, as those who watch over it do without a trace of their own."""
    return _NO_RPC.search(rpc_name(span)) is not None or _PROBE_PATH.search(semconv.path(span)[:256]) is not None


def is_side_call(span: Span) -> bool:
    """Whether the call is no part of the request: telemetry, feature flags."""
    path = semconv.path(span)[:1024].lower()
    for word in _SIDE_WORDS:
        if word in path:
            return _SIDE_PATH.search(path) is not None
    return False


def asks_identity(span: Span) -> bool:
    """Whether the call asks an identity provider about a credential, rather than passing a login on."""
    return is_asking_path(semconv.path(span)) or bool(_IDENTITY_RPC.search(rpc_name(span))) or span.name == "AuthRequest"


@functools.lru_cache(maxsize=8192)
def is_asking_path(path: str) -> bool:
    return bool(path) and _ASKED_IDENTITY_PATH.search(path[:1024]) is not None


@functools.lru_cache(maxsize=8192)
def is_login_path(path: str) -> bool:
    """Whether a request to this path is itself a login, a token issue or the like."""
    return bool(path) and _LOGIN_PATH.search(path[:1024]) is not None


@functools.lru_cache(maxsize=8192)
def is_cloud(host: str) -> bool:
    return bool(host) and _CLOUD_HOSTS.search(host[:256].lower()) is not None


def is_call_between_services(span: Span) -> bool:
    """Whether the span calls another service over HTTP or RPC: one that could send spans of its own."""
    if span.kind is not SpanKind.CLIENT:
        return False
    if semconv.db_system(span) or semconv.messaging_system(span) or semconv.rpc_system(span) == "aws-api":
        return False
    if not (semconv.method(span) or semconv.rpc_system(span) or semconv.url(span) or semconv.http_status(span)):
        return False
    return not is_cloud(semconv.peer(span))


def connection_failed(span: Span) -> bool:
    """Whether the connection itself failed, so that nobody at the other end can have seen the call."""
    if semconv.http_status(span) is not None or semconv.grpc_status(span) not in (None, 14):
        return False
    words = [semconv.text(span.attributes.get(key)) for key in ("error.type", "grpc.error_message")] + [span.status_message]
    words += [f"{kind} {text}" for kind, text in semconv.exceptions(span)]
    return any(word and (_CONNECTION.search(word[:1024]) or _BROKE_OFF.search(word[:1024])) for word in words)
