"""Search spaces, genomes and records for tests: small ones by hand, many by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from models.architecture import ALLOWED_BITS, HEAD_KINDS, Architecture
from study.allocation import AllocationSpace
from study.config import SpaceConfig
from study.genome import Genome, SearchSpace
from study.levels import LevelSpace
from study.metrics import Objectives
from study.record import DesignRecord

SMALL_ALLOCATIONS = AllocationSpace(
    n_pes=((64, 128, 128, 256), (64, 128, 192), (64, 128, 128, 256)),
    default=(1, 1, 1),
    groups=((0, 2), (1,)),
    budget=400,
)
CLOCK_HZ = 5e8
ONE_LEVEL = LevelSpace((0,), 0)
TWO_LEVELS = LevelSpace((1, 0), 0)
OBJECTIVES = Objectives.named(("error", "mean_latency", "mean_energy"))
ONE_ALLOCATION = AllocationSpace(n_pes=((64, 128),), default=(1,), groups=((0,),), budget=128, searched=False)


def small_space(**choices: object) -> SearchSpace:
    """Three mounting points of five blocks, three cores of which two are equal."""
    config = SpaceConfig.model_validate({"weight_bits": (2, 4, 8), "activation_bits": (4, 8), **choices})
    return SearchSpace(
        config, mounting_points=(0, 1, 3), n_blocks=5, allocations=SMALL_ALLOCATIONS, levels=ONE_LEVEL
    )


def tiny_space() -> SearchSpace:
    """Few enough designs to see all of them: 2 heads x 2 bits x 2 bits, with or without one exit."""
    config = SpaceConfig(
        exit_heads=("gap",),
        final_heads=("fc", "gap"),
        weight_bits=(4, 8),
        activation_bits=(8,),
        head_bits=(8,),
        allocation=False,
        policy_targets=(0.0, 0.01),
    )
    return SearchSpace(config, mounting_points=(0,), n_blocks=2, allocations=ONE_ALLOCATION, levels=ONE_LEVEL)


def _distinct(values: tuple, least: int = 1) -> st.SearchStrategy[tuple]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=len(values), unique=True).map(tuple)


def _ascending(values: tuple) -> st.SearchStrategy[tuple]:
    return _distinct(values).map(lambda chosen: tuple(sorted(chosen)))


@st.composite
def allocation_spaces(draw: st.DrawFn, max_cores: int = 4) -> AllocationSpace:
    """Catalogues with several shapes of one size, another one for every group, cores in any grouping, budgets
    from just enough to plenty."""
    sizes = st.lists(st.sampled_from((16, 32, 64, 128, 256)), min_size=1, max_size=5)
    catalogues = [tuple(sorted(draw(sizes))) for _ in range(3)]
    n_cores = draw(st.integers(1, max_cores))
    label = draw(st.lists(st.integers(0, 2), min_size=n_cores, max_size=n_cores))
    groups = tuple(tuple(c for c in range(n_cores) if label[c] == g) for g in sorted(set(label)))
    n_pes = tuple(catalogues[number] for number in label)
    default = tuple(draw(st.integers(0, len(counts) - 1)) for counts in n_pes)
    spent = sum(counts[index] for counts, index in zip(n_pes, default, strict=True))
    budget = max(spent, sum(counts[0] for counts in n_pes)) + draw(st.integers(0, 600))
    return AllocationSpace(n_pes, default, groups, budget, searched=draw(st.booleans()))


@st.composite
def level_spaces(draw: st.DrawFn) -> LevelSpace:
    """Some of three levels in any order, the nominal one among them or not."""
    offered = draw(st.permutations(range(3)))[: draw(st.integers(1, 3))]
    return LevelSpace(tuple(offered), draw(st.integers(0, 2)))


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces with any choices, one-valued genes and no mounting point included."""
    n_blocks = draw(st.integers(1, 6))
    points = draw(st.sets(st.integers(0, n_blocks - 1), max_size=4))
    config = SpaceConfig(
        exit_heads=draw(_distinct(HEAD_KINDS)),
        final_heads=draw(_distinct(HEAD_KINDS)),
        weight_bits=draw(_ascending(ALLOWED_BITS)),
        activation_bits=draw(_ascending(ALLOWED_BITS)),
        head_bits=draw(_ascending(ALLOWED_BITS)),
        policy_targets=draw(_ascending((0.0, 0.005, 0.02, 0.1))),
    )
    return SearchSpace(
        config, tuple(sorted(points)), n_blocks, draw(allocation_spaces(max_cores=3)), draw(level_spaces())
    )


@st.composite
def designs(draw: st.DrawFn) -> tuple[SearchSpace, dict[str, int]]:
    """A space and genes of it, each gene independent."""
    space = draw(spaces())
    return space, {name: draw(st.integers(0, count - 1)) for name, count in space.genes().items()}


def record(
    accuracy: float = 0.9,
    latency: float = 100.0,
    energy: float = 1000.0,
    *,
    feasible: bool = True,
    trained: bool = True,
    edp: float | None = None,
) -> DesignRecord:
    """A record with these objectives; the rest does not matter."""
    return DesignRecord(
        genome=Genome(Architecture.static(5), (1, 1, 1), 0.0, 0),
        source="proposed",
        feasible=feasible,
        violations={"worst_latency": 0.0 if feasible else 0.3, "weight_memory": -0.5},
        accuracy=accuracy,
        mean_latency_cycles=latency,
        mean_energy_pj=energy,
        mean_edp_pj_cycles=latency * energy if edp is None else edp,
        worst_latency_cycles=latency,
        weight_memory_bits=1,
        clock_hz=CLOCK_HZ,
        exit_ratios=(1.0,) if trained else (),
        exit_accuracies=(accuracy,) if trained else (),
        leaving_accuracies=(accuracy,) if trained else (),
    )
