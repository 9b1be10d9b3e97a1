"""Public calls that work, and what to put in place of each argument: python tests/hostile.py [pairs] [seed]."""  # noqa: E501

import datetime
import decimal
import fractions
import functools
import math
import pickle
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import UserList

import matplotlib.figure
import numpy as np
import pandas as pd
import torch

import multiindex_nb as mi
from multiindex_nb.estimator import classifier as inner

N, D = 160, 4
LINK = mi.Target.parse("h2(z1)+h2(z2)")
U = mi.random_subspace(D, 2, seed=0)
X, Y = mi.sample(LINK, U, N, seed=0)


class Odd:
    "An object that fails whatever is asked of it."

    def __repr__(self):
        raise RuntimeError("no repr")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")


def net():
    "A fresh network, since training changes it."
    return mi.symmetric_init(8, D, 1e-3, seed=0)


def ax():
    "Something to draw on."
    return matplotlib.figure.Figure().subplots()


HISTORY = mi.train_first_layer(net(), X, Y, steps=1, U=U, keep_weights=True, progress=False)
SPECTRUM = mi.empirical_spectrum(X, Y, "mse", 1)
LAW = mi.slope_law("h2(z1)", "mse", log2_points=8)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ADVICE = mi.advise_loss(X, Y, permutations=2, progress=False)
    MODEL = mi.MultiIndexRegressor(1, "mse", "rule", 8, refine=False,
                                   random_state=0).fit(X.numpy(), Y.numpy())
    SIDES = mi.MultiIndexClassifier(1, rounds=0, random_state=0).fit(X.numpy(), (Y > 0).numpy())
    LEARNT = mi.learn(X, Y, 2, "mse", 1, 8, progress=False)
    REFINED = mi.refine_subspace(X, Y, U, 2, rounds=0, progress=False)
    POLISHED = mi.polish_subspace(X, Y, U, 8, 1, progress=False)


def estimator(X, y, sample_weight=None, **settings):
    "Fit and predict."
    kept = dict(n_indices=1, loss="mse", steps="rule", width=8, refine=False, random_state=0) | settings
    return mi.MultiIndexRegressor(**kept).fit(X, y, sample_weight).predict(np.asarray(X, dtype=float))


def classifier(X, y, sample_weight=None, **settings):
    "Fit and predict; two classes at the median, or those given."
    kept = dict(n_indices=1, rounds=0, random_state=0) | settings
    return mi.MultiIndexClassifier(**kept).fit(X, y, sample_weight).predict_proba(np.asarray(X, dtype=float))


def film(**arguments):
    "A film in a folder that goes away."
    with tempfile.TemporaryDirectory() as folder:
        mi.animate_neurons(**{"path": f"{folder}/a.gif"} | arguments)


SHORT = dict(progress=False)
# name -> (function, arguments that work, kinds of its arguments)
CALLS = {
    "hermite": (mi.hermite, dict(k=3, z=0.5), dict(k="count", z="numbers")),
    "Target": (mi.Target, dict(g=torch.sum, r=2), dict(g="object", r="count", text="text")),
    "Target.parse": (mi.Target.parse, dict(text="h2(z1)"), dict(text="target")),
    "Target()": (LINK, dict(Z=X[:, :2]), dict(Z="matrix")),
    "random_subspace": (mi.random_subspace, dict(d=4, r=2, condition=2.0, seed=1),
                        dict(d="count", r="count", condition="real", seed="seed")),
    "sample": (mi.sample, dict(target="h2(z1)", U=U[:1], n=5, noise=0.1, seed=1),
               dict(target="target", U="matrix", n="count", noise="real", seed="seed")),
    "Huber": (mi.Huber, dict(delta=1.0), dict(delta="real")),
    "LogCosh": (mi.LogCosh, dict(scale=1.0), dict(scale="real")),
    "Pinball": (mi.Pinball, dict(tau=0.5), dict(tau="real")),
    "Expectile": (mi.Expectile, dict(tau=0.5), dict(tau="real")),
    "MSE().location": (mi.MSE().location, dict(y=Y), dict(y="vector")),
    "Huber().location": (mi.Huber().location, dict(y=Y), dict(y="vector")),
    "L1().location": (mi.L1().location, dict(y=Y), dict(y="vector")),
    "as_loss": (mi.as_loss, dict(loss="huber:1"), dict(loss="loss")),
    "second_order_matrix": (mi.second_order_matrix, dict(X=X, y=Y, loss="mse"),
                            dict(X="X", y="y", loss="loss")),
    "population_spectrum": (mi.population_spectrum, dict(target="h2(z1)", loss="mse"),
                            dict(target="target", loss="loss")),
    "empirical_spectrum": (mi.empirical_spectrum, dict(X=X, y=Y, loss="mse", permutations=1, seed=0),
                           dict(X="X", y="y", loss="loss", permutations="count", seed="seed")),
    "plot_spectrum": (mi.plot_spectrum, dict(spectrum=SPECTRUM, U=U, ax=ax(), legend=True),
                      dict(spectrum="object", U="matrix", ax="object", legend="flag")),
    "TwoLayerNet": (mi.TwoLayerNet, dict(W=torch.ones(4, 3), a=torch.ones(4), b=torch.zeros(4),
                                         activation="cosine", c=0.0),
                                         dict(W="matrix", a="vector", b="vector", activation="word", c="real")),  # noqa: E501
    "net()": (net(), dict(X=X), dict(X="rows")),
    "symmetric_init": (mi.symmetric_init,
                       dict(width=4, d=3, scale=0.1, seed=0, activation="cosine", dtype=torch.float64),
                       dict(width="count", d="count", scale="real", seed="seed", activation="word",
                            dtype="object")),
    "alignment": (mi.alignment, dict(W=X, U=U), dict(W="matrix", U="matrix")),
    "coverage": (mi.coverage, dict(W=X, U=U), dict(W="matrix", U="matrix")),
    "train_first_layer": (lambda **k: mi.train_first_layer(**{"net": net(), **SHORT, **k}),
                          dict(X=X, y=Y, loss="mse", steps=1, lr="auto", weight_decay="auto", engine="fused",
                               feature_scale=1.0, U=U, keep_weights=True, S=torch.eye(D)),
                          dict(net="object", X="X", y="y", loss="loss", steps="count", lr="rates",
                               weight_decay="real", engine="word", feature_scale="real", U="matrix",
                               keep_weights="flag", S="matrix", progress="flag")),
    "plot_history": (mi.plot_history, dict(history=HISTORY, ax=ax(), legend=False),
                     dict(history="object", ax="object", legend="flag")),
    "recovered_subspace": (mi.recovered_subspace, dict(W=X, r=2), dict(W="matrix", r="count")),
    "subspace_error": (mi.subspace_error, dict(V=U, U=U), dict(V="matrix", U="matrix")),
    "check_recovery": (mi.check_recovery,
                       dict(net=LEARNT.net, X=X, y=Y, r=2, loss="mse", history=HISTORY, U=U, seed=0,
                            spectrum=SPECTRUM),
                       dict(net="object", X="X", y="y", r="count", loss="loss", history="object", U="matrix",
                            seed="seed", spectrum="object")),
    "train_readout": (lambda **k: mi.train_readout(**{"net": net(), **SHORT, **k}),
                      dict(X=X, y=Y, loss="mse", method="auto", weight_decay="gcv", seed=0, memory=2**20),
                      dict(net="object", X="X", y="y", loss="loss", method="word", weight_decay="real",
                           seed="seed", memory="bytes", progress="flag")),
    "learn": (lambda **k: mi.learn(**SHORT | k),
              dict(X=X, y=Y, r=2, loss="mse", steps=1, width=8, X2=X, y2=Y, lr="auto", weight_decay="auto",
                   engine="fused", activation="cosine", init_scale="auto", readout_loss="mse",
                   readout_decay="gcv", U=U, seed=0, device="cpu", faithful=False),
              dict(X="X", y="y", r="count", loss="loss", steps="count", width="count", X2="X", y2="y",
                   lr="rates", weight_decay="real", engine="word", activation="word", init_scale="real",
                   readout_loss="loss", readout_decay="real", U="matrix", seed="seed", device="word",
                   progress="flag", faithful="flag", checkpoint="word")),
    "learn_many": (mi.learn_many,
                   dict(X=X.reshape(2, 80, D), y=Y.reshape(2, 80), r=2, loss="mse", steps=1, width=8, seed=0),
                   dict(X="matrix", y="matrix", r="count", loss="loss", steps="count", width="count",
                        seed="seed")),
    "learn().predict": (LEARNT.predict, dict(X=X), dict(X="rows")),
    "oracle": (mi.oracle,
               dict(U=U, X2=X, y2=Y, width=8, readout_loss="mse", readout_decay="gcv", activation="cosine",
                    seed=0),
               dict(U="matrix", X2="X", y2="y", width="count", readout_loss="loss", readout_decay="real",
                    activation="word", seed="seed")),
    "relative_error": (mi.relative_error, dict(prediction=Y, y=Y), dict(prediction="vector", y="y")),
    "plan_run": (mi.plan_run, dict(n=1000, d=10, width=8, steps=2, memory=1e9, rate=1e9, read=1e9),
                 dict(n="count", d="count", width="count", steps="count", memory="bytes", rate="real",
                      read="real")),
    "refine_subspace": (lambda **k: mi.refine_subspace(**SHORT | k),
                        dict(X=X, y=Y, V=U, degree=2, starts=2, rounds=0, count=2, seed=0),
                        dict(X="X", y="y", V="matrix", degree="count", starts="count", rounds="count",
                             count="count", seed="seed", progress="flag")),
    "refined.predict": (REFINED.predict, dict(X=X), dict(X="rows")),
    "polish_subspace": (lambda **k: mi.polish_subspace(**SHORT | k),
                        dict(X=X, y=Y, V=U, width=8, max_iter=1, seed=0),
                        dict(X="X", y="y", V="matrix", width="count", max_iter="count", seed="seed",
                             progress="flag")),
    "polished.predict": (POLISHED.predict, dict(X=X), dict(X="rows")),
    "advise_loss": (lambda **k: mi.advise_loss(**SHORT | k),
                    dict(X=X, y=Y, level=0.01, losses=["mse"], permutations=2, max_rank=2, seed=0),
                    dict(X="X", y="y", level="real", losses="losses", permutations="count", max_rank="count",
                         seed="seed", progress="flag")),
    "third_order_directions": (mi.third_order_directions,
                               dict(X=X, y=Y, known=U, level=0.5, max_rank=1, seed=0),
                               dict(X="X", y="y", known="matrix", level="real", max_rank="count",
                                    seed="seed")),
    "direction_intervals": (mi.direction_intervals, dict(model=MODEL, X=X, y=Y, level=0.9, seed=0),
                            dict(model="object", X="X", y="y", level="real", seed="seed")),
    "plot_model": (mi.plot_model, dict(model=MODEL, X=X, y=Y), dict(model="object", X="X", y="y")),
    "plot_advice": (mi.plot_advice, dict(advice=ADVICE, ax=ax()), dict(advice="object", ax="object")),
    "MultiIndexRegressor": (estimator, dict(X=X.numpy(), y=Y.numpy(), n_indices=1, loss="mse", steps="rule",
                                            width=8, refine=False, whiten="auto", level=0.01, rounds=0,
                                            random_state=0, memory=2**20, process=False,
                                            sample_weight=np.ones(N)),
                            dict(X="X", y="y", sample_weight="vector", n_indices="count", loss="loss",
                                 steps="count", width="count", refine="flag", whiten="flag",
                                 level="real", rounds="count", random_state="state", memory="bytes",
                                 process="flag")),
    "MultiIndexClassifier": (classifier, dict(X=X.numpy(), y=(Y > 0).numpy(), n_indices=1, whiten="auto",
                                              level=0.01, rounds=0, random_state=0,
                                              sample_weight=np.ones(N)),
                             dict(X="X", sample_weight="vector", n_indices="count", whiten="flag",
                                  level="real", rounds="count", random_state="state")),
    "classifier.predict": (SIDES.predict, dict(X=X.numpy()), dict(X="rows")),
    "classifier.predict_proba": (SIDES.predict_proba, dict(X=X.numpy()), dict(X="rows")),
    "regressor.predict": (MODEL.predict, dict(X=X.numpy()), dict(X="rows")),
    "regressor.transform": (MODEL.transform, dict(X=X.numpy()), dict(X="rows")),
    "regressor.score": (MODEL.score, dict(X=X.numpy(), y=Y.numpy()), dict(X="rows", y="vector")),
    "lazy_sample": (mi.lazy_sample, dict(target="h2(z1)", U=U[:1], n=5, noise=0.1, seed=1, chunk=3),
                    dict(target="target", U="matrix", n="count", noise="real", seed="seed", chunk="count")),
    "slope_law": (mi.slope_law, dict(target="h2(z1)", loss="mse", noise=0.0, log2_points=8, factor=[[1.0]]),
                  dict(target="target", loss="loss", noise="real", log2_points="count", factor="matrix")),
    "predict_spectrum": (mi.predict_spectrum, dict(target=LAW, loss="mse", n_per_d=20.0, noise=0.0, d=100),
                         dict(target="target", loss="loss", n_per_d="real", noise="real", d="count")),
    "predict_neurons": (mi.predict_neurons,
                        dict(target=LAW, loss="mse", n_per_d=20.0, d=100, steps=1, width=10, noise=0.0,
                             seed=0), dict(target="target", loss="loss", n_per_d="real", d="count",
                                           steps="count", width="count", noise="real", seed="seed")),
    "predict_errors": (mi.predict_errors,
                       dict(target="h2(z1)", loss="mse", n_per_d=20.0, d=10, steps=1, width=10, noise=0.0,
                            seed=0, n2=50), dict(target="target", loss="loss", n_per_d="real", d="count",
                                                 steps="count", width="count", noise="real", seed="seed",
                                                 n2="count")),
    "plot_prediction": (mi.plot_prediction, dict(law=LAW, n_per_d=20.0, d=100, ax=ax(), bins=10),
                        dict(law="object", n_per_d="real", d="count", ax="object", bins="count")),
    "samples_needed": (mi.samples_needed, dict(target="h2(z1)", d=10, losses=["mse"], cosine=0.9, noise=0.0),
                       dict(target="target", d="count", losses="losses", cosine="real", noise="real")),
    "best_of_family": (mi.best_of_family,
                       dict(target="h2(z1)", family="huber", cosine=0.9, noise=0.0, points=3),
                       dict(target="target", family="word", cosine="real", noise="real", points="count")),
    "best_loss": (mi.best_loss, dict(target="h2(z1)", direction=[1.0], noise=0.0, floor=0.2, centred=True),
                  dict(target="target", direction="vector", noise="real", floor="real", centred="flag")),
    "best_ratio": (mi.best_ratio, dict(target="h2(z1)", noise=0.0), dict(target="target", noise="real")),
    "critical_ratio": (mi.critical_ratio, dict(target=LAW, loss="mse", k=1, noise=0.0, method="outliers"),
                       dict(target="target", loss="loss", k="count", noise="real", method="word")),
    "plot_neurons": (mi.plot_neurons, dict(W=X, U=U, ax=ax()), dict(W="matrix", U="matrix", ax="object")),
    "plot_errors": (mi.plot_errors, dict(errors=[1.0, 0.5], chosen=1, ax=ax(), steps=3, legend=False),
                    dict(errors="vector", chosen="count", ax="object", steps="count", legend="flag")),
    "animate_neurons": (film, dict(runs={"a": HISTORY}, U=U, frames=1, fps=1),
                        dict(runs="object", U="matrix", path="text", frames="count", fps="count")),
}
# made by others, or without arguments
RESULTS = {"Loss", "MSE", "L1", "History", "RecoveryReport", "ReadoutReport", "LearnResult", "LearnedMany",
           "Plan", "Refinement", "Polish", "Advice", "SpectrumPrediction", "NeuronPrediction", "SampleNeed",
           "FamilyBest", "Explorer", "ThirdOrder", "Directions"}

NOTHING = [Odd(), object(), object, dict(a=1), {1, 2}, lambda: 0, datetime.datetime(2026, 1, 1), b"abc",
           range, NotImplemented, mi.MSE, iter([1.0])]
WRONG_NUMBERS = [None, "3", "", "auto ", True, np.True_, 1j, np.complex64(1), [3], (1,), np.array([3, 4]),
                 torch.tensor([1, 2]), decimal.Decimal("0.5"), *NOTHING]
WRONG_ARRAYS = [None, "abc", "", 1j, True, ["a", "b"], [[1, 2], [3]], np.array([object()] * 3),
                np.array(["2026-01-01"], dtype="datetime64[D]"), torch.eye(3).to_sparse(),
                torch.ones(3, device="meta"),
                torch.ones(2, 2, dtype=torch.bool), np.ones((2, 2), dtype=complex), [[None, 1.0]],
                np.ones((2, 2, 2)), np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(0), 3.0, math.nan,
                [[math.nan] * 4] * 3, [2**60], UserList("ab"), *NOTHING]
MASKED = np.ma.masked_array(X.numpy().copy(), mask=np.arange(N * D).reshape(N, D) == 5)


def with_entry(data, value):
    "A copy with one bad entry."
    out = data.clone()
    out.view(-1)[7] = value
    return out


VALUES = {  # kind -> hostile values
    "count": [-1, 0, 1, 2, -(10**30), 10**9 + 1, 10**12, 10**20, 10**60, 2**63, 2**64, 1.0, 1.5, math.nan,
              math.inf, -math.inf, np.float64(2), np.int8(2), np.int64(2), np.uint64(2**63),
              fractions.Fraction(3, 2), *WRONG_NUMBERS],
    "real": [-1, -1e-300, -math.inf, math.inf, math.nan, 1e400, 1e308, 1e300, 1e150, 1e-150, 1e-320, 10**400,
             -0.0, 0, 1, 0.5, np.float32(0.5), np.float16(0.5), np.longdouble(0.5), fractions.Fraction(1, 2),
             *WRONG_NUMBERS],
    "rates": [-1, math.inf, math.nan, 1e400, 1e300, 1e-320, 0, 0.5, [], [0.5], (1, 2), [-1.0],
              [math.nan], [None], ["auto"], [[0.5]], [True], np.ones(1), np.ones((1, 1)), torch.ones(2),
              [Odd()], *(v for v in WRONG_NUMBERS if not hasattr(v, "__len__") or isinstance(v, str))],
    "bytes": [-1, 0, 1, 10**9, 10**20, 10**60, math.nan, math.inf, np.int64(2**20), *WRONG_NUMBERS],
    "seed": [-1, 2**63, 10**40, 0.5, math.nan, np.int64(3), np.uint8(3), *(v for v in WRONG_NUMBERS)],
    "state": [-1, 2**33, 0.5, "x", [1, 2], Odd(), np.int64(3), None],
    "flag": [0, 1, 2, "yes", "True", "", None, np.True_, np.False_, 1.0, [True], math.nan, *NOTHING],
    "word": [None, 0, 1.5, "", "AUTO", "fuse", "holdoutt", "auto\0", "x" * 5000, ["auto"], True, math.nan,
             *NOTHING[:2], *NOTHING[3:]],
    "text": [0, 1.5, [], Odd(), object(), "a\0b", "x" * 5000],
    "object": [None, 0, 1.5, "net", [], {}, (), np.ones(3), torch.ones(3, 3),
               *(v for v in NOTHING if not callable(v) and not isinstance(v, dict))],
    "target": [None, 0, 1.5, "", " ", "z", "z0", "z65", "h31(z1)", "h2(z1", "z1**31", "z1/0",
               "__import__('os')", "z1;z2", "(" * 500 + "z1" + ")" * 500, "-" * 1900 + "z1", "9" * 500,
               "1e400*z1", "z1*1e-400", "0", "3", "h2(z64)",
               "(" + "+".join(f"z{k}" for k in range(1, 65)) + ")**3", "(z1+z2+z3+z4)**7*(z5+z6+z7+z8)**7",
               "((z1+z2)**5)**6", "\u2460", "z\u0661", "h2(z1)\0", "x" * 3000, ["h2(z1)"], b"h2(z1)", True,
               *NOTHING],
    "loss": [None, 0, "", "hinge", "huber:", "huber:-1", "huber:nan", "huber:inf", "huber:1e-400",
             "pinball:0", "pinball:1", "mse:1", "l1:2", "huber:1:2", "Huber(delta=)", "HUBER:1", mi.Huber,
             mi.MSE(), True, ["mse"], b"mse", "x" * 5000, *NOTHING],
    "losses": [None, 0, "mse", [], [None], ["hinge"], ["mse", 3], [[]], ("huber:0",), {"mse": 1}, *NOTHING],
    "numbers": [v for v in WRONG_ARRAYS if v is not None and not isinstance(v, (float, np.ndarray))
                and v != [[math.nan] * 4] * 3],
    "vector": [*WRONG_ARRAYS, with_entry(Y, math.nan), with_entry(Y, math.inf), Y[:3], Y[:, None],
               MASKED[:, 1]],
    "matrix": [*WRONG_ARRAYS, with_entry(X, math.nan), with_entry(X, -math.inf), X[:1, :3], X[0], 0 * X[:2],
               torch.ones(2, D), 1e-200 * X, 1e200 * X, MASKED],
    "rows": [*WRONG_ARRAYS, with_entry(X, math.nan), with_entry(X, math.inf), X[:, :3], X[0], MASKED,
             X.float(), X.int(), X[:1]],
    "X": [*WRONG_ARRAYS, with_entry(X, math.nan), with_entry(X, math.inf), X[:1], X[:3], X[:, :3], X[:, 0],
          X.T, 1e200 * X, 1e-200 * X, MASKED, X.numpy().astype("datetime64[s]"), X.tolist(), X.float(),
          X.half(), (10 * X).int(),
          np.asfortranarray(X.numpy()), X.numpy()[::-1][::-1], X.numpy().astype(">f8"),
          pd.DataFrame(X.numpy()), X.numpy().astype(np.longdouble), torch.full_like(X, 2.0**60)],
    "y": [*WRONG_ARRAYS, with_entry(Y, math.nan), with_entry(Y, -math.inf), Y[:1], Y[:-1], Y[:, None], 0 * Y,
          0 * Y + 3, 1e200 * Y, 1e-300 * Y, 1.7e9 + Y, MASKED[:, 1], (Y > 100).double(),
          torch.eye(N, dtype=torch.float64)[5],
          Y.tolist(), Y.float(), (100 * Y).round().int(), (Y > 0).double(), pd.Series(Y.numpy()),
          Y.numpy().astype(">f8")],
}


def must_fail(kind: str, value) -> bool:
    "Is there no reading under which this value would do?"
    inside = lambda table: any(value is one for one in table)
    if value is None:
        return False  # the default of some
    if kind in ("count", "real", "rates", "bytes", "seed"):
        return inside(WRONG_NUMBERS) or value != value
    if kind in ("X", "y", "rows", "matrix", "vector"):
        # no rows, no answers: that may be right
        empty = isinstance(value, np.ndarray) and value.size == 0 and kind != "X" and kind != "y"
        return np.ma.is_masked(value) or (inside(WRONG_ARRAYS) and not isinstance(value, float) and not empty)
    return kind == "flag" and not (isinstance(value, (bool, np.bool_))
                                   or (isinstance(value, int) and value in (0, 1)))


def same_data(value, good) -> bool:
    "Does the value hold the numbers of the good one, in another guise?"
    try:
        one, other = np.asarray(value), np.asarray(good, dtype=float)
        if one.dtype.kind not in "fiu":
            return False
        return one.shape == other.shape and bool(np.allclose(one.astype(float), other, rtol=1e-6, atol=1e-7))
    except Exception:
        return False


def numbers_in(found, depth: int = 0) -> list[float]:
    "All numbers in an answer, in order."
    if isinstance(found, (bool, int, float, np.floating, np.integer)):
        return [float(found)]
    if isinstance(found, (torch.Tensor, np.ndarray)):
        return np.asarray(found, dtype=float).ravel().tolist()
    if isinstance(found, (list, tuple)):
        return [x for one in found for x in numbers_in(one, depth + 1)]
    own = vars(found).items() if depth < 3 and type(found).__module__.startswith("multiindex_nb") and hasattr(
        found, "__dict__") else ()
    return [x for name, one in own if name != "spectrum" for x in numbers_in(one, depth + 1)]


@functools.cache
def usual(name: str) -> tuple[tuple[float, ...], float]:
    "The numbers in the answer to good arguments, and the seconds of the processor that it took."
    f, good, _ = CALLS[name]
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = f(**good)
    return tuple(numbers_in(found)), time.process_time() - start


def once(f):
    "Equal numbers are worked out once: what is hostile has been refused, or made numbers of, before."
    found = {}

    def inside(*args, **options):
        key = pickle.dumps((args, options))
        if key not in found:
            found[key] = f(*args, **options)
        return found[key]

    return inside


class Slow(BaseException):
    "A call that took too long."


def ring(*_):
    raise Slow


def not_finite(found, depth: int = 0) -> bool:
    "Is there a NaN in what came back?"
    if isinstance(found, (float, np.floating)):
        return bool(np.isnan(found))
    if isinstance(found, torch.Tensor):
        return bool(torch.isnan(found).any()) if found.is_floating_point() else False
    if isinstance(found, np.ndarray):
        return bool(np.isnan(found).any()) if found.dtype.kind == "f" else False
    if isinstance(found, (list, tuple)) and depth < 3:
        return any(not_finite(one, depth + 1) for one in found)
    if depth < 3 and type(found).__module__.startswith("multiindex_nb") and hasattr(found, "__dict__"):
        return any(not_finite(one, depth + 1) for one in vars(found).values())
    return False


def verdict(name: str, changed: dict) -> str:
    """'' for a right kind of answer to the call with some arguments replaced, or else what was wrong. Too
    long is more than two seconds of the processor and more than ten times the usual call's."""
    f, good, kinds = CALLS[name]
    numbers, took = usual(name)
    seconds = max(2.0, 10 * took)
    expected = numbers if all(same_data(value, good.get(argument))
                                  for argument, value in changed.items()) else None
    signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = f(**good | changed)
        if any(must_fail(kinds[argument], value) for argument, value in changed.items()):
            return "taken without a word"
        if expected and not np.allclose(numbers_in(found), expected, rtol=1e-3,
                                        atol=1e-6 + 1e-3 * max(map(abs, expected))):
            return "another answer for the same data"
        return "NaN in the answer" if not_finite(found) else ""
    except Slow:
        return f"more than {seconds:g} s"
    except (TypeError, ValueError, ArithmeticError) as error:
        said = " ".join(str(error).split())
        named = any(re.search(rf"\b{re.escape(argument)}\b", said)
                    or (argument == "text" and "target" in said) for argument in changed)
        no_prediction = isinstance(error, ArithmeticError) and said.startswith("no prediction at n/d")
        return ("" if named or no_prediction
                else f"{type(error).__name__} names no {' or '.join(changed)}: {said[:150]}")
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def single_cases():
    "Every function with every argument replaced by every value of its kind."
    return [(name, {argument: value}) for name, (_, _, kinds) in CALLS.items()
            for argument, kind in kinds.items() for value in VALUES[kind]]


def pair_cases(number: int, seed: int):
    "Calls drawn at random with two arguments replaced at once."
    rng = np.random.default_rng(seed)
    names = [name for name, (_, _, kinds) in CALLS.items() if len(kinds) > 1]
    for _ in range(number):
        name = names[rng.integers(len(names))]
        kinds = CALLS[name][2]
        both = rng.choice(list(kinds), 2, replace=False)
        yield name, {str(argument): VALUES[kinds[argument]][rng.integers(len(VALUES[kinds[argument]]))]
                     for argument in both}


def label(value) -> str:
    "A value in a few words."
    try:
        return " ".join(repr(value).split())[:60]
    except Exception:
        return type(value).__name__


def main(pairs: int, seed: int) -> int:
    "Run all cases; print what was wrong, then one line of figures."
    inner.fit_classes = once(inner.fit_classes)
    before, start, wrong, calls = resource.getrusage(
        resource.RUSAGE_SELF).ru_maxrss, time.process_time(), 0, 0
    for name, changed in [*single_cases(), *pair_cases(pairs, seed)]:
        calls += 1
        if said := verdict(name, changed):
            wrong += 1
            print(f"{name}({', '.join(f'{k}={label(v)}' for k, v in changed.items())}): {said}")
    rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    print(f"{calls} calls, {wrong} wrong, {time.process_time() - start:.0f} s of the processor, memory rose "
          f"by {rise:.2f} GiB")
    return int(wrong > 0 or rise > 1)


if __name__ == "__main__":
    raise SystemExit(main(*(int(word) for word in [*sys.argv[1:], "400", "0"][:2])))
