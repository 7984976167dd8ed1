"""Settings of an HTTP door: whose tokens it believes."""

import os
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.errors import SettingError


class TokenSettings(BaseModel):
    """Where the keys of the token issuer are and what its tokens must say; each field's alias is its variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jwks: str = Field(alias="YEKBAR_TOKEN_JWKS", min_length=1, description="a file, or an http(s) URL")
    issuer: str = Field(alias="YEKBAR_TOKEN_ISSUER", min_length=1)
    audience: str = Field(alias="YEKBAR_TOKEN_AUDIENCE", min_length=1)
    agency_claim: str = Field(alias="YEKBAR_TOKEN_AGENCY_CLAIM", default="agency", min_length=1)

    revoked: str | None = Field(alias="YEKBAR_TOKEN_REVOKED", default=None, description="a file, a `jti` a line")
    client_ca: str | None = Field(alias="YEKBAR_TLS_CLIENT_CA", default=None, description="then tokens must be bound")
    citizen_claim: str = Field(alias="YEKBAR_TOKEN_CITIZEN_CLAIM", default="national_id", min_length=1)
    assurance: str = Field(alias="YEKBAR_TOKEN_ASSURANCE", default="substantial,high")

    @property
    def assurance_levels(self) -> frozenset[str]:
        """The values of a citizen token's `acr` that are enough, parted by commas in the setting."""
        return frozenset(level.strip() for level in self.assurance.split(","))

    @property
    def is_remote(self) -> bool:
        """Whether the keys are fetched over HTTP."""
        return self.jwks.startswith(("http://", "https://"))


_ALL = tuple(field.alias for field in TokenSettings.model_fields.values() if field.alias)
VARIABLES = tuple(
    name for name in _ALL if name.startswith("YEKBAR_TOKEN_")
)  # whoever sets one has an issuer of his own


def read_token_settings(environment: Mapping[str, str] = os.environ) -> TokenSettings:
    """The settings that the environment says. Raises SettingError naming the variable, never its value."""
    try:
        return TokenSettings.model_validate({name: environment[name] for name in _ALL if environment.get(name)})
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise SettingError(
            f"setting '{first['loc'][0]}' is wrong: {first['msg'].lower()}",
            remedy="name the token issuer with YEKBAR_TOKEN_JWKS, YEKBAR_TOKEN_ISSUER and YEKBAR_TOKEN_AUDIENCE, "
            "or work with the development issuer of 'yekbar up'",
        ) from None
