"""The evidence API in a worker process of the server: made from the environment alone."""

import os
from collections.abc import Mapping
from pathlib import Path

from bus.database import Job
from bus.errors import SettingError
from bus.http.observed import Observed
from bus.http.settings import VARIABLES, TokenSettings, read_token_settings
from bus.http.tls import TlsSettings, read_tls_settings
from bus.settings import Mode
from consumers.evidence.app import EvidenceApp
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.running import data_folder
from deploy.production import check_listener
from deploy.wiring import Wiring, wire

EVIDENCE_ROUTES = ("/v1/evidence", "/v1/procedures", "/v1/procedures/", "/v1/me/accesses", "/openapi.json")


def evidence_app() -> Observed:
    """The application that the environment describes. Raises SettingError, CatalogueError."""
    wiring = wire()
    app = EvidenceApp(
        catalogue=wiring.catalogue,
        pseudonymizer=wiring.pseudonymizer,
        settings=token_settings(wiring),
        database_url=wiring.database_url(Job.EVIDENCE),
    )
    return Observed(app, door="evidence", routes=EVIDENCE_ROUTES)


def listener_tls(wiring: Wiring, host: str, environment: Mapping[str, str] = os.environ) -> TlsSettings | None:
    """TLS of a door on a host, as the settings say. Raises SettingError, also for what production mode forbids."""
    tls = read_tls_settings(environment)
    check_listener(wiring.settings.mode, host, tls)
    return tls


def development_issuer(wiring: Wiring, environment: Mapping[str, str] = os.environ) -> DevelopmentIssuer:
    """The issuer of the data folder. Raises SettingError in production mode."""
    return DevelopmentIssuer(folder=issuer_folder(environment), mode=wiring.settings.mode)


def issuer_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the development issuer keeps its keys."""
    return data_folder(environment) / "issuer"


def token_settings(wiring: Wiring, environment: Mapping[str, str] = os.environ) -> TokenSettings:
    """Whose tokens are believed: as the settings say; where they say nothing, the development issuer's."""
    if not any(environment.get(name) for name in VARIABLES):
        environment = development_issuer(wiring, environment).environment()
    settings = read_token_settings(environment)
    if wiring.settings.mode is Mode.PRODUCTION and settings.jwks.startswith("http://"):
        raise SettingError(
            "YEKBAR_TOKEN_JWKS is fetched in clear", remedy="use an https URL or a file; keys that anybody can change"
        )
    return settings
