"""Studies of three rungs without training, and finished trials that reached some of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from optuna.trial import TrialState, create_trial

from study.genome import Genome
from study.memo import PredictionMemo
from study.rungs import Rung
from study.storage import RESULT_KEY
from tests.study.bench import bench_context, predictions
from tests.study.spaces import record


def with_rungs(folder, rises, **changes):
    """A context of three rungs whose trainings are made up and counted per rung."""
    context = bench_context(folder, search={"rungs": [1.0, 2.0, 6.0]} | changes)
    done: list[list[str]] = [[], [], []]

    def train(rung, architecture):
        done[rung].append(architecture.key())
        made = predictions(replace(architecture, head_weight_bits=8), 200)
        return replace(made, training_samples=10**rung, rung=rung)

    first, *longer = (
        Rung(PredictionMemo(context.paths.predictions, {"rung": rung}), partial(train, rung))
        for rung in range(3)
    )
    evaluator = replace(
        context.evaluator, memo=first.memo, train=first.train, longer=tuple(longer), rises=rises
    )
    return replace(context, evaluator=evaluator), done


def feasible(context) -> list[Genome]:
    rng = np.random.default_rng(0)
    drawn = (context.space.decode(context.space.random(rng)) for _ in range(60))
    return [genome for genome in drawn if context.evaluator.check.one(genome)]


def finished(rungs, result: bool = True, **changes):
    values = [float(v) for v in rungs[-1]]
    kept = replace(record(), lower_rungs=tuple(tuple(map(float, step)) for step in rungs[:-1]), **changes)
    attributes = {RESULT_KEY: kept.to_json()} if result else {}
    return create_trial(state=TrialState.COMPLETE, values=values, user_attrs=attributes)
