from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from bus.database import Job, as_job, session_options
from consumers.accesses.contract import access_contract
from consumers.accesses.record import create_accesses
from consumers.agreements.store import create_agreements
from consumers.evidence.watch import create_persons_asked
from consumers.materializer.positions import create_positions
from consumers.quality import create_findings
from consumers.quarantine import create_quarantine
from consumers.relay import create_relays
from consumers.rights import grant_rights, has_rights
from consumers.views import create_views
from registry.catalogue import load_catalogue

VIEW = '"welfare.benefit"'
FACT = (
    f"INSERT INTO {VIEW}.facts (subject, record_key, event_id, change_kind, effective_from, recorded_at, known_at,"
    " partition, position, under_investigation, benefit_code, monthly_amount_rials, granted_on)"
    " VALUES (gen_random_uuid(), '', gen_random_uuid(), 0, now(), now(), now(), 0, 0, '{}', 'a', 1, now())"
)
ACCESS = (
    "INSERT INTO yekbar.accesses (access_id, at, requester, decision, evidence)"
    " VALUES (gen_random_uuid(), now(), 'welfare', 'denied', '[]')"
)


@pytest.fixture
def database(database_url):
    """A database in force, as provisioning makes it."""
    types = [load_catalogue(None).record_types["welfare.benefit"], access_contract()]
    with psycopg.connect(database_url, autocommit=True) as connection:
        for create in (
            create_positions,
            create_quarantine,
            create_findings,
            create_accesses,
            create_agreements,
            create_persons_asked,
            create_relays,
        ):
            create(connection)
        for record_type in types:
            create_views(connection, record_type)
        grant_rights(connection, types)
        grant_rights(connection, types)
    return database_url


MAY = {
    Job.EVIDENCE: (
        f"SELECT count(*) FROM {VIEW}.timeline",
        ACCESS,
        "SELECT count(*) FROM yekbar.accesses",
        "DELETE FROM yekbar.persons_asked",
    ),
    Job.MATERIALIZER: (
        FACT,
        f"UPDATE {VIEW}.facts SET voided_by = NULL",
        "UPDATE yekbar.positions SET generation = 1",
        f"CREATE TEMPORARY TABLE stage (LIKE {VIEW}.facts)",
    ),
    Job.BOOKKEEPER: (
        "SELECT count(*) FROM yekbar.accesses",
        "DELETE FROM yekbar.heartbeats",
        "UPDATE yekbar.relays SET sequence = 1",
    ),
    Job.AUDITOR: (
        f"SELECT count(*) FROM {VIEW}.facts",
        "SELECT count(*) FROM yekbar.accesses",
        "CREATE SCHEMA replay_mine CREATE TABLE facts (a int)",
    ),
}
NOBODY_MAY = (
    f"DELETE FROM {VIEW}.facts",
    f"TRUNCATE {VIEW}.facts",
    f"DROP TABLE {VIEW}.facts CASCADE",
    f"ALTER TABLE {VIEW}.facts ADD COLUMN a int",
    f"UPDATE {VIEW}.facts SET monthly_amount_rials = 2",
    "DELETE FROM yekbar.accesses",
    "TRUNCATE yekbar.accesses",
    "UPDATE yekbar.accesses SET decision = 'granted'",
    "ALTER TABLE yekbar.accesses DISABLE TRIGGER ALL",
    "DELETE FROM yekbar.agreement_changes",
    "UPDATE yekbar.agreement_changes SET agency = 'x'",
    "DELETE FROM yekbar.positions",
    "DELETE FROM yekbar.quarantine",
    "TRUNCATE yekbar.sources",
    "CREATE TABLE yekbar.mine (a int)",
    "CREATE TABLE public.mine (a int)",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "CREATE ROLE mine",
)
MAY_NOT = {
    Job.EVIDENCE: (
        FACT,
        "UPDATE yekbar.positions SET generation = 1",
        "SELECT count(*) FROM yekbar.quarantine",
        "CREATE SCHEMA mine",
    ),
    Job.MATERIALIZER: (
        "SELECT count(*) FROM yekbar.accesses",
        ACCESS,
        "SELECT count(*) FROM yekbar.agreement_changes",
        "SELECT count(*) FROM yekbar.persons_asked",
        "CREATE SCHEMA mine",
    ),
    Job.BOOKKEEPER: (FACT, ACCESS, "UPDATE yekbar.positions SET generation = 1", "CREATE SCHEMA mine"),
    Job.AUDITOR: (FACT, ACCESS, "UPDATE yekbar.positions SET generation = 1", "UPDATE yekbar.quarantine SET note = ''"),
}


def is_refused(connection, statement):
    try:
        connection.execute(statement)
    except InsufficientPrivilege:
        return True
    return False


@pytest.mark.parametrize("job", Job)
def test_a_job_may_do_its_work_and_nothing_that_is_forbidden(database, job):
    with psycopg.connect(as_job(database, job), autocommit=True) as connection:
        for allowed in MAY[job]:
            connection.execute(allowed)
        for forbidden in (*NOBODY_MAY, *MAY_NOT[job]):
            assert is_refused(connection, forbidden), f"{job} may {forbidden}"


@pytest.fixture
def login(database):
    """A user who may log in and is a member of one job's role, as in production."""
    name, password = f"api_{uuid4().hex}", uuid4().hex
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE {Job.EVIDENCE}")
        yield database.replace(database.partition("//")[2].partition("@")[0], f"{name}:{password}")
        connection.execute(f"DROP ROLE {name}")


def test_a_login_does_its_own_job_and_takes_no_other_role(login):
    with psycopg.connect(as_job(login, Job.EVIDENCE), autocommit=True) as connection:
        connection.execute(ACCESS)
        own, other = has_rights(connection, Job.EVIDENCE), has_rights(connection, Job.MATERIALIZER)

    assert (own, other) == (True, False)
    with pytest.raises(psycopg.OperationalError, match="permission denied to set role"):
        psycopg.connect(as_job(login, Job.MATERIALIZER))


def test_a_database_that_was_never_put_into_force_has_no_rights(database_url):
    with psycopg.connect(database_url) as connection:
        assert not has_rights(connection, Job.EVIDENCE)


def test_the_role_is_taken_beside_the_sessions_own_settings(database):
    url = as_job(f"{database}?options=-c%20statement_timeout%3D1234", Job.AUDITOR)

    with psycopg.connect(url, options=session_options(url, "-c timezone=UTC")) as connection:
        seen = connection.execute("SELECT current_user, current_setting('statement_timeout')").fetchone()

    assert seen == (Job.AUDITOR, "1234ms")
