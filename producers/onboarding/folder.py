"""The folder of a proposal: a catalogue of its own, or a nation's catalogue to which the record type is added.

`mappings/` in it holds the agency's mapping; it is no part of the catalogue.
"""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from producers.errors import MappingError
from producers.onboarding.proposal import Proposal
from registry.catalogue import check_catalogue, load_catalogue
from registry.contracts import Catalogue, Labels
from registry.errors import CatalogueError

_YAML_WIDTH = 120


def known_catalogue(folder: Path) -> Catalogue | None:
    """The catalogue that a folder holds already. Raises CatalogueError when it has mistakes."""
    return load_catalogue(folder) if (folder / "nation.yaml").exists() else None


def mapping_path(folder: Path, record_type: str) -> Path:
    """Where a record type's mapping is in a folder."""
    agency, _, kind = record_type.partition(".")
    return folder / "mappings" / agency / f"{kind}.yaml"


def write_folder(
    folder: Path, proposal: Proposal, *, scheme: str, agency_title: Labels | None, is_replaced: bool = False
) -> list[Path]:
    """Writes a proposal and gives the files; `agency_title` where the agency is new.

    Raises MappingError when it would overwrite, CatalogueError when what is there would not hold together with it:
    then the folder is as it was.
    """
    agency, _, kind = proposal.record_type.partition(".")
    base = folder / "records" / agency
    written = {
        base / f"{kind}.avsc": _avsc(proposal.body),
        base / f"{kind}.yaml": _yaml(proposal.contract),
        mapping_path(folder, proposal.record_type): _yaml(proposal.mapping),
    }
    for path in written:
        if path.exists() and not is_replaced:
            raise MappingError(
                f"'{path}' is there already", remedy="give --replace to write it anew, or another --into"
            )
    if not (folder / "nation.yaml").exists():
        nation = {"title": dict(agency_title or {"en": agency, "fa": agency}), "national_id_scheme": scheme}
        written[folder / "nation.yaml"] = _yaml(nation)
    if agency_title is not None:
        agencies = folder / "agencies.yaml"
        there = agencies.read_text(encoding="utf-8").rstrip("\n") + "\n" if agencies.exists() else ""
        written[agencies] = there + _yaml({agency: {"title": dict(agency_title)}})
    _write(folder, written)
    return list(written)


def _write(folder: Path, written: Mapping[Path, str]) -> None:
    before = {path: path.read_bytes() if path.exists() else None for path in written}
    try:
        for path, content in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        if mistakes := check_catalogue(folder):
            raise CatalogueError(mistakes)
    except OSError as exc:
        _restore(before)
        raise MappingError(f"'{exc.filename}' cannot be written: {exc.strerror}", remedy="name another --into") from exc
    except CatalogueError:
        _restore(before)
        raise


def _restore(before: Mapping[Path, bytes | None]) -> None:
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)


def _yaml(document: Any) -> str:
    text: str = yaml.safe_dump(
        document, allow_unicode=True, sort_keys=False, default_flow_style=None, width=_YAML_WIDTH
    )
    return text


def _avsc(body: Mapping[str, Any]) -> str:
    """The schema with a line for each field."""
    fields = ",\n".join(json.dumps(field, ensure_ascii=False) for field in body["fields"])
    head = {name: value for name, value in body.items() if name != "fields"}
    opened = json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}")
    return f'{opened},\n  "fields": [\n{textwrap.indent(fields, "    ")}\n  ]\n}}\n'
