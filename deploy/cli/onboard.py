"""`yekbar onboard`: a look at an agency's table, and the record type and the mapping that fit it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.errors import SettingError
from deploy.cli.asking import Asker, pairs
from deploy.cli.onboard_answers import Onboarding, Said
from deploy.cli.output import AsJson, console, print_json, print_table
from producers.onboarding.database import SourceDatabase, without_objects
from producers.onboarding.defects import Defect, defects_of
from producers.onboarding.folder import known_catalogue, mapping_path, write_folder
from producers.onboarding.profile import profiles_of
from producers.onboarding.proposal import Answers, Proposal, propose
from producers.onboarding.sample import Sample
from registry.catalogue import load_catalogue
from registry.contracts import NATIONAL_ID_SCHEMES, Classification, RecordType

SAMPLE_ROWS = 10_000

app = typer.Typer(add_completion=False)

Text = str | None
Words = list[str] | None


@app.command()
def onboard(
    database: Annotated[str, typer.Argument(metavar="DATABASE_URL", help="postgresql://…, mariadb://…, sqlite:///…")],
    table: Annotated[Text, typer.Option(help="The table or view to look at: NAME or SCHEMA.NAME.")] = None,
    query: Annotated[Text, typer.Option(help="A query in its place.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="The folder: a nation's catalogue, or a new one; default: the record type.")
    ] = None,
    record_type: Annotated[Text, typer.Option(help="AGENCY.KIND, as 'tax-administration.tax-status'.")] = None,
    title_en: Annotated[Text, typer.Option(help="What a record is, in English.")] = None,
    title_fa: Annotated[Text, typer.Option(help="What a record is, in Persian.")] = None,
    agency_en: Annotated[Text, typer.Option(help="The agency's name in English, where it is new.")] = None,
    agency_fa: Annotated[Text, typer.Option(help="The agency's name in Persian, where it is new.")] = None,
    national_id: Annotated[Text, typer.Option(help="The column of the national ids.")] = None,
    record_key: Annotated[Text, typer.Option(help="The column that tells apart a person's records, or 'none'.")] = None,
    effective_from: Annotated[Text, typer.Option(help="The column, or the day, from which a row holds.")] = None,
    effective_to: Annotated[Text, typer.Option(help="The column until which a row holds, or 'none'.")] = None,
    recorded_at: Annotated[Text, typer.Option(help="The column of when a row was registered, or 'none'.")] = None,
    change_kind: Annotated[Text, typer.Option(help="The column of what happened; default: 'created', always.")] = None,
    change_word: Annotated[Words, typer.Option(help="VALUE=KIND, a word of that column; once for each.")] = None,
    time_zone: Annotated[Text, typer.Option(help="The zone of days and of times without one: 'Asia/Tehran'.")] = None,
    day_format: Annotated[
        Words, typer.Option(help="COLUMN=FORM of days in text: jalali, or as %d/%m/%Y; once for each.")
    ] = None,
    name: Annotated[Words, typer.Option(help="COLUMN=FIELD, another name; once for each.")] = None,
    label: Annotated[Words, typer.Option(help="COLUMN=English/فارسی, a field's title; once for each.")] = None,
    classify: Annotated[Words, typer.Option(help="COLUMN=public|personal|sensitive; once for each.")] = None,
    ignore: Annotated[Words, typer.Option(help="A column that is not told; once for each.")] = None,
    freshness: Annotated[str, typer.Option(help="How late a change may come at most.")] = "P1D",
    heartbeat: Annotated[str, typer.Option(help="How often the source says that it lives.")] = "PT15M",
    scheme: Annotated[Text, typer.Option(help="The national ids' scheme, for a new catalogue; default: iran.")] = None,
    sample: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many rows are looked at.")] = SAMPLE_ROWS,
    replaced: Annotated[bool, typer.Option("--replace", help="Write a record type that is there anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at an existing table and propose its record type: schema, contract, quality rules and mapping.

    Only reads; what the table does not tell is asked, or said with a flag. The folder passes 'yekbar catalogue check',
    and its mapping is for 'yekbar publish --mapping' and 'yekbar sync'. The report tells of shapes, never of values.

    Example: yekbar onboard sqlite:///registry.db --table addresses --record-type post.registered-address
    """
    if (table is None) == (query is None):
        raise SettingError("name either a table or a query", remedy="give one of --table and --query")
    said = Said(
        record_type=record_type,
        title=(title_en, title_fa),
        agency=(agency_en, agency_fa),
        national_id=national_id,
        record_key=record_key,
        effective_from=effective_from,
        effective_to=effective_to,
        recorded_at=recorded_at,
        change_kind=change_kind,
        change_words=pairs("--change-word", change_word),
        time_zone=time_zone,
        day_formats=pairs("--day-format", day_format),
        names=pairs("--name", name),
        labels=pairs("--label", label),
        classified={column: _classification(word) for column, word in pairs("--classify", classify).items()},
        ignored=tuple(ignore or ()),
        freshness=freshness,
        heartbeat=heartbeat,
        scheme=scheme,
    )
    with SourceDatabase(database, table=table, query=query) as source:
        found = _found(source, said, table=table, query=query, rows=sample, into=into, is_replaced=replaced)
    _tell(found, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    sample: Sample
    answers: Answers
    proposal: Proposal
    record_type: RecordType
    defects: Sequence[Defect]
    left_out: Sequence[str]
    folder: Path
    files: Sequence[Path]


def _found(
    source: SourceDatabase,
    said: Said,
    *,
    table: str | None,
    query: str | None,
    rows: int,
    into: Path | None,
    is_replaced: bool,
) -> _Found:
    """Looks, asks, proposes, writes, and looks at the sample with what was written."""
    sample, left_out = without_objects(source.sample(rows))
    if not sample.frame.height:
        raise SettingError(f"{source.name} has no rows to learn from", remedy="look at one that has some")
    asker = Asker()
    record_type = asker.ask("--record-type", "What is a record to be called, as AGENCY.KIND?", said=said.record_type)
    folder = into or Path(record_type or ".")
    catalogue = known_catalogue(folder) if into or record_type else None
    scheme = catalogue.national_id_scheme if catalogue else said.scheme or NATIONAL_ID_SCHEMES[0]
    if scheme not in NATIONAL_ID_SCHEMES:
        raise SettingError(f"there is no scheme '{scheme}'", remedy=f"known are {', '.join(NATIONAL_ID_SCHEMES)}")
    onboarding = Onboarding(sample=sample, profiles=profiles_of(sample, scheme=scheme), said=said, asker=asker)
    agencies = catalogue.agencies if catalogue else {}
    agency_title = onboarding.agency_title(record_type, agencies)
    answers = replace(onboarding.answers(record_type, scheme=scheme, rows_of=source.rows_of), table=table, query=query)
    asker.settle()
    proposal = propose(onboarding.profiles, answers, left_out=left_out)
    files = write_folder(folder, proposal, scheme=scheme, agency_title=agency_title, is_replaced=is_replaced)
    contract = load_catalogue(folder).record_types[proposal.record_type]  # type: ignore[index]  # a checked id
    return _Found(
        sample=sample,
        answers=answers,
        proposal=proposal,
        record_type=contract,
        defects=defects_of(sample, onboarding.profiles, proposal, contract, answers),
        left_out=left_out,
        folder=folder,
        files=files,
    )


def _classification(word: str) -> Classification:
    try:
        return Classification(word)
    except ValueError:
        raise SettingError(f"'{word}' is no classification", remedy=f"known are {', '.join(Classification)}") from None


def _tell(found: _Found, *, as_json: bool) -> None:
    if as_json:
        print_json(_facts(found))
        return
    answers, mapping = found.answers, mapping_path(found.folder, found.record_type.id)
    counted = f"{found.sample.frame.height:,} rows" + ("" if found.sample.is_whole else ", the first")
    print_table(
        f"{found.record_type.id}, from {found.sample.name} ({counted})", ["part", "is"], _parts(answers).items()
    )
    types = {field["name"]: _avro(field["type"]) for field in found.record_type.body["fields"]}
    fields = [
        (one.name, found.proposal.columns[one.name], types[one.name], one.classification)
        for one in found.record_type.fields
    ]
    print_table("Body", ["field", "column", "type", "classification"], fields)
    rules = [(one.id, one.check.replace('"', "")) for one in found.record_type.rules]
    print_table("Quality rules, each flags", ["rule", "must hold"], rules)
    print_table(
        "Defects in the sample",
        ["column", "what", "rows are", "rows", "%", "shapes"],
        [(one.column, one.what, one.weight, one.rows, 100 * one.share, "  ".join(one.shapes)) for one in found.defects],
    )
    for text in (
        f"written: {', '.join(map(str, found.files))}",
        *([f"left out, for no field can hold them: {', '.join(found.left_out)}"] if found.left_out else []),
        f"next: read what is written, put Persian titles right, 'yekbar catalogue check {found.folder}', and then "
        f"'yekbar publish {found.record_type.id} FILE --mapping {mapping} --dry-run'"
        + (f" or 'yekbar sync {mapping}'" if {"table", "query"} & found.proposal.mapping.keys() else ""),
    ):
        console().print(text, soft_wrap=True, markup=False)


def _facts(found: _Found) -> Mapping[str, Any]:
    return {
        "record_type": found.record_type.id,
        "folder": str(found.folder),
        "mapping": str(mapping_path(found.folder, found.record_type.id)),
        "files": [str(path) for path in found.files],
        "sample": {"rows": found.sample.frame.height, "is_whole": found.sample.is_whole},
        "parts": _parts(found.answers),
        "fields": [
            {
                "field": one.name,
                "column": found.proposal.columns[one.name],
                "type": next(field["type"] for field in found.record_type.body["fields"] if field["name"] == one.name),
                "classification": one.classification,
            }
            for one in found.record_type.fields
        ],
        "rules": [{"rule": one.id, "check": one.check, "severity": one.severity} for one in found.record_type.rules],
        "left_out": list(found.left_out),
        "defects": [asdict(one) for one in found.defects],
    }


def _parts(answers: Answers) -> dict[str, str]:
    names = ("national_id", "record_key", "change_kind", "effective_from", "effective_to", "recorded_at", "time_zone")
    return {name: getattr(answers, name) for name in names}


def _avro(avro_type: Any) -> str:
    match avro_type:
        case ["null", inner]:
            return f"{_avro(inner)} or null"
        case {"type": "enum", "symbols": symbols}:
            return " | ".join(symbols)
        case {"logicalType": str(name)} | {"type": str(name)}:
            return name
    return str(avro_type)
