from __future__ import annotations

import ctypes
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.study.servers import PostgresServer, ProxyServer, require_postgres


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=2m") != 0:
        pytest.skip("mounting a file system needs root")
    try:
        yield folder
    finally:
        libc.umount2(str(folder).encode(), 2)  # MNT_DETACH: also while a file on it is open


@pytest.fixture(scope="session")
def study_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoded data and the pre-trained network of the tiny study: made once, as users have it too."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own; it is stopped at the end, whatever happened."""
    server = PostgresServer(require_postgres())
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def proxy(postgres: PostgresServer) -> Iterator[ProxyServer]:
    """Our proxy in front of a database of that server."""
    pytest.importorskip("grpc")
    server = ProxyServer(postgres.new_database("behind_proxy"))
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(params=["sqlite", "journal", "postgresql", "grpc"])
def any_storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a storage of each kind; a server's is shared, so name studies after `tmp_path`."""
    if request.param == "grpc":
        return request.getfixturevalue("proxy").url
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_database(f"own_{uuid.uuid4().hex[:12]}")
    return f"{request.param}:///{tmp_path}/study.{request.param}"
