"""A token issuer for development: a key pair in the data folder. It refuses to work beside a production setting."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from bus.errors import SettingError
from bus.settings import Mode

ISSUER = "urn:yekbar:development-issuer"
AUDIENCE = "urn:yekbar:evidence"
TOKEN_LIFE_S = 3600
ALGORITHM = "Ed25519"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentIssuer:
    """Signs a token for whoever asks: anybody who can read its folder is every agency and every citizen."""

    folder: Path
    mode: Mode

    def __post_init__(self) -> None:
        if self.mode is not Mode.DEVELOPMENT:
            raise SettingError(
                "the development token issuer refuses to work in production mode",
                remedy="name your token issuer with YEKBAR_TOKEN_JWKS, YEKBAR_TOKEN_ISSUER and YEKBAR_TOKEN_AUDIENCE",
            )

    def environment(self) -> Mapping[str, str]:
        """The settings of a service that believes this issuer. Makes the keys when there are none, and warns."""
        public = self.folder / "jwks.json"
        keys = KeySet([self._private_key()]).as_dict(private=False)
        _written(public, dict(keys), mode=0o644).replace(public)
        log.warning("development_token_issuer_believed", folder=str(self.folder), risk="anybody here can be any agency")
        return {
            "YEKBAR_TOKEN_JWKS": str(public),
            "YEKBAR_TOKEN_ISSUER": ISSUER,
            "YEKBAR_TOKEN_AUDIENCE": AUDIENCE,
        }

    def token(self, claims: Mapping[str, Any], *, life_s: int = TOKEN_LIFE_S) -> str:
        """A signed token that says `claims`."""
        key = self._private_key()
        now = int(time.time())
        said = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + life_s, **claims}
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt"}, said, key, algorithms=[ALGORITHM])

    def _private_key(self) -> OKPKey:
        place = self.folder / "private.json"
        if not place.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            made = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
            partial = _written(place, made.as_dict(private=True), mode=0o600)
            with suppress(FileExistsError):  # another process was first: its key counts
                place.hardlink_to(partial)
            partial.unlink()
        return OKPKey.import_key(json.loads(place.read_text(encoding="utf-8")))


def _written(place: Path, content: Mapping[str, Any], *, mode: int) -> Path:
    """A file beside `place`, whole, to be put in its place at once."""
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    partial.unlink(missing_ok=True)
    partial.touch(mode=mode)
    partial.write_text(json.dumps(content), encoding="utf-8")
    return partial
