import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from deploy.local.stack import Stack


@pytest.fixture(scope="session")
def stack():
    folder = Path(tempfile.mkdtemp(prefix="yekbar-test-"))
    try:
        with Stack(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(stack):
    """A fresh database for one test."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(stack.endpoints.database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield urlsplit(stack.endpoints.database_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(stack.endpoints.database_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
