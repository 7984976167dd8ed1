"""TLS of an HTTP door: its certificate, and whose certificates callers may prove themselves with (RFC 8705)."""

import base64
import hashlib
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.errors import SettingError

CLIENT_CERTIFICATE = "client_certificate"  # in a request's scope: its thumbprint
# Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsSettings(BaseModel):
    """Files in PEM form; each field's alias is its variable. With `client_ca`, agencies' tokens must be bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate: Path = Field(alias="YEKBAR_TLS_CERTIFICATE")
    key: Path = Field(alias="YEKBAR_TLS_KEY")
    client_ca: Path | None = Field(alias="YEKBAR_TLS_CLIENT_CA", default=None)

    def server_options(self) -> Mapping[str, Any]:
        """What uvicorn's server is told. A caller without a certificate may come; a token says whether it may stay."""
        asked = {"ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_OPTIONAL} if self.client_ca else {}
        return {"ssl_certfile": self.certificate, "ssl_keyfile": str(self.key), "ssl_ciphers": _CIPHERS, **asked}


VARIABLES = tuple(field.alias for field in TlsSettings.model_fields.values() if field.alias)


def read_tls_settings(environment: Mapping[str, str] = os.environ) -> TlsSettings | None:
    """What the environment says; None where it says nothing. Raises SettingError for what no server can use."""
    said = {name: environment[name] for name in VARIABLES if environment.get(name)}
    if not said:
        return None
    try:
        settings = TlsSettings.model_validate(said)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.client_ca:
            context.load_verify_locations(settings.client_ca)
    except ValidationError as exc:
        missing = exc.errors(include_input=False, include_url=False)[0]["loc"][0]
        raise SettingError(f"setting '{missing}' is missing or wrong", remedy="a certificate needs its key") from None
    except (OSError, ssl.SSLError) as exc:
        raise SettingError(
            f"TLS cannot work with {', '.join(said)}: {exc}", remedy="name PEM files that this process can read"
        ) from None
    return settings


def thumbprint(certificate: bytes) -> str:
    """What a token's `x5t#S256` says of a certificate in DER form."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def peer_thumbprint(transport: Any) -> str | None:
    """The thumbprint of the certificate that the caller proved to have on a connection."""
    session = transport.get_extra_info("ssl_object")
    certificate = session.getpeercert(binary_form=True) if session is not None else None
    return thumbprint(certificate) if certificate else None
