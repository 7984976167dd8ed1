"""What production mode demands: nothing that leaves this machine can be read on the way, and the brokers know us.

An address of the loopback is this machine: what a proxy or a sidecar there does with it is that proxy's affair.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from bus.client_file import CLIENT_FILE, is_authenticated, is_encrypted
from bus.errors import SettingError
from bus.http.tls import TlsSettings
from bus.settings import Mode, Settings

_CHECKED = ("verify-ca", "verify-full")


def check_production(settings: Settings, kafka: Mapping[str, object]) -> None:
    """Returns when the settings are fit for their mode. Raises SettingError naming the first that is not."""
    if settings.mode is not Mode.PRODUCTION:
        return
    if not is_authenticated(kafka):
        raise SettingError(
            "in production mode the brokers must know who comes",
            remedy=f"name a client file in {CLIENT_FILE}: 'yekbar agency add' writes one for an agency",
        )
    brokers = (place.rpartition(":")[0].rpartition("//")[2] for place in settings.kafka_bootstrap.split(","))
    if not (is_encrypted(kafka) or all(is_loopback(host) for host in brokers)):
        raise SettingError(
            "in production mode nothing goes to KAFKA_BOOTSTRAP in clear", remedy=f"say SASL_SSL in {CLIENT_FILE}"
        )
    database = conninfo_to_dict(settings.database_url)
    hosts = str(database.get("host") or "localhost").split(",")
    if database.get("sslmode") not in _CHECKED and not all(host[:1] == "/" or is_loopback(host) for host in hosts):
        raise SettingError(
            "in production mode nothing goes to DATABASE_URL in clear, or to a server that is not checked",
            remedy="add '?sslmode=verify-full&sslrootcert=…' to it",
        )
    registry = urlsplit(settings.schema_registry_url)
    if registry.scheme != "https" and not is_loopback(registry.hostname or ""):
        raise SettingError("in production mode SCHEMA_REGISTRY_URL is not asked in clear", remedy="use an https URL")


def check_listener(mode: Mode, host: str, tls: TlsSettings | None) -> None:
    """Returns when a door may listen there. Raises SettingError for one in clear that others reach in production."""
    if mode is Mode.PRODUCTION and tls is None and not is_loopback(host):
        raise SettingError(
            f"in production mode nothing is served in clear on '{host}'",
            remedy="name YEKBAR_TLS_CERTIFICATE and YEKBAR_TLS_KEY, or listen on 127.0.0.1 behind a proxy with TLS",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone; a name other than localhost may be any machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
