"""What can be asked: procedures, their requirements, and who provides the evidence. The same for every caller."""

from typing import Any

from registry.contracts import Catalogue, EvidenceType, Procedure


def procedures(catalogue: Catalogue) -> dict[str, Any]:
    """Every procedure by name."""
    return {"procedures": [_summary(procedure) for procedure in catalogue.procedures.values()]}


def procedure(catalogue: Catalogue, one: Procedure) -> dict[str, Any]:
    """A procedure with its requirements, the evidence types that meet them, and their providers."""
    return {
        **_summary(one),
        "legal_basis": one.legal_basis,
        "requirements": [
            {
                "requirement": requirement.id,
                "title": dict(requirement.title),
                "evidence_lists": [
                    [_evidence_type(catalogue.evidence_types[name]) for name in names]
                    for names in requirement.evidence_lists
                ],
            }
            for requirement in one.requirements
        ],
    }


def _summary(one: Procedure) -> dict[str, Any]:
    return {"procedure": one.id, "title": dict(one.title), "agency": one.agency}


def _evidence_type(one: EvidenceType) -> dict[str, Any]:
    return {
        "evidence_type": one.id,
        "title": dict(one.title),
        "provider": one.provider,
        "claims": {claim.name: dict(claim.title) for claim in one.claims},
    }
