"""Bad input, line by line of the specification: the right kind of error, naming the argument, before any
work."""

import math
import warnings

import numpy as np
import pytest
import torch

import multiindex_nb as mi
from multiindex_nb.explorer import Setting

U = mi.random_subspace(10, 2, seed=0)
X, Y = mi.sample(mi.Target.parse("h2(z1)+h2(z2)"), U, 200, seed=0)
NET = mi.symmetric_init(8, 10)
NAN, INF = X.clone(), Y.clone()
NAN[3, 4], INF[7] = math.nan, math.inf


def learn(**changes):
    "`learn` on good data with some arguments replaced."
    return mi.learn(**{"X": X, "y": Y, "r": 2, "width": 16, **changes})


BAD_DATA = [
    (dict(X=NAN), ValueError, r"X must be finite.*\(3, 4\)"),
    (dict(y=INF), ValueError, r"y must be finite.*\(7,\)"),
    (dict(y=Y[:50]), ValueError, "X and y must have the same length, got 200 and 50"),
    (dict(X=X[:, 0]), ValueError, r"X must have shape \(n, d\)"),
    (dict(y=Y[:, None]), ValueError, r"y shape \(n,\), got"),
    (dict(X=X[:0], y=Y[:0]), ValueError, "at least 2 rows"),
    (dict(X=X[:1], y=Y[:1]), ValueError, "at least 2 rows"),
    (dict(X=X[:, :1]), ValueError, "r must be at most d = 1, got 2"),
    (dict(r=0), ValueError, "r must be"),
    (dict(r=-1), ValueError, "r must be"),
    (dict(r=1.5), TypeError, "r must be"),
    (dict(r="2"), TypeError, "r must be"),
    (dict(y=torch.ones(200)), ValueError, "y must not be constant"),
    (dict(X=np.array([["a", "b"]] * 200)), TypeError, "X must"),
    (dict(X=X + 1j), TypeError, "X must"),
    (dict(X=None), TypeError, "X must"),
    (dict(y=np.array([object()] * 200)), TypeError, "y must"),
    (dict(U=U[:1]), ValueError, "U must have shape"),
]
BAD_SETTINGS = [
    (dict(width=15), ValueError, "width must be even.*15"),
    (dict(width=0), ValueError, "width must be"),
    (dict(width=8.0), TypeError, "width must be"),
    (dict(steps=-1), ValueError, "steps must be"),
    (dict(steps="few"), TypeError, "steps must be"),
    (dict(loss="hinge"), ValueError, "unknown loss 'hinge', choose from"),
    (dict(loss=3), TypeError, "loss must be"),
    (dict(engine="cuda"), ValueError, "unknown engine 'cuda', choose from"),
    (dict(activation="relu"), ValueError, "activation 'relu' is unsuitable"),
    (dict(activation="swish"), ValueError, "unknown activation 'swish'"),
    (dict(lr=0.0), ValueError, "lr must be"),
    (dict(lr=True), TypeError, "lr must be"),
    (dict(weight_decay=-1.0), ValueError, "weight_decay must be"),
    (dict(init_scale=0.0), ValueError, "init_scale must be"),
    (dict(seed=-1), ValueError, "seed must be"),
    (dict(seed=0.5), TypeError, "seed must be"),
    (dict(device="nowhere"), ValueError, "device 'nowhere' cannot be used"),
    (dict(readout_loss="hinge"), ValueError, "unknown readout_loss 'hinge'"),
    (dict(readout_decay="cv"), ValueError, "readout_decay must be"),
]


@pytest.mark.parametrize("changes, kind, words", BAD_DATA + BAD_SETTINGS)
def test_learn_refuses(changes, kind, words, monkeypatch):
    "Nothing is trained before the complaint."
    monkeypatch.setattr("multiindex_nb.engine.learner.train_first_layer", lambda *a,
                        **k: pytest.fail("work was started"))
    with pytest.raises(kind, match=words):
        learn(**changes)


@pytest.mark.parametrize("changes, kind, words",
                         [c for c in BAD_DATA if set(c[0]) <= {"X", "y"} and "r must" not in c[2]])
def test_every_stage_checks_its_data(changes, kind, words):
    "The functions that a user may call alone check as `learn` does."
    data = {"X": X, "y": Y, **changes}
    for call in (
        lambda: mi.second_order_matrix(data["X"], data["y"], "mse"),
        lambda: mi.train_first_layer(NET, data["X"], data["y"]),
        lambda: mi.check_recovery(NET, data["X"], data["y"], 2),
        lambda: mi.train_readout(NET, data["X"], data["y"]),
    ):
        with pytest.raises(kind, match=words):
            call()


@pytest.mark.parametrize(
    "make, kind, words",
    [
        (lambda: mi.Huber(0), ValueError, "delta must be"),
        (lambda: mi.Huber(-1.0), ValueError, "delta must be"),
        (lambda: mi.Huber("1"), TypeError, "delta must be"),
        (lambda: mi.Huber(math.nan), ValueError, "delta must be"),
        (lambda: mi.Pinball(0), ValueError, "tau must be"),
        (lambda: mi.Pinball(1.0), ValueError, "tau must be"),
        (lambda: mi.Expectile(1.5), ValueError, "tau must be"),
        (lambda: mi.random_subspace(2, 3), ValueError, "r must be"),
        (lambda: mi.random_subspace(5, 0), ValueError, "r must be"),
        (lambda: mi.random_subspace(5, 2, condition=0.5), ValueError, "condition must be"),
        (lambda: mi.sample(mi.Target.parse("z1"), U, 10), ValueError, "U must have shape"),
        (lambda: mi.sample(mi.Target.parse("z1*z2"), U, 0), ValueError, "n must be"),
        (lambda: mi.sample(mi.Target.parse("z1*z2"), U, 10, noise=-1.0), ValueError, "noise must be"),
        (lambda: mi.sample(mi.Target.parse("z1*z2"), U, 10**12), ValueError, "n = 1000000000000 in d = 10"),
        (lambda: mi.Huber(1.0).location([]), ValueError, "y must hold at least one label"),
        (lambda: mi.subspace_error(NAN[:2], NAN[2:4]), ValueError, "finite"),
        (lambda: mi.hermite(-1, torch.ones(2)), ValueError, "k must be"),
        (lambda: mi.hermite(1.5, torch.ones(2)), TypeError, "k must be"),
        (lambda: mi.symmetric_init(7, 5), ValueError, "width must be even"),
        (lambda: mi.symmetric_init(10**6, 10**6), ValueError, "width = 1000000 in d = 1000000"),
        (lambda: mi.TwoLayerNet(NET.W, NET.a, NET.b, c=True), TypeError, "c must be"),
        (lambda: mi.recovered_subspace(torch.ones(3, 4), 5), ValueError, "r = 5"),
        (lambda: mi.subspace_error(U, U[:1]), ValueError, "same shape"),
        (lambda: mi.alignment(torch.ones(3, 4), U), ValueError, "W must have shape"),
        (lambda: mi.plan_run(0, 10), ValueError, "n must be"),
        (lambda: mi.plan_run(10, 10, memory=1), ValueError, "weights alone"),
        (lambda: mi.lazy_sample(mi.Target.parse("z1"), U, 10), ValueError, "U must have shape"),
        (lambda: mi.lazy_sample(mi.Target.parse("z1*z2"), U, 10, noise=-1.0), ValueError, "noise must be"),
        (lambda: mi.predict_spectrum("h2(z1)", "huber", -1.0), ValueError, "n_per_d must be"),
        (lambda: mi.predict_spectrum("h2(z1)", "huber", 2.0, d=0), ValueError, "d must be"),
        (lambda: mi.predict_neurons("h2(z1)", "huber", 2.0, d=1), ValueError, "d must be"),
        (lambda: mi.predict_errors("h2(z1)", "huber", 2.0, d=50, steps=-1), ValueError, "steps must be"),
        (lambda: mi.predict_errors("h2(z1)", "huber", 20.0, d=50, width=7), ValueError, "width must be"),
        (lambda: mi.samples_needed("h2(z1)", 100, cosine=1.0), ValueError, "cosine must be"),
        (lambda: mi.samples_needed("h2(z1)", 100, losses=("hinge",)), ValueError, "unknown loss"),
        (lambda: mi.critical_ratio("h2(z1)", k=2), ValueError, "k must be"),
        (lambda: mi.best_of_family("h2(z1)", "mse"), ValueError, "unknown family"),
        (lambda: mi.best_of_family("h2(z1)", cosine=0.0), ValueError, "cosine must be"),
        (lambda: mi.best_of_family("h2(z1)", points=2), ValueError, "points must be"),
        (lambda: mi.best_loss("h2(z1)", direction=[2.0]), ValueError, "direction must be"),
        (lambda: mi.best_loss("h2(z1)", floor=1.5), ValueError, "floor must be"),
        (lambda: mi.best_ratio("h2(z1)", noise=-1), ValueError, "noise must be"),
        (lambda: mi.slope_law("h2(z1)", "huber", noise=math.nan), ValueError, "noise must be"),
        (lambda: mi.plot_neurons(torch.ones(3, 4), U), ValueError, "W must have"),
        (lambda: mi.animate_neurons({}, U, "a.gif"), ValueError, "runs must be"),
        (lambda: mi.Explorer(Setting(target="h4(x)")), ValueError, "column 4"),
        (lambda: mi.Explorer(Setting(d=1)), ValueError, "d must be"),
    ],
)
def test_parts_refuse(make, kind, words):
    "Each part names its own argument."
    with pytest.raises(kind, match=words):
        make()


@pytest.mark.parametrize("text, column",
                         [("h4(z1", 3), ("h2(z1)+x", 8), ("z1**z2", 5), ("__import__('os')", 1),
                          ("h99(z1)", 1), ("z1/2", 1), ("z0", 1)])
def test_bad_target_points_at_the_place(text, column):
    "A `ValueError` with the column; nothing is evaluated."
    with pytest.raises(ValueError, match=f"column {column}"):
        mi.Target.parse(text)


def test_divergence_says_when_and_keeps_finite_weights():
    "The step where it happened, and the last finite state."
    net = mi.symmetric_init(8, 10)
    with pytest.raises(mi.DivergenceError, match="step 2") as caught:
        mi.train_first_layer(net, X, Y, lr=1e200, weight_decay=1.0, steps=5)
    assert caught.value.step == 2 and caught.value.history.steps == 1
    assert torch.isfinite(net.W).all() and net.W.abs().max() > 1


def seen(action):
    "Categories of the hopeless warnings that `action` causes."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [w.category for w in caught if issubclass(w.category, mi.HopelessWarning)]


def test_hopeless_but_legal_is_a_warning_of_its_own_class():
    "Few samples, no outlier, a blind loss; and silence when all is well."
    gen = torch.Generator().manual_seed(0)
    noise = torch.randn(900, 30, generator=gen), torch.randn(900, generator=gen)
    U = mi.random_subspace(100, 2, seed=0)
    fourth = mi.sample(mi.Target.parse("h4(z1)+h4(z2)"), U, 40_000, seed=0)
    assert mi.FewSamplesWarning in seen(lambda: learn(X=X[:8], y=Y[:8]))
    assert seen(lambda: learn(X=noise[0], y=noise[1])) == [mi.NoOutlierWarning]
    assert seen(lambda: learn(X=fourth[0], y=fourth[1], loss="mse")) == [mi.BlindLossWarning]
    assert seen(lambda: learn(X=fourth[0], y=fourth[1], loss="huber")) == []


BAD_REFINEMENTS = [
    (dict(X=NAN), ValueError, "X must be finite"),
    (dict(y=INF), ValueError, "y must be finite"),
    (dict(y=Y[:50]), ValueError, "X and y must have the same length"),
    (dict(y=torch.ones(200)), ValueError, "y must not be constant"),
    (dict(V=U[:, :9]), ValueError, "V must have as many columns as X, got 9 and 10"),
    (dict(V=torch.zeros(2, 10)), ValueError, "must be finite and have linearly independent rows"),
    (dict(degree=0), ValueError, "degree must be"),
    (dict(degree="high"), TypeError, "degree must be"),
    (dict(starts=0), ValueError, "starts must be"),
    (dict(rounds=-1), ValueError, "rounds must be"),
    (dict(count=0), ValueError, "count must be"),
    (dict(seed=-1), ValueError, "seed must be"),
]


@pytest.mark.parametrize("changes, kind, message", BAD_REFINEMENTS)
def test_refinement_refuses(changes, kind, message):
    "`refine_subspace` checks everything before it searches."
    with pytest.raises(kind, match=message):
        mi.refine_subspace(**{"X": X, "y": Y, "V": U, "degree": 2, "rounds": 0, **changes})


BAD_ESTIMATORS = [
    (dict(n_indices=0), ValueError, "n_indices must be"),
    (dict(n_indices=11), ValueError, "n_indices must be"),
    (dict(n_indices=1.5), TypeError, "n_indices must be"),
    (dict(loss="hinge"), ValueError, "unknown loss 'hinge'"),
    (dict(steps=0), ValueError, "steps must be"),
    (dict(steps="few"), ValueError, "steps must be"),
    (dict(width=15), ValueError, "width must be even"),
    (dict(width=8.0), TypeError, "width must be"),
    (dict(refine="yes"), TypeError, "refine must be"),
    (dict(whiten="yes"), ValueError, "whiten must be"),
    (dict(process=2), TypeError, "process must be"),
    (dict(level=0), ValueError, "level must be"),
    (dict(rounds=-1), ValueError, "rounds must be"),
    (dict(random_state="x"), ValueError, "seed"),
]


@pytest.mark.parametrize("changes, kind, message", BAD_ESTIMATORS)
def test_estimator_refuses(changes, kind, message):
    "`MultiIndexRegressor` checks its settings before any work."
    with pytest.raises(kind, match=message):
        mi.MultiIndexRegressor(**changes).fit(X.numpy(), Y.numpy())


@pytest.mark.parametrize(
    "bad, message",
    [((NAN, Y), "NaN"), ((X, INF), "infinity"), ((X, Y[:50]), "inconsistent"),
     ((X, torch.ones(200)), "y must not be constant"), ((X[:3], Y[:3]), "minimum of 4")],
)
def test_estimator_refuses_data(bad, message):
    "Data are refused in scikit-learn's words where it checks them, in ours elsewhere."
    with pytest.raises(ValueError, match=message):
        mi.MultiIndexRegressor().fit(bad[0].numpy(), bad[1].numpy())


BAD_OTHERS = [
    (mi.polish_subspace, dict(V=U, width=0), ValueError, "width must be"),
    (mi.polish_subspace, dict(V=U, max_iter=-1), ValueError, "max_iter must be"),
    (mi.polish_subspace, dict(V=U[:, :9]), ValueError, "V must have as many columns as X"),
    (mi.polish_subspace, dict(V=U, seed=-1), ValueError, "seed must be"),
    (mi.advise_loss, dict(level="low"), TypeError, "level must be"),
    (mi.advise_loss, dict(level=1.0), ValueError, "level must be"),
    (mi.advise_loss, dict(losses=["hinge"]), ValueError, "unknown loss"),
    (mi.advise_loss, dict(losses=[]), ValueError, "losses must hold"),
    (mi.advise_loss, dict(permutations=1), ValueError, "permutations must be"),
    (mi.advise_loss, dict(max_rank=0), ValueError, "max_rank must be"),
    (mi.advise_loss, dict(X=NAN), ValueError, "X must be finite"),
]


@pytest.mark.parametrize("f, changes, kind, message", BAD_OTHERS)
def test_adviser_and_polish_refuse(f, changes, kind, message):
    "Chapters 22 and 23 check everything first."
    with pytest.raises(kind, match=message):
        f(**{"X": X, "y": Y, **changes})


def test_rows_are_not_paired_by_accident():
    """Tables whose indices differ are refused, since rows would be paired by position; equal ones, or plain
    arrays, are taken."""
    pd = pytest.importorskip("pandas")
    table, labels = pd.DataFrame(X.numpy()), pd.Series(Y.numpy())
    moved = labels.sample(frac=1, random_state=0)
    model = lambda: mi.MultiIndexRegressor(1, "mse", "rule", 8, refine=False, random_state=0)
    calls = [
        lambda y: mi.second_order_matrix(table, y, "mse"),
        lambda y: mi.learn(table, y, 2, width=8),
        lambda y: mi.learn(X, Y, 2, width=8, X2=table, y2=y),
        lambda y: mi.refine_subspace(table, y, U, 2, rounds=0),
        lambda y: mi.advise_loss(table, y, losses=["mse"], permutations=2),
        lambda y: model().fit(table, y),
        lambda y: model().fit(table, labels).score(table, y),
        lambda y: model().fit(table, labels).score(table, labels, abs(y)),
        lambda y: mi.MultiIndexClassifier(1, rounds=0).fit(X[:40], Y[:40] > 0).score(table[:40], y[:40] > 0),
    ]
    for call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match="must have the same index"):
                call(moved)
            call(labels), call(moved.to_numpy())


def test_labels_keep_their_digits():
    """float32 inputs with labels of the size of seconds since 1970: an error that names y, never a matrix of
    zeros."""
    late = Y + 1.7e9
    for call in (lambda X, y: mi.second_order_matrix(X, y, "mse"), lambda X,
                 y: mi.train_first_layer(mi.symmetric_init(8, 10, dtype=torch.float32), X, y, steps=1)):
        with pytest.raises(ValueError, match="y would lose its digits in float32"):
            call(X.float(), late)
    # computes in float64
    exact, late_too = (mi.learn(X.float(), y, 2, "mse", width=16).subspace for y in (Y, late))
    assert mi.subspace_error(exact, late_too) < 1e-3


MANY_ROWS = np.random.default_rng(0).standard_normal((200, 3))
LABELS = MANY_ROWS[:, 0] ** 2
LARGE = 2**56 + np.arange(200)


def forms(column):
    "A column of numbers in whatever it may come."
    pd, pl, da = (pytest.importorskip(name) for name in ("pandas", "polars", "dask.array"))
    return {"array": column, "list": column.tolist(), "mixed list": [0.5, *column.tolist()[1:]],
            "objects": column.astype(object), "pandas": pd.Series(column), "polars": pl.Series(column),
            "tensor": torch.tensor(column), "Dask": da.from_array(column, chunks=50),
            "Int64": pd.Series(column, dtype="Int64")}


@pytest.mark.parametrize("form", list(forms(LARGE)))
def test_whole_numbers_that_lose_their_digits_are_refused(form):
    "As labels, of rows in memory and not, and as a column beside others, in `fit`, `predict` and `learn`."
    pd, pl, da = (pytest.importorskip(name) for name in ("pandas", "polars", "dask.array"))
    bad, model = forms(LARGE)[form], mi.MultiIndexRegressor(1, refine=False, width=8, random_state=0)
    model.fit(MANY_ROWS, LABELS)
    calls = [lambda: model.fit(MANY_ROWS, bad), lambda: mi.learn(MANY_ROWS, bad, 1, width=8),
             lambda: model.fit(da.from_array(MANY_ROWS, chunks=(50, 3)), bad)]
    if form not in ("Dask", "tensor", "mixed list"):
        tables = [pd.DataFrame(MANY_ROWS[:, :2], columns=list("ab")).assign(c=bad),
                  list(zip(*MANY_ROWS[:, :2].T.tolist(), bad)),
                  pl.DataFrame({"a": MANY_ROWS[:, 0], "b": LABELS, "c": forms(LARGE)["array"]})]
        calls += [lambda t=t, f=f: f(t) for t in tables
                  for f in (model.predict, lambda t: model.fit(t, LABELS))]
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=r"holds a whole number beyond 2\^53|dtype object"):
            call()


def test_dates_and_masks_are_refused():
    "By `fit`, `predict` and for lazy rows, where NumPy would make numbers of them."
    pd, pl, da = (pytest.importorskip(name) for name in ("pandas", "polars", "dask.array"))
    model = mi.MultiIndexRegressor(1, refine=False, width=8, random_state=0).fit(MANY_ROWS, LABELS)
    days = pd.Series(pd.date_range("2020", periods=200))
    lazy, masked = da.from_array(MANY_ROWS, chunks=(50, 3)), np.ma.masked_less(LABELS, 0.1)
    for dates in (days, days.dt.tz_localize("UTC"), days - days[0], days.to_numpy(), pl.Series(days)):
        for rows in (MANY_ROWS, lazy):
            with pytest.raises(TypeError, match="y must hold real numbers, got dates"):
                model.fit(rows, dates)
        table = pl.DataFrame({"a": 1, "b": 2.0, "c": np.asarray(days)})
        for call in (model.predict, lambda rows: model.fit(rows, LABELS)):
            with pytest.raises(TypeError, match="X must hold real numbers, got dates"):
                call(table)
    for y in (masked, da.from_array(masked, chunks=50)):
        for rows in (MANY_ROWS, lazy):
            with pytest.raises(ValueError, match="y must hold real numbers, got .* masked"):
                model.fit(rows, y)


WORDS = np.array(["a", "b"] * 100)
MISSING = {"None": None, "NaN": math.nan, "NaT": np.datetime64("NaT"), "NA": "NA"}


@pytest.mark.parametrize("lost", MISSING)
def test_missing_labels_are_called_so(lost):
    "In lists, arrays, series and masks."
    pd, holes = pytest.importorskip("pandas"), WORDS.astype(object)
    holes[3] = pd.NA if lost == "NA" else MISSING[lost]
    for y in (holes, list(holes), pd.Series(holes), pd.Series(holes, dtype="category"),
              np.ma.masked_array(WORDS, np.arange(200) == 3), np.ma.masked_array(LABELS > 1, LABELS > 2)):
        with pytest.raises(ValueError, match="y holds missing labels"):
            mi.MultiIndexClassifier().fit(MANY_ROWS, y)


def test_settings_and_tables_that_do_not_go_together():
    "A column of complex numbers, too few rows to hold some out, columns too far from white to be left so."
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"\AX: Complex data not supported\Z"):
        mi.MultiIndexRegressor().fit(pd.DataFrame(MANY_ROWS, columns=list("XYZ")).assign(c=1j), LABELS)
    with pytest.raises(ValueError, match="X must have at least 6 rows for steps='holdout', got 4"):
        mi.MultiIndexRegressor(1, steps="holdout").fit(MANY_ROWS[:4], LABELS[:4])
    rng = np.random.default_rng(0)
    far = np.c_[rng.standard_normal((200, 3))[:60], 1.7e9 + np.arange(60)]
    labels = far[:, 0] ** 2 + 0.1 * rng.standard_normal(200)[:60]
    with pytest.raises(ValueError, match="X is too far from centred and white"):
        mi.refine_subspace(far, labels, np.eye(4)[:1], 2)
    model = mi.MultiIndexRegressor(1, whiten=False, rounds=0, random_state=0)
    try:  # what is left of the digits decides whether a function can be fitted
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(far, labels)
    except ValueError as error:
        assert "X is too far from centred and white" in str(error)
    else:
        assert model.score(far, labels) >= -0.01
