from __future__ import annotations

from dataclasses import replace
from itertools import product

import moocore
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from study.domination import total_violation
from study.genome import SearchSpace, start_designs
from study.predictor import PredictorSettings
from study.sampler import DIVERGED_KEY, GenomeNSGAIISampler
from study.storage import store_result
from tests.reference.domination_oracle import plain_rank
from tests.study.spaces import small_space, tiny_space
from tests.study.synthetic import evaluate, objectives

POPULATION = 6
PARENTS = "GenomeNSGAIISampler:parent:"


def sampler(space: SearchSpace, seed: int = 0, **options) -> GenomeNSGAIISampler:
    options = {"population_size": POPULATION, **options}
    return GenomeNSGAIISampler(space, rng=np.random.default_rng(seed), **options)


def new_study(using: GenomeNSGAIISampler) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=["minimize"] * 3, sampler=using)


def run(study: optuna.Study, space: SearchSpace, count: int) -> optuna.Study:
    for _ in range(count):
        trial = study.ask(space.distributions())
        result = evaluate(space.decode(trial.params))
        store_result(trial, result)
        study.tell(trial, objectives(result))
    return study


def keys(study: optuna.Study, space: SearchSpace) -> list[str]:
    return [space.decode(trial.params).key() for trial in study.trials]


def generation(trial) -> int:
    return trial.system_attrs[GenomeNSGAIISampler.generation_key()]


@pytest.fixture(scope="module")
def finished() -> tuple[optuna.Study, SearchSpace]:
    space = small_space()
    return run(new_study(sampler(space)), space, 10 * POPULATION), space


def test_every_trial_has_every_gene(finished):
    study, space = finished
    for trial in study.trials:
        assert trial.params.keys() == space.genes().keys()
        assert trial.distributions == space.distributions()


def test_generations_follow_one_another(finished):
    study, _ = finished
    assert [generation(t) for t in study.trials] == [i // POPULATION for i in range(10 * POPULATION)]


def test_start_designs_come_first_and_become_parents(finished):
    study, space = finished
    wanted = [space.decode(variants[0]).key() for variants in start_designs(space)]
    assert len(set(wanted)) == 6 == POPULATION
    assert keys(study, space)[:6] == wanted
    assert [generation(t) for t in study.trials[:6]] == [0] * 6
    parents = parents_of(study, 1)
    founders = {t._trial_id for t in study.trials if generation(t) == 0}
    assert parents == founders  # all of them: a population is as large as a generation
    assert {t._trial_id for t in study.trials[:6]} <= parents


def test_parents_are_the_elite_of_the_generation_before_and_its_parents(finished):
    study, _ = finished
    for number in range(2, 10):
        pool = [t for t in study.trials if generation(t) == number - 1]
        older = parents_of(study, number - 1)
        pool += [t for t in study.trials if t._trial_id in older]
        rank = dict(zip([t._trial_id for t in pool], plain_rank(pool), strict=True))
        best = {i for i, r in rank.items() if r == 0}
        chosen = parents_of(study, number)
        assert len(chosen) == POPULATION
        assert chosen <= best or best <= chosen


def parents_of(study: optuna.Study, number: int) -> set[int]:
    return set(study._storage.get_study_system_attrs(study._study_id)[f"{PARENTS}{number}"])


def test_no_design_is_proposed_twice(finished):
    study, space = finished
    assert len(set(keys(study, space))) == 10 * POPULATION


def test_children_mix_their_parents_genes():
    """Most genes of a child are those of a parent: with random designs a third to a fifth would be. What the
    predictor prefers may lie farther away."""
    space = small_space()
    study = run(new_study(sampler(space, predictor=None)), space, 10 * POPULATION)
    shares = []
    for trial in study.trials[POPULATION:]:
        ids = parents_of(study, generation(trial))
        parents = [t for t in study.trials if t._trial_id in ids]
        shares += [any(p.params[k] == v for p in parents) for k, v in trial.params.items()]
    assert np.mean(shares) > 0.9


def test_the_search_is_better_than_random(finished):
    study, space = finished
    random = new_study(sampler(space, population_size=1000, predictor=None))  # never leaves generation 0
    run(random, space, 10 * POPULATION)
    assert covered(study) > covered(random)


def covered(study: optuna.Study) -> float:
    points = [t.values for t in study.trials if total_violation(t) == 0]
    return moocore.hypervolume(np.array(points), ref=[1.0, 80.0, 80.0])


def test_the_first_generation_is_predicted_as_soon_as_that_can_be_done():
    """A large one: its first designs are those of a search without a predictor, the others are better."""
    space, least = small_space(), 12
    volumes = []
    for seed in range(3):
        options = {"seed": seed, "population_size": 100}
        plain = run(new_study(sampler(space, predictor=None, **options)), space, 40)
        predicted = run(
            new_study(sampler(space, predictor=PredictorSettings(least=least), **options)), space, 40
        )
        assert {generation(t) for t in predicted.trials} == {0}
        assert keys(predicted, space)[:least] == keys(plain, space)[:least]
        assert keys(predicted, space)[20:] != keys(plain, space)[20:]
        volumes.append((covered(plain), covered(predicted)))
    assert all(guided > drawn for drawn, guided in volumes)


def test_all_designs_of_a_tiny_space_are_proposed_before_any_comes_again():
    space = tiny_space()
    genes = space.genes()
    everything = {
        space.decode(dict(zip(genes, values, strict=True))).key()
        for values in product(*(range(count) for count in genes.values()))
    }
    # No exit: 2 final heads x 2^2 weight bits; with the exit each under 2 policy targets too.
    assert len(everything) == 8 + 16
    study = run(new_study(sampler(space, redraws=2000, population_size=4)), space, len(everything))
    assert set(keys(study, space)) == everything
    # When nothing new is left the search goes on.
    run(study, space, 2)
    assert set(keys(study, space)[-2:]) <= everything


def test_infeasible_proposals_are_drawn_again():
    space = small_space()

    def feasible(genes) -> bool:
        return evaluate(space.decode(genes)).mean_latency_cycles <= 48.0

    plain = run(new_study(sampler(space, predictor=None)), space, 30)
    assert sum(not feasible(t.params) for t in plain.trials) >= 5  # without it many are infeasible
    study = run(
        new_study(sampler(space, feasible=lambda many: [feasible(genes) for genes in many], redraws=200)),
        space,
        30,
    )
    assert all(feasible(t.params) for t in study.trials)
    # Start designs at the highest bits are infeasible here: their first feasible variants come first instead.
    firsts = [next((g for g in variants if feasible(g)), None) for variants in start_designs(space)]
    # What one falls back on may be another's first choice, and is proposed once.
    good = list(dict.fromkeys(space.decode(g).key() for g in firsts if g is not None))
    assert any(not feasible(variants[0]) for variants in start_designs(space))
    assert good
    assert keys(study, space)[: len(good)] == good


def test_when_nothing_is_feasible_unseen_designs_are_proposed_after_so_many_draws():
    space = small_space()
    asked = []

    def never(designs) -> list[bool]:
        asked.extend(designs)
        return [False] * len(designs)

    study = run(new_study(sampler(space, feasible=never, redraws=5)), space, 2 * POPULATION)
    assert len(set(keys(study, space))) == 2 * POPULATION
    assert len(asked) <= 2 * POPULATION * (5 + 1 + 4 * 5)  # bounded: redraws, first draw, start designs


def test_the_same_seed_proposes_the_same_and_a_resumed_one_with_another_does_not():
    space = small_space()
    one, two = (run(new_study(sampler(space, seed=3)), space, 20) for _ in range(2))
    assert [t.params for t in one.trials] == [t.params for t in two.trials]
    one.sampler, two.sampler = sampler(space, seed=4), sampler(space, seed=5)
    run(one, space, 10)
    run(two, space, 10)
    assert not set(keys(one, space)[20:]) & set(keys(two, space)[20:])
    assert len(set(keys(one, space))) == 30  # what was seen before the resume is not proposed again
    # Even a seed used before cannot replay the first trials.
    two.sampler = sampler(space, seed=3)
    run(two, space, 10)
    assert len(set(keys(two, space))) == 40


def test_designs_in_progress_elsewhere_are_not_proposed():
    space = small_space()
    study = new_study(sampler(space))
    running = [study.ask(space.distributions()) for _ in range(8)]
    assert {t.state for t in study.trials} == {TrialState.RUNNING}
    assert len({space.decode(t.params).key() for t in running}) == 8


def test_a_failed_design_comes_again_unless_its_training_diverged():
    space = small_space()
    study = new_study(sampler(space))
    killed = study.ask(space.distributions())
    study.tell(killed, state=TrialState.FAIL)
    again = study.ask(space.distributions())
    assert again.params == killed.params
    again.set_user_attr(DIVERGED_KEY, True)
    study.tell(again, state=TrialState.FAIL)
    assert study.ask(space.distributions()).params != again.params


def test_failed_trials_do_not_hold_up_the_generations():
    space = small_space()
    study = new_study(sampler(space))
    for _ in range(5):
        run(study, space, 3)
        study.tell(study.ask(space.distributions()), state=TrialState.FAIL)
    done = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert [generation(t) for t in done] == [i // POPULATION for i in range(15)]


def test_the_predictor_finds_more_than_the_genetic_algorithm_alone():
    space = small_space()

    def covered(**options) -> float:
        study = run(new_study(sampler(space, **options)), space, 8 * POPULATION)
        points = [t.values for t in study.trials if total_violation(t) == 0]
        return moocore.hypervolume(np.array(points), ref=[1.0, 80.0, 80.0])

    assert covered() > covered(predictor=None)


def test_trials_that_were_not_trained_are_left_out_of_the_fit():
    space = small_space()
    using = sampler(space)
    study = new_study(using)
    fits = []
    update = using.predictor.update
    using.predictor.update = lambda designs, values, *others, **more: (
        fits.append(values) or update(designs, values, *others, **more)
    )
    run(study, space, 6 * POPULATION)
    infeasible = {tuple(t.values) for t in study.trials if total_violation(t) > 0}
    assert infeasible
    feasible = [tuple(t.values) for t in study.trials[:-1] if total_violation(t) == 0]
    assert [tuple(row) for row in fits[-1]] == feasible


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_any_number_of_objectives(count):
    """The predictor serves up to four; with more the genetic algorithm goes on alone."""
    space, using = small_space(), sampler(small_space())
    study = optuna.create_study(directions=["minimize"] * (count - 1) + ["maximize"], sampler=using)
    for _ in range(4 * POPULATION):
        trial = study.ask(space.distributions())
        result = evaluate(space.decode(trial.params))
        costs = (
            result.mean_latency_cycles,
            result.mean_energy_pj,
            result.weight_memory_bits,
            trial.number % 5,
        )
        store_result(trial, result)
        study.tell(trial, [*costs[: count - 1], result.accuracy])
    assert len(study.trials) == 4 * POPULATION
    assert (using.predictor.seconds > 0) == (count <= 4)


def test_a_bound_that_only_training_tells_is_learned():
    """Designs that broke it are fitted but on no front: what is found within the bound is better than without."""
    space = small_space()

    def covered(seed: int, **options) -> float:
        study = new_study(sampler(space, seed, **options))
        for _ in range(8 * POPULATION):
            trial = study.ask(space.distributions())
            result = evaluate(space.decode(trial.params), latency_bound=1e9)
            excess = result.error / 0.3 - 1.0
            store_result(trial, replace(result, feasible=excess <= 0, violations={"error": excess}))
            study.tell(trial, objectives(result))
        assert any(total_violation(t) > 0 for t in study.trials)
        points = [t.values for t in study.trials if total_violation(t) == 0]
        return moocore.hypervolume(np.array(points), ref=[0.3, 80.0, 80.0])

    quick = PredictorSettings(children=60, rounds=1)
    guided, plain = ([covered(seed, predictor=p) for seed in range(3)] for p in (quick, None))
    assert np.mean(guided) > np.mean(plain)


def test_genes_with_one_choice_are_fine():
    space = small_space(weight_bits=(8,), activation_bits=(8,), head_bits=(8,), policy_targets=(0.0,))
    study = run(new_study(sampler(space)), space, 3 * POPULATION)
    assert all(t.params["weight_bits_b0"] == 0 for t in study.trials)
    assert len(set(keys(study, space))) == 3 * POPULATION


def test_a_network_is_proposed_once_where_its_other_designs_come_with_it():
    space = small_space()
    study = run(new_study(sampler(space, identify=lambda design: design.architecture.key())), space, 60)
    networks = [space.decode(trial.params).architecture.key() for trial in study.trials]
    assert len(set(networks)) == len(networks)
    plain = run(new_study(sampler(space)), space, 60)
    assert len({space.decode(trial.params).architecture.key() for trial in plain.trials}) < 60
