"""The catalogue: a folder of contracts, evidence types, procedures and agreements, read and checked as a whole."""

from pathlib import Path

from registry.catalogue_files import Files
from registry.catalogue_records import read_agencies, read_record_types
from registry.catalogue_rights import read_agreements, read_evidence_types, read_procedures
from registry.contracts import Catalogue
from registry.errors import CatalogueError, Mistake


def load_catalogue(folder: Path | None) -> Catalogue:
    """The catalogue in a folder, None for the reference profile that ships. Raises CatalogueError."""
    catalogue, mistakes = _read(folder)
    if mistakes:
        raise CatalogueError(mistakes)
    return catalogue


def check_catalogue(folder: Path | None) -> tuple[Mistake, ...]:
    """Every mistake of the catalogue in a folder, in the order of files and lines."""
    return _read(folder)[1]


def _read(folder: Path | None) -> tuple[Catalogue, tuple[Mistake, ...]]:
    files = Files(folder)
    nation = files.tree("nation.yaml").members("title", "national_id_scheme")
    agencies = read_agencies(files)
    record_types = read_record_types(files, agencies)
    evidence_types = read_evidence_types(files)
    procedures = read_procedures(files)
    agreements = read_agreements(files)
    nation["title"].labels()
    catalogue = Catalogue(
        national_id_scheme=nation["national_id_scheme"].name(),
        agencies=agencies,
        record_types={name: read.value for name, read in record_types.items()},
        evidence_types={name: read.value for name, read in evidence_types.items()},
        procedures={name: read.value for name, read in procedures.items()},
        agreements={name: read.value for name, read in agreements.items()},
    )
    return catalogue, tuple(sorted(set(files.found)))
