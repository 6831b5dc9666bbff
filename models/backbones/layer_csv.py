"""A workload as the CSV file that `python -m hwcost.simulate --layers` reads."""

import csv
import io
from pathlib import Path

from hwcost.errors import OfframpError
from hwcost.workload import Op, Workload

COLUMNS = (
    "k", "c", "g", "ox", "oy", "fx", "fy", "stride", "b", "ix", "iy",
    "weight_bits", "input_bits", "output_bits", "psum_bits", "segment",
)  # fmt: skip


def write_layers(path: Path, workload: Workload) -> None:
    """Writes one line a layer; `hwcost.layer_file.read_layers` gives the same workload back.

    Raises:
        OfframpError: When the file cannot be written, or a layer behind the first reads the image, which the format
            cannot say.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "op", *COLUMNS, "head", "sources"])
    for i, name in enumerate(workload.names):
        sources = [int(source) for source in workload.sources[i] if source > -2]
        if i > 0 and -1 in sources:
            raise OfframpError(f"expected only the first layer to read the image, got {name} reading it too")
        named = " ".join(workload.names[source] for source in sources if source >= 0)
        numbers = [int(getattr(workload, column)[i]) for column in COLUMNS]
        writer.writerow([name, Op(workload.op[i]).name.lower(), *numbers, int(workload.head[i]), named])
    try:
        path.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise OfframpError(f"expected to write {path}, got {error.strerror}") from error
