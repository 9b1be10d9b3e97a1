"""Test errors of `learn` as it is, of the paper's letter and of two ways between them, on seeds that no
choice has seen: the stored rows of chapter 07. python tools/defaults.py [minutes]"""

import math
import random
import sys
import time
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

import multiindex_nb as mi

STORED = Path(__file__).resolve().parents[1] / "nbs" / "stored" / "learn-defaults.parquet"
TARGETS = {"h2(z1)": "mse", "h4(z1)": "huber", "h2(z1)+h2(z2)": "mse", "h2(z1)+0.5*h2(z2)": "mse",
           "h2(z1)-h2(z2)": "mse", "h2(z1)+h4(z2)": "huber", "h4(z1)+h4(z2)": "huber", "h3(z1)*z2": "huber",
           "z1*z2": "mse", "h2(z1)+h2(z2)+h2(z3)": "mse", "z1*z2+h2(z3)": "mse",
           "h3(z1)+h3(z2)": "pinball:0.9", "h2(z1)*h2(z2)": "huber", "z1+h2(z1)+z1*z2": "mse"}
FIRST_SEED = 3000  # the choice of the defaults saw seeds below


def cells(seeds: int = 3) -> list[tuple[str, int, int, float, int]]:
    "Target, d, n/d, noise and seed: noise 0 or .5 by turns; all cells of a seed before the next."
    grid = [(d, k) for d in (50, 100, 200, 400) for k in (10, 30, 100)]
    every = [(text, d, k, 0.5 * ((i + j) % 2), FIRST_SEED + 100 * s + i) for s in range(seeds)
             for i, text in enumerate(TARGETS) for j, (d, k) in enumerate(grid)]
    random.Random(0).shuffle(every)
    return sorted(every, key=lambda cell: (cell[-1] - FIRST_SEED) // 100)


def measure(text: str, d: int, k: int, noise: float, seed: int) -> dict:
    "One cell: test error and seconds of each way to learn from the same n = k d rows."
    target = mi.Target.parse(text)
    U = mi.random_subspace(d, target.r, seed=seed)
    X, y = mi.sample(target, U, k * d, noise, seed=3 * seed)
    test = mi.sample(target, U, 4000, seed=3 * seed + 2)
    row = dict(target=text, d=d, n_per_d=k, noise=noise, seed=seed)
    letter = dict(faithful=True)
    reuse = letter | dict(X2=X, y2=y)
    start = dict(init_scale=0.3, steps=math.ceil(1.5 * math.sqrt(math.log(d))))
    for name, settings in dict(letter=letter, rows=reuse, start=reuse | start, default={}).items():
        begun = time.process_time()
        result = mi.learn(X, y, target.r, TARGETS[text], seed=seed, progress=False, **settings)
        row |= {f"{name}_seconds": time.process_time() - begun,
                f"{name}_error": mi.relative_error(result.predict(test[0]), test[1])}
    return row


def main(minutes: float) -> None:
    warnings.simplefilter("ignore")
    rows = parquet.read_table(STORED).to_pylist() if STORED.exists() else []
    done, end = {tuple(list(row.values())[:5]) for row in rows}, time.monotonic() + 60 * minutes
    for cell in cells():
        if cell not in done and time.monotonic() < end:
            rows.append(measure(*cell))
            parquet.write_table(pa.Table.from_pylist(rows), STORED)
    print(f"{len(rows)} of {len(cells())} rows in {STORED}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else math.inf)
