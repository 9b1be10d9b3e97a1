"""The estimator keeps scikit-learn's contract: every check of scikit-learn but one, which says why."""

import pickle
import re
import warnings
from functools import cache

import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_info, threadpool_limits

import multiindex_nb as mi
from multiindex_nb.estimator.regressor import counted

pytestmark = pytest.mark.filterwarnings("ignore")


REPEATED = {"check_sample_weight_equivalence_on_dense_data":
            "a row repeated is in several folds at once, a row that weighs more is in one"}


@parametrize_with_checks([mi.MultiIndexRegressor(random_state=0),
                          mi.MultiIndexClassifier(rounds=0, random_state=0)],
                         expected_failed_checks=lambda estimator: REPEATED)
def test_scikit_learn_check(estimator, check):
    "One of scikit-learn's own checks."
    check(estimator)


def test_a_fit_is_not_slowed_by_pools_that_take_turns(monkeypatch):
    "Evaluations run on one thread, and the pools are as before afterwards (two: 90 times slower)."
    from scipy import optimize

    seen, minimize, rng = [], optimize.minimize, np.random.default_rng(0)

    def looked_at(goal, *args, **options):
        look = cache(lambda: seen.append(threads()))  # once a descent
        return minimize(lambda *more: (look(), goal(*more))[1], *args, **options)

    def threads():
        return {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}

    monkeypatch.setattr(optimize, "minimize", looked_at)
    X = rng.standard_normal((60, 3))
    with threadpool_limits(2):
        mi.MultiIndexRegressor(random_state=0).fit(X, X[:, 0] ** 2)
        assert seen and set().union(*seen) == {1} and threads() == {2}


def test_third_order_is_asked_where_the_constant_has_won(monkeypatch):
    "What it shows is taken; the climbs would find this plane, so they are made to fail."
    from multiindex_nb.estimator import regressor

    rng, U = np.random.default_rng(200), mi.random_subspace(20, 3, seed=200).numpy()
    X = rng.standard_normal((2000, 20))
    y = np.where(rng.random(2000) < 0.1, -1, 1) * np.sign((X @ U.T).prod(axis=1))
    monkeypatch.setattr(regressor, "_fit_model", lambda X, y, r, s, w: (
        regressor._fit_constant(X.numpy(), y.numpy()), {}))
    model = mi.MultiIndexRegressor(random_state=0).fit(X, y)
    assert model.third_order_.directions.shape == model.components_.shape == (3, 20)
    assert mi.subspace_error(model.components_, U) < 0.4 and min(model.held_out_.values()) < 0.9


def test_refine_off_is_learn():
    "With refine=False, one loss and the rule's steps, the subspace is that of `learn` on the same rows."
    X, y = mi.sample(mi.Target.parse("h2(z1)+h2(z2)"), mi.random_subspace(12, 2, seed=0), 1200, seed=0)
    model = mi.MultiIndexRegressor(2, loss="huber", steps="rule", width=64, refine=False, whiten=False,
                                   random_state=3).fit(X.numpy(), y.numpy())
    seed = int(np.random.RandomState(3).randint(2**31 - 1))
    z = (y - y.mean()) / y.std()
    result = mi.learn(X, z, 2, mi.Huber(1 / y.std().item()), width=64, seed=seed, progress=False,
                      faithful=True)
    assert mi.subspace_error(model.components_, result.subspace) < 1e-6
    assert np.allclose((model.predict(X.numpy()) - y.mean().item()) / y.std().item(),
                       result.predict(X).numpy(), atol=1e-6)


def test_components_span_the_truth_in_the_coordinates_of_the_user():
    "Correlated, shifted inputs: the direction comes back in the columns that were given."
    gen = np.random.default_rng(0)
    X = gen.standard_normal((600, 6)) @ gen.standard_normal((6, 6)) + 3
    u = np.array([1.0, 0, -1, 0, 0, 0])
    t = (X @ u - (X @ u).mean()) / (X @ u).std()
    model = mi.MultiIndexRegressor(1, random_state=0).fit(X, t**3 - 2 * t)
    assert abs(np.corrcoef(model.transform(X)[:, 0], t)[0, 1]) > 0.999
    assert model.score(X, t**3 - 2 * t) > 0.999


@pytest.mark.parametrize("n, noise", [(300, 0.05), (300, 1.0), (600, 0.0)])
def test_small_tables_are_learned_or_left_alone(n, noise):
    """Twenty tables of five columns: no prediction far beyond the labels (worst error seen 0.9; it was 726
    with a decay chosen by the least of a few losses)."""
    worst = 0.0
    for seed in range(20):
        gen = np.random.default_rng(seed)
        X, T = gen.standard_normal((n, 5)), gen.standard_normal((2000, 5))
        f = lambda Z: Z[:, 0] ** 2 + Z[:, 1]
        result = mi.learn(X, f(X) + noise * gen.standard_normal(n), 2, "mse", progress=False)
        worst = max(worst, mi.relative_error(result.predict(T), f(T)))
    assert worst < 3


COLUMNS = {
    "normal": lambda gen, n: gen.standard_normal(n),
    "heavy": lambda gen, n: gen.standard_cauchy(n),
    "skewed": lambda gen, n: np.exp(2 * gen.standard_normal(n)),
    "whole": lambda gen, n: gen.integers(0, 4, n).astype(float),
    "binary": lambda gen, n: (gen.random(n) < 0.2).astype(float),
    "constant": lambda gen, n: np.full(n, 7.0),
    "large": lambda gen, n: 1e6 + 1e-2 * gen.standard_normal(n),
}
LABELS = {
    "unrelated": lambda gen, X: gen.standard_normal(len(X)),
    "heavy": lambda gen, X: gen.standard_cauchy(len(X)) + X[:, 0],
    "skewed": lambda gen, X: np.exp(2 * gen.standard_normal(len(X))),
    "half zero": lambda gen, X: np.maximum(gen.standard_normal(len(X)), 0) * (gen.random(len(X)) < 0.5),
    "binary": lambda gen, X: (X[:, -1] + gen.standard_normal(len(X)) > X[:, -1].mean()).astype(float),
    "line": lambda gen, X: X.sum(axis=1),
    "square": lambda gen, X: np.clip(X[:, 0] - np.median(X[:, 0]), -5, 5) ** 2,
    "ties": lambda gen, X: gen.integers(0, 3, len(X)).astype(float),
}


@st.composite
def tables(draw):
    "Finite tables: few rows or more, more columns than rows too, columns copied, labels of every kind."
    n, seed = draw(st.integers(6, 90)), draw(st.integers(0, 10**6))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=8))
    gen = np.random.default_rng(seed)
    X = np.stack([COLUMNS[kind](gen, n) for kind in kinds], axis=1)
    if draw(st.booleans()):
        X = np.tile(X, draw(st.integers(2, 3)))
    y = LABELS[draw(st.sampled_from(sorted(LABELS)))](gen, X)
    y[:2] = [y[0], y[0] + 1] if y.min() == y.max() else y[:2]
    return X, y


@settings(derandomize=True, deadline=None, max_examples=60, database=None)
@given(tables(), st.sampled_from(["auto", 1]))
def test_never_worse_than_the_mean_and_never_far_from_the_labels(table, n_indices):
    """On any finite table: R squared on its own rows, and predictions for rows far away within the labels and
    a range more."""
    X, y = table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mi.MultiIndexRegressor(n_indices, rounds=1, random_state=0).fit(X, y)
        assert model.score(X, y) >= -0.01
        error = model.held_out_
        for size in (10, 1e6):
            far = model.predict(X.mean(axis=0) + size * (X - X.mean(axis=0)))
            margin = 1.001 * np.ptp(y)
            assert (far >= y.min() - margin).all() and (far <= y.max() + margin).all()
    assert model.model_.certified or model.model_.kind == "constant" or error[
        model.model_.kind] <= 1.05 * min(error["constant"], error["linear"])


@settings(derandomize=True, deadline=None, max_examples=25, database=None)
@given(tables(), st.sampled_from(["auto", 1]))
def test_classes_are_never_called_worse_than_the_most_frequent(table, n_indices):
    """On any finite table, labels by their sign: probabilities, near and far; and on rows not seen a log loss
    no larger than that of the frequencies and of a line."""
    X, y = table
    y = y > np.median(y) if (y > np.median(y)).any() else y == np.median(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mi.MultiIndexClassifier(n_indices, rounds=0, random_state=0).fit(X, y)
        for size in (1, 1e6):
            P = model.predict_proba(X.mean(axis=0) + size * (X - X.mean(axis=0)))
            assert np.isfinite(P).all() and (P >= 0).all() and np.allclose(P.sum(axis=1), 1)
    error, kind = model.held_out_, model.model_.kind
    assert kind == "constant" or error[kind] <= error["constant"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_indices", ["auto", 1])
def test_labels_half_of_which_are_zero(seed, n_indices):
    "A fit is not worse than the mean on its own rows (R squared was -136)."
    gen = np.random.default_rng(seed)
    X = gen.standard_normal((400, 6))
    y = np.maximum(X[:, 0], 0) * (gen.random(400) < 0.5)
    assert mi.MultiIndexRegressor(n_indices, random_state=0).fit(X, y).score(X, y) >= -0.01


@pytest.mark.parametrize("seed", range(4))
def test_one_index_asked_for_where_there_are_two(seed):
    "z0^2 + x1 told r = 1: R squared on all rows was -99."
    X = np.random.default_rng(seed).standard_normal((300, 5))
    y = X[:, 0] ** 2 + X[:, 1]
    assert mi.MultiIndexRegressor(1, random_state=0).fit(X, y).score(X, y) > 0.3


@pytest.mark.parametrize("make", [
    lambda two: torch.tensor(two).int(), torch.tensor, lambda two: pd.Series(two).astype(int).astype("Int64"),
    lambda two: pd.Series(two).astype("boolean"), lambda two: (2**60 + two).tolist(),
    lambda two: 2**60 + two],
    ids=["int32", "bool", "Int64", "boolean", "large", "large array"])
def test_classes_are_of_the_type_of_the_labels(make):
    "Whole numbers stay whole, of any size, and truth values stay such."
    X = np.random.default_rng(0).standard_normal((40, 2))
    labels = make(X[:, 0] > 0)
    model = mi.MultiIndexClassifier(1, rounds=0, random_state=0).fit(X, labels)
    assert model.classes_.dtype == model.predict(X).dtype == np.asarray(labels).dtype
    assert model.score(X, labels) > 0.9


WEIGHED = {"regressor": (mi.MultiIndexRegressor(1, rounds=0, random_state=0), lambda y: y),
           "classifier": (mi.MultiIndexClassifier(1, rounds=0, random_state=0), lambda y: y > 0.5)}


def bowl(n, seed=0):
    "Rows in four columns and a noisy square."
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4))
    return X, X[:, 0] ** 2 + 0.3 * rng.standard_normal(n)


def answers(model, X):
    "What a fit says of these rows, and its plane, to the bit."
    said = model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)
    return said.tobytes() + model.components_.tobytes()


@pytest.mark.parametrize("kind", WEIGHED)
def test_weights_are_ratios_ones_are_none_and_zero_is_no_row(kind):
    "To the bit; and a fit with weights can be stored."
    (model, labels), (X, y) = WEIGHED[kind], bowl(60)
    y, w = labels(y), np.random.default_rng(1).choice([0, 0.5, 1, 2.0], 60)
    fit = lambda *rows: answers(pickle.loads(pickle.dumps(clone(model).fit(*rows))), X)
    plain, told = fit(X, y), fit(X, y, w)
    assert plain == fit(X, y, np.full(60, 0.3)) != told
    assert told == fit(X, y, 3.7e-9 * w) == fit(X[w > 0], y[w > 0], w[w > 0])


@pytest.mark.parametrize("form, column", [
    (pd.DataFrame, pd.Series), (pl.DataFrame, pl.Series), *((f, f) for f in (
        np.ndarray.tolist, torch.from_numpy, lambda t: da.from_array(t, chunks=4)))])
def test_rows_of_weight_zero_leave_whatever_they_come_in(form, column):
    "Rows, labels and weights, of mean one."
    (X, y), w = bowl(9), np.arange(9) % 3.0
    rows, labels, own = counted(form(X), column(y), column(w))
    assert np.array_equal(rows, X[w > 0]) and np.array_equal(labels, y[w > 0])
    assert np.allclose(own, [2 / 3, 4 / 3] * 3)


def test_a_class_of_weight_zero_is_no_class():
    "Neither among `classes_` nor predicted."
    X, y = bowl(90)
    codes = np.digitize(y, [0.5, 1.5])
    model = mi.MultiIndexClassifier(1, rounds=0, random_state=0).fit(X, codes, 1.0 * (codes != 1))
    assert model.classes_.tolist() == [0, 2] and set(model.predict(X)) == {0, 2}


@settings(derandomize=True, deadline=None, max_examples=8, database=None)
@given(tables(), st.integers(0, 10**6))
def test_weights_of_any_size_on_any_table(table, seed):
    "On their own rows, as they count, predictions are no worse than the mean; the unit is nothing."
    (X, y), rng = table, np.random.default_rng(seed)
    w = np.exp(5 * rng.standard_normal(len(y))) * (rng.random(len(y)) < 0.9)
    w[:4], y[:2] = 1, [y[0], y[0] + 1] if y.min() == y.max() or y[0] == y[1] else y[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [mi.MultiIndexRegressor(1, rounds=0, random_state=0).fit(X, y, u) for u in (w, 3 * w)]
    assert answers(fits[0], X) == answers(fits[1], X)
    assert fits[0].score(X, y, w) >= -0.01


@pytest.mark.parametrize("n, n_indices, memory", [(120, 1, None), (700, 1, None), (240, "auto", None),
                                                  (2400, 1, None), (1200, 1, 200)])
def test_labels_that_mean_nothing_are_not_heard(n, n_indices, memory):
    """Half of the labels are wild and weigh next to nothing: plane, rank, function, what was held out, mean
    and spread are those of the others."""
    (X, y), rng = bowl(n), np.random.default_rng(1)
    w = np.where(np.arange(n) % 2, 1.0, 1e-9)
    wild = np.where(w < 1, 1e3 * (2 + rng.standard_normal(n)), y)
    model = mi.MultiIndexRegressor(n_indices, rounds=0, random_state=0, memory=8 * 4 * (memory or n))
    model.fit(X if memory is None else da.from_array(X, chunks=(500, 4)), wild, w)
    assert mi.subspace_error(model.components_, np.eye(4)[:1]) < 0.1
    assert np.square(model.predict(X) - X[:, 0] ** 2).mean() < 0.1
    assert min(model.held_out_.values()) < 0.2 and model.model_.chance < 1e-6
    assert abs(model.y_mean_ - y[1::2].mean()) < 0.01 and abs(model.y_scale_ / y[1::2].std() - 1) < 0.05


@pytest.mark.parametrize("n_indices", [1, "auto"])
def test_classes_that_mean_nothing_are_not_heard(n_indices):
    "Half of the classes are turned round and weigh next to nothing."
    X, y = bowl(400)
    w = np.where(np.arange(400) % 2, 1.0, 1e-6)
    model = mi.MultiIndexClassifier(n_indices, rounds=0, random_state=0).fit(X, (y > 1) ^ (w < 1), w)
    assert mi.subspace_error(model.components_, np.eye(4)[:1]) < 0.2 and model.model_.chance < 1e-6
    assert model.score(X, X[:, 0] ** 2 > 1) > 0.9 and model.held_out_["polynomial"] < 0.8


@pytest.mark.parametrize("routed", [False, True])
def test_weights_reach_the_folds_of_cross_validation(routed):
    "With metadata routing, and without, where scores are not weighted."
    (model, _), (X, y) = WEIGHED["regressor"], bowl(60)
    w = np.random.default_rng(1).choice([0, 0.5, 1, 2.0], 60)
    with config_context(enable_metadata_routing=routed):
        asked = clone(model).set_fit_request(sample_weight=True).set_score_request(
            sample_weight=True) if routed else model
        found = cross_val_score(asked, X, y, cv=KFold(2), params={"sample_weight": w})
    fits = [(test, clone(model).fit(X[train], y[train], w[train])) for train, test in KFold(2).split(X)]
    assert list(found) == [fit.score(X[test], y[test], w[test] if routed else None) for test, fit in fits]


@pytest.mark.parametrize("kind", WEIGHED)
@pytest.mark.parametrize("w, said", [
    (np.ones(89), "one entry for each row of X, got 89 for 90"), (np.ones((90, 1)), "1 dimension"),
    (np.r_[-1.0, np.ones(89)], "must not be negative, got -1 in row 0"), (1.0, "1 dimension"),
    (np.r_[np.nan, np.ones(89)], "must be finite"), (np.r_[np.ones(89), np.inf], "must be finite"),
    (np.zeros(90), "above zero in 4 rows at least, got 0 of 90"), (np.ones(90) * 1j, "real numbers"),
    (np.arange(90) // 87, "above zero in 4 rows at least, got 3 of 90"), (["a"] * 90, "real numbers"),
    (pd.Series(np.ones(90), index=range(1, 91)), "same index")])
def test_bad_weights_are_refused_by_name(kind, w, said):
    "Of the right kind, before any work."
    (model, labels), (X, y) = WEIGHED[kind], bowl(90)
    with pytest.raises((TypeError, ValueError), match=f"sample_weight.*{re.escape(said)}"):
        clone(model).fit(pd.DataFrame(X), labels(y), w)


def test_the_two_stages_alone_take_weights_that_are_equal_or_zero():
    "Others are refused, and equal ones leave rows out."
    X, y = bowl(90)
    model, w = mi.MultiIndexRegressor(1, refine=False, width=8, random_state=0), np.arange(90) % 3.0
    with pytest.raises(ValueError, match="sample_weight must be equal or zero with refine=False"):
        model.fit(X, y, w)
    assert answers(model.fit(X, y, 1.0 * (w > 0)), X) == answers(model.fit(X[w > 0], y[w > 0]), X)
