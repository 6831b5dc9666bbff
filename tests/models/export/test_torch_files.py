import zipfile
from pathlib import Path

import numpy as np

from models.export.runtimes import ChainedParts, TorchPart
from models.export.torch_files import write_torch
from models.inference import exits_taken, run_early_exit
from tests.models.export.small_export import POLICY, folded, folded_logits, images


def test_programs_give_the_logits_for_any_batch_and_hold_no_pickle(tmp_path: Path) -> None:
    paths = write_torch(folded(), tmp_path)
    assert len(paths) == 7
    whole = TorchPart(paths[0])
    for n in (1, 2, 50):
        np.testing.assert_allclose(np.stack(whole(images()[:n]), 1), folded_logits(images()[:n]), atol=1e-4)
    parts = [TorchPart(path) for path in paths[1:]]
    x = images()[:20]
    result = run_early_exit(ChainedParts(parts[::2], parts[1::2]), x, len(x), POLICY)
    np.testing.assert_array_equal(result.exits, exits_taken(folded_logits(x), POLICY))
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                content = archive.read(name)
                assert not name.endswith(".pkl")
                # A pickle of protocol 2 and later begins so; a nested archive of torch.save holds one.
                assert content[:1] != b"\x80" or "weights/" in name
                assert not content.startswith(b"PK")
