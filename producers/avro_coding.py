"""The few codings of Avro that are needed outside columns (Avro 1.12 specification, binary encoding)."""


def varint(number: int) -> bytes:
    """A number that is not negative, in groups of seven bits, the lowest first."""
    coded = bytearray()
    while number > 0x7F:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    coded.append(number)
    return bytes(coded)


def counted(content: bytes) -> bytes:
    """Bytes or a text's bytes, after their length."""
    return varint(len(content) << 1) + content


def long_at(value: bytes, place: int) -> int:
    """The long that begins at a place of a value."""
    shift = number = 0
    for byte in value[place : place + 10]:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return number >> 1 ^ -(number & 1)
