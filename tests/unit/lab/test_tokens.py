"""The shop's tokens: what is accepted, and the reason where it is not."""

import base64
import json

import pytest

from app.lab import tokens

KEY = "k" * 32


def issue(**changes):
    about = {"sub": "u-1", "login": "ada", "roles": ("customer",), "region": "eu", "sid": "s1", "addr": "198.18.0.1"}
    return tokens.issue(KEY, **{**about, **changes})


def test_an_issued_token_is_accepted_with_its_claims():
    claims = tokens.verify(issue(), KEY)
    assert (claims.sub, claims.roles, claims.addr) == ("u-1", ("customer",), "198.18.0.1")


def test_a_token_outlives_its_lifetime_as_expired():
    tokens.verify(issue(age_s=tokens.LIFETIME_S - 30), KEY)
    with pytest.raises(tokens.Refused, match="token_expired"):
        tokens.verify(issue(age_s=tokens.LIFETIME_S + 1), KEY)


def test_a_token_signed_by_another_key_or_by_none_is_invalid():
    with pytest.raises(tokens.Refused, match="token_invalid"):
        tokens.verify(issue(), "x" * 32)
    body = issue().split(".")[1]
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    with pytest.raises(tokens.Refused, match="token_invalid"):
        tokens.verify(f"{header}.{body}.", KEY)


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer "])
def test_a_header_without_a_bearer_token_is_invalid(header):
    with pytest.raises(tokens.Refused, match="token_invalid"):
        tokens.bearer(header)
