"""A whole accelerator: compute cores, vector cores, links, DRAM and clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwcost.chip.core import ComputeCore, PeArray, VectorCore
from hwcost.chip.link import Link, LinkBetween
from hwcost.chip.memory import Memory
from hwcost.chip.voltage import DRAM_CLOCKS, LevelChange, VoltageLevel
from hwcost.errors import OfframpError
from hwcost.workload import IntArray, Op

Array = np.ndarray


@dataclass(frozen=True)
class Accelerator:
    """Cores that share one DRAM, at one of the chip's voltage and frequency levels.

    Attributes:
        name: Of the preset or file.
        compute_cores: Those that multiply, each with a catalogue of arrays of its own.
        vector_cores: Those for pooling and addition.
        dram: The shared memory behind all cores.
        link: Between any two cores that have none of their own.
        pe_budget: Most MAC units all compute cores may have together.
        levels: Voltage and frequency levels; clocks are assumptions and turn cycles into seconds.
        nominal_level: Index of the one that cycles are compared at.
        level: Index of the one that energies, widths and leakage are stated at.
        links_between: Links of single pairs of cores.
        dram_clock: Of `DRAM_CLOCKS`: `core`, DRAM moves the same bits per core cycle at every level; `own`, the
            same bits per second.
    """

    name: str
    compute_cores: tuple[ComputeCore, ...]
    vector_cores: tuple[VectorCore, ...]
    dram: Memory
    link: Link
    pe_budget: int
    levels: tuple[VoltageLevel, ...]
    nominal_level: int = 0
    level: int = 0
    links_between: tuple[LinkBetween, ...] = ()
    dram_clock: str = "core"

    def __post_init__(self) -> None:
        if not self.compute_cores:
            raise OfframpError(f"expected at least one compute core in accelerator {self.name!r}")
        self._check_cores()
        self._check_links()
        self._check_levels()
        if self.default_n_pes > self.pe_budget:
            raise OfframpError(
                f"the default arrays of {self.name!r} have {self.default_n_pes} PEs, more than the pe_budget of "
                f"{self.pe_budget}; raise pe_budget"
            )

    def _check_cores(self) -> None:
        names = [core.name for core in self.cores]
        if len(set(names)) != len(names):
            raise OfframpError(f"expected distinct core names in accelerator {self.name!r}, got {names}")
        ops = [core.op for core in self.vector_cores]
        if len(set(ops)) != len(ops):
            raise OfframpError(f"expected at most one core per operation in accelerator {self.name!r}")
        first: dict[str, ComputeCore] = {}
        for core in self.compute_cores:
            if replace(core, name="") != replace(first.setdefault(core.group, core), name=""):
                raise OfframpError(
                    f"expected equal cores in group {core.group!r} of accelerator {self.name!r}; name another group"
                )

    def _check_links(self) -> None:
        names = [core.name for core in self.cores]
        for i, between in enumerate(self.links_between):
            for core in between.cores:
                if core not in names:
                    raise OfframpError(
                        f"expected a link_between cores of {', '.join(names)} in accelerator {self.name!r}, "
                        f"got {core!r}"
                    )
            if any(other.joins(*between.cores) for other in self.links_between[:i]):
                raise OfframpError(
                    f"expected one link_between {between.cores[0]!r} and {between.cores[1]!r} in accelerator "
                    f"{self.name!r}, got two; remove one"
                )

    def _check_levels(self) -> None:
        names = [level.name for level in self.levels]
        if not names or len(set(names)) != len(names):
            raise OfframpError(
                f"expected levels with distinct names in accelerator {self.name!r}, got {names}"
            )
        for index in (self.nominal_level, self.level):
            self._check_level(index)
        if self.dram_clock not in DRAM_CLOCKS:
            raise OfframpError(
                f"expected a DRAM clock of {' or '.join(DRAM_CLOCKS)} in accelerator {self.name!r}, "
                f"got {self.dram_clock!r}"
            )

    def _check_level(self, index: int) -> None:
        if not 0 <= index < len(self.levels):
            raise OfframpError(
                f"expected a level index of 0..{len(self.levels) - 1} in accelerator {self.name!r}, got {index}"
            )

    @property
    def cores(self) -> tuple[ComputeCore | VectorCore, ...]:
        """All cores."""
        return (*self.compute_cores, *self.vector_cores)

    @property
    def n_compute_cores(self) -> int:
        """Number of cores an allocation has an entry for."""
        return len(self.compute_cores)

    @property
    def clock_hz(self) -> float:
        """Of the cores at this level."""
        return self.levels[self.level].clock_hz

    @property
    def catalogues(self) -> tuple[tuple[PeArray, ...], ...]:
        """Per compute core the arrays that its entry of an allocation indexes."""
        return tuple(core.catalogue for core in self.compute_cores)

    @property
    def max_arrays(self) -> int:
        """Length of the longest catalogue."""
        return max(len(catalogue) for catalogue in self.catalogues)

    @property
    def default_allocation(self) -> tuple[int, ...]:
        """Index of each compute core's default array in its catalogue."""
        return tuple(core.catalogue.index(core.default_array) for core in self.compute_cores)

    @property
    def default_n_pes(self) -> int:
        """MAC units of the default allocation."""
        return sum(core.default_array.n_pes for core in self.compute_cores)

    @property
    def core_groups(self) -> tuple[int, ...]:
        """Per compute core a group number; exchanging the arrays of two cores of a group changes nothing.

        They are of one description and every other core has equal links to both.
        """
        groups: list[int] = []
        for i, core in enumerate(self.compute_cores):
            equal = (j for j, other in enumerate(self.compute_cores[:i]) if self._exchangeable(core, other))
            groups.append(next((groups[j] for j in equal), max(groups, default=-1) + 1))
        return tuple(groups)

    def _exchangeable(self, a: ComputeCore, b: ComputeCore) -> bool:
        # An equivalence: were a like b, b like c and a's link to b not c's, then b like c would fail at a, or a like
        # b at c.
        others = {core.name for core in self.cores} - {a.name, b.name}
        return a.group == b.group and all(
            self.link_between(a.name, other) == self.link_between(b.name, other) for other in others
        )

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

    def link_between(self, a: str, b: str) -> Link:
        """The link between two cores, by their names; the same in both directions."""
        for between in self.links_between:
            if between.joins(a, b):
                return between.link
        return self.link

    def level_index(self, name: str) -> int:
        """Index of the level with this name.

        Raises:
            OfframpError: There is none.
        """
        names = [level.name for level in self.levels]
        if name not in names:
            raise OfframpError(f"expected a level of {', '.join(names)} for {self.name!r}, got {name!r}")
        return names.index(name)

    def at_level(self, index: int) -> Accelerator:
        """The same chip at another voltage and frequency; see `LevelChange` for what scales how.

        Raises:
            OfframpError: There is no such level.
        """
        self._check_level(index)
        if index == self.level:
            return self
        change = LevelChange.between(self.levels[self.level], self.levels[index], self.dram_clock)

        def scaled(link: Link) -> Link:
            return replace(link, pj_per_bit=link.pj_per_bit * change.energy)

        return replace(
            self,
            compute_cores=tuple(change.compute_core(core) for core in self.compute_cores),
            vector_cores=tuple(change.vector_core(core) for core in self.vector_cores),
            dram=change.memory(self.dram),
            link=scaled(self.link),
            links_between=tuple(replace(b, link=scaled(b.link)) for b in self.links_between),
            level=index,
        )

    def n_pes(self, allocations: IntArray) -> IntArray:
        """MAC units of every core: (n_designs, n_compute_cores) indices -> the same shape."""
        chosen = np.asarray(allocations)
        counts = np.empty(chosen.shape, dtype=np.int64)
        for i, catalogue in enumerate(self.catalogues):
            counts[:, i] = np.array([array.n_pes for array in catalogue])[chosen[:, i]]
        return counts

    def leakage_pj_per_cycle(self, allocations: IntArray) -> Array:
        """Energy that leaks in a cycle of this level's clock, whatever runs: all cores leak all the time.

        Args:
            allocations: (n_designs, n_compute_cores).

        Returns:
            (n_designs,).
        """
        per_pe = np.array([core.leakage_w_per_pe for core in self.compute_cores])
        fixed = sum(core.leakage_w for core in self.cores)
        watts = fixed + self.n_pes(allocations) @ per_pe
        return np.asarray(watts / self.clock_hz * 1e12)

    def area_mm2(self, allocations: IntArray) -> Array | None:
        """Area of all cores that state theirs: (n_designs,); None where none does.

        Args:
            allocations: (n_designs, n_compute_cores).
        """
        per_pe = np.array([core.area_mm2_per_pe for core in self.compute_cores])
        fixed = sum(core.area_mm2 for core in self.cores)
        if fixed == 0 and not per_pe.any():
            return None
        return np.asarray(fixed + self.n_pes(allocations) @ per_pe)
