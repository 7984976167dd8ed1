"""`yekbar agreement`: who may ask what, as both sides change it. Every change counts on running services in seconds."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from bus.errors import SettingError
from consumers.agreements.changes import AgreementError, ChangeKind, Rights, fold
from consumers.agreements.replay import replayed_changes
from consumers.agreements.store import TERMS, make, new_change, read_changes
from consumers.audit.log import Log
from consumers.evidence.decision import Standing
from deploy.cli.output import AsJson, console, error_console, print_rows
from deploy.wiring import Wiring, wire
from registry.contracts import Agreement, AgreementId

app = typer.Typer(add_completion=False, no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The agreement's id.")]
Agency = Annotated[str, typer.Option("--as", help="The agency that says so: the agreement's requester or provider.")]
Reason = Annotated[str | None, typer.Option(help="Why; both sides can read it.")]


@app.callback()
def agreement() -> None:
    """Propose, accept, suspend, resume or revoke agreements, list them, and replay their changes from the log.

    Example: yekbar agreement suspend housing-loan.tax-clearance --as tax-administration --reason "under review"
    """


@app.command()
def propose(
    name: Name,
    terms: Annotated[Path, typer.Argument(help="The terms, written as an agreement of the catalogue.")],
    agency: Agency,
) -> None:
    """Propose an agreement, or new terms for one; the other side accepts them.

    Example: yekbar agreement propose housing-loan.benefits terms.yaml --as property-registry
    """
    proposed = _read_terms(name, terms, agency)
    _change(name, ChangeKind.PROPOSED, agency, None, terms=proposed)


@app.command()
def accept(name: Name, agency: Agency) -> None:
    """Accept what the other side proposed.

    Example: yekbar agreement accept vocational-licence.identity --as civil-registry
    """
    _change(name, ChangeKind.ACCEPTED, agency, None)


@app.command()
def suspend(name: Name, agency: Agency, reason: Reason = None) -> None:
    """Stop an agreement until its provider resumes it.

    Example: yekbar agreement suspend housing-loan.tax-clearance --as tax-administration
    """
    _change(name, ChangeKind.SUSPENDED, agency, reason)


@app.command()
def resume(name: Name, agency: Agency, reason: Reason = None) -> None:
    """Let a suspended agreement go on.

    Example: yekbar agreement resume housing-loan.tax-clearance --as tax-administration
    """
    _change(name, ChangeKind.RESUMED, agency, reason)


@app.command()
def revoke(name: Name, agency: Agency, reason: Reason = None) -> None:
    """End an agreement.

    Example: yekbar agreement revoke housing-loan.tax-clearance --as property-registry
    """
    _change(name, ChangeKind.REVOKED, agency, reason)


@app.command(name="list")
def list_command(
    procedure: Annotated[str | None, typer.Option(help="Only those for this procedure.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the agreements with their standing.

    Example: yekbar agreement list --procedure housing-loan
    """
    wiring = wire()
    with wiring.database() as connection:
        rights = fold(wiring.catalogue, read_changes(connection))
    rows = [
        {
            "agreement": one.id,
            "requester": one.requester,
            "provider": one.provider,
            "evidence_type": one.evidence_type,
            "until": one.valid_until,
            "standing": _standing(rights, one),
        }
        for one in rights.agreements.values()
        if procedure in (None, one.procedure)
    ]
    print_rows(rows, title="agreements", as_json=as_json)


@app.command()
def replay(as_json: AsJson = False) -> None:
    """Replay every change from the log alone, and compare what it comes to; exit 1 when it is not what counts now.

    Example: yekbar agreement replay
    """
    wiring = wire()
    with wiring.database() as connection:
        counts = fold(wiring.catalogue, read_changes(connection))
    with Log(wiring.kafka) as log:
        changes = replayed_changes(log)
    replayed = fold(wiring.catalogue, changes)
    differing = sorted(
        name
        for name in {*counts.agreements, *replayed.agreements}
        if (counts.agreements.get(name), counts.standing(name))
        != (replayed.agreements.get(name), replayed.standing(name))
    )
    rows = [
        {"at": one.at, "agreement": one.agreement, "change": one.kind, "by": one.agency, "reason": one.reason}
        for one in changes
    ]
    print_rows(rows, title="changes in the log", as_json=as_json)
    for name in differing:
        error_console().print(f"{name}: the log does not say what counts now")
    if differing:
        raise typer.Exit(1)


def _change(name: str, kind: ChangeKind, agency: str, reason: str | None, *, terms: Agreement | None = None) -> None:
    wiring = wire()
    _check_agency(wiring, agency)
    change = new_change(AgreementId(name), kind, agency=agency, reason=reason, terms=terms)
    with wiring.database() as connection:
        rights = make(connection, wiring.catalogue, change)
    console().print(f"{name}: {_standing(rights, rights.agreements[AgreementId(name)])}")


def _check_agency(wiring: Wiring, agency: str) -> None:
    if agency not in wiring.catalogue.agencies:
        known = ", ".join(sorted(wiring.catalogue.agencies))
        raise SettingError(f"the catalogue has no agency '{agency}'", remedy=f"known are {known}")


def _standing(rights: Rights, one: Agreement) -> str:
    standing = rights.standing(one.id)
    lacking = [
        f"{side} has not accepted"
        for side, has_accepted in ((one.provider, one.accepted_by_provider), (one.requester, one.accepted_by_requester))
        if not has_accepted
    ]
    if standing is Standing.IN_FORCE and lacking:
        return ", ".join(dict.fromkeys(lacking))
    if standing is Standing.IN_FORCE and one.valid_until <= date.today():  # noqa: DTZ011 - a hint for a person
        return "expired"
    return standing.value


def _read_terms(name: str, place: Path, agency: str) -> Agreement:
    """The terms in a file of the catalogue's form; who proposes them as no provider is their requester."""
    try:
        written = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise AgreementError(f"'{place}' cannot be read: {type(exc).__name__}", remedy="write it in YAML") from None
    if not isinstance(written, Mapping):
        raise AgreementError(f"'{place}' holds no terms", remedy="write them as 'schemas/agreements' has them")
    said: dict[str, Any] = {"requester": agency, "age_max": None, **written}
    given = {**said, "id": name, "accepted_by_provider": False, "accepted_by_requester": False}
    unknown = set(given) - set(Agreement.__dataclass_fields__)
    if unknown:
        raise AgreementError(f"'{place}' has unknown terms: {', '.join(sorted(unknown))}")
    try:
        return TERMS.validate_python(given)
    except ValidationError as exc:
        wrong = exc.errors(include_input=False, include_url=False)
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in wrong)
        raise AgreementError(f"the terms in '{place}' are wrong: {told}") from None
