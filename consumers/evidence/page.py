"""The page at `/`: what the service is, how to ask, and what each procedure requires. One file, no other sites."""

from html import escape
from importlib.resources import files

from registry.contracts import Catalogue, EvidenceTypeId, Labels, Procedure


def page(catalogue: Catalogue) -> bytes:
    """The page of a catalogue."""
    frame = files("consumers.evidence").joinpath("page.html").read_text(encoding="utf-8")
    procedures = "\n".join(_procedure(catalogue, one) for one in catalogue.procedures.values())
    return frame.replace("<!-- procedures -->", procedures).encode()


def _procedure(catalogue: Catalogue, one: Procedure) -> str:
    agency = catalogue.agencies[one.agency]
    rows = "\n".join(
        f"<tr><td>{_both(requirement.title)}</td><td>{_lists(catalogue, requirement.evidence_lists)}</td></tr>"
        for requirement in one.requirements
    )
    return (
        f'<section id="{escape(one.id)}"><h2>{_both(one.title)}</h2>'
        f"<p><code>{escape(one.id)}</code> · {_both(agency.title)} · {escape(one.legal_basis)}</p>"
        f"<table><thead><tr><th>Requirement</th><th>Met by</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _lists(catalogue: Catalogue, lists: tuple[tuple[EvidenceTypeId, ...], ...]) -> str:
    return " <em>or</em> ".join(" <em>and</em> ".join(_evidence(catalogue, name) for name in names) for names in lists)


def _evidence(catalogue: Catalogue, name: EvidenceTypeId) -> str:
    one = catalogue.evidence_types[name]
    provider = catalogue.agencies[one.provider]
    claims = ", ".join(escape(claim.name) for claim in one.claims)
    return f'{_both(one.title)} <small title="{claims}">from {_both(provider.title)}</small>'


def _both(labels: Labels) -> str:
    english, persian = escape(labels.get("en", "")), escape(labels.get("fa", ""))
    return f'{english} <span lang="fa" dir="rtl">{persian}</span>'
