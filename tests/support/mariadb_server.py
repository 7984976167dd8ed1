"""A MariaDB server of the machine's own packages, for as long as a test needs it."""

import getpass
import shutil
import subprocess
import time
from contextlib import contextmanager

import pymysql

from deploy.local.process import free_port

START_TIMEOUT_S = 60
DAEMON = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/libexec")
SETTINGS = ("--skip-name-resolve", "--innodb-buffer-pool-size=32M", "--character-set-server=utf8mb4")


@contextmanager
def mariadb_server(folder):
    """Its URL, with an empty database `agency`."""
    data, port = folder / "mariadb", free_port()
    user = f"--user={getpass.getuser()}"
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", user, "--auth-root-authentication-method=normal"],
        check=True,
        capture_output=True,
    )
    server = subprocess.Popen(
        [
            *(DAEMON, "--no-defaults", f"--datadir={data}", user, "--bind-address=127.0.0.1", f"--port={port}"),
            *(f"--socket={folder}/mariadb.sock", *SETTINGS),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        connect_when_ready(port)
        yield f"mariadb://root@127.0.0.1:{port}/agency"
    finally:
        server.terminate()
        server.wait(START_TIMEOUT_S)


def connect_when_ready(port):
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection:
                connection.cursor().execute("CREATE DATABASE agency")
                return
        except pymysql.err.OperationalError:
            assert time.monotonic() < deadline, "MariaDB did not start"
            time.sleep(0.1)
