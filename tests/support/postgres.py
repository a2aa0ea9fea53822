"""A real PostgreSQL, of the test's own: a new cluster on a port of this machine.

    with running_postgres() as server:
        place = server.place()          # with nothing in it

Debian keeps the programs of the server out of PATH, and they refuse to run as root: then they run as the
user that the package makes. The server stands for real ones: fsync is on.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import psycopg

from casgan_dicom.node.settings import StateSettings
from casgan_dicom.node.state.postgres_place import PostgresPlace
from tests.support.orthanc import free_ports
from tests.support.programs import absent, find_program
from tests.support.waiting import wait_for

START_SECONDS = 60.0
"""Deadline; on an idle machine it starts in 0.1 s."""
ROLE = "casgan"
"""A role that is no superuser, and the name of a database of its own."""
PASSWORD = "not a secret: only for tests"
_USER = "postgres"
_NUMBERS = count(1)
_CONF = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{sockets}'
max_connections = 200
shared_buffers = 16MB
autovacuum_naptime = 10min
lc_messages = 'C'
fsync = {fsync}
"""


def programs() -> Path:
    """Folder of the programs of the newest server that is installed; skips the test where there is none."""
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not versions:
        absent("initdb is not installed; it comes with postgresql")
    return max(versions, key=lambda folder: int(folder.parent.name))


@contextmanager
def running_postgres(*, fsync: bool = True) -> Iterator[Postgres]:
    """A server for the time of a block, in a folder that its user can reach; then it is gone."""
    with TemporaryDirectory(prefix="casgan-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        server = Postgres(Path(folder) / "server", fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


class Postgres:
    """A server, from `start` to `stop`. It does not outlive the thread that started it."""

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self._programs = programs()
        self.folder = folder
        """Its files and its socket; readable for the user that it runs as."""
        as_user = (f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups") if _is_root() else ()
        self._before = (find_program("setpriv", "util-linux"), *as_user, "--pdeathsig", "QUIT")
        self._fsync = fsync
        self._made = False
        self.port = 0
        """On 127.0.0.1."""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, on the port that it had before; wait until it answers."""
        if not self._made:
            self._make()
        command = [*self._before, str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-p", str(self.port)], stdout=log, stderr=log, cwd=self.folder
            )
        wait_for(self._answers, "PostgreSQL to answer", START_SECONDS)

    def stop(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: "immediate" is a crash, after which it recovers from its log."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT if how == "fast" else signal.SIGQUIT)
            self._process.wait(START_SECONDS)
            self._process = None

    def place(self) -> PostgresPlace:
        """Schemas of the first database that are not there yet."""
        return PostgresPlace(self.url(ROLE), f"test_{next(_NUMBERS)}", str(self.folder / "password"))

    def settings(self) -> StateSettings:
        """Those of a node, likewise."""
        place = self.place()
        return StateSettings(place.url, place.password_file, place.schema)

    def database(self, options: str = "") -> str:
        """Make another database; its name."""
        name = f"casgan_{next(_NUMBERS)}"
        self.say(f"CREATE DATABASE {name} OWNER {ROLE} {options}")
        return name

    def url(self, database: str, role: str = ROLE) -> str:
        """URL of a database, without a password."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def say(self, statement: str, database: str = "postgres") -> None:
        """Have a superuser say something."""
        host = str(self.folder)
        with psycopg.connect(
            host=host, port=self.port, user=_USER, dbname=database, autocommit=True
        ) as connection:
            connection.execute(statement)

    def _make(self) -> None:
        self.folder.mkdir(parents=True)
        if _is_root():
            user = pwd.getpwnam(_USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = str(self.folder / "data")
        initdb = [str(self._programs / "initdb"), "-D", data, "-U", _USER, "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(
            [*self._before, *initdb, "--auth-local=trust", "--auth-host=scram-sha-256"],
            check=True, capture_output=True, cwd=self.folder,
        )  # fmt: skip
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(_CONF.format(sockets=self.folder, fsync="on" if self._fsync else "off"))
        (self.port,) = free_ports(1)
        self._made = True
        (self.folder / "password").write_text(PASSWORD + "\n")
        self.start()
        self.say(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        self.say(f"CREATE DATABASE {ROLE} OWNER {ROLE}")
        self.stop()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            self.say("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def _is_root() -> bool:
    return os.geteuid() == 0
