from __future__ import annotations

import io
import json

import pytest
from optuna.artifacts.exceptions import ArtifactNotFound

from dashboards.serve.artifacts import Artifact, ArtifactShelf


def identifier_of(attributes):
    (value,) = attributes.values()
    return json.loads(value)["artifact_id"]


def test_gives_what_is_on_offer(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    shelf = ArtifactShelf(tmp_path)
    made = shelf.offer("trial 1", Artifact("card.md", "text/markdown", lambda: b"# card"))
    kept = shelf.offer("trial 1", Artifact("w.bin", "application/octet-stream", lambda: tmp_path / "w.bin"))
    assert shelf.open_reader(identifier_of(made)).read() == b"# card"
    with shelf.open_reader(identifier_of(kept)) as stream:
        assert stream.read() == b"weights"
    assert identifier_of(made) == shelf.identifier("trial 1", "card.md")
    assert identifier_of(made) != shelf.identifier("trial 2", "card.md")


@pytest.mark.parametrize("name", ["w.bin", "../w.bin", "/etc/passwd", "", "..", "%2e%2e/w.bin"])
def test_a_name_is_never_a_path(tmp_path, name):
    (tmp_path / "w.bin").write_bytes(b"weights")
    with pytest.raises(ArtifactNotFound):
        ArtifactShelf(tmp_path).open_reader(name)


def test_files_outside_the_folder_are_not_given(tmp_path):
    inside, secret = tmp_path / "checkpoints", tmp_path / "secret"
    inside.mkdir()
    secret.write_bytes(b"secret")
    (inside / "link").symlink_to(secret)
    shelf = ArtifactShelf(inside)
    for path in (secret, inside / ".." / "secret", inside / "link", inside, inside / "gone"):
        offered = shelf.offer("trial 1", Artifact(path.name, "text/plain", lambda path=path: path))
        with pytest.raises(ArtifactNotFound):
            shelf.open_reader(identifier_of(offered))


def test_nothing_is_written_or_removed(tmp_path):
    shelf = ArtifactShelf(tmp_path)
    with pytest.raises(PermissionError):
        shelf.write("a", io.BytesIO(b"x"))
    with pytest.raises(PermissionError):
        shelf.remove("a")
    assert not list(tmp_path.iterdir())
