"""Checks a catalogue as a whole: what its parts say of each other, and that every expression can run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import fastavro

from registry.catalogue_entry import Entry, meant
from registry.catalogue_expressions import Expression, Use, read_expression
from registry.catalogue_files import Files
from registry.catalogue_kinds import ColumnType, column_type
from registry.catalogue_records import ReadRecordType
from registry.catalogue_rights import ReadAgreement, ReadEvidenceType, ReadProcedure
from registry.composition import event_name, event_schema
from registry.contracts import (
    Agency,
    AgencyId,
    AgreementId,
    EvidenceType,
    EvidenceTypeId,
    Per,
    ProcedureId,
    RecordType,
    RecordTypeId,
)
from registry.errors import ContractError
from registry.quality import evaluation_fault

# What a claim may name beside the body's fields.
RECORD_COLUMNS: Mapping[str, ColumnType] = {
    "record_key": ColumnType(sql="text"),
    "effective_from": ColumnType(sql="timestamptz"),
    "effective_to": ColumnType(sql="timestamptz"),
    "recorded_at": ColumnType(sql="timestamptz"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """All that was read of a catalogue, before anybody knows whether it holds together."""

    agencies: Mapping[AgencyId, Agency]
    record_types: Mapping[RecordTypeId, ReadRecordType]
    evidence_types: Mapping[EvidenceTypeId, ReadEvidenceType]
    procedures: Mapping[ProcedureId, ReadProcedure]
    agreements: Mapping[AgreementId, ReadAgreement]


def checked_record_type(files: Files, read: ReadRecordType) -> RecordType:
    """The record type with its rules as they were understood; its mistakes are noted."""
    record_type = read.value
    if not read.columns:
        return record_type
    is_sound = _is_sound_schema(files, record_type)
    columns = {"": {name: column_type(avro_type) for name, avro_type in read.columns.items()}}
    rules = []
    for rule in record_type.rules:
        if rule.known_in is not None:
            rules.append(rule)
            continue
        entry = read.rules[rule.id]["check"]
        found = _expression(entry, rule.check, use=Use.RULE, columns=columns)
        if is_sound and found.sql and not found.problems and (fault := evaluation_fault(record_type.body, found.sql)):
            entry.mistake(f"cannot be evaluated in columns: {fault}; write it otherwise")
        rules.append(replace(rule, check=found.sql))
    return replace(record_type, rules=tuple(rules))


def check_references(draft: Draft) -> None:
    """Notes what procedures, agreements and record types say of each other and what cannot be."""
    _check_event_names(draft)
    for record_type in draft.record_types.values():
        _check_rules_across(draft, record_type)
    for procedure in draft.procedures.values():
        _check_procedure(draft, procedure)
    for agreement in draft.agreements.values():
        _check_agreement(draft, agreement)
    _check_overlaps(draft.agreements.values())


def _is_sound_schema(files: Files, record_type: RecordType) -> bool:
    """Whether Avro takes the event schema of a record type; its mistakes are noted."""
    try:
        fastavro.parse_schema(event_schema(record_type))
    except ContractError:
        return False  # noted already, with the field's line
    except (fastavro.schema.SchemaParseException, ValueError, TypeError, KeyError) as exc:
        name = record_type.id.replace(".", "/")
        files.mistake(f"records/{name}.avsc", f"is no Avro schema: {str(exc).lower()}; correct it")
        return False
    return True


def _check_rules_across(draft: Draft, read: ReadRecordType) -> None:
    """Notes rules that ask a register which there is not, or the record type itself."""
    for rule in read.value.rules_across:
        entry = read.rules[rule.id]["known_in"]
        if rule.known_in == read.value.id:
            entry.mistake(f"'{rule.known_in}' is this record type itself; name another one")
        _refer(entry, rule.known_in or "", draft.record_types, "record type")


def _check_event_names(draft: Draft) -> None:
    """Notes record types whose events would have one name in Avro."""
    owners: dict[str, RecordTypeId] = {}
    for record_type, read in draft.record_types.items():
        other = owners.setdefault(event_name(record_type), record_type)
        if other != record_type and not read.parts["title"].is_absent:
            read.parts["title"].mistake(f"'{record_type}' and '{other}' have one Avro name; rename one of them")


def checked_evidence_type(draft: Draft, read: ReadEvidenceType) -> EvidenceType:
    """The evidence type with its expressions as they were understood; its mistakes are noted."""
    evidence_type = read.value
    _refer(read.parts["provider"], evidence_type.provider, draft.agencies, "agency")
    _check_views(draft, read)
    columns = {
        alias: {**RECORD_COLUMNS, **{name: column_type(kind) for name, kind in inner.columns.items()}}
        for alias, record_type in evidence_type.views.items()
        if (inner := draft.record_types.get(record_type)) and inner.columns
    }
    if len(columns) < len(evidence_type.views) or not columns:
        return evidence_type  # a view is not known, and what claims may name is not either
    use = Use.PERSON_CLAIM if evidence_type.per is Per.PERSON else Use.RECORD_CLAIM
    told = {
        claim.name: _expression(read.claims[claim.name]["sql"], claim.sql, use=use, columns=columns)
        for claim in evidence_type.claims
    }
    proof = evidence_type.proven_when
    if proof:
        names = {"": {name: found.type for name, found in told.items()}}
        proof = _expression(read.parts["proven_when"], proof, use=Use.PROOF, columns=names).sql
    claims = tuple(replace(claim, sql=told[claim.name].sql) for claim in evidence_type.claims)
    return replace(evidence_type, claims=claims, proven_when=proof)


def _check_procedure(draft: Draft, read: ReadProcedure) -> None:
    """Notes references of a procedure that lead nowhere, and lists that name an evidence type twice."""
    _refer(read.parts["agency"], read.value.agency, draft.agencies, "agency")
    for evidence_type, entry in read.evidence:
        _refer(entry, evidence_type, draft.evidence_types, "evidence type")
    if not read.value.requirements and not read.parts["requirements"].is_absent:
        read.parts["requirements"].mistake("there is no requirement; write at least one, by its id")
    for requirement in read.value.requirements:
        for names in requirement.evidence_lists:
            for name in {name for name in names if name and names.count(name) > 1}:
                places = [entry for other, entry in read.evidence if other == name]
                places[-1].mistake(f"'{name}' is in the list twice; leave one of them out")


def _check_agreement(draft: Draft, read: ReadAgreement) -> None:
    """Notes where an agreement does not fit its parties, its evidence type, its procedure or its own days."""
    agreement, parts = read.value, read.parts
    _refer(parts["provider"], agreement.provider, draft.agencies, "agency")
    _refer(parts["evidence_type"], agreement.evidence_type, draft.evidence_types, "evidence type")
    _refer(parts["procedure"], agreement.procedure, draft.procedures, "procedure")
    evidence = draft.evidence_types.get(agreement.evidence_type)
    procedure = draft.procedures.get(agreement.procedure)
    if evidence and agreement.provider and evidence.value.provider not in ("", agreement.provider):
        parts["provider"].mistake(
            f"the provider of '{agreement.evidence_type}' is '{evidence.value.provider}'; write it"
        )
    if procedure and procedure.value.agency not in ("", agreement.requester):
        parts["procedure"].mistake(
            f"'{agreement.procedure}' is a procedure of '{procedure.value.agency}', not of '{agreement.requester}'; "
            f"move the file to 'agreements/{procedure.value.agency}/'"
        )
    required = {name for name, _ in procedure.evidence} if procedure else set()
    if evidence and required and agreement.evidence_type not in required:
        it = f"'{agreement.procedure}' does not require '{agreement.evidence_type}'"
        parts["evidence_type"].mistake(f"{it}; {meant(agreement.evidence_type, required)}")
    if evidence:
        for claim, entry in read.claims.items():
            if claim and evidence.claims and claim not in evidence.claims:
                entry.mistake(f"'{agreement.evidence_type}' has no claim '{claim}'; {meant(claim, evidence.claims)}")
        _check_age(draft, read, evidence.value)
    if agreement.valid_until <= agreement.valid_from and not parts["valid_until"].is_absent:
        parts["valid_until"].mistake(
            f"is not after valid_from, {agreement.valid_from}; write the day after the last one"
        )


def _check_overlaps(agreements: Iterable[ReadAgreement]) -> None:
    """Notes agreements on one evidence type for one procedure whose days overlap, for one of them must govern."""
    earlier: dict[tuple[ProcedureId, EvidenceTypeId], list[ReadAgreement]] = {}
    for read in agreements:
        mine = read.value
        others = earlier.setdefault((mine.procedure, mine.evidence_type), [])
        for other in others:
            if mine.valid_from < other.value.valid_until and other.value.valid_from < mine.valid_until:
                read.parts["valid_from"].mistake(
                    f"'{other.value.id}' is on the same evidence type and procedure until {other.value.valid_until}; "
                    "begin then, or leave one of them out"
                )
        others.append(read)


def _check_views(draft: Draft, read: ReadEvidenceType) -> None:
    evidence_type = read.value
    for place, (alias, record_type) in enumerate(evidence_type.views.items()):
        entry = read.views[alias]
        _refer(entry, record_type, draft.record_types, "record type")
        known = draft.record_types.get(record_type)
        if known is None:
            continue
        if evidence_type.provider and known.value.agency != evidence_type.provider:
            entry.mistake(
                f"'{record_type}' is kept by '{known.value.agency}', who would not be asked; the provider must be the "
                "authority for every view: write another evidence type for it"
            )
        if place and known.value.record_key_field is not None:
            entry.mistake(
                f"'{record_type}' may hold several records a person; only the first view may, so put it first, or "
                "write another evidence type for it"
            )
    if evidence_type.per is Per.PERSON and len(evidence_type.views) > 1:
        read.parts["views"].mistake("evidence per person takes one view; write another evidence type for the others")
    if not evidence_type.views and not read.parts["views"].is_absent:
        read.parts["views"].mistake("there is no view; write '<alias>: <record type>'")
    if not evidence_type.claims and not read.parts["claims"].is_absent:
        read.parts["claims"].mistake("there is no claim; write at least one, with title and sql")


def _check_age(draft: Draft, read: ReadAgreement, evidence_type: EvidenceType) -> None:
    promises = [
        (inner.value.freshness, record_type)
        for record_type in evidence_type.views.values()
        if (inner := draft.record_types.get(record_type))
    ]
    freshness, record_type = max(promises, default=(timedelta(), ""))
    if read.value.age_max and read.value.age_max < freshness:
        read.parts["age_max"].mistake(
            f"is shorter than the freshness that '{record_type}' promises, {freshness}; write a longer one, or every "
            "answer may be stale"
        )


def _expression(entry: Entry, text: str, *, use: Use, columns: Mapping[str, Mapping[str, ColumnType]]) -> Expression:
    """The expression of an entry, its problems noted; an absent one says nothing."""
    if not text:
        return Expression(sql="", type=ColumnType(sql="unknown"), problems=())
    found = read_expression(text, use=use, columns=columns)
    for problem in found.problems:
        entry.mistake(problem)
    return found


def _refer(entry: Entry, name: str, known: Iterable[str], what: str) -> None:
    names = set(known)
    if name and name not in names:
        entry.mistake(f"there is no {what} '{name}'; {meant(name, names)}")
