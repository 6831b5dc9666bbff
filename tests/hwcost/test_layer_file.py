"""Layers from CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from hwcost.layer_file import read_layers
from hwcost.workload import Op

HEADER = "name,op,k,c,g,ox,oy,fx,fy,stride,segment,sources"
ROWS = [
    "c1,conv,16,3,1,32,32,3,3,1,0,",
    "c2,conv,16,16,1,32,32,3,3,1,0,",
    "s,add,1,1,16,32,32,1,1,1,0,c2 c1",
    "p,pool,1,1,16,8,8,4,4,4,0,",
    "f,linear,10,1024,1,1,1,1,1,1,0,",
    "c3,conv,32,16,1,16,16,3,3,2,1,s",
]


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "layers.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_reads_operations_sources_and_segments(tmp_path: Path) -> None:
    workload = read_layers(write(tmp_path, HEADER, *ROWS))
    assert workload.op.tolist() == [Op.CONV, Op.CONV, Op.ADD, Op.POOL, Op.LINEAR, Op.CONV]
    assert workload.sources.tolist() == [[-1, -2], [0, -2], [1, 0], [2, -2], [3, -2], [2, -2]]
    assert workload.n_segments == 2
    assert workload.weight_bits.tolist() == [8, 8, 0, 0, 8, 8]


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ((HEADER.replace("stride", "step"), *ROWS), "missing column 'stride'"),
        ((HEADER + ",colour", *(row + ",red" for row in ROWS)), "unknown column 'colour'"),
        ((HEADER + ",k", *(row + ",1" for row in ROWS)), "given twice"),
        ((HEADER, ROWS[0].replace("conv", "convolve")), "line 2: expected op"),
        ((HEADER, ROWS[0].replace("16", "many")), "integer in column 'k'"),
        ((HEADER, ROWS[0] + "nowhere"), "source 'nowhere'"),
        ((HEADER, ROWS[0], "c2,conv,1"), "line 3"),
        ((HEADER, ROWS[0].replace("16", "")), "'k' is empty"),
        ((HEADER,), "at least one layer"),
        ((HEADER, ROWS[0], ROWS[0]), "line 3: expected a name of its own.*'c1' is there already"),
        ((HEADER, ROWS[0].replace("c1", " ")), "line 2: expected a name of its own"),
        (
            (HEADER + ",head", ROWS[0] + ",maybe"),
            "line 2: expected head to be one of 1, true, yes, 0.*'maybe'",
        ),
        ((HEADER, ROWS[0].replace("16", "0")), "k"),
        (
            (HEADER, ROWS[0].replace("16", "99999999999999999999")),
            r"line 2: expected at most 2\^31 in column 'k'",
        ),
        (
            (HEADER, ROWS[0].replace("16", "2147483648").replace("32", "2147483648")),
            "2\\^53 operations.*'c1'",
        ),
        ((HEADER, ROWS[0].replace("16", "-1")), "k"),
    ],
)
def test_refuses_by_name(tmp_path: Path, lines: tuple[str, ...], word: str) -> None:
    with pytest.raises(OfframpError, match=word):
        read_layers(write(tmp_path, *lines))


def test_heads_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    rows = (ROWS[0] + ",no", "h,linear,10,16384,1,1,1,1,1,1,0,c1,yes", "c2,conv,8,16,1,32,32,1,1,1,1,c1,")
    path.write_text("\n".join((HEADER + ",head", *rows)), encoding="utf-8-sig")
    assert read_layers(path).head.tolist() == [False, True, False]


def test_an_error_names_the_line_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match="line 5"):
        read_layers(write(tmp_path, HEADER, "", ROWS[0], "", ROWS[1].replace("16,16", "16,many")))


def test_a_trunk_that_would_read_a_head_is_refused(tmp_path: Path) -> None:
    lines = ["c1,conv,16,3,1,32,32,3,3,1,0,,", "f,linear,10,16384,1,1,1,1,1,1,0,,yes"]
    with pytest.raises(OfframpError, match=r"line 4.*'f' of a head"):
        read_layers(write(tmp_path, f"{HEADER},head", *lines, "c2,conv,16,10,1,1,1,1,1,1,1,,"))


@pytest.mark.parametrize(("bits", "sources"), [("100", ""), ("264", ""), ("8", "c1 c2 c3")])
def test_bits_and_sources_have_bounds(tmp_path: Path, bits: str, sources: str) -> None:
    lines = [f"c{i},conv,16,{3 if i == 1 else 16},1,32,32,3,3,1,0,,8" for i in (1, 2, 3)]
    last = f"s,add,1,1,16,32,32,1,1,1,0,{sources},0" if sources else f"s,conv,16,16,1,32,32,3,3,1,0,,{bits}"
    with pytest.raises(OfframpError, match=r"1 to 64 bits|at most two sources"):
        read_layers(write(tmp_path, f"{HEADER},weight_bits", *lines, last))
