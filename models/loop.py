"""What every training needs around its loop: threads, batches, optimizer groups, BatchNorm statistics."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from models.allocator import keep_freed_memory
from models.augment import normalize_batch
from models.recipe import Arithmetic
from models.training_data import TestSplit, TrainingData

_PIXELS = 32 * 32 * 32
"""Of the images evaluated at once on a CPU: then the maps stay in its cache."""


@contextlib.contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Runs the body with a number of CPU threads and restores the old number.

    On the way in, the process is told to keep freed memory, see `models.allocator`.
    """
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def arithmetic(precision: Arithmetic, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context in which convolutions and linear layers compute so; a forward pass goes inside, the loss outside."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def batch_indices(n_samples: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches of whole size; each sample once per shuffle, the rest of a shuffle carried over."""
    batch_size = min(batch_size, n_samples)
    order = torch.empty(0, dtype=torch.int64)
    while True:
        while len(order) < batch_size:
            order = torch.cat([order, torch.randperm(n_samples, generator=generator)])
        yield order[:batch_size]
        order = order[batch_size:]


def weight_groups(
    network: nn.Module, weight_decay: float, left_out: list[nn.Parameter]
) -> list[dict[str, object]]:
    """Parameter groups for an optimizer: decay on convolution and linear weights, none on the rest.

    Args:
        network: Whose parameters to sort.
        weight_decay: Of the first group.
        left_out: Parameters of another optimizer.
    """
    others = {id(parameter) for parameter in left_out}
    parameters = [parameter for parameter in network.parameters() if id(parameter) not in others]
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def measure_norms(network: nn.Module, data: TrainingData, indices: Iterator[Tensor], n_batches: int) -> None:
    """Replaces BatchNorm statistics by exact means over training images as they are.

    Not augmented: the statistics are for evaluation, whose images are not augmented either. The running
    statistics of the last steps lag behind the weights and, at few bits, are noisy.

    Args:
        network: Left in training mode where anything is measured; as it was without batches or BatchNorms.
        data: Images of the train split are used.
        indices: Batches of indices into it.
        n_batches: How many; 0 leaves the statistics as they are.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    if n_batches == 0 or not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    network.train()
    with torch.no_grad():
        for _ in range(n_batches):
            network(
                normalize_batch(data.train_images[next(indices)], data.mean, data.std, channels_last=True)
            )
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def collect_logits(
    network: nn.Module, images: Tensor, data: TrainingData | TestSplit, batch_size: int | None = None
) -> Tensor:
    """Logits of every exit on images as they are.

    Args:
        network: Put into evaluation mode.
        images: (n, c, h, w) uint8.
        data: Gives mean and deviation.
        batch_size: Images at once; by default what keeps the maps in a CPU's cache or a GPU busy.

    Returns:
        (n, n_exits, classes) float32 on the CPU.
    """
    network.eval()
    if batch_size is None:
        few = max(8, _PIXELS // (images.shape[-1] * images.shape[-2]))
        batch_size = 1024 if images.device.type == "cuda" else few
    parts = []
    with torch.no_grad():
        for chunk in images.split(batch_size):
            logits = network(normalize_batch(chunk, data.mean, data.std, channels_last=True))
            parts.append(torch.stack(logits, dim=1).float().cpu())
    return torch.cat(parts)
