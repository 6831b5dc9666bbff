import dataclasses
import json
import subprocess
import sys

import pytest

from hwcost.errors import OfframpError
from models.architecture import ALLOWED_BITS, Architecture

GENES = Architecture((0, 3), ("gap", "fc", "fc_hidden"), (8, 6, 4, 3, 2), (2, 3, 4, 6, 8), 4, 6)


def test_round_trip_through_json_keeps_the_key() -> None:
    copy = Architecture.from_dict(json.loads(json.dumps(GENES.to_dict())))
    assert copy == GENES
    assert copy.key() == GENES.key()


def test_every_gene_that_matters_changes_the_key() -> None:
    changes: list[dict[str, object]] = [
        {"exits": (0, 2)},
        {"heads": ("gap", "gap", "fc_hidden")},
        {"heads": ("gap", "fc", "fc")},
        {"weight_bits": (8, 6, 4, 3, 3)},
        {"activation_bits": (2, 3, 4, 6, 6)},
        {"head_weight_bits": 8},
        {"head_activation_bits": 8},
    ]
    keys = {dataclasses.replace(GENES, **change).key() for change in changes}  # type: ignore[arg-type]
    assert len(keys | {GENES.key()}) == len(changes) + 1


def test_bits_that_nothing_has_do_not_change_the_key() -> None:
    static = Architecture.static(5)
    assert dataclasses.replace(static, head_weight_bits=2, head_activation_bits=2).key() == static.key()
    pooled = Architecture((1,), ("fc", "gap"), (8,) * 5, (8,) * 5)
    assert dataclasses.replace(pooled, head_activation_bits=2).key() == pooled.key()
    assert dataclasses.replace(pooled, head_weight_bits=2).key() != pooled.key()


@pytest.mark.parametrize("bits", [-1, 0, 1, 5, 7, 9, 32, True, 4.5])
def test_bits_outside_the_set_name_the_block(bits: int) -> None:
    with pytest.raises(OfframpError, match=r"expected bits in 2, 3, 4, 6, 8 for block 3, got"):
        Architecture((), ("fc",), (8, 8, 8, bits, 8), (8,) * 5)
    with pytest.raises(OfframpError, match=r"for block 0, got"):
        Architecture((), ("fc",), (8,) * 5, (bits, 8, 8, 8, 8))
    with pytest.raises(OfframpError, match="head weights"):
        Architecture((), ("fc",), (8,) * 5, (8,) * 5, head_weight_bits=bits)


def test_one_bit_says_why() -> None:
    with pytest.raises(OfframpError, match="1-bit weights need the binary quantizer"):
        Architecture((), ("fc",), (1,), (8,))


@pytest.mark.parametrize(
    ("exits", "heads", "text"),
    [
        ((3, 1), ("fc", "fc", "fc"), "ascending"),
        ((1, 1), ("fc", "fc", "fc"), "ascending"),
        ((5,), ("fc", "fc"), "blocks 0..4"),
        ((-1,), ("fc", "fc"), "blocks 0..4"),
        ((1,), ("fc",), "expected 2 heads"),
        ((1,), ("fc", "conv9"), "got 'conv9'"),
    ],
)
def test_impossible_genes_are_refused(exits: tuple[int, ...], heads: tuple[str, ...], text: str) -> None:
    with pytest.raises(OfframpError, match=text):
        Architecture(exits, heads, (8,) * 5, (8,) * 5)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(OfframpError, match="architecture fields"):
        Architecture.from_dict({**GENES.to_dict(), "colour": "red"})


def test_static_network_has_one_exit_and_allowed_bits() -> None:
    static = Architecture.static(12, head="gap")
    assert static.is_static
    assert static.n_exits == 1
    assert set(static.weight_bits) <= set(ALLOWED_BITS)


def test_precision_carries_the_same_bits() -> None:
    precision = GENES.precision()
    assert tuple(precision.weight_bits) == GENES.weight_bits
    assert tuple(precision.activation_bits) == GENES.activation_bits
    assert precision.head_weight_bits == GENES.head_weight_bits
    assert precision.head_activation_bits == GENES.head_activation_bits


def test_light_modules_do_not_import_torch() -> None:
    code = (
        "import sys, models.architecture, models.recipe, models.predictions, models.seeds;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
