"""Shapes of values: a digit is 9, a Latin letter a, another letter x, and marks stay. A shape tells of no person."""

from collections.abc import Iterable

SHAPE_CHARS_MAX = 24
SHAPES_MAX = 3


def shape_of(value: object) -> str:
    """The shape of a value, cut where it is long."""
    if value is None:
        return "nothing"
    text = str(value)
    shape = "".join(map(_sign, text[:SHAPE_CHARS_MAX]))
    if not shape.strip():
        return "blank"
    return shape + "…" if len(text) > SHAPE_CHARS_MAX else shape


def shapes_of(values: Iterable[object]) -> tuple[str, ...]:
    """The first few different shapes among values."""
    found: dict[str, None] = {}
    for value in values:
        found[shape_of(value)] = None
        if len(found) == SHAPES_MAX:
            break
    return tuple(found)


def _sign(char: str) -> str:
    if char.isdigit():
        return "9"
    if char.isalpha():
        return "a" if char.isascii() else "x"
    return char if char.isprintable() else "?"
