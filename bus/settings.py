"""Settings of the bus, read once from the environment. Nothing that differs between environments has a default."""

import os
from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from bus.errors import SettingError


class Mode(StrEnum):
    """Production refuses every development shortcut."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Settings(BaseModel):
    """Where the parts are and what the process may do; each field's alias is its environment variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka_bootstrap: str = Field(alias="KAFKA_BOOTSTRAP", min_length=1)
    kafka_client_file: str | None = Field(alias="KAFKA_CLIENT_FILE", default=None)
    database_url: str = Field(alias="DATABASE_URL", pattern="^postgres(ql)?://")
    schema_registry_url: str = Field(alias="SCHEMA_REGISTRY_URL", pattern="^https?://")
    domain_key: SecretStr = Field(alias="YEKBAR_DOMAIN_KEY", min_length=64)
    mode: Mode = Field(alias="YEKBAR_MODE", default=Mode.PRODUCTION)
    catalogue: str | None = Field(alias="YEKBAR_CATALOGUE", default=None)

    @property
    def domain_key_bytes(self) -> bytes:
        """The domain key, from its hexadecimal form."""
        try:
            return bytes.fromhex(self.domain_key.get_secret_value())
        except ValueError:
            raise SettingError(
                "YEKBAR_DOMAIN_KEY is not hexadecimal", remedy="make one with 'openssl rand -hex 32'"
            ) from None


# Read by other rooms; named here so that a misspelt variable is still told from a known one.
OTHER_VARIABLES = frozenset(
    {
        "YEKBAR_DATA",
        "YEKBAR_CACHE",
        "YEKBAR_MAVEN_URL",
        "YEKBAR_JAVA",
        "YEKBAR_TOKEN_JWKS",
        "YEKBAR_TOKEN_ISSUER",
        "YEKBAR_TOKEN_AUDIENCE",
        "YEKBAR_TOKEN_AGENCY_CLAIM",
        "YEKBAR_TOKEN_CITIZEN_CLAIM",
        "YEKBAR_TOKEN_ASSURANCE",
        "YEKBAR_TOKEN_REVOKED",
        "YEKBAR_TLS_CERTIFICATE",
        "YEKBAR_TLS_KEY",
        "YEKBAR_TLS_CLIENT_CA",
        "YEKBAR_TOKEN",
        "YEKBAR_EVIDENCE_URL",
        "YEKBAR_FAILPOINTS",
        "YEKBAR_TRACE",
    }
)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that the environment says. Raises SettingError naming the variable, never its value."""
    known = {field.alias for field in Settings.model_fields.values() if field.alias}
    for name in environment:
        if name.startswith("YEKBAR_") and name not in known | OTHER_VARIABLES:
            raise SettingError(
                f"unknown setting '{name}'", remedy=f"known are {', '.join(sorted(known | OTHER_VARIABLES))}"
            )
    try:
        return Settings.model_validate({name: environment[name] for name in known if environment.get(name)})
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise SettingError(
            f"setting '{first['loc'][0]}' is wrong: {first['msg'].lower()}",
            remedy="run 'yekbar up' and 'eval \"$(yekbar env)\"', or set it",
        ) from None
