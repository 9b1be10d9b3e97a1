"""The names that others call: they exist, with the arguments of the specification."""

import inspect

import pytest
import torch

import multiindex_nb as mi

SIGNATURES = {
    "hermite": ["k", "z"],
    "random_subspace": ["d", "r", "condition", "seed"],
    "sample": ["target", "U", "n", "noise", "seed"],
    "second_order_matrix": ["X", "y", "loss"],
    "population_spectrum": ["target", "loss"],
    "symmetric_init": ["width", "d", "scale", "seed"],
    "train_first_layer": ["net", "X", "y", "loss", "steps", "lr", "weight_decay", "engine"],
    "train_readout": ["net", "X", "y"],
    "recovered_subspace": ["W", "r"],
    "subspace_error": ["V", "U"],
    "alignment": ["W", "U"],
    "coverage": ["W", "U"],
    "check_recovery": ["net", "X", "y", "r"],
    "learn": ["X", "y", "r", "seed", "faithful", "checkpoint"],
    "learn_many": ["X", "y", "r", "seed"],
    "refine_subspace": ["X", "y", "V", "seed"],
    "polish_subspace": ["X", "y", "V", "seed"],
    "advise_loss": ["X", "y", "level", "seed"],
    "third_order_directions": ["X", "y", "known", "level", "seed"],
    "plan_run": ["n", "d", "width", "steps", "memory"],
    "lazy_sample": ["target", "U", "n", "noise", "seed", "chunk"],
    "slope_law": ["target", "loss", "noise"],
    "predict_spectrum": ["target", "loss", "n_per_d", "noise", "d"],
    "predict_neurons": ["target", "loss", "n_per_d", "d", "steps", "noise", "seed"],
    "predict_errors": ["target", "loss", "n_per_d", "d", "steps", "width", "noise", "seed"],
    "samples_needed": ["target", "d", "losses", "cosine", "noise"],
    "critical_ratio": ["target", "loss", "k", "noise", "method"],
    "best_ratio": ["target", "noise"],
    "best_loss": ["target", "direction", "noise", "floor", "centred"],
    "best_of_family": ["target", "family", "cosine", "noise"],
    "plot_prediction": ["law", "n_per_d", "d", "ax"],
    "plot_neurons": ["W", "U", "ax"],
    "plot_errors": ["errors", "chosen", "ax"],
    "animate_neurons": ["runs", "U", "path"],
    "Explorer": ["setting", "wait"],
    "MultiIndexRegressor": ["n_indices", "loss", "steps", "width", "refine", "random_state"],
    "direction_intervals": ["model", "X", "y", "level", "seed"],
    "plot_model": ["model", "X", "y"],
    "MultiIndexClassifier": ["n_indices", "whiten", "level", "rounds", "random_state"],
    "MSE": [],
    "Huber": ["delta"],
    "L1": [],
    "LogCosh": [],
    "Pinball": ["tau"],
    "Expectile": ["tau"],
    "Target": [],
    "TwoLayerNet": ["W", "a", "b"],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_name_takes_the_arguments_of_the_specification(name):
    "Each name is public, documented, and accepts its arguments by keyword."
    thing = getattr(mi, name)
    assert name in mi.__all__ and thing.__doc__
    taken = inspect.signature(thing).parameters
    assert set(SIGNATURES[name]) <= set(taken)


def test_defaults_of_the_specification():
    "Defaults that the specification fixes."
    default = lambda f, name: inspect.signature(f).parameters[name].default
    assert default(mi.random_subspace, "condition") == 1.0
    assert default(mi.sample, "noise") == 0.0
    assert [default(mi.train_first_layer, k) for k in ("lr", "weight_decay", "engine")] == ["auto"] * 3
    assert all(default(f, "seed") == 0 for f in (mi.random_subspace, mi.sample, mi.learn, mi.symmetric_init))


@pytest.mark.parametrize("loss",
                         [mi.MSE(), mi.Huber(0.7), mi.L1(), mi.LogCosh(), mi.Pinball(0.8), mi.Expectile(0.8)])
def test_losses_have_value_derivative_location(loss):
    "The three methods of a loss, and its name as text."
    y = torch.tensor([0.0, 1.0, 5.0], dtype=torch.float64)
    c = loss.location(y)
    assert isinstance(c, float) and 0 <= c <= 5
    assert loss.value(torch.tensor(c), y).shape == loss.derivative(torch.tensor(c), y).shape == (3,)


def test_target_has_r_degree_and_round_trips():
    "The three public faces of a target."
    target = mi.Target.parse("h2(z1)+0.5*h3(z1)*z2")
    assert (target.r, target.degree) == (2, 4)
    assert str(mi.Target.parse(str(target))) == str(target)
    assert target(torch.zeros(5, 2)).shape == (5,)
    own = mi.Target(lambda Z: Z[:, 0].abs(), 1)
    assert own.r == 1 and own.degree is None


def test_network_and_result():
    "What a network and a result offer."
    net = mi.symmetric_init(width=8, d=5, scale=1e-3, seed=0)
    assert (net.W.shape, net.a.shape, net.b.shape) == ((8, 5), (8,), (8,))
    assert net(torch.ones(3, 5)).shape == (3,)
    X, y = mi.sample(mi.Target.parse("h2(z1)"), mi.random_subspace(5, 1), 400)
    result = mi.learn(X, y, r=1, loss="mse", width=16)
    assert result.subspace.shape == (1, 5) and result.predict(X.numpy()).shape == (400,)
    assert result.report.verdict and str(result.report).startswith("verdict")
    assert result.history.steps == 2 and result.readout.method == "ridge" and result.net.W.shape == (16, 5)
