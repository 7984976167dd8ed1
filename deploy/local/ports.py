"""The ports of a data folder: chosen once, kept from start to start, and chosen anew where another has taken them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.process import free_ports, is_free


def chosen_ports(place: Path, names: Sequence[str]) -> Mapping[str, int]:
    """A free port for each name: the one in the file `place` where it is free still; the file then says the rest."""
    kept: dict[str, int] = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    usable = {name: kept[name] for name in names if name in kept and is_free(kept[name])}
    missing = [name for name in names if name not in usable]
    ports = usable | dict(zip(missing, free_ports(len(missing)), strict=True))
    if ports != kept:
        place.write_text(json.dumps(ports), encoding="utf-8")
    return ports
