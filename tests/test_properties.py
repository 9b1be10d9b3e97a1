"""Properties that hold for every input; hypothesis draws the inputs, always the same ones."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import multiindex_nb as mi
from multiindex_nb.problem.hermite import hermite_all
from multiindex_nb.problem.losses import LOSSES
from multiindex_nb.engine.network import TwoLayerNet

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("fixed")

seeds = st.integers(0, 10_000)
smooth = st.sampled_from([mi.MSE(), mi.Huber(0.5), mi.Huber(2.0), mi.LogCosh(), mi.Expectile(0.8),
                          mi.Expectile(0.2)])
losses = st.one_of(smooth, st.sampled_from([mi.L1(), mi.Pinball(0.9), mi.Pinball(0.25)]))
activations = st.sampled_from(["cosine", "logcosh", "root"])
leaves = st.one_of(
    st.builds("h{}(z{})".format, st.integers(0, 4), st.integers(1, 3)),
    st.builds("z{}".format, st.integers(1, 3)),
    st.floats(-3, 3).map(lambda v: f"{v:.3f}"),
)
texts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({}+{})".format, inner, inner), st.builds("({}-{})".format, inner, inner),
        st.builds("{}*{}".format, leaves, inner), st.builds("-{}".format, leaves)
    ),
    max_leaves=5,
)


def gaussian(seed, *shape):
    "Standard normal numbers."
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def direct(text, Z):
    "The value of a target's text by Python's own arithmetic on tensors, independent of the parser."
    names = {f"h{k}": lambda z, k=k: mi.hermite(k, z) for k in range(5)}
    return eval(text, {"__builtins__": {}},
                names | {f"z{i + 1}": Z[:, i] for i in range(3)}) + torch.zeros(len(Z))


@given(texts, seeds)
def test_target_equals_its_text_and_round_trips(text, seed):
    "Parsing to Hermite coefficients changes no value; printing and parsing again neither."
    try:
        target = mi.Target.parse(text + "+z1-z1+0.5*h2(z3)")
    except ValueError as error:
        assert "constant" in str(error)
        return
    Z = gaussian(seed, 20, 3)
    expected = direct(text + "+z1-z1+0.5*h2(z3)", Z)
    assert (target(Z) - expected).abs().max() < 1e-9 * (1 + expected.abs().max())
    again = mi.Target.parse(str(target))
    assert again.r <= 3 and (again(Z[:, : again.r])
                             - expected).abs().max() < 1e-9 * (1 + expected.abs().max())


@given(st.integers(1, 29), st.floats(-12, 12))
def test_hermite_recurrence(k, z):
    "sqrt(k+1) h_{k+1} = z h_k - sqrt(k) h_{k-1}."
    h = hermite_all(k + 1, torch.tensor([z], dtype=torch.float64)).reshape(-1)
    terms = math.sqrt(k + 1) * h[k + 1], z * h[k], math.sqrt(k) * h[k - 1]
    assert abs(terms[0] - terms[1] + terms[2]) <= 1e-10 * max(map(abs, terms)) + 1e-12


@given(losses, seeds)
def test_derivative_is_the_slope_and_location_the_minimiser(loss, seed):
    "Autograd agrees away from kinks, and no shift of c improves the average loss."
    y, t = gaussian(seed, 30) ** 3, gaussian(seed + 1, 30).requires_grad_()
    (slope,) = torch.autograd.grad(loss.value(t, y).sum(), t)
    assert (slope - loss.derivative(t.detach(), y)).abs().max() < 1e-12
    c = loss.location(y)
    average = lambda shift: loss.value(torch.tensor(c + shift), y).mean().item()
    assert all(average(0.0) <= average(s) + 1e-12 for s in (-1.0, -0.1, -1e-3, 1e-3, 0.1, 1.0))


@given(losses, seeds)
def test_second_order_matrix_turns_with_the_inputs(loss, seed):
    "S(XR) = R^T S(X) R for orthogonal R; the order of the rows does not matter; S is symmetric."
    X, y = gaussian(seed, 60, 6), gaussian(seed + 1, 60)
    R = torch.linalg.qr(gaussian(seed + 2, 6, 6))[0]
    S = mi.second_order_matrix(X, y, loss)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    assert (mi.second_order_matrix(X @ R, y, loss) - R.T @ S @ R).norm() < 1e-12 * (1 + S.norm())
    assert (mi.second_order_matrix(X[order], y[order], loss) - S).norm() < 1e-12 * (1 + S.norm())
    assert torch.equal(S, S.T)


@given(st.integers(1, 20).map(lambda k: 2 * k), st.integers(1, 9), st.floats(1e-12, 10), activations, seeds)
def test_symmetric_start_is_the_zero_function(width, d, scale, activation, seed):
    "The pairs cancel to rounding, whatever the scale."
    net = mi.symmetric_init(width, d, scale, seed, activation)
    size = net.features(gaussian(seed, 7, d)).sum(dim=1)
    assert (net(gaussian(seed, 7, d)).abs() <= 1e-14 * (1 + size) * width).all()
    assert torch.equal(net.W, net.W.flip(0)) and torch.equal(net.a, -net.a.flip(0))


@given(smooth, activations, st.floats(0.01, 0.5), st.floats(0.0, 2.0), st.floats(1e-6, 0.5), seeds)
def test_fused_is_autograd(loss, activation, lr, decay, scale, seed):
    """Eight steps agree to 1e-8, at step sizes too small for chaos (which would amplify rounding without
    bound)."""
    X, y, found = gaussian(seed, 80, 5), gaussian(seed + 1, 80), []
    for engine in ("autograd", "fused"):
        net = mi.symmetric_init(8, 5, scale, seed, activation)
        mi.train_first_layer(net, X, y, loss, 8, lr, decay, engine)
        found.append(net.W)
    assert (found[0] - found[1]).norm() <= 1e-8 * found[0].norm()


@given(smooth, activations, seeds)
def test_power_is_the_limit_of_small_weights(loss, activation, seed):
    "A start ten times smaller brings the gap down at least tenfold."
    X, y = gaussian(seed, 80, 5), gaussian(seed + 1, 80)

    def gap(scale):
        nets = [mi.symmetric_init(8, 5, scale, seed, activation) for _ in range(2)]
        for net, engine in zip(nets, ("fused", "power")):
            mi.train_first_layer(net, X, y, loss, 3, 1.0, "auto", engine)
        return ((nets[0].W - nets[1].W).norm() / nets[1].W.norm()).item()

    assert gap(1e-4) < gap(1e-3) / 10 + 1e-12 and gap(1e-3) < gap(1e-2) / 10 + 1e-12


@given(st.integers(1, 4), seeds)
def test_subspace_error_is_a_distance_between_spans(r, seed):
    "In [0, 1], symmetric, zero for the same span, blind to the basis."
    V, U, B = gaussian(seed, r, 8), gaussian(seed + 1, r, 8), gaussian(seed + 2, r, r) + 3 * torch.eye(r)
    error = mi.subspace_error(V, U)
    assert 0 <= error <= 1 and abs(error - mi.subspace_error(U, V)) < 1e-12
    assert mi.subspace_error(B @ V, V) < 1e-7 and abs(mi.subspace_error(B @ V, U) - error) < 1e-7
    assert mi.subspace_error(mi.random_subspace(r, r, seed=seed), B) < 1e-7  # both are the whole space


@given(st.integers(1, 4), st.floats(1e-8, 1e8), seeds)
def test_alignment_and_coverage_ignore_length(r, size, seed):
    "Both in [0, 1] and unchanged when neurons are scaled."
    W, U = gaussian(seed, 12, 8), gaussian(seed + 1, r, 8)
    aligned, covered = mi.alignment(W, U), mi.coverage(W, U)
    assert (aligned >= 0).all() and (aligned <= 1).all() and 0 <= covered <= 1 + 1e-12
    lengths = size * (0.5 + torch.rand(12, 1, generator=torch.Generator().manual_seed(seed)).double())
    assert (mi.alignment(lengths * W, U) - aligned).abs().max() < 1e-12
    assert abs(mi.coverage(lengths * W, U) - covered) < 1e-12
    lost = W - W @ torch.linalg.pinv(U[:1]) @ U[:1]
    assert mi.coverage(lost, U) < 1e-12


@settings(max_examples=10)
@given(seeds)
def test_ridge_is_descent_run_to_the_end(seed):
    "At a decay that descent can finish, the two readouts agree to 1e-6."
    X, y = gaussian(seed, 120, 4), gaussian(seed + 1, 120)
    nets = [TwoLayerNet(gaussian(seed + 2, 10, 4), torch.zeros(10).double(), torch.zeros(10).double())
            for _ in range(2)]
    for net, method in zip(nets, ("ridge", "gd")):
        mi.train_readout(net, X, y, method=method, weight_decay=0.05, seed=seed)
    assert (nets[0](X) - nets[1](X)).norm() < 1e-6 * y.norm()


@settings(max_examples=5)
@given(seeds, st.sampled_from(sorted(LOSSES)))
def test_learn_is_a_pure_function_of_its_arguments(seed, loss):
    "Same seed, same bits; inputs and global random states are left alone."
    X, y = mi.sample(mi.Target.parse("h2(z1)+z1"), mi.random_subspace(6, 1, seed=seed), 300, noise=0.1,
                     seed=seed)
    kept, states = (X.clone(), y.clone()), (torch.get_rng_state(), np.random.get_state()[1].copy())
    first, second = (mi.learn(X, y, 1, loss, width=16, seed=seed).predict(X) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(X, kept[0]) and torch.equal(y, kept[1])
    assert torch.equal(torch.get_rng_state(), states[0]) and (np.random.get_state()[1] == states[1]).all()


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_population_spectrum_is_the_limit_of_the_sample(loss):
    """200 000 samples come within 0.05 (over ten standard errors) of the quadrature, for a link with all
    parities."""
    target, U = mi.Target.parse("0.5*h2(z1)+z1*z2+0.3*z2"), torch.eye(2, dtype=torch.float64)
    S = mi.second_order_matrix(*mi.sample(target, U, 200_000, seed=0), loss)
    values = torch.linalg.eigvalsh(S)
    assert (values.sort().values - mi.population_spectrum(target, loss).sort().values).abs().max() < 0.05
