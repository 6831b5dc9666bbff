"""Who works on a trial, and whether that process is still there.

A worker signs its trial and counts up a number in it now and then. On the same machine the kernel says at once
whether the process lives. On another one a trial counts as left when the number has not changed for the length of the
lease, as measured by the clock of whoever looks: no two clocks are compared, and the one used never jumps.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from study.storage import told_values

LEASE_SECONDS = 300.0
"""How long nothing may be heard of a worker on another machine before its trial is taken up again."""

MOST_REPEATS = 2
"""How often a design is tried again whose workers died: it may be the design that kills them."""

OWNER_KEY = "offramp:owner"
BEAT_KEY = "offramp:beat"
LEFT_KEY = "offramp:left"
"""System attribute of a failed trial whose design is to be tried again: how many of its workers died so far."""

REPEATS_KEY = "offramp:repeats"
"""System attribute of a trial that takes up a design that was left: the number of that trial, the deaths so far."""

_BEATS_A_LEASE = 5


@dataclass(frozen=True)
class Owner:
    """The process that works on a trial.

    Attributes:
        run: Random, one for each start of `study.run`.
        worker: Its index in the run.
        machine: Checksum of what is the same for processes that can see each other: kernel boot, process namespace.
        process: Its number there.
        started: When it began, in clock ticks since boot: numbers are used again.
        lease_seconds: How long it may be silent.
    """

    run: str
    worker: int
    machine: str
    process: int
    started: int
    lease_seconds: float = LEASE_SECONDS

    @classmethod
    def this_process(cls, run: str, worker: int, lease_seconds: float = LEASE_SECONDS) -> Owner:
        """The signature of the process that calls."""
        pid = os.getpid()
        return cls(run, worker, this_machine(), pid, _start_ticks(pid) or 0, lease_seconds)

    @classmethod
    def of(cls, trial: FrozenTrial) -> Owner | None:
        """Who signed a trial; None for one that is not signed, or by a version that wrote something else."""
        values = trial.system_attrs.get(OWNER_KEY)
        try:
            return cls(**values) if isinstance(values, dict) else None
        except TypeError:
            return None

    def attribute(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def known_dead(self) -> bool:
        """Whether it ran on this machine and has ended; False where that cannot be seen from here."""
        if not self.machine or self.machine != this_machine():
            return False
        return _start_ticks(self.process) != self.started


def new_run() -> str:
    """A name for one start of `study.run`."""
    return uuid.uuid4().hex[:12]


@cache
def this_machine() -> str:
    """Equal for processes that see each other's process numbers; empty where the kernel does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]


def _start_ticks(pid: int) -> int | None:
    """When a process began; None where there is none, or only the remains of one."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


class Heartbeat:
    """A thread that counts up a number in the trial that is being worked on.

    Args:
        storage: Of the study.
        every_seconds: Between two beats.
    """

    def __init__(self, storage: BaseStorage, every_seconds: float) -> None:
        self._storage, self._every = storage, every_seconds
        self._changed = threading.Condition()
        self._trial: int | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, storage: BaseStorage, owner: Owner) -> Heartbeat:
        """As often as the owner's lease asks for."""
        return cls(storage, owner.lease_seconds / _BEATS_A_LEASE)

    @contextlib.contextmanager
    def on(self, trial_id: int) -> Iterator[None]:
        """Beats for a trial inside this block."""
        self._set(trial_id)
        try:
            yield
        finally:
            self._set(None)

    def stop(self) -> None:
        """Ends the thread."""
        self._ended = True
        self._set(None)
        self._thread.join()

    def _set(self, trial_id: int | None) -> None:
        with self._changed:
            self._trial = trial_id
            self._changed.notify()

    def _run(self) -> None:
        count = 0
        while not self._ended:
            with self._changed:
                if self._changed.wait(timeout=self._every):
                    continue  # another trial: it is signed anew, and its first beat is due later
                trial = self._trial
            if trial is None:
                continue
            count += 1
            # A trial that others have put aside takes no attributes, and a storage that is away is the worker's
            # business: it fails there with a reason.
            with contextlib.suppress(Exception):
                self._storage.set_trial_system_attr(trial, BEAT_KEY, count)


@dataclass(frozen=True)
class _Silence:
    beat: Any
    seconds: float


class LeaseWatch:
    """Notices trials whose workers are gone.

    Args:
        lease_seconds: For trials that do not say theirs.
        clock: Seconds from some fixed point; never jumps.
    """

    def __init__(
        self, lease_seconds: float = LEASE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lease, self._clock = lease_seconds, clock
        self._silent: dict[int, _Silence] = {}
        self._looked: float | None = None

    def left(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Running trials that nobody works on any more.

        Time counts only as far as it was watched: an hour in which the storage was away, and no worker could be
        heard, counts as a third of a lease.
        """
        now = self._clock()
        passed = 0.0 if self._looked is None else max(0.0, now - self._looked)
        self._looked = now
        found = []
        silent: dict[int, _Silence] = {}
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            owner = Owner.of(trial)
            lease = self._lease if owner is None else owner.lease_seconds
            beat = trial.system_attrs.get(BEAT_KEY)
            before = self._silent.get(trial.number)
            if before is None or before.beat != beat:
                silent[trial.number] = _Silence(beat, 0.0)
            else:
                silent[trial.number] = replace(before, seconds=before.seconds + min(passed, lease / 3))
            if (owner is not None and owner.known_dead()) or silent[trial.number].seconds >= lease:
                found.append(trial)
        self._silent = silent
        return found


def deaths_before(trial: FrozenTrial) -> int:
    """Workers that died over the design of a trial before this trial."""
    return int(trial.system_attrs.get(REPEATS_KEY, {}).get("deaths", 0))


def put_aside(
    study: optuna.Study, trial: FrozenTrial, reason: str, *, died: bool = True
) -> TrialState | None:
    """Ends a trial that its worker has left; one whose result is stored to the end is finished instead.

    Args:
        study: Of the trial.
        trial: As it was read.
        reason: Why, for people.
        died: Whether its worker ended without wanting to.

    Returns:
        The state it was given; None where another process was faster.
    """
    storage, trial_id = study._storage, trial._trial_id
    values, deaths = told_values(trial), deaths_before(trial) + died
    if deaths > MOST_REPEATS:
        reason += (
            f"; {deaths} workers died over this design, perhaps for want of memory, and it is not tried again"
        )
    try:
        if values is not None:
            done = storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)
            return TrialState.COMPLETE if done else None
        storage.set_trial_user_attr(trial_id, "failure", reason)
        storage.set_trial_system_attr(trial_id, LEFT_KEY, deaths)
        done = storage.set_trial_state_values(trial_id, TrialState.FAIL)
        return TrialState.FAIL if done else None
    except (UpdateFinishedTrialError, KeyError):
        return None
