"""`yekbar token`: development tokens."""

from typing import Annotated, Any

import typer

from bus.errors import SettingError
from deploy.development_issuer import TOKEN_LIFE_S
from deploy.serving import development_issuer
from deploy.wiring import wire

app = typer.Typer(add_completion=False)


@app.command()
def token(
    agency: Annotated[str | None, typer.Argument(help="The agency that the token speaks for.")] = None,
    citizen: Annotated[str | None, typer.Option(help="The national id that the token speaks for instead.")] = None,
    life_s: Annotated[int, typer.Option(min=1, help="How long it is valid, in seconds.")] = TOKEN_LIFE_S,
) -> None:
    """Issue a development token for an agency, or for a citizen. Refused in production mode.

    Example: curl -H "Authorization: Bearer $(yekbar token labour-relations)" …
    """
    if (agency is None) == (citizen is None):
        raise SettingError("a token speaks for an agency or for a citizen", remedy="name one of them")
    wiring = wire()
    if agency is not None and agency not in wiring.catalogue.agencies:
        known = ", ".join(sorted(wiring.catalogue.agencies))
        raise SettingError(f"the catalogue has no agency '{agency}'", remedy=f"known are {known}")
    said: dict[str, Any] = {"sub": agency, "agency": agency} if agency else {"national_id": citizen, "acr": "high"}
    typer.echo(development_issuer(wiring).token(said, life_s=life_s))
