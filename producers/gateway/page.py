"""The page at `/`: how an agency posts its changes, and what each record type takes. One file, no other sites."""

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from producers.gateway.openapi import json_schema
from registry.contracts import Catalogue, Labels, RecordType, Severity


def page(catalogue: Catalogue) -> bytes:
    """The page of a catalogue."""
    frame = files("producers.gateway").joinpath("page.html").read_text(encoding="utf-8")
    sections = "\n".join(_section(catalogue, one) for one in catalogue.record_types.values())
    return frame.replace("<!-- record types -->", sections).encode()


def _section(catalogue: Catalogue, one: RecordType) -> str:
    titles = {field.name: field.title for field in one.fields}
    rows = "\n".join(
        f"<tr><td><code>{escape(field['name'])}</code></td><td>{_type(field['type'])}</td>"
        f"<td>{_both(titles.get(field['name'], {}))} <small>{escape(field.get('doc', ''))}</small></td></tr>"
        for field in one.body["fields"]
    )
    rules = "".join(
        f"<li><code>{escape(rule.check)}</code></li>"
        for rule in one.rules
        if rule.severity is Severity.REFUSE and rule.check
    )
    return (
        f'<section id="{escape(one.id)}"><h2>{_both(one.title)}</h2>'
        f"<p><code>POST /v1/records/{escape(one.id)}</code> · {_both(catalogue.agencies[one.agency].title)}</p>"
        f"<table><thead><tr><th>body</th><th>Type</th><th>Meaning</th></tr></thead><tbody>{rows}</tbody></table>"
        f"{f'<p>Refused unless</p><ul>{rules}</ul>' if rules else ''}</section>"
    )


def _type(avro_type: Any) -> str:
    schema: Mapping[str, Any] = json_schema(avro_type)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    told = " or ".join(kinds)
    if "enum" in schema:
        told += ": " + ", ".join(str(one) for one in schema["enum"] if one is not None)
    elif "format" in schema:
        told += f", {schema['format']}"
    return escape(told)


def _both(labels: Labels) -> str:
    english, persian = escape(labels.get("en", "")), escape(labels.get("fa", ""))
    return f'{english} <span lang="fa" dir="rtl">{persian}</span>'
