"""Checkpoints: what a log was at a size, in a text that its keeper signs (c2sp.org/tlog-checkpoint, signed-note).

A checkpoint is three lines: the log's name, how many messages it had, and the root of the Merkle tree over them.
Whoever holds one can tell later that no message of the log up to there was altered, dropped, inserted or moved.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consumers.audit.errors import BadCheckpointError
from consumers.audit.merkle import HASH_BYTES

ED25519 = b"\x01"  # the signature type of a note's key
KEY_BYTES = 32
KEY_ID_BYTES = 4
_SECRET = "PRIVATE+KEY+"
NOTE_CHARACTERS_MAX = 64 << 10  # room for more cosignatures than there are witnesses
_DASH = "— "


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log at a size."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(name: str, topic: str, partition: int) -> str:
    """The name of one partition's log, under the name of who keeps it."""
    return f"{name}/{topic}/{partition}"


class Signer:
    """The keeper's key. It signs each log under that log's own name, as witnesses expect."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = name
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def make(cls, name: str) -> "Signer":
        """A new key under a name. Raises BadCheckpointError for a name that a note cannot hold."""
        if not name or any(letter.isspace() or letter == "+" for letter in name):
            raise BadCheckpointError(
                f"a key cannot have the name '{name}'", remedy="take one like 'bus.example', without spaces and plus"
            )
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, text: str) -> "Signer":
        """The key that `secret` wrote. Raises BadCheckpointError."""
        name, seed = _unpacked(text.strip().removeprefix(_SECRET), keyed_by=_public_of)
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def secret(self) -> str:
        """The private key in the notation of Go's note package: whoever has it signs as the keeper."""
        return _SECRET + _packed(self.name, self._public, self._key.private_bytes_raw())

    @property
    def verifier(self) -> str:
        """What others need to know: the name and the public key, in the same notation."""
        return _packed(self.name, self._public, self._public)

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note."""
        signature = self._key.sign(checkpoint.text.encode())
        signed = base64.b64encode(_key_id(checkpoint.origin, self._public) + signature).decode()
        return f"{checkpoint.text}\n{_DASH}{checkpoint.origin} {signed}\n"


class Verifier:
    """A public key that is trusted for the logs under its name."""

    def __init__(self, text: str) -> None:
        """Reads a verifier as `Signer.verifier` writes it. Raises BadCheckpointError."""
        self.name, self._public = _unpacked(text.strip(), keyed_by=bytes)
        self._key = Ed25519PublicKey.from_public_bytes(self._public)

    def open(self, note: str) -> Checkpoint:
        """The checkpoint of a note. Raises BadCheckpointError unless the trusted key signed it."""
        text, _, signatures = note[:NOTE_CHARACTERS_MAX].rpartition("\n\n")
        checkpoint = _parsed(text + "\n")
        if not checkpoint.origin.startswith(f"{self.name}/"):
            raise BadCheckpointError(f"the checkpoint is of '{checkpoint.origin}', which '{self.name}' does not keep")
        key_id = _key_id(checkpoint.origin, self._public)
        for line in signatures.splitlines():
            name, _, encoded = line.removeprefix(_DASH).rpartition(" ")
            signed = _decoded(encoded)
            if name != checkpoint.origin or signed is None or signed[:KEY_ID_BYTES] != key_id:
                continue  # another's signature, such as a witness's
            try:
                self._key.verify(signed[KEY_ID_BYTES:], checkpoint.text.encode())
            except InvalidSignature:
                break
            return checkpoint
        raise BadCheckpointError(
            f"the checkpoint of '{checkpoint.origin}' is not signed by the key of '{self.name}'",
            remedy="do not trust it; ask whoever gave it to you",
        )


def _parsed(text: str) -> Checkpoint:
    lines = text.split("\n")
    root = _decoded(lines[2]) if len(lines) == 4 else None  # extension lines are not ours: we sign none
    is_size = root is not None and lines[1].isascii() and lines[1].isdecimal() and str(int(lines[1])) == lines[1]
    if root is None or len(root) != HASH_BYTES or not is_size:
        raise BadCheckpointError("this is no checkpoint", remedy="give a file that 'yekbar audit checkpoint' wrote")
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root)


def _packed(name: str, public: bytes, key: bytes) -> str:
    return f"{name}+{_key_id(name, public).hex()}+{base64.b64encode(ED25519 + key).decode()}"


def _unpacked(text: str, *, keyed_by: Callable[[bytes], bytes]) -> tuple[str, bytes]:
    """The name and the key; the id between them is that of the public key, and shows a slip of the pen."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    key = _decoded(encoded) or b""
    is_key = bool(name) and len(key) == len(ED25519) + KEY_BYTES and key.startswith(ED25519)
    if not is_key or _key_id(name, keyed_by(key[1:])).hex() != key_id:
        raise BadCheckpointError("this is no key of a log", remedy="make one with 'yekbar audit key'")
    return name, key[1:]


def _public_of(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
