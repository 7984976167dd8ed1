"""Procedures as linked data: CPSV-AP 3.2 for the service, CCCEV 2.1 for what it requires, as JSON-LD 1.1.

The context stands in the document itself, so that reading it asks no other site.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from registry.contracts import AgencyId, Catalogue, EvidenceType, Labels, Procedure, Requirement

LD_TYPE = "application/ld+json"
_BASE = "urn:yekbar:"
_CONTEXT: Mapping[str, Any] = {
    "@version": 1.1,
    "cpsv": "http://purl.org/vocab/cpsv#",
    "cv": "http://data.europa.eu/m8g/",
    "dct": "http://purl.org/dc/terms/",
    "eli": "http://data.europa.eu/eli/ontology#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "id": "@id",
    "type": "@type",
    "identifier": "dct:identifier",
    "title": {"@id": "dct:title", "@container": "@language"},
    "prefLabel": {"@id": "skos:prefLabel", "@container": "@language"},
    "description": "dct:description",
    "publisher": {"@id": "dct:publisher", "@type": "@id"},
    "hasCompetentAuthority": {"@id": "cv:hasCompetentAuthority", "@type": "@id"},
    "hasLegalResource": {"@id": "cv:hasLegalResource", "@type": "@id", "@container": "@set"},
    "holdsRequirement": {"@id": "cv:holdsRequirement", "@type": "@id", "@container": "@set"},
    "hasInputType": {"@id": "cv:hasInputType", "@type": "@id", "@container": "@set"},
    "hasEvidenceTypeList": {"@id": "cv:hasEvidenceTypeList", "@type": "@id", "@container": "@set"},
    "specifiesEvidenceType": {"@id": "cv:specifiesEvidenceType", "@type": "@id", "@container": "@set"},
    "hasConcept": {"@id": "cv:hasConcept", "@type": "@id", "@container": "@set"},
}


def graph(catalogue: Catalogue, procedures: Iterable[Procedure]) -> dict[str, Any]:
    """Procedures with their requirements, evidence types and agencies, each node once."""
    nodes: dict[str, dict[str, Any]] = {}
    for one in procedures:
        for node in _nodes(catalogue, one):
            nodes.setdefault(node["id"], node)
    return {"@context": dict(_CONTEXT), "@graph": list(nodes.values())}


def _nodes(catalogue: Catalogue, one: Procedure) -> Iterable[dict[str, Any]]:
    names = dict.fromkeys(
        name for requirement in one.requirements for names in requirement.evidence_lists for name in names
    )
    evidence_types = [catalogue.evidence_types[name] for name in names]
    yield {
        "id": _id("procedure", one.id),
        "type": "cpsv:PublicService",
        "identifier": one.id,
        "title": dict(one.title),
        "hasCompetentAuthority": _id("agency", one.agency),
        "hasLegalResource": [_id("law", one.id)],
        "holdsRequirement": [_id("requirement", one.id, requirement.id) for requirement in one.requirements],
        "hasInputType": [_id("evidence-type", name) for name in names],
    }
    yield {"id": _id("law", one.id), "type": "eli:LegalResource", "description": one.legal_basis}
    for requirement in one.requirements:
        yield from _requirement(one, requirement)
    for evidence_type in evidence_types:
        yield from _evidence_type(evidence_type)
    for agency in dict.fromkeys([one.agency, *(evidence_type.provider for evidence_type in evidence_types)]):
        yield _agency(agency, catalogue.agencies[agency].title)


def _requirement(procedure: Procedure, one: Requirement) -> Iterable[dict[str, Any]]:
    lists = [_id("evidence-list", procedure.id, one.id, str(place)) for place, _ in enumerate(one.evidence_lists, 1)]
    yield {
        "id": _id("requirement", procedure.id, one.id),
        "type": "cv:InformationRequirement",
        "identifier": one.id,
        "prefLabel": dict(one.title),
        "hasEvidenceTypeList": lists,
    }
    for name, evidence_types in zip(lists, one.evidence_lists, strict=True):
        yield {
            "id": name,
            "type": "cv:EvidenceTypeList",
            "specifiesEvidenceType": [_id("evidence-type", evidence_type) for evidence_type in evidence_types],
        }


def _evidence_type(one: EvidenceType) -> Iterable[dict[str, Any]]:
    claims = {_id("claim", one.id, claim.name): claim for claim in one.claims}
    yield {
        "id": _id("evidence-type", one.id),
        "type": "cv:EvidenceType",
        "identifier": one.id,
        "title": dict(one.title),
        "publisher": _id("agency", one.provider),
        "hasConcept": list(claims),
    }
    for name, claim in claims.items():
        yield {
            "id": name,
            "type": "cv:InformationConcept",
            "identifier": claim.name,
            "prefLabel": dict(claim.title),
        }


def _agency(name: AgencyId, title: Labels) -> dict[str, Any]:
    return {"id": _id("agency", name), "type": "cv:PublicOrganisation", "identifier": name, "prefLabel": dict(title)}


def _id(*parts: str) -> str:
    return _BASE + ":".join(parts)
