"""`yekbar agency`: which agencies the brokers let in, and what each may touch."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from bus.client_file import write_client_file
from bus.errors import SettingError
from bus.kafka import admin
from bus.principals import Principal, admit, expel, principals
from deploy.cli.output import AsJson, error_console, print_json, print_table
from deploy.local.broker_settings import SCRAM
from deploy.wiring import Wiring, wire

PASSWORD_BYTES = 24

app = typer.Typer(add_completion=False, no_args_is_help=True)

Agency = Annotated[str, typer.Argument(help="The agency's id in the catalogue.")]
File = Annotated[Path | None, typer.Option("--file", help="Where its name and password go; else AGENCY.properties.")]


@app.command()
def add(agency: Agency, file: File = None, as_json: AsJson = False) -> None:
    """Let an agency write its own topics. Its password is written once, into a file for its owner's eyes only.

    The file is what KAFKA_CLIENT_FILE names at the agency.

    Example: yekbar agency add welfare --file welfare.properties
    """
    wiring = _entered(agency)
    if any(one.name == agency for one in principals(admin(wiring.kafka))):
        raise SettingError(f"'{agency}' may enter already", remedy=f"'yekbar agency rotate {agency}' makes a password")
    _give_password(wiring, agency, file or Path(f"{agency}.properties"), as_json=as_json)


@app.command()
def rotate(agency: Agency, file: File = None, as_json: AsJson = False) -> None:
    """Give an agency a new password; the old one opens nothing from now on. What is connected stays so.

    Example: yekbar agency rotate welfare --file welfare-2.properties
    """
    wiring = _entered(agency)
    _known(wiring, agency)
    _give_password(wiring, agency, file or Path(f"{agency}.properties"), as_json=as_json)


@app.command()
def remove(agency: Agency, as_json: AsJson = False) -> None:
    """Take away an agency's password and every right. What it has published stays.

    Example: yekbar agency remove welfare
    """
    wiring = _entered(agency)
    _known(wiring, agency)
    expel(admin(wiring.kafka), agency)
    if as_json:
        print_json({"agency": agency, "may_enter": False})
    else:
        error_console().print(f"'{agency}' may not enter any more")


@app.command("list")
def listing(as_json: AsJson = False) -> None:
    """List the names that the brokers let in, with what each may touch. The platform's own needs no rules.

    Example: yekbar agency list --json
    """
    found = principals(admin(wire().kafka))
    if as_json:
        print_json([{"name": one.name, "rules": list(one.rules)} for one in found])
    else:
        rows = [[one.name, "\n".join(one.rules) or "everything: the platform"] for one in found]
        print_table("Who may enter", ["name", "may"], rows)


def _entered(agency: str) -> Wiring:
    wiring = wire()
    if agency not in wiring.catalogue.agencies:
        known = ", ".join(sorted(wiring.catalogue.agencies))
        raise SettingError(f"the catalogue has no agency '{agency}'", remedy=f"known are {known}")
    if not str(wiring.kafka.get("security.protocol", "")).startswith("SASL_"):
        raise SettingError("the brokers ask for no name and password", remedy="name a client file in KAFKA_CLIENT_FILE")
    return wiring


def _known(wiring: Wiring, agency: str) -> Principal:
    for one in principals(admin(wiring.kafka)):
        if one.name == agency:
            return one
    raise SettingError(f"'{agency}' may not enter", remedy=f"'yekbar agency add {agency}' lets it in")


def _give_password(wiring: Wiring, agency: str, place: Path, *, as_json: bool) -> None:
    """The file comes first: a password that nobody has would lock the agency out."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    shared = ("bootstrap.servers", "security.protocol", "ssl.ca.location")
    properties = {name: str(wiring.kafka[name]) for name in shared if name in wiring.kafka}
    properties |= {"sasl.mechanism": SCRAM, "sasl.username": agency, "sasl.password": password}
    try:
        write_client_file(place, properties)
    except OSError as exc:
        raise SettingError(f"'{place}' cannot be made: {exc.strerror}", remedy="name another with --file") from exc
    try:
        admit(admin(wiring.kafka), agency, password)
    except BaseException:
        place.unlink()
        raise
    if as_json:
        print_json({"agency": agency, "file": str(place.absolute())})
    else:
        error_console().print(f"'{agency}' may enter; its name and password are in '{place}', and nowhere else")
