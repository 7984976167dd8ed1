"""Who is calling, from the header `Authorization` (RFC 6750): an agency, or a citizen."""

from dataclasses import dataclass, field

from bus.http.errors import TokenError
from bus.http.problems import Kind, Problem
from bus.http.routing import Refused, Request
from bus.http.settings import TokenSettings
from bus.http.tokens import Caller, Tokens

_BEARER = b"bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Citizen:
    """A person who calls for herself, as well assured as the settings demand."""

    national_id: str = field(repr=False)
    assurance: str


class Authentication:
    """Reads tokens; whoever has none that is good is refused."""

    def __init__(self, settings: TokenSettings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens

    async def agency(self, request: Request) -> str:
        """The agency that is calling. Raises Refused, also for a citizen's token."""
        caller = await self._caller(request)
        if caller.agency is None or self._settings.citizen_claim in caller.claims:
            raise Refused(Problem(kind=Kind.NOT_PERMITTED, detail="the token does not speak for an agency"))
        return caller.agency

    async def citizen(self, request: Request) -> Citizen:
        """The citizen who is calling. Raises Refused, also for an agency's token."""
        caller = await self._caller(request)
        national_id = caller.claims.get(self._settings.citizen_claim)
        if not isinstance(national_id, str) or self._settings.agency_claim in caller.claims:
            raise Refused(Problem(kind=Kind.NOT_PERMITTED, detail="the token does not speak for a citizen"))
        assurance = caller.claims.get("acr")
        if assurance not in self._settings.assurance_levels:
            raise Refused(_challenge(Kind.NOT_PERMITTED, "insufficient_user_authentication", "assurance-too-low"))
        return Citizen(national_id=national_id, assurance=str(assurance))

    async def _caller(self, request: Request) -> Caller:
        authorization = request.headers.get(b"authorization", b"")
        if authorization[:7].lower() != _BEARER:
            raise Refused(Problem(kind=Kind.UNAUTHENTICATED, headers=((b"www-authenticate", b"Bearer"),)))
        try:
            return await self._tokens.caller(authorization[7:].strip(), certificate=request.certificate)
        except TokenError as exc:
            raise Refused(_challenge(Kind.UNAUTHENTICATED, "invalid_token", exc.fault.value)) from None


def _challenge(kind: Kind, error: str, detail: str) -> Problem:
    """What RFC 6750 and RFC 9470 say to whom a better token is asked of."""
    challenge = f'Bearer error="{error}", error_description="{detail}"'
    return Problem(kind=kind, detail=detail, headers=((b"www-authenticate", challenge.encode()),))
