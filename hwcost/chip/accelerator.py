"""A whole accelerator: compute cores, vector cores, links and DRAM."""

from __future__ import annotations

from dataclasses import dataclass

from hwcost.chip.core import ComputeCore, PeArray, VectorCore
from hwcost.chip.memory import Memory
from hwcost.errors import OfframpError
from hwcost.workload import Op


@dataclass(frozen=True)
class Link:
    """Connection between two cores: width in bits per cycle, energy per bit."""

    bits_per_cycle: int
    pj_per_bit: float

    def __post_init__(self) -> None:
        if self.bits_per_cycle < 1 or self.pj_per_bit < 0:
            raise OfframpError("expected a link of at least 1 bit per cycle and no negative energy")


@dataclass(frozen=True)
class Accelerator:
    """Cores that share one DRAM; every pair of cores has the same link.

    Attributes:
        name: Of the preset or file.
        compute_cores: Those that multiply, all with one catalogue of arrays.
        vector_cores: Those for pooling and addition.
        dram: The shared memory behind all cores.
        link: Between any two cores.
        pe_budget: Most MAC units all compute cores may have together.
        clock_hz: Nominal clock; an assumption, used for seconds only.
    """

    name: str
    compute_cores: tuple[ComputeCore, ...]
    vector_cores: tuple[VectorCore, ...]
    dram: Memory
    link: Link
    pe_budget: int
    clock_hz: float

    def __post_init__(self) -> None:
        if not self.compute_cores:
            raise OfframpError(f"expected at least one compute core in accelerator {self.name!r}")
        names = [core.name for core in self.compute_cores] + [core.name for core in self.vector_cores]
        if len(set(names)) != len(names):
            raise OfframpError(f"expected distinct core names in accelerator {self.name!r}, got {names}")
        if any(core.catalogue != self.catalogue for core in self.compute_cores):
            raise OfframpError(f"expected one catalogue for all compute cores of accelerator {self.name!r}")
        ops = [core.op for core in self.vector_cores]
        if len(set(ops)) != len(ops):
            raise OfframpError(f"expected at most one core per operation in accelerator {self.name!r}")
        if self.default_n_pes > self.pe_budget:
            raise OfframpError(
                f"the default arrays of {self.name!r} have {self.default_n_pes} PEs, more than the budget of "
                f"{self.pe_budget}; raise pe_budget"
            )
        if min(array.n_pes for array in self.catalogue) * self.n_compute_cores > self.pe_budget:
            raise OfframpError(f"no allocation of {self.name!r} meets pe_budget {self.pe_budget}; raise it")

    @property
    def n_compute_cores(self) -> int:
        """Number of cores an allocation has an entry for."""
        return len(self.compute_cores)

    @property
    def catalogue(self) -> tuple[PeArray, ...]:
        """Arrays an allocation's entries index."""
        return self.compute_cores[0].catalogue

    @property
    def default_allocation(self) -> tuple[int, ...]:
        """Catalogue index of each compute core's default array."""
        return tuple(self.catalogue.index(core.default_array) for core in self.compute_cores)

    @property
    def default_n_pes(self) -> int:
        """MAC units of the default allocation."""
        return sum(core.default_array.n_pes for core in self.compute_cores)

    @property
    def core_groups(self) -> tuple[int, ...]:
        """Per compute core a group number; exchanging the arrays of two cores of a group changes nothing."""
        groups = [core.group for core in self.compute_cores]
        order = list(dict.fromkeys(groups))
        return tuple(order.index(group) for group in groups)

    def vector_core_index(self, op: Op) -> int:
        """Index of the vector core that does an operation.

        Raises:
            OfframpError: There is none.
        """
        for i, core in enumerate(self.vector_cores):
            if core.op == op:
                return i
        raise OfframpError(
            f"accelerator {self.name!r} has no core for {op.name.lower()}; add one of that kind"
        )
