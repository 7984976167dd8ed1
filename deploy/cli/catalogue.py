"""`yekbar catalogue`: check contracts and agreements, look at them, put them into force."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.errors import SettingError
from deploy.cli.output import AsJson, error_console, print_json, print_table
from deploy.provision import provision
from deploy.topic_page.facts import avro_words, topic_facts
from deploy.topic_page.markdown import markdown
from deploy.topic_page.steps import steps
from deploy.wiring import wire
from registry.catalogue import load_catalogue
from registry.contracts import (
    Agency,
    Agreement,
    Catalogue,
    EvidenceType,
    EvidenceTypeId,
    Labels,
    Procedure,
    QualityRule,
    RecordType,
)
from registry.errors import CatalogueError

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Folder = Annotated[
    Path | None,
    typer.Argument(envvar="YEKBAR_CATALOGUE", help="The catalogue's folder; without one, the profile that ships."),
]
KINDS = ("agencies", "record_types", "evidence_types", "procedures", "agreements")


@app.command()
def check(folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Name every mistake in a catalogue with file, line and field; exit 65 when there is one.

    Example: yekbar catalogue check our-nation/
    """
    try:
        catalogue = load_catalogue(folder)
    except CatalogueError as exc:
        if as_json:
            print_json({"mistakes": [dataclasses.asdict(mistake) for mistake in exc.mistakes]})
        else:
            for mistake in exc.mistakes:
                typer.echo(str(mistake))
            error_console().print(f"{_counted(len(exc.mistakes), 'mistake')}; correct them and check again")
        raise typer.Exit(exc.exit_code) from None
    if as_json:
        print_json({"mistakes": [], "counts": _counts(catalogue)})
    else:
        print_table(catalogue.title["en"], ["what", "how many"], _counts(catalogue).items())


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="An id; without one, all ids are listed.")] = None,
    *,
    folder: Annotated[
        Path | None, typer.Option("--catalogue", envvar="YEKBAR_CATALOGUE", help="The catalogue's folder.")
    ] = None,
    topic: Annotated[
        bool, typer.Option("--topic", help="Of a record type: what a Kafka client in any language must do.")
    ] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="With --topic: the page as Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an agency, a record type, an evidence type, a procedure or an agreement.

    Example: yekbar catalogue show tax-clearance, or: yekbar catalogue show welfare.benefit --topic --markdown
    """
    catalogue = load_catalogue(folder)
    if topic or as_markdown:
        _show_topic(catalogue, name, as_markdown=as_markdown, as_json=as_json)
        return
    found = {kind: entries[name] for kind in KINDS if name in (entries := getattr(catalogue, kind))}
    if name is None:
        _list(catalogue, as_json=as_json)
    elif not found:
        raise SettingError(f"the catalogue has no '{name}'", remedy="list the ids with 'yekbar catalogue show'")
    elif as_json:
        print_json({kind: _facts(value) for kind, value in found.items()})
    else:
        for value in found.values():
            _SHOWN[type(value)](catalogue, value)


@app.command()
def apply(*, as_json: AsJson = False) -> None:
    """Put the catalogue into force: topics, schemas and views are made; harmless when repeated.

    Example: yekbar catalogue apply
    """
    wiring = wire()
    provision(wiring)
    if as_json:
        print_json({"in_force": _counts(wiring.catalogue)})
    else:
        print_table("In force", ["what", "how many"], _counts(wiring.catalogue).items())


def _list(catalogue: Catalogue, *, as_json: bool) -> None:
    if as_json:
        print_json({kind: sorted(getattr(catalogue, kind)) for kind in KINDS})
        return
    for kind in KINDS[:-1]:
        rows = [
            (name, value.title["en"], value.title["fa"]) for name, value in sorted(getattr(catalogue, kind).items())
        ]
        print_table(kind.replace("_", " ").capitalize(), ["id", "English", "Persian"], rows)
    accepted = [(name, _standing(one)) for name, one in sorted(catalogue.agreements.items())]
    print_table("Agreements", ["id", "accepted by"], accepted)


def _show_agency(catalogue: Catalogue, agency: Agency) -> None:
    kept = [one.id for one in catalogue.record_types.values() if one.agency == agency.id]
    told = [one.id for one in catalogue.evidence_types.values() if one.provider == agency.id]
    offered = [one.id for one in catalogue.procedures.values() if one.agency == agency.id]
    _table_of(
        f"Agency {agency.id}",
        agency.title,
        {"record types": kept, "evidence types": told, "procedures": offered},
    )


def _show_record_type(_: Catalogue, record_type: RecordType) -> None:
    _table_of(
        f"Record type {record_type.id}",
        record_type.title,
        {
            "agency": record_type.agency,
            "record key": record_type.record_key_field,
            "freshness promise": _duration(record_type.freshness),
            "heartbeat": _duration(record_type.heartbeat),
        },
    )
    types = {field["name"]: field["type"] for field in record_type.body["fields"]}
    print_table(
        "Body",
        ["field", "type", "is", "title"],
        [(one.name, avro_words(types[one.name]), one.classification, _label(one.title)) for one in record_type.fields],
    )
    rules = [(one.id, one.severity, one.field, _held_to(one)) for one in record_type.rules]
    print_table("Quality rules", ["rule", "if broken", "field", "must hold"], rules)


def _held_to(rule: QualityRule) -> str:
    return _unquoted(rule.check) if rule.known_in is None else f"the person is known in {rule.known_in}"


def _show_evidence_type(catalogue: Catalogue, evidence_type: EvidenceType) -> None:
    using = [one.id for one in catalogue.procedures.values() if evidence_type.id in set(_named(one))]
    _table_of(
        f"Evidence type {evidence_type.id}",
        evidence_type.title,
        {
            "provider": evidence_type.provider,
            "one piece for each": evidence_type.per,
            "views": ", ".join(f"{view} = {record_type}" for view, record_type in evidence_type.views.items()),
            "proven when": _unquoted(evidence_type.proven_when or "there is a piece"),
            "required by": ", ".join(using) or None,
        },
    )
    claims = [(one.name, _unquoted(one.sql), _label(one.title)) for one in evidence_type.claims]
    print_table("Claims", ["claim", "is", "title"], claims)


def _show_procedure(catalogue: Catalogue, procedure: Procedure) -> None:
    _table_of(
        f"Procedure {procedure.id}",
        procedure.title,
        {"agency": procedure.agency, "legal basis": procedure.legal_basis},
    )
    met_by = [
        (one.id, " or ".join(" and ".join(names) for names in one.evidence_lists), _label(one.title))
        for one in procedure.requirements
    ]
    print_table("Requirements", ["requirement", "met by", "title"], met_by)
    governing = {one.evidence_type: one for one in catalogue.agreements.values() if one.procedure == procedure.id}
    rows = [
        (name, catalogue.evidence_types[name].provider, _standing(governing.get(name)))
        for name in dict.fromkeys(_named(procedure))
    ]
    print_table("Evidence", ["evidence type", "provider", "agreement accepted by"], rows)


def _show_agreement(_: Catalogue, agreement: Agreement) -> None:
    facts = _facts(agreement)
    _table_of(f"Agreement {facts.pop('id')}", {}, {name.replace("_", " "): fact for name, fact in facts.items()})


def _show_topic(catalogue: Catalogue, name: str | None, *, as_markdown: bool, as_json: bool) -> None:
    found = {str(one.id): one for one in catalogue.record_types.values()}.get(name or "")
    if found is None:
        known = ", ".join(sorted(catalogue.record_types))
        raise SettingError(
            f"the catalogue has no record type '{name}'" if name else "no record type is named",
            remedy=f"only a record type has a topic; known are {known}",
        )
    facts = topic_facts(catalogue, found)
    if as_json:
        print_json(facts)
    elif as_markdown:
        typer.echo(markdown(facts), nl=False)
    else:
        _tell_topic(found, facts)


def _tell_topic(record_type: RecordType, facts: Mapping[str, Any]) -> None:
    names = ("topic", "registry_subject", "schema_lookup", "key", "value", "quarantine_topic")
    told = {name.replace("_", " "): facts[name] for name in names}
    _table_of(f"Topic {facts['topic']}", record_type.title, {**told, "heartbeats": facts["heartbeat"]["topic"]})
    print_table("What to do", ["step", "how"], steps(facts))
    for title, key in (("Envelope", "envelope"), ("Body", "body"), ("Quality rules", "rules")):
        if facts[key]:
            print_table(title, list(facts[key][0]), ([*row.values()] for row in facts[key]))
    print_table("Reasons of quarantine", ["reason", "means"], facts["quarantine_reasons"].items())
    error_console().print("a client that runs as it is typed is on the page: add --markdown")


_SHOWN: Mapping[type, Any] = {
    Agency: _show_agency,
    RecordType: _show_record_type,
    EvidenceType: _show_evidence_type,
    Procedure: _show_procedure,
    Agreement: _show_agreement,
}


def _table_of(name: str, title: Labels, facts: Mapping[str, Any]) -> None:
    rows = [(fact, (", ".join(value) or None) if isinstance(value, list) else value) for fact, value in facts.items()]
    print_table(_title(name, title), ["what", "is"], rows)


def _title(name: str, title: Labels) -> str:
    return f"{name}: {_label(title)}" if title else name


def _label(title: Labels) -> str:
    return f"{title['en']} · {title['fa']}"


def _unquoted(sql: str) -> str:
    """An expression as people read it."""
    return re.sub(r'"([a-z0-9_]+)"', r"\1", sql)


def _counts(catalogue: Catalogue) -> Mapping[str, int]:
    return {kind.replace("_", " "): len(getattr(catalogue, kind)) for kind in KINDS}


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _standing(agreement: Agreement | None) -> str | None:
    """Which sides have accepted an agreement; None when there is none."""
    if agreement is None:
        return None
    if agreement.accepted_by_provider and agreement.accepted_by_requester:
        return "both sides"
    if agreement.accepted_by_provider:
        return "provider only"
    return "requester only" if agreement.accepted_by_requester else "neither side"


def _named(procedure: Procedure) -> Iterator[EvidenceTypeId]:
    for requirement in procedure.requirements:
        for names in requirement.evidence_lists:
            yield from names


def _facts(value: Any) -> Any:
    """The values of the catalogue as JSON has them; durations in ISO 8601, as the files write them."""
    if dataclasses.is_dataclass(value):
        return {field.name: _facts(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _facts(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_facts(inner) for inner in value]
    return _duration(value) if isinstance(value, timedelta) else value


def _duration(length: timedelta) -> str:
    hours, rest = divmod(length.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{length.days}D" if length.days else ""
    time = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if count)
    return f"P{days}T{time}" if time else f"P{days or '0D'}"
