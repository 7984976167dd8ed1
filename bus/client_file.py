"""Who a client is to the brokers, and by what it knows them: a file of librdkafka's properties.

The same file serves `kcat -F`. A secret in a file is in no environment and on no command line.
"""

from collections.abc import Mapping
from pathlib import Path

from bus.errors import SettingError

CLIENT_FILE = "KAFKA_CLIENT_FILE"
_PROTOCOLS = ("PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL")
_ENCRYPTED = ("SSL", "SASL_SSL")
# What a file may say. Hosts and certificates are always checked: no property here turns that off.
_PROPERTIES = frozenset(
    {
        "bootstrap.servers",
        "security.protocol",
        "sasl.mechanism",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
    }
)


def read_client_file(place: Path) -> Mapping[str, str]:
    """The properties of a file. Raises SettingError naming the property at fault, never a value."""
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingError(
            f"{CLIENT_FILE} '{place}' cannot be read: {type(exc).__name__}",
            remedy=f"correct or unset {CLIENT_FILE}; 'yekbar agency add' writes such a file",
        ) from None
    said = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    properties = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in said)}
    if unknown := sorted(properties.keys() - _PROPERTIES):
        raise SettingError(
            f"{CLIENT_FILE} '{place}' says '{unknown[0]}'", remedy=f"it may say {', '.join(sorted(_PROPERTIES))}"
        )
    if properties.get("security.protocol") not in _PROTOCOLS:
        raise SettingError(
            f"{CLIENT_FILE} '{place}' has no security.protocol that is known", remedy=f"say {', '.join(_PROTOCOLS)}"
        )
    return properties


def write_client_file(place: Path, properties: Mapping[str, str]) -> None:
    """Writes a new file for its owner's eyes only. Raises FileExistsError."""
    assert properties.keys() <= _PROPERTIES
    place.touch(mode=0o600, exist_ok=False)
    place.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")


def is_encrypted(properties: Mapping[str, object]) -> bool:
    """Whether a connection with these properties can be read by nobody on the way."""
    return properties.get("security.protocol") in _ENCRYPTED


def is_authenticated(properties: Mapping[str, object]) -> bool:
    """Whether the brokers learn who the client is."""
    protocol = str(properties.get("security.protocol", ""))
    return protocol.startswith("SASL_") or (protocol == "SSL" and "ssl.certificate.location" in properties)
