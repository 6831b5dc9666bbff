"""When trials finished, by clocks that may jump or differ from machine to machine.

Times in a storage are those of each machine's own clock. Trials are written one after the other, so their starts rise
with their numbers; where a clock says otherwise it is moved forward for that trial and the later ones of its machine.
And no trial can have been shorter than its own evaluation, which was measured by a clock that never jumps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from study.record import DesignRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_CLOCKS_AGREE = 2.0
"""Seconds by which clocks of machines that keep time may differ."""


def finished_seconds(trials: Sequence[FrozenTrial], records: Mapping[int, DesignRecord]) -> dict[int, float]:
    """Seconds from the first start to the end of each trial that has ended.

    Args:
        trials: By number; those that were never started, or have not ended, have no time.
        records: Trial number -> its result.
    """
    from study.leases import Owner

    first = next((trial.datetime_start for trial in trials if trial.datetime_start is not None), None)
    found: dict[int, float] = {}
    behind: dict[str, float] = {}  # seconds by machine
    latest = 0.0
    for trial in trials:
        if first is None or trial.datetime_start is None:
            continue
        owner = Owner.of(trial)
        machine = "" if owner is None else owner.machine
        start = (trial.datetime_start - first).total_seconds() + behind.get(machine, 0.0)
        if latest - start > _CLOCKS_AGREE:
            behind[machine] = behind.get(machine, 0.0) + latest - start
        latest = start = max(start, latest)
        if trial.datetime_complete is not None:
            spent = (trial.datetime_complete - trial.datetime_start).total_seconds()
            record = records.get(trial.number)
            found[trial.number] = start + max(spent, 0.0 if record is None else record.seconds)
    return found
