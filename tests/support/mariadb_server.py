"""A MariaDB server of a test's own, where the distribution's package is installed."""

import shutil
import subprocess
import time
from contextlib import contextmanager, suppress

import pymysql

from deploy.local.process import free_port

START_TIMEOUT_S = 60


def missing_programs():
    """What the machine lacks for a server."""
    return [name for name in ("mariadbd", "mariadb-install-db") if shutil.which(name) is None]


@contextmanager
def mariadb_server(folder):
    """The URL of an empty database."""
    data = folder / "mariadb"
    port = free_port()
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--user=root",
        ],
        check=True,
        capture_output=True,
    )
    server = subprocess.Popen(
        [
            "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={folder}/mariadb.sock",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--user=root",
            "--innodb-flush-log-at-trx-commit=0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _create_database(port, server)
        yield f"mariadb://root@127.0.0.1:{port}/agency?charset=utf8mb4"
    finally:
        server.terminate()
        server.wait()


def _create_database(port, server):
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        assert server.poll() is None, "mariadbd ended"
        with suppress(pymysql.err.OperationalError):
            connection = pymysql.connect(host="127.0.0.1", port=port, user="root")
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE agency CHARACTER SET utf8mb4")
