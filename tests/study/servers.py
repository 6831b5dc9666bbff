"""Real servers for tests: a PostgreSQL cluster on loopback, and our proxy in front of one."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgres_binaries() -> Path | None:
    """Where Debian keeps the newest server's programs, or where PATH has them."""
    versions = Path("/usr/lib/postgresql")
    found = sorted(versions.glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return None if initdb is None else Path(initdb).parent


class PostgresServer:
    """A cluster of its own in a folder; it has no password and listens on 127.0.0.1 alone.

    The server refuses to run as root, so root runs it as the user that Debian's package makes. That user cannot
    reach pytest's folders.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = folder = Path(tempfile.mkdtemp(prefix="offramp-postgresql-"))
        self.port = free_port()
        self._user: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = folder / "data"
        self._run("initdb", "-D", str(data), "-U", "offramp", "-A", "trust", "--no-sync", "-E", "UTF8")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses='127.0.0.1'\nport={self.port}\nunix_socket_directories='{folder}'\n"
                "fsync=off\nmax_connections=100\n"
            )

    def _run(self, program: str, *options: str) -> None:
        command = [*self._user, str(self._binaries / program), *options]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    def start(self) -> None:
        """Comes back when it answers."""
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-l", log, "-w", "-t", "60", "start")

    def stop(self, how: str = "immediate") -> None:
        """`immediate` is a crash, `fast` a restart by an administrator."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", how, "-w", "-t", "60", "stop")

    def remove(self) -> None:
        """Stops it and takes its folder away."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder)

    def new_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "offramp")
        self._run("createdb", *address, name)
        return f"postgresql://offramp@127.0.0.1:{self.port}/{name}"


class ProxyServer:
    """`python -m study.proxy` in front of a storage."""

    def __init__(self, storage: str) -> None:
        self._storage, self._port = storage, free_port()
        self.url = f"grpc://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Comes back when it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "study.proxy", "--storage", self._storage, "--port", str(self._port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            assert self._process.poll() is None, self._process.communicate()[1]
            assert time.monotonic() < deadline, "the proxy does not listen"
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.communicate()


def require_postgres() -> Path:
    """The server's programs; skips the test where there are none."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("needs PostgreSQL's server (Debian: apt-get install postgresql)")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    return binaries
