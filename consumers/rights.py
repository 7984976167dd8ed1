"""Who may touch what in the database: a role for each job, with the rights that the job needs and no other."""

from collections.abc import Iterable
from typing import Any

from psycopg import Connection, errors, sql

from bus.database import Job
from bus.errors import SettingError
from consumers.views import DDL_LOCK, statement
from registry.contracts import RecordType


def grant_rights(connection: Connection[Any], record_types: Iterable[RecordType]) -> None:
    """Makes the roles and gives them their rights on all that is there; harmless when repeated. Raises SettingError."""
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
            connection.execute(statement("roles.sql"))
            connection.execute(statement("rights.sql"))
            for record_type in record_types:
                place = sql.Identifier(str(record_type.id))
                connection.execute(statement("rights_view.sql").format(schema=place))
    except errors.InsufficientPrivilege as exc:
        raise SettingError(
            f"the roles of the jobs cannot be made: {exc.diag.message_primary}",
            remedy="give DATABASE_URL's user CREATEROLE, or let who has it run consumers/sql/roles.sql",
        ) from exc


def has_rights(connection: Connection[Any], job: Job) -> bool:
    """Whether the job's role is there, has its rights on this database, and may be taken by this user."""
    row = connection.execute(
        "SELECT to_regrole(%(job)s) IS NOT NULL AND to_regnamespace('yekbar') IS NOT NULL", {"job": job}
    ).fetchone()
    if row != (True,):
        return False
    row = connection.execute(
        "SELECT pg_has_role(%(job)s, 'SET') AND has_schema_privilege(%(job)s, 'yekbar', 'USAGE')", {"job": job}
    ).fetchone()
    return row == (True,)
