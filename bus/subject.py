"""Subjects: the keyed pseudonym that stands for a person on topics and in views."""

import hashlib
import hmac
from dataclasses import dataclass, field
from uuid import UUID

from bus.errors import SettingError
from bus.national_id import canonical_national_id

DOMAIN_KEY_BYTES_MIN = 32  # the output size of SHA-256: a shorter key would be the weakest part


@dataclass(frozen=True, slots=True)
class Pseudonymizer:
    """Turns national ids into subjects: HMAC-SHA-256(domain key, canonical id), first 16 bytes (RFC 2104)."""

    domain_key: bytes = field(repr=False)
    scheme: str

    def __post_init__(self) -> None:
        if len(self.domain_key) < DOMAIN_KEY_BYTES_MIN:
            raise SettingError(
                f"the domain key has {len(self.domain_key)} bytes, at least {DOMAIN_KEY_BYTES_MIN} are needed",
                remedy="make one with 'openssl rand -hex 32' and set YEKBAR_DOMAIN_KEY",
            )

    def subject(self, national_id: str) -> UUID:
        """The subject of a person, from an id in any digit script. Raises NationalIdError."""
        return UUID(bytes=self.pseudonym(canonical_national_id(national_id, self.scheme)))

    def pseudonym(self, canonical: str) -> bytes:
        """The 16 bytes of a subject, from an id that is canonical already."""
        return hmac.digest(self.domain_key, canonical.encode(), hashlib.sha256)[:16]
