"""`yekbar evidence`: asks a running evidence API, and shows the answer."""

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import httpx2
import typer

from bus.errors import BusError, RefusedError, SettingError, TransientError
from deploy.cli.output import AsJson, console, print_json, print_table
from deploy.serving import development_issuer
from deploy.wiring import wire

URL_VARIABLE = "YEKBAR_EVIDENCE_URL"
TOKEN_VARIABLE = "YEKBAR_TOKEN"
DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_S = 10

app = typer.Typer(add_completion=False)


@app.command()
def evidence(
    procedure: Annotated[str, typer.Argument(help="The procedure whose requirements are asked for.")],
    national_id: Annotated[str, typer.Argument(help="The person, in digits of any script; - reads it from stdin.")],
    agency: Annotated[str | None, typer.Option("--as", help="The agency that asks; else the procedure's own.")] = None,
    case_reference: Annotated[str | None, typer.Option(help="Your number of the case.")] = None,
    acting_user: Annotated[str | None, typer.Option(help="Who works on the case.")] = None,
    represented_party: Annotated[
        str | None, typer.Option(help="For whom the person acts by a mandate; - reads it from stdin, after the person.")
    ] = None,
    effective_at: Annotated[str | None, typer.Option(help="The instant at which facts must hold.")] = None,
    known_at: Annotated[str | None, typer.Option(help="What the bus knew at this instant.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask for the evidence that a procedure requires about a person.

    Example: yekbar evidence unemployment-benefit - --as labour-relations --case-reference 1405-17
    """
    asked = {
        "procedure": procedure,
        "national_id": _typed(national_id),
        "represented_party": None if represented_party is None else _typed(represented_party),
        "case_reference": case_reference,
        "acting_user": acting_user,
        "effective_at": effective_at,
        "known_at": known_at,
    }
    answer = _ask({name: value for name, value in asked.items() if value is not None}, _token(procedure, agency))
    if as_json:
        print_json(answer)
    else:
        _show(answer)
    if not answer.get("is_complete"):
        raise typer.Exit(1)


def _typed(national_id: str) -> str:
    return sys.stdin.readline().strip() if national_id == "-" else national_id


def _token(procedure: str, agency: str | None) -> str:
    """The token that the environment has, else one of the development issuer."""
    given = os.environ.get(TOKEN_VARIABLE)
    if given and agency is None:
        return given
    wiring = wire()
    own = {str(one.id): str(one.agency) for one in wiring.catalogue.procedures.values()}
    asking = agency or own.get(procedure)
    if asking is None:
        known = ", ".join(sorted(own))
        raise SettingError(f"the catalogue has no procedure '{procedure}'", remedy=f"known are {known}")
    return development_issuer(wiring).token({"sub": asking, "agency": asking})


def _ask(asked: Mapping[str, Any], token: str) -> dict[str, Any]:
    """The answer, or the problem that says that nothing is permitted. Raises BusError for any other problem."""
    url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
    try:
        response = httpx2.post(
            f"{url}/v1/evidence", json=asked, headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT_S
        )
        answer: dict[str, Any] = response.json()
    except (httpx2.HTTPError, ValueError) as exc:
        raise TransientError(
            f"the evidence API at '{url}' does not answer: {type(exc).__name__}",
            remedy=f"start it with 'yekbar serve', or name another with {URL_VARIABLE}",
        ) from None
    if response.status_code == httpx2.codes.OK or "requirements" in answer:
        return answer
    raise _error(response.status_code, answer)


def _error(status: int, problem: Mapping[str, Any]) -> BusError:
    reason = str(problem.get("type", "")).rpartition(":")[2]
    wrong = "; ".join(f"{one['field']}: {one['message']}" for one in problem.get("errors") or ())
    detail = wrong or problem.get("detail") or ""
    message = f"{problem.get('title', status)} {detail}".strip()
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return TransientError(message, remedy="ask again in a moment")
    return RefusedError(message, reason=reason)


def _show(answer: Mapping[str, Any]) -> None:
    rows = []
    for one in answer["requirements"]:
        status = one["status"] if one["reason"] is None else f"{one['status']}: {one['reason']}"
        name = f"{one['title']}"
        for piece in one["evidence"]:
            claims = "\n".join(f"{claim}: {value}" for claim, value in piece["claims"].items())
            rows.append([name, status, claims, piece["provider"], _age(piece["freshness"])])
            name = status = ""
        if not one["evidence"]:
            rows.append([name, status, None, ", ".join(dict.fromkeys(t["provider"] for t in one["tried"])), None])
    print_table(answer["title"], ["requirement", "status", "claims", "source", "age"], rows)
    told = "every requirement is met" if answer.get("is_complete") else "not every requirement is met"
    console().print(f"{told}; access record {answer['access_id']}")


def _age(freshness: Mapping[str, Any]) -> str | None:
    """How old the evidence is, and what else is known of its source when that is not well."""
    if freshness["lag_s"] is None:
        return None
    state = freshness["source_state"]
    missing = f", {freshness['missing_events']} events missing" if freshness["missing_events"] else ""
    return f"{freshness['lag_s']:.1f} s" + (f" ({state}{missing})" if state in ("silent", "incomplete") else "")
