"""Every name of the specification as a user calls it, with tensors and with arrays: read by mypy and run by
`test_types.py`."""

import tempfile
import warnings
from typing import Any, assert_type

import dask.array as da
import numpy as np
import pandas as pd
from torch import Tensor

import multiindex_nb as mi


def draw() -> tuple[mi.Target, Tensor, Tensor, Tensor]:
    "Target, index matrix, rows and labels."
    target = assert_type(mi.Target.parse("h2(z1)+0.5*h2(z2)"), mi.Target)
    assert_type((target.r, target.degree, str(target)), tuple[int, int | None, str])
    own = mi.Target(lambda Z: Z[:, 0].abs(), 1)
    assert_type((own(np.zeros((3, 1))), target(own(np.zeros((4, 1))).reshape(2, 2))), tuple[Tensor, Tensor])
    U = assert_type(mi.random_subspace(10, 2, condition=2.0, seed=0), Tensor)
    X, y = mi.sample(target, U.numpy(), n=400, noise=0.1, seed=0)
    assert_type((X, y), tuple[Tensor, Tensor])
    assert_type((mi.hermite(2, 0.5), mi.hermite(2, U), mi.hermite(2, U.numpy())),
                tuple[Tensor, Tensor, Tensor])
    return target, U, X, y


def losses_and_spectra(target: mi.Target, X: Tensor, y: Tensor, rows: np.ndarray, labels: np.ndarray) -> None:
    "Chapter 02."
    for loss in (mi.MSE(), mi.Huber(0.7), mi.L1(), mi.LogCosh(), mi.Pinball(0.8), mi.Expectile(0.8),
                 mi.as_loss("huber:1")):
        assert_type((loss.value(y, y), loss.derivative(y, y)), tuple[Tensor, Tensor])
        assert_type(loss.location(y) + loss.location(labels), float)
    huber = mi.Huber()
    assert_type((huber.value(y, y), huber.derivative(y, y), huber.location(labels)),
                tuple[Tensor, Tensor, float])
    assert_type(mi.second_order_matrix(X, y, huber) + mi.second_order_matrix(rows, labels, "huber"), Tensor)
    assert_type(mi.population_spectrum(target, "mse"), Tensor)
    assert_type(mi.empirical_spectrum(rows, labels, "mse").n_outliers, int)


def stages(U: Tensor, X: Tensor, y: Tensor, rows: np.ndarray, labels: np.ndarray) -> None:
    "Chapters 03 to 06, one by one."
    net = assert_type(mi.symmetric_init(16, 10, scale=1e-6, seed=0), mi.TwoLayerNet)
    assert_type((net.W, net.a, net.b, net(X), net(rows)), tuple[Tensor, Tensor, Tensor, Tensor, Tensor])
    history = assert_type(
        mi.train_first_layer(net, X, y, loss="mse", steps=2, lr="auto", weight_decay="auto", engine="fused"),
        mi.History)
    assert_type(mi.train_first_layer(net, X, y, steps=2, lr=(0.5, 2)).lr, float)
    assert_type((history.lr, history.norm, history.alignment), tuple[float, Tensor, Tensor | None])
    mi.train_first_layer(mi.symmetric_init(16, 10, seed=1), rows, labels, mi.MSE(), "auto", 0.5, 1.0, "power",
                         U=U.numpy())
    V = assert_type(mi.recovered_subspace(net.W, 2), Tensor)
    assert_type(mi.recovered_subspace(net.W.numpy(), 2), Tensor)
    assert_type(mi.subspace_error(V, U) + mi.subspace_error(V.numpy(), U.numpy()), float)
    assert_type(mi.alignment(net.W, U) + mi.alignment(net.W.numpy(), U.numpy()), Tensor)
    assert_type(mi.coverage(net.W, U) + mi.coverage(net.W.numpy(), U.numpy()), float)
    report = assert_type(mi.check_recovery(net, rows, labels, 2, "mse", history, U.numpy()),
                         mi.RecoveryReport)
    assert_type((report.verdict, report.ok, report.subspace, report.error),
                tuple[str, bool, Tensor, float | None])
    assert_type(mi.train_readout(net, X, y, weight_decay="gcv").loss, float)
    assert_type(mi.train_readout(net, rows, labels, weight_decay=1e-3), mi.ReadoutReport)


def whole(U: Tensor, X: Tensor, y: Tensor, rows: np.ndarray, labels: np.ndarray) -> None:
    "Chapters 07, 21 to 23: the method, and what goes on from its plane."
    result = assert_type(mi.learn(X, y, r=2, loss="mse", width=32, X2=X, y2=y, U=U, seed=0), mi.LearnResult)
    assert_type(str(mi.learn(rows, labels, 2, width=32, faithful=True).choice), str)
    many = assert_type(mi.learn_many(X[None], y[None], 2, width=32), mi.LearnedMany)
    assert_type(many.predict(rows[None]), Tensor)
    again = mi.learn(rows, labels, 2, mi.Huber(), 3, 32, rows, labels, lr=0.5, weight_decay=2.0, U=U.numpy(),
                     init_scale=1e-3)
    assert_type((result.predict(X), again.predict(rows), result.subspace), tuple[Tensor, Tensor, Tensor])
    assert_type(mi.oracle(U.numpy(), rows, labels, width=16)(rows), Tensor)
    assert_type(mi.relative_error(result.predict(X), labels), float)
    found = assert_type(mi.refine_subspace(rows, labels, result.subspace, degree=2, rounds=0), mi.Refinement)
    mi.refine_subspace(X, y, U.numpy(), "auto", starts=4, rounds=1, seed=0)
    polished = assert_type(mi.polish_subspace(rows, labels, U.numpy(), width=8, max_iter=0), mi.Polish)
    assert_type((found.subspace, found.predict(rows), polished.predict(X)), tuple[Tensor, Tensor, Tensor])
    advice = assert_type(mi.advise_loss(rows, labels, losses=["mse", "l1"], permutations=2), mi.Advice)
    assert_type((advice.rank, advice.loss, advice.subspace), tuple[int, mi.Loss, Tensor])
    hidden = assert_type(mi.third_order_directions(rows, labels, U.numpy(), level=0.5), mi.ThirdOrder)
    assert_type((hidden.directions, hidden.p, mi.third_order_directions(X, y).p), tuple[Tensor, float, float])


def estimator(target: mi.Target, U: Tensor, rows: np.ndarray, labels: np.ndarray) -> None:
    "Chapters 24 and 27: what scikit-learn takes, and rows that are read when needed."
    model = mi.MultiIndexRegressor(n_indices=2, loss="mse", steps="rule", width=16, refine=False,
                                   whiten=False, random_state=0)
    fitted = assert_type(model.fit(rows, labels), mi.MultiIndexRegressor)
    assert_type((fitted.predict(rows), fitted.transform(rows), fitted.n_indices_),
                tuple[np.ndarray, np.ndarray, int])
    found = assert_type(mi.direction_intervals(fitted, rows, labels, level=0.9, seed=0), mi.Directions)
    assert_type((found.loadings, found.p_value, found.angle), tuple[np.ndarray, np.ndarray, float])
    mi.plot_model(fitted, rows, labels)
    sides = assert_type(mi.MultiIndexClassifier(1, rounds=0).fit(rows, labels > 0, labels**2),
                        mi.MultiIndexClassifier)
    assert_type((sides.predict_proba(rows), sides.predict(rows), sides.n_indices_),
                tuple[np.ndarray, np.ndarray, int])
    frame: pd.DataFrame = pd.DataFrame(rows)
    column: pd.Series = pd.Series(labels)
    mi.MultiIndexRegressor("auto", mi.MSE(), 2, 16, False).fit(frame, column)
    lazy: da.Array = da.from_array(rows, chunks=(100, 10))
    assert_type(mi.second_order_matrix(lazy, labels, "mse"), Tensor)
    assert_type(mi.learn(lazy, column, 2, engine="power", width=16).readout.loss, float)
    mi.MultiIndexRegressor(2, "mse", 2, 16,
                           False).fit(*mi.lazy_sample(target, U.numpy(), 400, chunk=200)).transform(lazy)


def theory(target: mi.Target) -> None:
    "Chapters 08, 28 and 29."
    need = assert_type(mi.samples_needed(target, d=100, losses=["mse", mi.Huber()], cosine=0.5),
                       list[mi.SampleNeed])[0]
    assert_type((need.loss, need.n, need.steps), tuple[str, float, int | None])
    assert_type(mi.predict_spectrum("h2(z1)", "mse", 20, d=100).edges, tuple[float, float])
    assert_type(mi.predict_neurons(target, "mse", 20.0, d=100, steps=2), mi.NeuronPrediction)
    assert_type(mi.predict_errors("h2(z1)", mi.MSE(), 20, d=20, steps=1, width=16), list[float])
    assert_type((mi.best_ratio("h2(z1)"), mi.critical_ratio("h2(z1)", "mse")),
                tuple[tuple[float, float], float])
    assert_type(mi.best_of_family("h2(z1)", "huber", cosine=None, points=3).loss, str | None)
    mi.best_loss("h2(z1)+h2(z2)", np.array([1.0, 0.0])).location(np.zeros(2))
    assert_type(mi.plan_run(n=10**6, d=100, memory=16e9).seconds, float)


def pictures(U: Tensor, rows: np.ndarray, labels: np.ndarray) -> None:
    "The plots, from arrays."
    net = mi.symmetric_init(8, 10)
    history = mi.train_first_layer(net, rows, labels, steps=1, U=U, keep_weights=True)
    spectrum = mi.empirical_spectrum(rows, labels, "mse")
    law = mi.slope_law("h2(z1)", "mse")
    mi.plot_prediction(law, 40, 10, mi.plot_spectrum(spectrum, U.numpy()))
    mi.plot_neurons(net.W.numpy(), U.numpy(), mi.plot_errors(np.array([1.0, 0.5]), chosen=1))
    mi.plot_history(history, mi.plot_advice(mi.advise_loss(rows, labels, losses=("mse",), permutations=2)))
    with tempfile.TemporaryDirectory() as folder:
        mi.animate_neurons({"mse": history}, U.numpy(), f"{folder}/neurons.gif", frames=1, fps=1)


def refused(net: mi.TwoLayerNet, rows: np.ndarray, labels: np.ndarray) -> None:
    "Never called. mypy must object to each line, or else says that the comment is not needed."
    mi.learn("rows.csv", labels, 2)  # type: ignore[arg-type]
    mi.learn(rows, labels, 2, steps="rule")  # type: ignore[arg-type]
    mi.train_readout(net, rows, labels, weight_decay="auto")  # type: ignore[arg-type]
    mi.alignment(rows, 2)  # type: ignore[arg-type]
    mi.lern(rows, labels, 2)  # type: ignore[attr-defined]
    mi.MultiIndexRegressor(steps="all")  # type: ignore[arg-type]


def main() -> None:
    "All of it, on few rows."
    warnings.simplefilter("ignore")
    target, U, X, y = draw()
    data: Any = X, y, X.numpy(), y.numpy()
    losses_and_spectra(target, *data)
    stages(U, *data)
    whole(U, *data)
    estimator(target, U, *data[2:])
    theory(target)
    pictures(U, *data[2:])


if __name__ == "__main__":
    main()
