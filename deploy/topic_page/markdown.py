"""The page as Markdown."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploy.topic_page.steps import steps


def markdown(facts: Mapping[str, Any]) -> str:
    """The whole page."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Publishing to `{facts['topic']}`"
    yield ""
    yield f"{facts['title']['en']} · {facts['title']['fa']}, by {facts['agency']}. Any Kafka client may publish here,"
    yield "in any language. This page is made from the contract: `yekbar catalogue show"
    yield f"{facts['record_type']} --topic --markdown`."
    yield ""
    yield "## What to do"
    yield ""
    for number, (name, text) in enumerate(steps(facts), 1):
        yield f"{number}. **{name}.** {text}"
    yield ""
    yield "## The envelope"
    yield ""
    yield from _table(facts["envelope"])
    yield ""
    yield "## The body"
    yield ""
    yield from _table(facts["body"])
    yield ""
    if facts["rules"]:
        yield "Rules: `refuse` sends the event to quarantine, `flag` marks the field as under investigation."
        yield ""
        yield from _table(facts["rules"])
        yield ""
    yield "## Reasons of quarantine"
    yield ""
    yield from _table([{"reason": name, "means": said} for name, said in facts["quarantine_reasons"].items()])
    yield ""
    yield from _example(facts)


def _example(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "## An example with kcat"
    yield ""
    yield '`eval "$(yekbar env)"` sets what it reads. Save this as `client.py`:'
    yield ""
    yield "```python"
    yield facts["example"]["client.py"].rstrip()
    yield "```"
    yield ""
    yield "Then publish the event with the sequence 1, and say that it was the last:"
    yield ""
    for command in facts["example"]["commands"]:
        yield "```sh"
        yield command
        yield "```"
        yield ""
    yield "## The schema as the contract has it"
    yield ""
    yield "```json"
    yield json.dumps(facts["schema"], ensure_ascii=False, indent=2)
    yield "```"


def _table(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    yield _row(rows[0])
    yield _row(["---"] * len(rows[0]))
    for row in rows:
        yield _row(row.values())


def _row(cells: Iterable[str]) -> str:
    # A bar would part the cell, and a line end the row.
    return "| " + " | ".join(" ".join(cell.replace("|", r"\|").split()) for cell in cells) + " |"
