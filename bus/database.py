"""Which job a database connection does: each takes the role of its job, whatever else its user may do."""

from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from psycopg.conninfo import conninfo_to_dict


class Job(StrEnum):
    """The jobs; the value is the PostgreSQL role. `consumers/sql/rights.sql` says what each may do."""

    EVIDENCE = "yekbar_evidence"
    MATERIALIZER = "yekbar_materializer"
    BOOKKEEPER = "yekbar_bookkeeper"
    AUDITOR = "yekbar_auditor"


def as_job(database_url: str, job: Job) -> str:
    """The URL of the same database, on which every connection takes the role of a job."""
    parts = urlsplit(database_url)
    said = dict(parse_qsl(parts.query))
    said["options"] = f"{said.get('options', '')} -c role={job}".strip()
    return parts._replace(query=urlencode(said, quote_via=quote)).geturl()


def session_options(database_url: str, settings: str) -> str:
    """A connection's options: what its URL says, and then `settings`. Alone they would take the URL's place."""
    said = conninfo_to_dict(database_url).get("options")
    return f"{said} {settings}" if said else settings
