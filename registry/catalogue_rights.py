"""Reads evidence types, procedures and agreements: `evidence/`, `procedures/` and `agreements/<requester>/`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from registry.catalogue_entry import KEBAB, SNAKE, Entry
from registry.catalogue_files import Files
from registry.contracts import (
    AgencyId,
    Agreement,
    AgreementId,
    Claim,
    EvidenceType,
    EvidenceTypeId,
    Per,
    Procedure,
    ProcedureId,
    RecordTypeId,
    Requirement,
)

DAYS_AND_NAMES = ("provider", "evidence_type", "procedure", "valid_from", "valid_until")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEvidenceType:
    """An evidence type as far as it could be read, with the places of its parts."""

    value: EvidenceType
    parts: Mapping[str, Entry]
    views: Mapping[str, Entry]
    claims: Mapping[str, Mapping[str, Entry]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadProcedure:
    """A procedure as far as it could be read; `evidence` are the places where it names evidence types."""

    value: Procedure
    parts: Mapping[str, Entry]
    evidence: tuple[tuple[EvidenceTypeId, Entry], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAgreement:
    """An agreement as far as it could be read, with the places of its parts."""

    value: Agreement
    parts: Mapping[str, Entry]
    claims: Mapping[str, Entry]


def read_evidence_types(files: Files) -> Mapping[EvidenceTypeId, ReadEvidenceType]:
    """The evidence types, by id, which is the file's name."""
    return {EvidenceTypeId(name): _evidence_type(name, files.tree(path)) for name, path in _named(files, "evidence")}


def read_procedures(files: Files) -> Mapping[ProcedureId, ReadProcedure]:
    """The procedures, by id, which is the file's name."""
    return {ProcedureId(name): _procedure(name, files.tree(path)) for name, path in _named(files, "procedures")}


def read_agreements(files: Files) -> Mapping[AgreementId, ReadAgreement]:
    """The agreements, by id, which is the file's name; the folder is the requester's."""
    read: dict[AgreementId, ReadAgreement] = {}
    strays, requesters = files.names("agreements")
    for name in strays:
        files.mistake(f"agreements/{name}", "is not in a requester's folder; move it to 'agreements/<agency>/'")
    for requester in requesters:
        for name, path in _named(files, f"agreements/{requester}"):
            if name in read:
                files.mistake(path, f"there is another agreement '{name}'; name one of them otherwise")
            read[AgreementId(name)] = _agreement(AgreementId(name), AgencyId(requester), files.tree(path))
    return read


def _named(files: Files, folder: str) -> Iterator[tuple[str, str]]:
    names, folders = files.names(folder)
    for name in [*folders, *names]:
        stem = name.removesuffix(".yaml")
        if name in folders or stem == name:
            files.mistake(f"{folder}/{name}", "has no place here; write '<id>.yaml'")
            continue
        if not all(KEBAB.fullmatch(part) for part in stem.split(".")):
            files.mistake(f"{folder}/{name}", f"'{stem}' is no id; name the file in lower-case kebab")
        yield stem, f"{folder}/{name}"


def _evidence_type(name: str, root: Entry) -> ReadEvidenceType:
    parts = root.members("title", "provider", "per", "views", "claims", also=("proven_when",))
    views = dict(parts["views"].pairs(SNAKE))
    claims = {claim: entry.members("title", "sql") for claim, entry in parts["claims"].pairs(SNAKE)}
    evidence_type = EvidenceType(
        id=EvidenceTypeId(name),
        provider=AgencyId(parts["provider"].name()),
        title=parts["title"].labels(),
        per=parts["per"].choice(Per),
        views={alias: RecordTypeId(entry.text()) for alias, entry in views.items()},
        claims=tuple(
            Claim(name=claim, title=inner["title"].labels(), sql=inner["sql"].text()) for claim, inner in claims.items()
        ),
        proven_when=parts["proven_when"].text() or None,
    )
    return ReadEvidenceType(value=evidence_type, parts=parts, views=views, claims=claims)


def _procedure(name: str, root: Entry) -> ReadProcedure:
    parts = root.members("title", "agency", "legal_basis", "requirements")
    evidence: list[tuple[EvidenceTypeId, Entry]] = []
    requirements = []
    for requirement, entry in parts["requirements"].pairs():
        inner = entry.members("title", "evidence")
        lists = []
        for place in inner["evidence"].items():
            named = [(EvidenceTypeId(item.name()), item) for item in place.items()]
            evidence += named
            lists.append(tuple(evidence_type for evidence_type, _ in named))
        requirements.append(Requirement(id=requirement, title=inner["title"].labels(), evidence_lists=tuple(lists)))
    procedure = Procedure(
        id=ProcedureId(name),
        agency=AgencyId(parts["agency"].name()),
        title=parts["title"].labels(),
        legal_basis=parts["legal_basis"].text(),
        requirements=tuple(requirements),
    )
    return ReadProcedure(value=procedure, parts=parts, evidence=tuple(evidence))


def _agreement(name: AgreementId, requester: AgencyId, root: Entry) -> ReadAgreement:
    parts = root.members(
        *DAYS_AND_NAMES,
        "purpose",
        "legal_basis",
        "claims",
        "persons_per_hour",
        "demands_case_reference",
        "demands_acting_user",
        "accepted_by_provider",
        "accepted_by_requester",
        also=("age_max", "persons_per_call"),
    )
    claims = {} if parts["claims"].is_absent else {item.name(SNAKE): item for item in parts["claims"].items()}
    agreement = Agreement(
        id=name,
        requester=requester,
        provider=AgencyId(parts["provider"].name()),
        evidence_type=EvidenceTypeId(parts["evidence_type"].name()),
        procedure=ProcedureId(parts["procedure"].name()),
        purpose=parts["purpose"].text(),
        legal_basis=parts["legal_basis"].text(),
        claims=tuple(claims),
        age_max=None if parts["age_max"].is_absent else parts["age_max"].duration(),
        persons_per_hour=parts["persons_per_hour"].positive(),
        valid_from=parts["valid_from"].day(),
        valid_until=parts["valid_until"].day(),
        demands_case_reference=parts["demands_case_reference"].boolean(),
        demands_acting_user=parts["demands_acting_user"].boolean(),
        accepted_by_provider=parts["accepted_by_provider"].boolean(),
        accepted_by_requester=parts["accepted_by_requester"].boolean(),
        persons_per_call=1 if parts["persons_per_call"].is_absent else parts["persons_per_call"].positive(),
    )
    return ReadAgreement(value=agreement, parts=parts, claims=claims)
