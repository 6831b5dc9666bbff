"""An architecture's result does not depend on how many trainings run beside it, or in which process."""

import hashlib
import multiprocessing

import torch

from models.seeds import training_seed
from models.train import train_architecture
from tests.models.small import MIXED, QAT, SPEC, digits, warm_start

SEED = training_seed(0, MIXED.key(), 0, 0)


def digest() -> str:
    """SHA-256 (hex) over all that the training of one architecture says."""
    found = train_architecture(MIXED, SPEC, digits(), warm_start(), QAT, SEED)
    parts = [found.calibration.confidence, found.validation.confidence, found.validation.entropy]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts if part is not None)).hexdigest()


def _send_digest(threads: int, results: "multiprocessing.Queue[str]") -> None:
    torch.set_num_threads(threads)  # what a process happens to have does not matter: the recipe says how many
    results.put(digest())


def test_one_worker_and_several_at_once_give_the_same() -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_send_digest, args=(threads, results)) for threads in (1, 2)]
    for process in processes:
        process.start()
    found = [results.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    assert found == [digest()] * 2
