"""Timed by pytest-benchmark, by hand only: pytest tests/bench_speed.py (the suite has no timed tests)."""

import pytest

from multiindex_nb.engine.cost import PATHS, learn_run, stage_one_run
from multiindex_nb.problem.targets import Target, random_subspace, sample


@pytest.mark.parametrize("d", [250, 500, 1000])
@pytest.mark.parametrize("path", [*PATHS, "learn"])
def test_path(benchmark, path, d):
    "Stage 1 by each path, and both stages, at n = 20 d, m = 512, four steps."
    dtype = PATHS[path][1] if path != "learn" else None
    rows = 20 * d * (2 if path == "learn" else 1)
    X, y = sample(Target.parse("h4(z1)+h4(z2)"), random_subspace(d, 2), rows)
    run = learn_run(X, y, 512,
                    4) if path == "learn" else stage_one_run(path, X.to(dtype), y.to(dtype), 512, 4, False)
    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
