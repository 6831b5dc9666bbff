from __future__ import annotations

import time
from dataclasses import replace

import pytest

from study.config_io import identity
from study.derived import DerivedDesigns, DerivedFiles, read_derived, write_derived
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


def test_files_beyond_the_time_wait_for_the_next_call(trained):
    context, architecture = trained
    written = write_derived(context, architecture)
    (first,) = context.paths.derived.iterdir()
    second = first.with_name(first.name.replace("-0.jsonl", "-1.jsonl"))
    second.write_bytes(first.read_bytes())
    files = DerivedFiles(context.paths.derived, identity(context.config))
    assert files.new(time.monotonic() - 1.0) == written
    assert files.pending
    assert files.new(time.monotonic() - 1.0) == written
    assert not files.pending
    assert files.new() == []
    assert len(DerivedFiles(context.paths.derived, identity(context.config)).new()) == 2 * len(written)


def test_the_front_of_derived_designs_follows_the_files(trained):
    context, architecture = trained
    derived = DerivedDesigns(context)
    assert derived.front().shape == (0, 3)
    values = [
        context.evaluator.objectives.values(r) for r in write_derived(context, architecture) if r.may_lead
    ]
    best = [
        v
        for v in values
        if not any(all(a <= b for a, b in zip(w, v, strict=True)) and w != v for w in values)
    ]
    assert sorted(map(tuple, derived.front().tolist())) == sorted(set(best))
    # Another study's file in the same folder, and a damaged one, change nothing.
    (context.paths.derived / "0123456789ab-other-0.jsonl").write_text("{}\n")
    (file,) = context.paths.derived.glob(f"*{architecture.key()[:32]}*")
    file.with_name(file.name.replace(architecture.key()[:32], "f" * 32)).write_text("{\n")
    assert sorted(map(tuple, derived.front().tolist())) == sorted(set(best))
