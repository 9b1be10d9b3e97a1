"""Whatever a public function returns can be sent to another process, saved and copied."""

import copy
import dataclasses
import functools
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import torch

import multiindex_nb as mi

U = mi.random_subspace(5, 2, seed=0)
X, Y = mi.sample(mi.Target.parse("h2(z1)+z2"), U, 300, noise=0.1, seed=0)


def through_joblib(thing):
    "Written and read by joblib."
    file = io.BytesIO()
    joblib.dump(thing, file)
    file.seek(0)
    return joblib.load(file)


def through_torch(thing):
    "Written and read by torch."
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


WAYS = {"pickle": lambda thing: pickle.loads(pickle.dumps(thing)), "deepcopy": copy.deepcopy,
        "joblib": through_joblib, "torch": through_torch}


def same(a, b) -> bool:
    "Equal in every field, arrays and tensors by value."
    if isinstance(a, (torch.Tensor, np.ndarray)):
        return np.array_equal(np.asarray(a), np.asarray(b))
    if isinstance(a, torch.nn.Module):
        s, t = a.activation, b.activation
        z = torch.linspace(-3, 3, 50)
        return same([s.name, s.value(z), s.derivative(z), *a.state_dict().values()],
                    [t.name, t.value(z), t.derivative(z), *b.state_dict().values()])
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name))
                                          for f in dataclasses.fields(a))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if callable(a) and hasattr(a, "__self__"):
        return a.__func__ is b.__func__ and same(a.__self__, b.__self__)
    if isinstance(a, Exception):
        return type(a) is type(b) and str(a) == str(b) and same(vars(a), vars(b))
    return bool(a == b) or bool(a != a and b != b)


def bell(z):
    "An activation of the user's own."
    return z**2 / (2 * (1 + z**2))


def divergence():
    "The error of a stage 1 that leaves the floating-point numbers."
    with pytest.raises(mi.DivergenceError) as caught:
        mi.train_first_layer(mi.symmetric_init(8, 5), X, Y, lr=1e200, weight_decay=1.0, steps=5)
    return caught.value


RESULTS = {
    "LearnResult": lambda: mi.learn(X, Y, 2, width=16, U=U),
    **{name: lambda name=name: mi.symmetric_init(8, 5, activation=name)
       for name in ("cosine", "logcosh", "root")},
    "own activation": lambda: mi.symmetric_init(8, 5, activation=bell),
    "Target": lambda: mi.Target.parse("h2(z1)*z2"),
    "Spectrum": lambda: mi.empirical_spectrum(X, Y, "huber"),
    "oracle": lambda: mi.oracle(U, X, Y, 16),
    "Refinement": lambda: mi.refine_subspace(X, Y, U, 2, rounds=0),
    "Polish": lambda: mi.polish_subspace(X, Y, U, 32),
    "Advice": lambda: mi.advise_loss(X, Y),
    "losses": lambda: [mi.MSE(), mi.Huber(2.0), mi.L1(), mi.LogCosh(), mi.Pinball(0.2), mi.Expectile(0.3)],
    "Plan": lambda: mi.plan_run(10**6, 100),
    "SlopeLaw": lambda: mi.slope_law("h2(z1)", "huber"),
    "SpectrumPrediction": lambda: mi.predict_spectrum("h2(z1)", "huber", 4.0),
    "NeuronPrediction": lambda: mi.predict_neurons("h2(z1)", "huber", 5.0, d=20, steps=2),
    "SampleNeed": lambda: mi.samples_needed("h2(z1)", 50, losses=("huber", "mse")),
    "FamilyBest": lambda: mi.best_of_family("h2(z1)"),
    "best_loss": lambda: mi.best_loss("h2(z1)"),
    "DivergenceError": divergence,
}


@functools.cache
def result(name):
    "Computed once for all ways."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RESULTS[name]()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", RESULTS)
def test_results_come_back_the_same(name, way):
    "Every result, field by field."
    assert same(result(name), WAYS[way](result(name)))


WINNERS = {
    "polynomial": lambda Z: Z[:, 0] ** 2 + 0.05 * np.random.default_rng(1).standard_normal(len(Z)),
    "certified": lambda Z: Z[:, 0] ** 2 - Z[:, 1],
    "ridge functions": lambda Z: np.sign(Z[:, 0]) + np.abs(Z[:, 1]),
    "constant": lambda Z: np.random.default_rng(2).standard_normal(len(Z)),
    "network": None,
}


Z = np.random.default_rng(0).standard_normal((400, 5))


@functools.cache
def fitted(winner):
    "An estimator whose function is of this kind."
    settings = dict(refine=False) if winner == "network" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mi.MultiIndexRegressor(1 if winner in ("network", "constant") else "auto", random_state=0,
                                      **settings).fit(Z, (WINNERS[winner] or WINNERS["polynomial"])(Z))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("winner", WINNERS)
def test_estimator_comes_back_the_same(winner, way):
    "Whatever kind of function won."
    model = fitted(winner)
    assert model.model_.kind == {"certified": "polynomial"}.get(winner, winner)
    again = WAYS[way](model)
    assert np.array_equal(again.predict(Z),
                          model.predict(Z)) and np.array_equal(again.transform(Z), model.transform(Z))
    assert again.get_params() == model.get_params() and str(again.advice_) == str(model.advice_)


@pytest.mark.parametrize("way", WAYS)
def test_classifier_comes_back_the_same(way):
    "Pipeline, classes and all."
    model = mi.MultiIndexClassifier(1, rounds=0, random_state=0).fit(Z, np.where(Z[:, 0] > 0, "a", "b"))
    again = WAYS[way](model)
    assert np.array_equal(again.predict_proba(Z), model.predict_proba(Z))
    assert np.array_equal(again.predict(Z), model.predict(Z)) and again.get_params() == model.get_params()


def test_estimator_fitted_on_chunks_comes_back_the_same():
    "The function of a Dask fit, on the plane of all rows."
    da = pytest.importorskip("dask.array")
    Z = np.random.default_rng(0).standard_normal((900, 5))
    y = np.abs(Z[:, 0]) + 0.05 * np.random.default_rng(1).standard_normal(900)
    model = mi.MultiIndexRegressor(1, random_state=0,
                                   memory=40 * 300).fit(da.from_array(Z, chunks=(300, 5)), y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(Z), model.predict(Z))
