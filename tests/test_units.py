"""The unit of a column or of the labels is free: the same answer in any, or an error that names the unit's
owner."""


import numpy as np
import pytest
import torch

import multiindex_nb as mi
from multiindex_nb.problem.white import ConstantColumnWarning, is_white, whiten

# not the subject
pytestmark = pytest.mark.filterwarnings("ignore::multiindex_nb.problem.rows.HopelessWarning")
U = mi.random_subspace(6, 2, seed=0)
X, Y = mi.sample(mi.Target.parse("h2(z1)+z2"), U, 400, noise=0.1, seed=0)
SCALE_FREE = ["mse", "l1", "pinball:0.8", "expectile:0.7"]
CALLS = {
    "learn": lambda X, y: mi.learn(X, y, 2, "mse", width=16),
    "second_order_matrix": lambda X, y: mi.second_order_matrix(X, y, "mse"),
    "first layer": lambda X, y: mi.train_first_layer(mi.symmetric_init(8, 6), X, y, "mse"),
    "readout": lambda X, y: mi.train_readout(mi.symmetric_init(8, 6), X, y),
    "refine": lambda X, y: mi.refine_subspace(X, y, U, 2, rounds=0),
    "polish": lambda X, y: mi.polish_subspace(X, y, U, 16),
    "advise": lambda X, y: mi.advise_loss(X, y),
    "estimator": lambda X, y: mi.MultiIndexRegressor(2, width=16, random_state=0).fit(X, y),
}


@pytest.mark.parametrize("unit", [1e-170, 1e170, 1e-320, 1e307])
@pytest.mark.parametrize("name", CALLS)
def test_units_beyond_floating_point_are_refused_by_name(name, unit):
    "Squares that are zero or infinite: a `ValueError` that names y, or X."
    with pytest.raises(ValueError, match="of y must be between"):
        CALLS[name](X, unit * Y)
    with pytest.raises(ValueError, match="of X must be between"):
        CALLS[name](unit * X, Y)


@pytest.mark.parametrize("unit", [2.0**-160, 2.0**160])
@pytest.mark.parametrize("loss", SCALE_FREE)
def test_labels_in_another_unit_give_the_same_function(loss, unit):
    "A power of two is exact: weights of stage 1 and predictions are those of the plain unit, up to the unit."
    plain, other = (mi.learn(X, s * Y, 2, loss, width=16, U=U) for s in (1.0, unit))
    assert plain.report.verdict == other.report.verdict
    assert (plain.net.W - other.net.W).norm() < 1e-8 * plain.net.W.norm()
    assert (plain.predict(X) - other.predict(X) / unit).norm() < 1e-6 * Y.norm()
    assert mi.relative_error(plain.predict(X),
                             Y) == pytest.approx(mi.relative_error(other.predict(X), unit * Y), rel=1e-4)


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**20, 2.0**-160, 2.0**160])
@pytest.mark.parametrize("readout", ["expectile:0.7", "huber", "l1"])
def test_other_readouts_in_another_unit(readout, unit):
    """A solver's tolerance is in the unit of the labels: predictions agree where the loss has no unit of its
    own, or is given it."""
    loss = lambda s: mi.Huber(s) if readout == "huber" else readout
    plain, other = (mi.learn(X, s * Y, 2, "mse", width=16, readout_loss=loss(s)) for s in (1.0, unit))
    assert (plain.predict(X) - other.predict(X) / unit).norm() < 1e-3 * Y.norm()


@pytest.mark.parametrize("unit", [1e-60, 1e-6, 1e6, 1e60])
@pytest.mark.parametrize("refine", [True, False])
def test_estimator_in_another_unit_of_the_labels(refine, unit):
    "Predictions of `fit` follow the unit."
    plain, other = (mi.MultiIndexRegressor(2, refine=refine, width=16, random_state=0).fit(X, s * Y)
                    for s in (1.0, unit))
    assert plain.model_.kind == other.model_.kind
    assert np.linalg.norm(plain.predict(X) - other.predict(X) / unit) < 1e-3 * np.linalg.norm(Y)


UNITS = torch.tensor([1e-9, 1.0, 1e7, 1e-60, 1e60, 5.0], dtype=torch.float64)


@pytest.mark.parametrize("lazy", [False, True])
def test_estimator_in_other_units_of_the_columns(lazy):
    "Each column in a unit of its own and far from zero: the same predictions, in memory and in chunks."
    shifted = UNITS * (X + 3)
    found = []
    for rows in (X + 3, shifted):
        model, data = mi.MultiIndexRegressor(
            2, refine=False, width=16, random_state=0, memory=6 * 8 * 200), rows.numpy()
        if lazy:
            data = pytest.importorskip("dask.array").from_array(data, chunks=(100, 6))
        found.append(np.asarray(model.fit(data, Y.numpy()).predict(data)))
    assert np.linalg.norm(found[0] - found[1]) < 1e-4 * np.linalg.norm(Y)


def test_white_rows_do_not_depend_on_units():
    """`whiten` gives the same rows, `is_white` a verdict, whatever the units; a constant column is said and
    goes to zero."""
    white = whiten(X)[0]
    assert (whiten(UNITS * (X + 3))[0] - white).norm() < 1e-8 * white.norm()
    assert is_white(white) and not is_white(UNITS * X)
    flat = X.clone()
    flat[:, 4] = 1e9
    with pytest.warns(ConstantColumnWarning, match="1 of 6, by number 4"):
        rows, _, A = whiten(flat)
    assert rows.isfinite().all() and (A[4] == 0).all()
    kept = [0, 1, 2, 3, 5]
    assert (rows @ rows.T - whiten(flat[:, kept])[0] @ whiten(flat[:, kept])[0].T).norm() < 1e-8 * len(X)


@pytest.mark.parametrize("unit", [2.0**-600, 2.0**-160, 2.0**160, 2.0**600])
def test_relative_error_has_no_unit(unit):
    "The same for predictions and labels in any unit, where squares would be zero or infinite."
    assert mi.relative_error(unit * X[:, 0],
                             unit * Y) == pytest.approx(mi.relative_error(X[:, 0], Y), rel=1e-12)
