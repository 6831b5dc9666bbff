"""Loss and gradients of a batch; on a GPU as one CUDA graph.

A step of a small network is thousands of small kernels. Launching them one by one takes the host as long as the GPU
takes to run them; a graph launches all of them at once. It is recorded again where the shape of the batch changes;
only the last is kept, as each holds the memory of a whole step.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WARM_UP_STEPS = 3
"""Before a graph is recorded: libraries choose their routines and allocate workspaces in them."""

Compute = Callable[..., tuple[Tensor, Tensor]]
"""From the tensors of a batch, images first, to a loss with its graph and a figure without; both scalars."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    batch: tuple[Tensor, ...]
    loss: Tensor
    figure: Tensor
    gradients: tuple[Tensor | None, ...]


class Gradients:
    """Computes a loss and puts its gradients into the parameters' `grad`, in place of what was there.

    Args:
        compute: Has no side effect but on BatchNorm statistics, which also see the `WARM_UP_STEPS`.
        parameters: What to differentiate by.
        graphs: Record graphs on a GPU. A computation that cannot be recorded, as it waits for the GPU, is run as it
            is, with a warning.
    """

    def __init__(self, compute: Compute, parameters: Sequence[nn.Parameter], graphs: bool = True) -> None:
        self._compute = compute
        self._parameters = list(parameters)
        self._graphs = graphs
        self._recorded: _Recorded | None = None

    def __call__(self, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, without its graph, and the figure; on a GPU overwritten by the next call."""
        if self._graphs and batch[0].device.type == "cuda":
            step = self._recorded
            if step is None or step.batch[0].shape != batch[0].shape:
                step = self._record(batch)
            if step is not None:
                return self._replay(step, batch)
        return self._run(batch)

    def _run(self, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        self._clear()
        loss, figure = self._compute(*batch)
        loss.backward()
        return loss.detach(), figure

    def _replay(self, step: _Recorded, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        for own, given in zip(step.batch, batch, strict=True):
            own.copy_(given)
        step.graph.replay()
        for parameter, gradient in zip(self._parameters, step.gradients, strict=True):
            parameter.grad = gradient
        return step.loss, step.figure

    def _record(self, batch: Sequence[Tensor]) -> _Recorded | None:
        self._recorded = None
        own = tuple(tensor.clone() for tensor in batch)
        with _side_stream():
            for _ in range(WARM_UP_STEPS):
                self._run(own)
        self._clear()  # gradients are made inside the graph, so that a replay overwrites instead of adding
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                loss, figure = self._run(own)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._graphs = False
            _log.warning("the steps of this network run without a CUDA graph: %s", str(error).splitlines()[0])
            return None
        gradients = tuple(parameter.grad for parameter in self._parameters)
        self._recorded = _Recorded(graph, own, loss, figure, gradients)
        return self._recorded

    def _clear(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


@contextlib.contextmanager
def _side_stream() -> Iterator[None]:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)
