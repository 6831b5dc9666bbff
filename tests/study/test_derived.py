from __future__ import annotations

from dataclasses import replace

import pytest

from study.derived import read_derived, write_derived
from study.genome import start_designs
from tests.study.bench import bench_context


@pytest.fixture
def trained(tmp_path):
    """A context and an architecture whose network is in the memo."""
    context = bench_context(tmp_path)
    genes = next(iter(start_designs(context.space)))[0]
    genome = context.space.decode(genes)
    context.evaluator.evaluate(genome)
    return context, genome.architecture


def without_time(records):
    return [replace(record, seconds=0.0) for record in records]


def test_what_is_read_is_what_was_written(trained):
    written = write_derived(*trained)
    assert written
    assert read_derived(*trained) == written


@pytest.mark.parametrize("damage", ["{", "{}\n", "[]\n", "null\n", '{"genome": 1}\n', "\udcff"])
def test_a_damaged_file_is_made_again(trained, damage):
    written = write_derived(*trained)
    (file,) = trained[0].paths.derived.iterdir()
    file.write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert without_time(read_derived(*trained)) == without_time(written)
    assert read_derived(*trained)[0].genome == written[0].genome
