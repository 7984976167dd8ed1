"""The catalogue: a nation's folder of contracts, evidence types, procedures and agreements, read as a whole.

    nation.yaml                                  title, national id scheme, where mandates are
    agencies.yaml                                agencies by id
    records/<agency>/<record type>.yaml, .avsc   the contract and the Avro schema of its body
    evidence/<id>.yaml                           views, claims, and when they prove something
    procedures/<id>.yaml                         requirements
    agreements/<requester>/<id>.yaml             who may ask what, for which procedure

An id is its file's name. Keys are fixed, and whatever else stands in a file is a mistake.
"""

from pathlib import Path

from registry.catalogue_checks import (
    Draft,
    check_references,
    checked_evidence_type,
    checked_record_type,
)
from registry.catalogue_entry import Entry, meant
from registry.catalogue_files import Files
from registry.catalogue_records import read_agencies, read_record_types
from registry.catalogue_rights import read_agreements, read_evidence_types, read_procedures
from registry.contracts import NATIONAL_ID_SCHEMES, Catalogue, RecordTypeId
from registry.errors import CatalogueError, Mistake

FILES = ("nation.yaml", "agencies.yaml")
FOLDERS = ("records", "evidence", "procedures", "agreements")
APART = "mappings"  # agencies' own, which may lie beside: nothing of them is read here


def load_catalogue(folder: Path | None) -> Catalogue:
    """The catalogue in a folder, None for the reference profile that ships. Raises CatalogueError."""
    files = Files(folder)
    catalogue = _read(files)
    if files.found:
        raise CatalogueError(_in_order(files))
    return catalogue


def check_catalogue(folder: Path | None) -> tuple[Mistake, ...]:
    """Every mistake of the catalogue in a folder, in the order of files and lines."""
    files = Files(folder)
    _read(files)
    return _in_order(files)


def _read(files: Files) -> Catalogue:
    """The catalogue as far as it can be read; every mistake is noted."""
    if not _check_layout(files):
        return Catalogue(
            national_id_scheme="", agencies={}, record_types={}, evidence_types={}, procedures={}, agreements={}
        )
    nation = files.tree("nation.yaml").members("title", "national_id_scheme", also=("mandates",))
    scheme = nation["national_id_scheme"].name()
    if scheme and scheme not in NATIONAL_ID_SCHEMES:
        nation["national_id_scheme"].mistake(f"'{scheme}' is unknown; {meant(scheme, NATIONAL_ID_SCHEMES)}")
    agencies = read_agencies(files)
    draft = Draft(
        agencies=agencies,
        record_types=read_record_types(files, agencies),
        evidence_types=read_evidence_types(files),
        procedures=read_procedures(files),
        agreements=read_agreements(files),
    )
    check_references(draft)
    mandates = _mandates(nation["mandates"], draft)
    return Catalogue(
        title=nation["title"].labels(),
        national_id_scheme=scheme,
        agencies=agencies,
        record_types={name: checked_record_type(files, read) for name, read in draft.record_types.items()},
        evidence_types={name: checked_evidence_type(draft, read) for name, read in draft.evidence_types.items()},
        procedures={name: read.value for name, read in draft.procedures.items()},
        agreements={name: read.value for name, read in draft.agreements.items()},
        mandates=mandates,
    )


def _mandates(entry: Entry, draft: Draft) -> RecordTypeId | None:
    """The record type by which one person acts for another, where there is one."""
    if entry.is_absent:
        return None
    name = RecordTypeId(entry.text())
    read = draft.record_types.get(name)
    if read is None:
        entry.mistake(f"'{name}' is unknown; {meant(name, draft.record_types)}")
        return None
    fields = {field["name"]: field["type"] for field in read.value.body.get("fields", ())}
    roles = fields.get("role")
    is_fit = isinstance(roles, dict) and set(roles.get("symbols", ())) == {"represented", "representative"}
    if not is_fit or fields.get("procedure") != ["null", "string"] or read.value.record_key_field is None:
        entry.mistake(
            f"'{name}' cannot say who acts for whom; give it a record key, the enum 'role' of represented and"
            " representative, and the string 'procedure', which may be null"
        )
    return name


def _check_layout(files: Files) -> bool:
    """Whether the folder holds a catalogue at all; notes what has no place in it."""
    names, folders = files.names()
    if not files.has(""):
        files.mistake("", "there is no such folder; name one that holds 'nation.yaml'")
    elif not {*names, *folders} & {*FILES, *FOLDERS}:
        files.mistake("", "the folder holds no catalogue; write 'nation.yaml' and 'agencies.yaml' in it")
    else:
        for name in [*folders, *(name for name in names if name.endswith((".yaml", ".yml", ".json")))]:
            if name not in (*FILES, *FOLDERS, APART):
                files.mistake(name, f"has no place here; {meant(name, (*FILES, *FOLDERS))}")
        return True
    return False


def _in_order(files: Files) -> tuple[Mistake, ...]:
    return tuple(sorted(set(files.found)))
