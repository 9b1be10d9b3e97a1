"""What runs on a CUDA device, how far from the processor's answer and from the device's own rate: one table,
in under eight minutes. Says so where there is no such device."""

import argparse
import copy
import statistics
import time
import warnings
from pathlib import Path

import torch

import multiindex_nb as mi
from multiindex_nb.engine.cost import PATHS, stage_one_run
from multiindex_nb import HopelessWarning

REPORT = Path(__file__).resolve().parents[1] / "tests" / "GPU.md"
LINK = mi.Target.parse("h4(z1)+h4(z2)")


def clock(run, device: str, times: int = 3) -> float:
    """Median seconds of a call, after one to warm up; the device's queue is emptied before each look at the
    clock."""
    wait, seconds = torch.cuda.synchronize if device == "cuda" else (lambda: None), []
    run()
    for _ in range(times):
        wait()
        start = time.perf_counter()
        run()
        wait()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def draw(d: int, n: int, dtype=torch.float64, device: str = "cuda",
         noise: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    "Rows made where they are used, labels and index space."
    torch.manual_seed(0)
    U = mi.random_subspace(d, 2, seed=0)
    X = torch.randn(n, d, device=device, dtype=dtype)
    y = LINK((X @ U.T.to(X)).double().cpu())
    return X, (y + noise * torch.randn(n, dtype=y.dtype)).to(device), U


def rate(dtype, size: int = 8192, tf32: bool = False) -> float:
    "Operations per second in square products."
    A = torch.randn(size, size, device="cuda", dtype=dtype)
    with allowed(tf32):
        return 2 * size**3 / clock(lambda: A @ A, "cuda", 5)


class allowed:
    "Whether float32 products may be made in TF32, for a while."

    def __init__(self, tf32: bool):
        self.tf32 = tf32

    def __enter__(self):
        self.before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, self.tf32

    def __exit__(self, *_):
        torch.backends.cuda.matmul.allow_tf32 = self.before


def products(path: str, n: int, d: int, width: int, steps: int):
    """The matrix products that a path cannot do without, at its shapes: for 'power' S and W S, else W X' and
    its transpose's product, from half of the neurons."""
    engine, dtype = PATHS[path]
    X, half = torch.randn(n, d, device="cuda", dtype=dtype), width // 2 if engine != "autograd" else width
    W = torch.randn(half, d, device="cuda", dtype=dtype)

    def gram():
        S = X.T @ X  # all of it; half would do
        for _ in range(2 * steps if engine == "power" else steps):
            W @ S

    def layers():
        for _ in range(steps):
            for k in range(0, n, 16384):
                Z = W @ X[k : k + 16384].T
                Z @ X[k : k + 16384]

    return gram if engine == "power" else lambda: (gram(), layers())


def stage_one(d: int, n_per_d: int, paths, width: int = 512, steps: int = 3) -> list[str]:
    "Seconds of stage 1 over those of its products, by path."
    rows = []
    for path in paths:
        n, dtype = n_per_d * d, PATHS[path][1]
        X, y, _ = draw(d, n, dtype)
        own = clock(stage_one_run(path, X, y.to(dtype), width, steps, False), "cuda")
        least = clock(products(path, n, d, width, steps), "cuda")
        rows.append(
            f"| stage 1, `{path}`, d = {d}, n = {n_per_d}d, m = {width} | {own:.3f} s | {least:.3f} s of "
            f"products | {own / least:.2f} |")
        del X
        torch.cuda.empty_cache()
    return rows


def agreement() -> list[str]:
    "Weights and plane on the device against float64 on the processor, also in float32 and TF32."
    rows, (X, y, U) = [], draw(300, 15_000, device="cpu")

    def trained(engine, dtype, device, tf32=False):
        net = mi.symmetric_init(64, 300, 1e-8, dtype=dtype).to(device)
        with allowed(tf32):
            mi.train_first_layer(net, X.to(device, dtype), y.to(device, dtype), "huber", 3, engine=engine,
                                 progress=False)
        W = net.W.double().cpu()
        return W, mi.subspace_error(mi.recovered_subspace(W, 2), U)

    for engine in ("autograd", "fused", "power"):
        truth, error = trained(engine, torch.float64, "cpu")
        for name, dtype, tf32 in (("float64", torch.float64, False), ("float32", torch.float32, False),
                                  ("TF32", torch.float32, True)):
            W, there = trained(engine, dtype, "cuda", tf32)
            gap = ((W - truth).norm() / truth.norm()).item()
            rows.append(
                f"| weights, `{engine}` in {name}, d = 300 | {gap:.1e} from the processor's | plane error "
                f"{there:.5f} for {error:.5f} | |")
    return rows


def against_processor(name: str, run, times: int = 1) -> str:
    "A call with device 'cuda' and with 'cpu': seconds of each and their ratio."
    there = clock(lambda: run("cuda"), "cuda", 3)
    start = time.perf_counter()
    run("cpu")
    here = time.perf_counter() - start
    return (
        f"| {name} | {there:.3f} s | {here:.2f} s on {torch.get_num_threads()} threads of the processor | "
        f"{here / there:.1f} times |")


def readout(d: int = 1000, n: int = 50_000, width: int = 512) -> str:
    "Stage 2 alone."
    X, y, _ = draw(d, n, device="cpu")
    there, net = (X.cuda(), y.cuda()), mi.symmetric_init(width, d, 1.0)
    return against_processor(f"readout, d = {d}, n = {n}, m = {width}",
                             lambda device: mi.train_readout(
                                 copy.deepcopy(net).to(device), *(there if device == "cuda" else (X, y)),
                                 progress=False))


def end_to_end(d: int, n: int, width: int = 512) -> str:
    "`learn`, rows already where they are used."
    X, y, _ = draw(d, n, device="cpu")
    data = {"cpu": (X, y), "cuda": (X.cuda(), y.cuda())}
    return against_processor(f"`learn`, d = {d}, n = {n}, m = {width}",
                             lambda device: mi.learn(
                                 *data[device], 2, "huber", width=width, device=device, progress=False))


def adviser(d: int, n: int) -> str:
    "`advise_loss`, if it takes rows on the device."
    X, y, _ = draw(d, n, device="cpu")
    try:
        return against_processor(f"adviser, d = {d}, n = {n}",
                                 lambda device: mi.advise_loss(X.to(device), y.to(device), progress=False))
    except (RuntimeError, TypeError, ValueError) as error:
        return f"| adviser | does not take rows on the device: {str(error).splitlines()[0][:80]} | | |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true",
                        help="small sizes only, and nothing is kept: does it run at all?")
    parser.add_argument("--out", type=Path, default=REPORT,
                        help=f"where the table is kept (default {REPORT.relative_to(REPORT.parents[1])})")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was measured")
        return 0
    warnings.simplefilter("ignore", HopelessWarning)
    start, card = time.monotonic(), torch.cuda.get_device_name()
    rates = ", ".join(f"{name} {rate(dtype, tf32=tf32) / 1e12:.0f}"
                      for name, dtype, tf32 in (
                          ("float64", torch.float64, False), ("float32", torch.float32, False),
                          ("TF32", torch.float32, True)))
    lines = ["# On a CUDA device", "",
             f"Made by `tools/gpu_check.py` on {card}, torch {torch.__version__}; square products run at "
             f"{rates} Tflop/s.", "",
             "| what | device | beside | ratio |", "|---|---|---|---|"]
    parts = [agreement, lambda: stage_one(1000, 20, PATHS),
             lambda: readout(*((300, 5000) if args.quick else ())),
             lambda: end_to_end(*((300, 12_000) if args.quick else (1000, 100_000))),
             lambda: adviser(300, 6000)]
    parts += [] if args.quick else [lambda: stage_one(4000, 50, ("fused32", "power", "power32")),
                                    lambda: end_to_end(2000, 200_000), lambda: adviser(1000, 20_000)]
    for part in parts:
        try:
            found = part()
        except torch.cuda.OutOfMemoryError as error:
            found = f"| {str(error).splitlines()[0][:80]} | | | |"
        lines += [found] if isinstance(found, str) else found
        print(*lines[-(1 if isinstance(found, str) else len(found)):], sep="\n", flush=True)
    lines += ["",
              f"Refinement and the ridge functions run on the processor only. The whole took "
              f"{(time.monotonic() - start) / 60:.1f} minutes."]
    print(*lines[:4], *lines[-2:], sep="\n")
    if not args.quick:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
