"""How processes that share nothing but a storage finish exactly as many trials as were asked for.

A trial's number is its place in the queue. A process writes its trial first and looks then: it keeps the trial if
fewer than the trials asked for are finished or unfinished with a lower number, and gives it up otherwise. Of all
trials that are ever kept, the one with the highest number saw every other one as it looked, finished or unfinished,
because numbers are handed out in order and a failed trial stays failed. So no more than those asked for are kept,
with any number of processes, without a lock and without a clock. What a dead worker has left is failed by whoever
notices; from then on its place is free, and should the worker be alive after all, the storage refuses its result.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from study.leases import (
    LEFT_KEY,
    MOST_REPEATS,
    OWNER_KEY,
    REPEATS_KEY,
    LeaseWatch,
    Owner,
    deaths_before,
    put_aside,
)
from study.storage import StudyLock
from study.storage.drafts import Drafting
from study.turns import Turns

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between looks when there is nothing to do
_TWINS = 8  # times a design is given up because another process proposed it at the same moment


@dataclass(frozen=True)
class Board:
    """How far a study is.

    Attributes:
        finished: Trials that count.
        waiting: Numbers of trials in the queue, ascending.
        running: Numbers of trials that are worked on, ascending.
    """

    finished: int
    waiting: tuple[int, ...]
    running: tuple[int, ...]

    @classmethod
    def of(cls, trials: Sequence[FrozenTrial]) -> Board:
        """Counts the trials of a study."""
        numbers: dict[TrialState, list[int]] = {state: [] for state in TrialState}
        for trial in trials:
            numbers[trial.state].append(trial.number)
        return cls(
            len(numbers[TrialState.COMPLETE]),
            tuple(sorted(numbers[TrialState.WAITING])),
            tuple(sorted(numbers[TrialState.RUNNING])),
        )

    def holds(self, number: int, wanted: int) -> bool:
        """Whether the trial of that number is among those asked for."""
        return self.finished + sum(n < number for n in (*self.waiting, *self.running)) < wanted

    def has_room(self, wanted: int) -> bool:
        """Whether one more trial may be begun: a new one, or the first of the queue."""
        if self.waiting:
            return self.holds(self.waiting[0], wanted)
        return self.has_room_behind_the_queue(wanted)

    def has_room_behind_the_queue(self, wanted: int) -> bool:
        """Whether a new trial would be among those asked for, although those in the queue come first."""
        return self.finished + len(self.waiting) + len(self.running) < wanted


class _Ledger:
    """Reads the trials of a study again and again, and each finished one only once."""

    def __init__(self, genes: frozenset[str], key: Callable[[Mapping[str, Any]], str]) -> None:
        self._genes, self._key = genes, key
        self._settled = 0  # so many trials from the first on have ended
        self._finished = 0  # of these, those that count
        self._left: dict[int, FrozenTrial] = {}  # of these, those whose design may be worth another try
        self._taken_up: set[int] = set()
        self._keys: dict[int, str] = {}

    def read(self, trials: Sequence[FrozenTrial]) -> Board:
        """How far the study is.

        Args:
            trials: All of them, ascending by number.
        """
        while self._settled < len(trials) and trials[self._settled].state.is_finished():
            trial = trials[self._settled]
            self._settled += 1
            self._finished += trial.state == TrialState.COMPLETE
            if REPEATS_KEY in trial.system_attrs:
                self._taken_up.add(trial.system_attrs[REPEATS_KEY]["trial"])
            if self._worth_a_try(trial):
                self._left[trial.number] = trial
        board = Board.of(trials[self._settled :])
        return replace(board, finished=board.finished + self._finished)

    def left(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """The first failed trial whose design nobody has taken up, worth another try."""
        self.read(trials)
        recent = trials[self._settled :]
        taken_up = self._taken_up | {
            t.system_attrs[REPEATS_KEY]["trial"] for t in recent if REPEATS_KEY in t.system_attrs
        }
        candidates = [*self._left.values(), *(t for t in recent if self._worth_a_try(t))]
        candidates = [t for t in candidates if t.number not in taken_up]
        if not candidates:
            return None
        # A design that was proposed again in another way needs no repeat.
        again = {
            self.key_of(t)
            for t in trials
            if t.state in (TrialState.COMPLETE, TrialState.RUNNING) and self._genes <= t.params.keys()
        }
        for trial in candidates:
            if self.key_of(trial) not in again:
                return trial
            self._left.pop(trial.number, None)
        return None

    def key_of(self, trial: FrozenTrial) -> str:
        """Of a trial with all its genes."""
        if trial.number not in self._keys:
            self._keys[trial.number] = self._key(trial.params)
        return self._keys[trial.number]

    def _worth_a_try(self, trial: FrozenTrial) -> bool:
        return (
            trial.state == TrialState.FAIL
            and trial.system_attrs.get(LEFT_KEY, MOST_REPEATS + 1) <= MOST_REPEATS
            and self._genes <= trial.params.keys()
        )


class Claims:
    """Takes trials for one worker.

    Args:
        study: With the sampler that proposes.
        distributions: Every gene.
        key: Equal for genes of the same design.
        wanted: Trials to finish over all processes.
        owner: Who works on them.
        lock: Held while proposing, where the storage has one.
        watch: Notices what others have left.
        turns: Of the processes of this machine, to think; None: there are none.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        study: optuna.Study,
        distributions: dict[str, BaseDistribution],
        key: Callable[[Mapping[str, Any]], str],
        wanted: int,
        owner: Owner,
        lock: StudyLock,
        watch: LeaseWatch | None = None,
        turns: Turns | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._study, self._key, self._wanted = study, key, wanted
        self._owner, self._lock, self._sleep = owner, lock, sleep
        self._watch = watch or LeaseWatch(owner.lease_seconds)
        self._turns = turns or Turns([])
        self._drafting = Drafting(study, distributions)
        self._genes = frozenset(distributions)
        self._ledger = _Ledger(self._genes, key)
        self._twins = 0  # of the trial that is being taken

    def take(self) -> optuna.Trial | None:
        """The next trial to work on; None when all are finished. Waits while others hold all that are left."""
        pause, self._twins = _FIRST_PAUSE, 0
        while True:
            trials = self._trials()
            if self._clear_up(trials):
                trials = self._trials()
            board = self._ledger.read(trials)
            if board.finished >= self._wanted:
                return None
            if not board.has_room(self._wanted):
                self._sleep(pause * random.uniform(0.5, 1.0))
                pause = min(1.5 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            with self._turns() as waited:
                if waited:
                    trials = self._trials()
                trial = self._propose(trials)
            if trial is not None and self._keeps(trial, len(trials)):
                return trial

    def _propose(self, trials: list[FrozenTrial]) -> optuna.Trial | None:
        """Thinks without the lock and writes with it; None where that came to nothing."""
        signature: dict[str, Any] = {OWNER_KEY: self._owner.attribute()}
        left = self._ledger.left(trials)
        # A repeat is a new trial. Where the queue holds all that are left, it would be given up at once.
        if left is not None and self._ledger.read(trials).has_room_behind_the_queue(self._wanted):
            signature[REPEATS_KEY] = {"trial": left.number, "deaths": int(left.system_attrs[LEFT_KEY])}
            self._drafting.repeat(left.params, trials)
        else:
            queued = self._drafting.propose(trials)
            if queued is not None:
                self._study._storage.set_trial_system_attr(queued._trial_id, OWNER_KEY, signature[OWNER_KEY])
                return queued
        with self._lock():
            now = self._trials()
            if not self._ledger.read(now).has_room(self._wanted):
                return None
            if self._has_twin(self._drafting.genes, now[len(trials) :]):
                return None
            return self._drafting.write(signature)

    def _keeps(self, trial: optuna.Trial, known: int) -> bool:
        """Whether the trial is this worker's; given up otherwise. Nothing is left to decide where there is a lock."""
        trials = self._trials()
        if not self._ledger.read(trials).holds(trial.number, self._wanted):
            self._give_up(trial, "not needed: other workers hold all trials that are left")
            return False
        if self._has_twin(trial.params, [t for t in trials[known:] if t.number < trial.number]):
            self._give_up(trial, "the same design was proposed by another worker at the same moment")
            self._sleep(random.uniform(0.0, 0.05 * 2**self._twins))
            return False
        return True

    def _has_twin(self, genes: Mapping[str, Any], unseen: Sequence[FrozenTrial]) -> bool:
        """Whether a process that could not be seen while thinking proposed the same design; up to a bound."""
        others = [
            t
            for t in unseen
            if t.state in (TrialState.RUNNING, TrialState.COMPLETE) and self._genes <= t.params.keys()
        ]
        twin = bool(others) and self._key(genes) in map(self._ledger.key_of, others)
        self._twins += twin
        return twin and self._twins <= _TWINS

    def _clear_up(self, trials: Sequence[FrozenTrial]) -> bool:
        """Puts aside what the dead have left, and what this worker itself does not know of; whether there was any."""
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        left = [(trial, "its worker has ended or fallen silent", True) for trial in self._watch.left(running)]
        for trial in running:
            # The answer to its creation was lost on the way from a server that restarted.
            if Owner.of(trial) == self._owner:
                left.append((trial, "its worker never heard of it", False))
        for trial, reason, died in left:
            put_aside(self._study, trial, reason, died=died)
        return bool(left)

    def _give_up(self, trial: optuna.Trial, reason: str) -> None:
        storage, trial_id = self._study._storage, trial._trial_id
        frozen = storage.get_trial(trial_id)
        with contextlib.suppress(UpdateFinishedTrialError):  # others took this worker for dead
            if REPEATS_KEY in frozen.system_attrs:
                storage.set_trial_system_attr(trial_id, LEFT_KEY, deaths_before(frozen))
            storage.set_trial_user_attr(trial_id, "failure", reason)
            storage.set_trial_state_values(trial_id, TrialState.FAIL)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)
