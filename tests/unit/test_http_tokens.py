import asyncio
import base64
import hmac
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from bus.http.errors import TokenError, TokenFault
from bus.http.keys import RETRY_S, Keys
from bus.http.settings import TokenSettings
from bus.http.tokens import LEEWAY_S, Tokens

NOW = int(time.time())
ED, RSA, EC = (
    OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    RSAKey.generate_key(2048, {"kid": "rsa"}),
    ECKey.generate_key("P-256", {"kid": "ec"}),
)


class Desk:
    """A verifier over a key file, with clocks that a test can move."""

    def __init__(self, place, *keys):
        self.place = place
        self.seconds = 0.0
        self.publish(*keys)
        settings = TokenSettings(
            YEKBAR_TOKEN_JWKS=str(place), YEKBAR_TOKEN_ISSUER="https://idp", YEKBAR_TOKEN_AUDIENCE="evidence"
        )
        self.keys = Keys(settings, clock=lambda: self.seconds)
        self.tokens = Tokens(settings, self.keys, clock=lambda: NOW + self.seconds)

    def publish(self, *keys):
        self.place.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)))

    def caller(self, token):
        return asyncio.run(self.tokens.caller(token.encode()))

    def fault(self, token):
        with pytest.raises(TokenError) as refused:
            self.caller(token)
        return refused.value.fault


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "jwks.json", ED, RSA, EC)


def token(key=ED, algorithm="Ed25519", header=None, **claims):
    said = {"iss": "https://idp", "aud": "evidence", "exp": NOW + 600, "agency": "tax", **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(
        {"alg": algorithm, "kid": key.kid, **(header or {})}, said, key, algorithms=[algorithm], default_type="at+jwt"
    )


@pytest.mark.parametrize(("key", "algorithm"), [(ED, "Ed25519"), (RSA, "RS256"), (RSA, "PS256"), (EC, "ES256")])
def test_a_token_by_a_key_of_the_issuer_names_its_agency(desk, key, algorithm):
    caller = desk.caller(token(key, algorithm))

    assert caller.claims["agency"] == "tax"


def test_the_older_name_of_the_edwards_algorithm_is_taken(desk):
    header = part({"alg": "EdDSA", "kid": "ed"})
    claims = part({"iss": "https://idp", "aud": ["else", "evidence"], "exp": NOW + 600, "agency": "tax"})
    signature = ED.get_op_key("sign").sign(f"{header}.{claims}".encode())

    assert desk.caller(f"{header}.{claims}.{encoded(signature)}").claims["agency"] == "tax"


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"exp": NOW - LEEWAY_S - 2}, TokenFault.EXPIRED),
        ({"exp": None}, TokenFault.MISSING_CLAIM),
        ({"exp": "soon"}, TokenFault.MALFORMED),
        ({"nbf": NOW + 60}, TokenFault.NOT_YET_VALID),
        ({"iat": NOW + 60}, TokenFault.NOT_YET_VALID),
        ({"iss": "https://other"}, TokenFault.WRONG_ISSUER),
        ({"iss": None}, TokenFault.MISSING_CLAIM),
        ({"aud": "other"}, TokenFault.WRONG_AUDIENCE),
        ({"aud": None}, TokenFault.MISSING_CLAIM),
    ],
)
def test_a_token_that_says_the_wrong_thing_is_refused(desk, claims, fault):
    assert desk.fault(token(**claims)) == fault


def test_a_token_is_not_believed_by_its_own_word(desk):
    unsigned = f"{part({'alg': 'none'})}.{part({'iss': 'https://idp', 'aud': 'evidence', 'exp': NOW + 600})}."

    assert desk.fault(unsigned) == TokenFault.WRONG_ALGORITHM


def test_a_public_key_is_no_shared_secret(desk):
    header = part({"alg": "HS256", "kid": "rsa"})
    claims = part({"iss": "https://idp", "aud": "evidence", "exp": NOW + 600, "agency": "tax"})
    signature = hmac.digest(RSA.as_pem(private=False), f"{header}.{claims}".encode(), "sha256")

    assert desk.fault(f"{header}.{claims}.{encoded(signature)}") == TokenFault.WRONG_ALGORITHM


def test_a_key_is_not_used_with_another_kind_of_algorithm(desk):
    stranger = ECKey.generate_key("P-256", {"kid": "ed"})

    assert desk.fault(token(stranger, "ES256")) == TokenFault.WRONG_ALGORITHM


def test_a_changed_token_is_refused(desk):
    header, claims, signature = token().split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = f"{header}.{part({**said, 'agency': 'welfare'})}.{signature}"

    assert desk.fault(changed) == TokenFault.BAD_SIGNATURE


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "e30.e30.", "x" * 9_000, "[" * 6_000])
def test_what_is_no_token_is_refused(desk, text):
    assert desk.fault(text) in (TokenFault.MALFORMED, TokenFault.UNKNOWN_KEY, TokenFault.WRONG_ALGORITHM)


def test_a_header_nested_deeply_is_refused(desk):
    assert desk.fault(f"{encoded(b'[' * 5_000)}.e30.") == TokenFault.MALFORMED


def test_a_verified_token_is_remembered_until_it_expires(desk):
    one = token(exp=NOW + 60)
    desk.caller(one)
    desk.seconds = 61 + LEEWAY_S

    assert desk.fault(one) == TokenFault.EXPIRED


def test_a_new_key_is_fetched_when_a_token_names_it(desk):
    desk.caller(token())
    new = OKPKey.generate_key("Ed25519", {"kid": "new"})
    desk.publish(ED, new)
    desk.seconds = RETRY_S + 1

    assert desk.caller(token(new)).claims["agency"] == "tax"


def test_tokens_with_unknown_keys_do_not_make_the_issuer_busy(desk):
    desk.caller(token())
    new = OKPKey.generate_key("Ed25519", {"kid": "new"})
    desk.publish(ED, new)

    assert desk.fault(token(new)) == TokenFault.UNKNOWN_KEY


def test_a_token_by_a_withdrawn_key_is_forgotten(desk):
    one = token()
    desk.caller(one)
    desk.publish(RSA)
    desk.seconds = 400
    asyncio.run(desk.keys.refresh(older_than_s=300))

    assert desk.fault(one) == TokenFault.UNKNOWN_KEY


def test_the_old_keys_stay_in_use_while_the_issuer_is_away(desk):
    desk.caller(token())
    desk.place.write_text("{")
    desk.seconds = 400
    asyncio.run(desk.keys.refresh(older_than_s=300))

    assert desk.caller(token(EC, "ES256")).claims["agency"] == "tax"


def test_without_any_keys_nobody_is_believed(tmp_path):
    desk = Desk(tmp_path / "jwks.json", ED)
    desk.place.unlink()

    assert desk.fault(token()) == TokenFault.KEYS_UNAVAILABLE


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def part(said):
    return encoded(json.dumps(said).encode())
