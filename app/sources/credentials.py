"""What a source is sent to prove who asks, and how that stays out of every message."""

from __future__ import annotations

import base64
import re
import ssl

from app.errors import InvalidInput
from app.settings import SourceSettings

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# Whatever breaks a line or moves a terminal's cursor. Upstream text is shown and logged, never obeyed.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


class Credentials:
    """Request headers of one source, and the removal of its secrets from text."""

    def __init__(self, settings: SourceSettings) -> None:
        """Errors: InvalidInput where a value cannot stand in a header; the value itself is not repeated."""
        password = settings.password.get_secret_value()
        token = settings.bearer_token.get_secret_value()
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        secrets = [password, token, *headers.values()]
        if settings.tenant:
            headers["X-Scope-OrgID"] = settings.tenant
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif settings.username:
            pair = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
            secrets.append(pair)
        for name, value in headers.items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise InvalidInput(f"the value for its header {name[:40]!r} holds characters that a header cannot carry")
        # A header of one's own making may be what a gateway knows its callers by; a certificate is.
        self.identify = bool(token or settings.username or settings.headers or settings.client_cert_file)
        # Bytes, because a header is bytes: httpx would encode text as ASCII and fail on the rest.
        self.headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        self._secrets = sorted({s for s in secrets if s}, key=len, reverse=True)

    def __repr__(self) -> str:
        return "Credentials(...)"

    def clean(self, text: str, *, longest: int = 300) -> str:
        """`text` on one line, without the source's secrets, at most `longest` characters."""
        # A secret may straddle the cut, so it goes first; the generous first cut bounds the work.
        text = text[: 20 * longest]
        for secret in self._secrets:
            text = text.replace(secret, "•••")
        text = _CONTROLS.sub(" ", text).strip()
        return text if len(text) <= longest else text[: longest - 1] + "…"


def tls_context(settings: SourceSettings) -> ssl.SSLContext:
    """Whom to trust and which certificate to show.

    Errors: InvalidInput names the file that cannot be used.
    """
    if not settings.url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; reading the system's roots takes longer
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError):
        raise InvalidInput(f"its CA file {settings.ca_file} cannot be read as PEM") from None
    if settings.client_cert_file:
        try:
            # A password prompt on the terminal would hang the server: an encrypted key is refused instead.
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file, password=_no_password)
        except (OSError, ssl.SSLError, ValueError):
            raise InvalidInput(f"its client certificate {settings.client_cert_file} or its key cannot be read") from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")
