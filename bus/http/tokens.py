"""Who is calling: OAuth 2 access tokens as JWT (RFC 9068), signed by the issuer that the settings name.

Checking a signature takes longer than answering, so a token that was verified is remembered by its digest until it
expires or the issuer's keys change.
"""

import hashlib
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyTypeError,
    JoseError,
    MissingClaimError,
    SecurityWarning,
    UnsupportedAlgorithmError,
    UnsupportedKeyAlgorithmError,
)
from joserfc.jwk import GuestProtocol

from bus.http.errors import TokenError, TokenFault
from bus.http.keys import RETRY_S, Keys
from bus.http.revoked import Revoked
from bus.http.settings import TokenSettings

# Asymmetric only: with a shared-key algorithm here, whoever has the public key could sign.
ALGORITHMS = ("Ed25519", "EdDSA", "ES256", "PS256", "RS256")
TOKEN_BYTES_MAX = 8 << 10
REMEMBERED_MAX = 10_000
LEEWAY_S = 5  # between the issuer's clock and ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a verified token says is calling; `claims` are all that it says."""

    agency: str | None
    expires_at: float
    certificate: str | None  # the thumbprint of the one that the token is bound to (RFC 8705)
    claims: Mapping[str, Any]


class Tokens:
    """Verifies tokens, and remembers them."""

    def __init__(self, settings: TokenSettings, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._revoked = Revoked(settings.revoked, clock=clock)
        self._remembered: OrderedDict[bytes, Caller] = OrderedDict()
        self._generation = keys.generation
        self._registry = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
        )

    async def caller(self, token: bytes, *, certificate: str | None = None) -> Caller:
        """Who is calling, over a connection with this certificate. Raises TokenError."""
        caller = await self._remembered_caller(token)
        if caller.certificate is not None and caller.certificate != certificate:
            raise TokenError(TokenFault.WRONG_CERTIFICATE)
        if caller.certificate is None and self._settings.client_ca and caller.agency is not None:
            raise TokenError(TokenFault.NOT_BOUND)
        if self._revoked.holds(caller.claims.get("jti")):
            raise TokenError(TokenFault.REVOKED)
        return caller

    async def _remembered_caller(self, token: bytes) -> Caller:
        if self._generation != self._keys.generation:
            self._remembered.clear()
            self._generation = self._keys.generation
        digest = hashlib.sha256(token).digest()
        caller = self._remembered.get(digest)
        if caller is None:
            caller = await self._verified(token)
            self._remembered[digest] = caller
            if len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        elif caller.expires_at + LEEWAY_S < self._clock():
            del self._remembered[digest]
            raise TokenError(TokenFault.EXPIRED)
        return caller

    async def _verified(self, token: bytes) -> Caller:
        if len(token) > TOKEN_BYTES_MAX:
            raise TokenError(TokenFault.MALFORMED)
        try:
            return self._verify(token)
        except TokenError as exc:
            if exc.fault not in (TokenFault.UNKNOWN_KEY, TokenFault.KEYS_UNAVAILABLE):
                raise
        await self._keys.refresh(older_than_s=RETRY_S)  # the issuer may have changed its keys since
        return self._verify(token)

    def _verify(self, token: bytes) -> Caller:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # "EdDSA" is an older name that issuers still send
                decoded = jwt.decode(token, self._key, algorithms=ALGORITHMS)
            self._registry.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, RecursionError) as exc:
            raise TokenError(_fault(exc)) from None
        agency = decoded.claims.get(self._settings.agency_claim)
        return Caller(
            agency=agency if isinstance(agency, str) else None,
            expires_at=decoded.claims["exp"],
            certificate=_bound_to(decoded.claims),
            claims=decoded.claims,
        )

    def _key(self, token: GuestProtocol) -> Any:
        """The key that the token names; a key set of one key needs no name."""
        keys = self._keys.current.keys
        named = token.headers().get("kid")
        found = [key for key in keys if key.kid == named] if named is not None else keys
        if len(found) != 1:
            raise TokenError(TokenFault.UNKNOWN_KEY)
        return found[0]


def _bound_to(claims: Mapping[str, Any]) -> str | None:
    """The thumbprint that a token demands. One that demands what we do not know is bound to what nobody has."""
    if "cnf" not in claims:
        return None
    demanded = claims["cnf"]
    named = demanded.get("x5t#S256") if isinstance(demanded, dict) else None
    return named if isinstance(named, str) and named else _UNKNOWN_PROOF


_UNKNOWN_PROOF = "a proof that is not checked here"
_CLAIM_FAULTS = {
    "iss": TokenFault.WRONG_ISSUER,
    "aud": TokenFault.WRONG_AUDIENCE,
    "nbf": TokenFault.NOT_YET_VALID,
    "iat": TokenFault.NOT_YET_VALID,
}


def _fault(exc: Exception) -> TokenFault:
    match exc:
        case ExpiredTokenError():
            return TokenFault.EXPIRED
        case BadSignatureError():
            return TokenFault.BAD_SIGNATURE
        case UnsupportedAlgorithmError() | UnsupportedKeyAlgorithmError() | InvalidKeyTypeError():
            return TokenFault.WRONG_ALGORITHM
        case MissingClaimError():
            return TokenFault.MISSING_CLAIM
        case InvalidClaimError():
            return _CLAIM_FAULTS.get(exc.claim, TokenFault.MALFORMED)
    return TokenFault.MALFORMED
