from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from study.claims import Board, Claims
from study.leases import LEFT_KEY, MOST_REPEATS, REPEATS_KEY, Owner, put_aside
from study.storage.studies import _VALUES_KEY

GENES = {"a": IntDistribution(0, 999), "b": IntDistribution(0, 999)}
ME = Owner.this_process("mine", 0)
OTHER = replace(ME, run="other", machine="another")  # alive, as far as can be seen from here


def no_sleep(seconds: float) -> None:
    raise AssertionError("nothing to wait for")


class Bench:
    """A study in memory and claims of several workers of it."""

    def __init__(self, sampler: BaseSampler | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            directions=["minimize"] * 2, sampler=sampler or RandomSampler(seed=0)
        )

    def claims(self, wanted: int, owner: Owner = ME, sleep: Callable[[float], None] = no_sleep) -> Claims:
        return Claims(
            self.study,
            GENES,
            lambda genes: str(sorted(genes.items())),
            wanted,
            owner,
            nullcontext,
            sleep=sleep,
        )

    def take(self, wanted: int, owner: Owner = ME) -> optuna.Trial:
        trial = self.claims(wanted, owner).take()
        assert trial is not None
        return trial

    def finish(self, trial: optuna.Trial) -> None:
        self.study.tell(trial, [0.0, 0.0])

    @property
    def states(self) -> list[TrialState]:
        return [t.state for t in self.study.trials]


def test_trials_are_taken_until_all_are_finished():
    bench = Bench()
    claims = bench.claims(3)
    for number in range(3):
        trial = claims.take()
        assert trial is not None
        assert trial.number == number
        bench.finish(trial)
    assert claims.take() is None
    assert bench.states == [TrialState.COMPLETE] * 3


def test_a_worker_waits_while_others_hold_all_that_are_left():
    bench = Bench()
    held = bench.take(1, OTHER)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            bench.finish(held)

    assert bench.claims(1, sleep=sleep).take() is None
    assert len(bench.study.trials) == 1  # it wrote nothing while it waited
    assert max(pauses) <= 5.0


def test_a_place_that_becomes_free_is_taken():
    bench = Bench()
    held = bench.take(1, OTHER)

    def sleep(seconds: float) -> None:
        bench.study.tell(held, state=TrialState.FAIL)

    taken = bench.claims(1, sleep=sleep).take()
    assert taken is not None
    assert taken.number == 1


def test_of_two_that_believe_one_trial_is_left_the_later_gives_up():
    """Both look, both see room, both write; numbers decide."""
    bench = Bench()

    def sleep(seconds: float) -> None:
        (held,) = [t for t in bench.study.trials if t.state == TrialState.RUNNING]
        assert held.number == 0
        bench.study.tell(held.number, [0.0, 0.0])

    claims = bench.claims(1, sleep=sleep)
    write = claims._drafting.write

    def after_the_other(attributes: dict[str, Any]) -> optuna.Trial:
        bench.take(1, OTHER)  # between this worker's last look and its writing
        return write(attributes)

    claims._drafting.write = after_the_other
    assert claims.take() is None
    assert bench.states == [TrialState.COMPLETE, TrialState.FAIL]
    assert bench.study.trials[1].user_attrs["failure"].startswith("not needed")


def test_a_design_another_worker_writes_meanwhile_is_not_written_again():
    bench = Bench()
    claims = bench.claims(5)
    propose, proposals = claims._drafting.propose, []

    def meanwhile(trials: list[FrozenTrial]) -> None:
        propose(trials)
        proposals.append(claims._drafting.genes)
        if len(proposals) == 1:
            other = bench.claims(5, OTHER)
            other._drafting.repeat(proposals[0], trials)
            other._drafting.write({"offramp:owner": OTHER.attribute()})

    claims._drafting.propose = meanwhile
    taken = claims.take()
    assert taken is not None
    assert taken.params == proposals[1] != proposals[0]
    assert bench.states == [TrialState.RUNNING] * 2


def test_of_two_equal_proposals_the_later_is_drawn_again():
    """Without a lock both may be written; numbers decide again."""
    bench = Bench()
    claims = bench.claims(5, sleep=lambda seconds: None)
    write, written = claims._drafting.write, []

    def after_the_other(attributes: dict[str, Any]) -> optuna.Trial:
        if not written:
            other = bench.claims(5, OTHER)
            other._drafting.repeat(claims._drafting.genes, bench.study.get_trials())
            other._drafting.write({"offramp:owner": OTHER.attribute()})
        written.append(claims._drafting.genes)
        return write(attributes)

    claims._drafting.write = after_the_other
    taken = claims.take()
    assert taken is not None
    assert taken.params == written[1] != written[0]
    assert bench.states == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING]
    assert "same design" in bench.study.trials[1].user_attrs["failure"]


def test_trials_in_the_queue_come_first_and_count():
    bench = Bench()
    bench.study.enqueue_trial({"a": 7, "b": 8})
    first = bench.take(2)
    assert (first.number, first.params) == (0, {"a": 7, "b": 8})
    bench.finish(first)
    bench.finish(bench.take(2))
    bench.study.enqueue_trial({"a": 9, "b": 9})
    assert bench.claims(2).take() is None  # one too many: it stays in the queue
    assert bench.states == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.WAITING]


def dead() -> Owner:
    """A worker of this machine that has ended."""
    return replace(ME, run="dead", process=2**22 + 1)


def test_a_result_that_was_stored_but_not_told_counts():
    bench = Bench()
    left = bench.take(1, dead())
    bench.study._storage.set_trial_system_attr(left._trial_id, _VALUES_KEY, [1.5, 2.5])
    assert bench.claims(1).take() is None
    (trial,) = bench.study.trials
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [1.5, 2.5])


def test_a_design_that_kills_its_workers_is_given_up_in_the_end():
    bench = Bench()
    designs = [bench.take(1, dead()).params for _ in range(MOST_REPEATS + 2)]
    assert designs[: MOST_REPEATS + 1] == [designs[0]] * (MOST_REPEATS + 1)
    assert designs[-1] != designs[0]
    assert [t.system_attrs.get(LEFT_KEY) for t in bench.study.trials] == [1, 2, 3, None]
    assert bench.study.trials[2].system_attrs[REPEATS_KEY] == {"trial": 1, "deaths": 2}


def test_a_design_that_a_dead_worker_left_waits_behind_a_queue_that_holds_all_trials():
    bench = Bench()
    bench.study.enqueue_trial({"a": 7, "b": 8})
    left = bench.take(2, dead())
    bench.study.enqueue_trial({"a": 9, "b": 9})
    bench.study.enqueue_trial({"a": 1, "b": 1})
    for genes in ({"a": 9, "b": 9}, {"a": 1, "b": 1}):
        taken = bench.take(2)
        assert taken.params == genes
        bench.finish(taken)
    assert bench.states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert bench.take(3).params == left.params  # with room behind the queue it is taken up


def test_an_interruption_is_no_death():
    bench = Bench()
    for number in range(MOST_REPEATS + 3):
        trial = bench.take(1)
        assert trial.params == bench.study.trials[0].params
        frozen = bench.study.trials[number]
        assert put_aside(bench.study, frozen, "Ctrl-C", died=False) == TrialState.FAIL


def test_a_repeat_that_is_not_needed_does_not_lose_its_design():
    bench = Bench()
    bench.take(2)
    put_aside(bench.study, bench.study.trials[0], "Ctrl-C", died=False)
    claims = bench.claims(2)
    repeat = claims.take()
    assert repeat is not None
    claims._give_up(repeat, "not needed")
    again = bench.take(2)
    assert again.params == repeat.params


def test_a_trial_this_worker_never_heard_of_is_put_aside():
    """The server made it, and restarted before it could say so."""
    bench = Bench()
    stray = bench.take(2)
    taken = bench.take(2)
    assert bench.states == [TrialState.FAIL, TrialState.RUNNING]
    assert taken.params == stray.params


def test_no_interleaving_keeps_more_trials_than_were_asked_for():
    """The rule alone, against many orders in which workers write, look, finish and are taken for dead."""
    rng = random.Random(0)
    for _ in range(1500):
        wanted, workers = rng.randint(1, 4), rng.randint(1, 5)
        states: list[str] = []  # by number: new, kept, complete, failed
        trial_of: list[int | None] = [None] * workers
        for _ in range(60):
            worker = rng.randrange(workers)
            number = trial_of[worker]
            running = tuple(n for n, state in enumerate(states) if state in ("new", "kept"))
            board = Board(states.count("complete"), (), running)
            if number is None:
                if rng.random() < 0.5 or board.has_room(wanted):  # some do not even look before they write
                    trial_of[worker] = len(states)
                    states.append("new")
            elif rng.random() < 0.1:
                states[number], trial_of[worker] = "failed", None  # died, and somebody noticed
            elif states[number] == "new":
                holds = board.holds(number, wanted)
                states[number], trial_of[worker] = ("kept", number) if holds else ("failed", None)
            else:
                states[number], trial_of[worker] = "complete", None
            assert states.count("complete") + states.count("kept") <= wanted


@pytest.mark.parametrize("wanted", [1, 3])
def test_a_lone_worker_always_gets_on(wanted: int):
    board = Board(finished=wanted - 1, waiting=(), running=(4,))
    assert board.holds(4, wanted)
    assert not board.has_room(wanted)
    assert not Board(wanted, (), ()).has_room(wanted)
