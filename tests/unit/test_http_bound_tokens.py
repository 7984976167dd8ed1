import asyncio
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from bus.http.errors import TokenError, TokenFault
from bus.http.keys import Keys
from bus.http.revoked import LOOK_S
from bus.http.settings import TokenSettings
from bus.http.tokens import Tokens

KEY = OKPKey.generate_key("Ed25519", {"kid": "one"})
OURS, THEIRS = "certificate-of-ours", "certificate-of-theirs"
BOUND = {"cnf": {"x5t#S256": OURS}}


class Desk:
    """A verifier whose clock a test can move."""

    def __init__(self, folder, **settings):
        place = folder / "jwks.json"
        place.write_text(json.dumps(KeySet([KEY]).as_dict(private=False)))
        self.seconds = 0.0
        named = TokenSettings(
            YEKBAR_TOKEN_JWKS=str(place), YEKBAR_TOKEN_ISSUER="idp", YEKBAR_TOKEN_AUDIENCE="evidence", **settings
        )
        self.tokens = Tokens(named, Keys(named), clock=lambda: time.time() + self.seconds)

    def fault(self, token, certificate=None):
        """Why a token is refused, asked twice: the second time it may be remembered. None when it is taken."""
        told = [self._fault(token, certificate) for _ in range(2)]
        assert told[0] == told[1]
        return told[0]

    def _fault(self, token, certificate):
        try:
            asyncio.run(self.tokens.caller(token, certificate=certificate))
        except TokenError as exc:
            return exc.fault
        return None


def token(**claims):
    said = {"iss": "idp", "aud": "evidence", "exp": int(time.time()) + 600, **claims}
    return jwt.encode({"alg": "Ed25519", "kid": "one"}, said, KEY, algorithms=["Ed25519"]).encode()


def test_a_bound_token_is_good_only_with_its_certificate(tmp_path):
    desk, bound = Desk(tmp_path), token(agency="tax", **BOUND)

    assert desk.fault(bound, OURS) is None
    assert desk.fault(bound, THEIRS) is TokenFault.WRONG_CERTIFICATE
    assert desk.fault(bound, None) is TokenFault.WRONG_CERTIFICATE
    assert desk.fault(bound, OURS) is None


@pytest.mark.parametrize("proof", [{"jkt": "a key of DPoP"}, {}, "words", None, {"x5t#S256": ""}, {"x5t#S256": 7}])
@pytest.mark.parametrize("certificate", [None, OURS])
def test_a_token_with_a_proof_that_is_not_checked_here_is_good_for_nobody(proof, certificate, tmp_path):
    assert Desk(tmp_path).fault(token(agency="tax", cnf=proof), certificate) is TokenFault.WRONG_CERTIFICATE


def test_where_callers_have_certificates_an_agencys_token_must_be_bound_and_a_citizens_need_not(tmp_path):
    desk = Desk(tmp_path, YEKBAR_TLS_CLIENT_CA="/ca.pem")

    assert desk.fault(token(agency="tax"), OURS) is TokenFault.NOT_BOUND
    assert desk.fault(token(agency="tax", **BOUND), OURS) is None
    assert desk.fault(token(national_id="0012345679"), None) is None


def test_a_token_that_was_taken_back_is_refused_soon_also_when_it_is_remembered(tmp_path):
    revoked = tmp_path / "revoked"
    desk, taken_back = Desk(tmp_path, YEKBAR_TOKEN_REVOKED=str(revoked)), token(agency="tax", jti="a")
    before = desk.fault(taken_back)
    revoked.write_text("b\na\n")
    desk.seconds += LOOK_S

    after = desk.fault(taken_back)
    revoked.unlink()
    desk.seconds += LOOK_S

    assert (before, after) == (None, TokenFault.REVOKED)
    assert desk.fault(taken_back) is TokenFault.REVOKED
    assert desk.fault(token(agency="tax", jti="c")) is None
