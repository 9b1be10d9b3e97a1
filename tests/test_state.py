"""What the caller has set elsewhere changes no answer: PyTorch's modes, default dtype and device, NumPy's
and Python's strictness."""

import contextlib
import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

import multiindex_nb.gate
import multiindex_nb as mi
from multiindex_nb.engine.network import TwoLayerNet

TARGET = mi.Target.parse("h2(z1)+z2")
U = mi.random_subspace(6, 2, seed=0)
X, Y = mi.sample(TARGET, U, 400, noise=0.1, seed=0)


@contextlib.contextmanager
def default(get, put, value):
    "A global setting of PyTorch, put back afterwards."
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


STATES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": lambda: default(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "float16": lambda: default(torch.get_default_dtype, torch.set_default_dtype, torch.float16),
    "device": lambda: torch.device("meta"),
    "numpy raises": lambda: np.errstate(all="raise"),
}


def estimator(X, y, **settings):
    "Predictions and index variables of a fit."
    model = mi.MultiIndexRegressor(random_state=0, width=16, **settings).fit(X, y)
    return [torch.from_numpy(model.predict(X)), torch.from_numpy(model.transform(X)),
            torch.from_numpy(model.components_)]


def both_stages(X, y, U, **settings):
    "Weights, predictions and curves of `learn`."
    result = mi.learn(X, y, 2, width=16, U=U, progress=False, **settings)
    return [result.net.W, result.net.a, result.predict(X), result.history.alignment, result.subspace]


def stages(X, y, U):
    "The two stages one by one."
    net = mi.symmetric_init(16, 6, activation=lambda z: z**2 / (2 * (1 + z**2)))
    mi.train_first_layer(net, X, y, "expectile:0.7", 2, engine="autograd", progress=False)
    report = mi.check_recovery(net, X, y, 2, "expectile:0.7", U=U)
    mi.train_readout(net, X, y, "huber", seed=1, progress=False)
    return [net.W, net.a, report.subspace, mi.alignment(net.W, U),
            torch.tensor(mi.coverage(net.W, U), dtype=torch.float64, device="cpu")]


def plane(f, X, y, U):
    "Plane and predictions of one of the refinements."
    found = f(X, y, U)
    return [found.subspace, found.predict(X)]


CALLS = {
    "learn": both_stages,
    "autograd": lambda X, y, U: both_stages(X, y, U, engine="autograd"),
    "pinball": lambda X, y, U: both_stages(X, y, U, loss="pinball:0.8", engine="power", readout_loss="l1"),
    "stages": stages,
    "refine": lambda X, y, U: plane(lambda *a: mi.refine_subspace(*a, 2, 4, 1, progress=False), X, y, U),
    "polish": lambda X, y, U: plane(lambda *a: mi.polish_subspace(*a, 32, progress=False), X, y, U),
    "advise": lambda X, y, U: [mi.advise_loss(X, y, progress=False).values],
    "spectra": lambda X, y,
    U: [mi.second_order_matrix(X, y, "logcosh"), mi.empirical_spectrum(X, y, "expectile:0.7").values,
        mi.population_spectrum(TARGET, "huber")],
    "draws": lambda X, y,
    U: [mi.random_subspace(5, 2, 3.0), *mi.sample(TARGET, U, 10, 0.1), mi.hermite(3, X), TARGET(X[:, :2])],
    "errors": lambda X, y,
    U: [torch.tensor([mi.relative_error(X[:, 0], y), mi.subspace_error(U, mi.recovered_subspace(X, 2)),
                      mi.Huber().location(y)], dtype=torch.float64, device="cpu")],
    "oracle": lambda X, y, U: [mi.oracle(U, X, y, 16)(X)],
    "theory": lambda X, y,
    U: [torch.from_numpy(np.asarray(mi.predict_neurons("h2(z1)", "huber", 5.0, d=20, steps=2).alignment)),
        torch.tensor(mi.best_ratio("h2(z1)"), dtype=torch.float64, device="cpu")],
    "estimator": lambda X, y, U: estimator(X[:100], y[:100]),
    "paper": lambda X, y, U: estimator(X, y, refine=False, loss="huber", steps="rule"),
}


def run(call, X=X, y=Y, U=U):
    "The numbers of a call, with its warnings ignored."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.HopelessWarning)
        return [t.detach().clone() for t in CALLS[call](X, y, U)]


@pytest.fixture(scope="module")
def plain():
    "Each call's numbers in no particular state, computed once."
    kept = {}
    return lambda call: kept.setdefault(call, run(call)) if call not in kept else kept[call]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("call", CALLS)
def test_state_of_the_caller_changes_nothing(call, state, plain):
    "The same bits, dtype and device in every state."
    expected = plain(call)
    with STATES[state]():
        found = run(call)
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)


def inside_inference(t):
    "A copy of t that autograd refuses to keep."
    with torch.inference_mode():
        return t.clone()


@pytest.mark.parametrize("change",
                         [lambda t: t.clone().requires_grad_(), lambda t: 1.0 * t.clone().requires_grad_(),
                          inside_inference], ids=["leaf", "result", "inference"])
@pytest.mark.parametrize("which", range(3), ids=["X", "y", "U"])
@pytest.mark.parametrize("call",
                         ["autograd", "stages", "refine", "polish", "advise", "spectra", "errors", "oracle",
                          "draws"])
def test_tensors_that_record_gradients_are_read_as_numbers(call, which, change, plain):
    "X, y or U with a gradient, or from inference mode: the same bits, and no gradient asked for."
    data = [X, Y, U]
    data[which] = change(data[which])
    for a, b in zip(run(call, *data), plain(call), strict=True):
        assert torch.equal(a, b)


def test_estimator_reads_tensors_that_record_gradients():
    "`fit` and `predict` as for plain arrays."
    leaf, label = X.clone().requires_grad_(), Y.clone().requires_grad_()
    first, second = (mi.MultiIndexRegressor(2, refine=False, width=16, random_state=0).fit(*data)
                     for data in ((X, Y), (leaf, label)))
    assert np.array_equal(first.predict(X),
                          second.predict(leaf)) and np.array_equal(first.transform(X), second.transform(leaf))


def test_functions_meant_to_be_differentiated_still_are():
    "Hermite polynomials, targets and networks pass gradients on."
    z = X[:, :2].clone().requires_grad_()
    net = mi.symmetric_init(4, 2, 0.5)
    net.a.fill_(1.0)
    for f in (lambda z: mi.hermite(3, z), TARGET, net):
        (slope,) = torch.autograd.grad(f(z).sum(), z)
        assert slope.abs().max() > 0


def test_network_of_weights_that_record_gradients_can_be_trained():
    "Weights, inputs and labels that record gradients."
    half = (0.1 * X[:4, :6]).clone().requires_grad_()
    net = TwoLayerNet(torch.cat([half, half.flip(0)]), torch.tensor([1.0] * 4 + [-1.0] * 4).double(),
                      torch.zeros(8).double().requires_grad_())
    mi.train_first_layer(net, X, Y, "mse", 2, progress=False)
    mi.train_readout(net, X, Y, progress=False)
    assert torch.isfinite(net(X)).all()


def test_warnings_as_errors():
    "Nothing but the package's own warnings about hopeless data is ever given."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", mi.HopelessWarning)
        for call in CALLS:
            CALLS[call](X, Y, U)


def small():
    "Two hundred rows of three columns, labels of one index, and a regressor that asks for it."
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 3))
    return rows, rows[:, 0] ** 2 + 0.1 * rng.standard_normal(200), mi.MultiIndexRegressor(
        1, random_state=0, rounds=0)


@pytest.mark.parametrize("strike", [ValueError, KeyboardInterrupt])
def test_a_refit_that_fails_leaves_the_old_model(strike, monkeypatch):
    "Refused or interrupted, early or late: every attribute is that of the fit before."
    from multiindex_nb.estimator import regressor

    rows, labels, model = small()
    before = dict(vars(model.fit(rows, labels)))
    for place in ("seed_of", "_fit_model", "_warn_of"):
        with monkeypatch.context() as patch, pytest.raises(strike):
            patch.setattr(regressor, place, lambda *given: (_ for _ in ()).throw(strike()))
            model.fit(5 + 10 * rows[:, :2], 1000 + 50 * labels)
        assert vars(model) == before
    classes = mi.MultiIndexClassifier(1, random_state=0, rounds=0).fit(rows, labels > 1)
    with pytest.raises(ValueError, match="NaN"):
        classes.fit(rows * np.nan, np.where(labels > 1, "apple", "pear"))
    assert classes.predict(rows).dtype == bool


@pytest.mark.parametrize("model", [mi.MultiIndexRegressor(loss="hinge"), mi.MultiIndexClassifier(level=2)])
def test_a_first_fit_that_fails_leaves_nothing(model):
    "`NotFittedError`, as before any fit."
    from sklearn.exceptions import NotFittedError

    rows, labels, _ = small()
    for y in (labels > 1, np.ones(200)):
        with pytest.raises(ValueError):
            model.fit(rows, y)
        with pytest.raises(NotFittedError):
            model.predict(rows)


def test_fits_in_threads_leave_the_process_as_it_was(monkeypatch):
    "Threads of BLAS and filters of warnings, where the first of two fits begins and ends before the other."
    from multiindex_nb.estimator import classifier, regressor

    rows, labels, model = small()
    nothing, models = lambda *given: None, [model, mi.MultiIndexClassifier()]
    for module, name in ((regressor, "_use_all_rows"), (classifier, "set_model")):
        monkeypatch.setattr(module, name, nothing)
        monkeypatch.setattr(module, "_warn_of", lambda model, n: model)
    for model, module, name in zip(models, (regressor, classifier), ("_choose_all", "fit_classes")):
        inside, both, left = (threading.Event() for _ in range(3))

        @multiindex_nb.gate.one_thread
        def meet(*given):
            first = not inside.is_set()
            (inside if first else both).set()
            assert (both if first else left).wait(60)
            return None, None

        monkeypatch.setattr(module, name, meet)
        with threadpool_limits(2):
            before = list(warnings.filters)
            first, second = (threading.Thread(target=clone(model).fit, args=(rows, labels > 1)) for _ in "ab")
            first.start(), inside.wait(60), second.start(), first.join(), left.set(), second.join()
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {2}
            assert both.is_set() and warnings.filters == before
