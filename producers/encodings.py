"""Encodings of text files: told by a mark or by the bytes themselves, and where that is not sure, by the agency."""

import codecs
from pathlib import Path

from producers.errors import UnreadableError

SAMPLE_BYTES = 1 << 20
UTF_8 = "utf-8-sig"  # with or without the mark
WINDOWS_1256 = "windows-1256"
_MARKS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SURE_SHARE = 0.97  # of the bytes above ASCII that must be letters of the Arabic script


def encoding_of(path: Path, *, said: str | None = None) -> str:
    """The encoding to read a file with: what the agency says, or else what the bytes say. Raises UnreadableError."""
    if said is not None:
        try:
            return UTF_8 if codecs.lookup(said).name == "utf-8" else codecs.lookup(said).name
        except LookupError:
            raise UnreadableError(f"there is no encoding '{said}'", remedy="try utf-8, utf-16, windows-1256") from None
    try:
        with path.open("rb") as file:
            sample = file.read(SAMPLE_BYTES)
    except OSError as exc:
        raise UnreadableError(f"'{path}' cannot be opened: {exc.strerror}") from exc
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if b"\0" in sample[:2]:
        return "utf-16-be" if sample[:1] == b"\0" else "utf-16-le"
    if _is_utf_8(sample):
        return UTF_8
    if _is_arabic_script(sample):
        return WINDOWS_1256
    line = sample.count(b"\n", 0, _first_fault(sample)) + 1
    raise UnreadableError(
        f"'{path}' is neither UTF-8 nor surely anything else; the first byte that is not UTF-8 is in line {line}",
        remedy="say its encoding with --encoding",
    )


def _is_utf_8(sample: bytes) -> bool:
    """Whether it is UTF-8, but for a character that the sample's end may cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(sample) < SAMPLE_BYTES)
    except UnicodeDecodeError:
        return False
    return True


def _is_arabic_script(sample: bytes) -> bool:
    """Whether it reads as text of the Arabic script in Windows-1256, as nothing else would by chance."""
    high = [char for char in sample.decode(WINDOWS_1256, errors="replace") if not char.isascii()]
    letters = sum("\u0600" <= char <= "\u06ff" or char == "\u200c" for char in high)
    return bool(high) and letters / len(high) >= _SURE_SHARE


def _first_fault(sample: bytes) -> int:
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as exc:
        return exc.start
    return len(sample)
