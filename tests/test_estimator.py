"""The estimator keeps scikit-learn's contract: every check of scikit-learn, none left out."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import multiindex_nb as mi

pytestmark = pytest.mark.filterwarnings("ignore")


@parametrize_with_checks([mi.MultiIndexRegressor(random_state=0)])
def test_scikit_learn_check(estimator, check):
    "One of scikit-learn's own checks."
    check(estimator)


def test_refine_off_is_learn():
    "With refine=False, one loss and the rule's steps, the subspace is that of `learn` on the same rows."
    X, y = mi.sample(mi.Target.parse("h2(z1)+h2(z2)"), mi.random_subspace(12, 2, seed=0), 1200, seed=0)
    model = mi.MultiIndexRegressor(2, loss="huber", steps="rule", width=64, refine=False, whiten=False, random_state=3).fit(X.numpy(), y.numpy())
    seed = int(np.random.RandomState(3).randint(2**31 - 1))
    z = (y - y.mean()) / y.std()
    result = mi.learn(X, z, 2, mi.Huber(1 / y.std().item()), width=64, seed=seed, progress=False)
    assert mi.subspace_error(model.components_, result.subspace) < 1e-6
    assert np.allclose((model.predict(X.numpy()) - y.mean().item()) / y.std().item(), result.predict(X).numpy(), atol=1e-6)


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
    "Twenty tables of five columns: no prediction far beyond the labels (worst error seen 0.9; it was 726 with a decay chosen by the least of a few losses)."
    worst = 0.0
    for seed in range(20):
        gen = np.random.default_rng(seed)
        X, T = gen.standard_normal((n, 5)), gen.standard_normal((2000, 5))
        f = lambda Z: Z[:, 0] ** 2 + Z[:, 1]
        result = mi.learn(X, f(X) + noise * gen.standard_normal(n), 2, "mse", progress=False)
        worst = max(worst, mi.relative_error(result.predict(T), f(T)))
    assert worst < 3


@pytest.mark.parametrize("seed", range(4))
def test_labels_half_of_which_are_zero(seed):
    "A fit is not worse than the mean on its own rows (R squared was -136)."
    gen = np.random.default_rng(seed)
    X = gen.standard_normal((400, 6))
    y = np.maximum(X[:, 0], 0) * (gen.random(400) < 0.5)
    assert mi.MultiIndexRegressor(random_state=0).fit(X, y).score(X, y) > -0.1
