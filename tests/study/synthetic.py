"""A made-up objective over genomes that is cheap, has a trade-off, and an infeasible part."""

from __future__ import annotations

from study.genome import Genome
from study.record import DesignRecord
from tests.study.spaces import CLOCK_HZ, OBJECTIVES


def evaluate(genome: Genome, latency_bound: float = 60.0) -> DesignRecord:
    """More bits: less error, more cost; every exit saves latency and costs some accuracy and energy."""
    a = genome.architecture
    bits = sum(a.weight_bits) + sum(a.activation_bits)
    n_early = len(a.exits)
    latency = bits - 4.0 * n_early + 0.1 * sum(genome.allocation)
    violation = latency / latency_bound - 1.0
    error = 0.9 / (1.0 + 0.05 * bits) + 0.01 * n_early + 0.1 * genome.policy_target
    return DesignRecord(
        genome=genome,
        source="proposed",
        feasible=violation <= 0,
        violations={"worst_latency": violation, "weight_memory": -0.5},
        accuracy=1.0 - error,
        mean_latency_cycles=latency,
        mean_energy_pj=bits + 3.0 * n_early,
        mean_edp_pj_cycles=latency * bits,
        worst_latency_cycles=latency,
        weight_memory_bits=bits,
        clock_hz=CLOCK_HZ,
        exit_ratios=(1.0,) * a.n_exits if violation <= 0 else (),
    )


def objectives(record: DesignRecord) -> tuple[float, ...]:
    """What a study that does not choose its own objectives is told."""
    return OBJECTIVES.values(record)
