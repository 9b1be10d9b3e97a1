"""Weight, first paint and layout shift of every page of the built site, on a desk and on a phone, in a real Chromium."""  # noqa: E501

import argparse
import contextlib
import functools
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
MOST, MOVES = 1.5, 0.05  # megabytes; the sum of layout shifts, of which Lighthouse calls .1 good
SHIFTS = """window.shift = 0;
new PerformanceObserver(list => list.getEntries().forEach(e => { shift += e.value; }))
    .observe({ type: 'layout-shift', buffered: true })"""
DRAWN = "() => [...document.querySelectorAll('.mi-live')].every(e => e.figure?.box.dataset.ms)"
READ = "() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, shift]"
# what Lighthouse takes for a phone on the road: 1.6 Mbit/s, 150 ms
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 2e5, "uploadThroughput": 93_750}


def chromium_path() -> str | None:
    "$CHROMIUM, or the first on the PATH."
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which(
        "chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def serving(folder: Path):
    "Where a folder is served, to this machine only."
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                         functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def measure(browser, url: str, size: tuple[int, int] = SIZES["desk"], slow: bool = False) -> tuple:
    """Megabytes of all that a page asks for, uncompressed; milliseconds to the first paint; the sum of layout
    shifts until its live figures are drawn."""
    page, sizes = browser.new_page(viewport=dict(zip(("width", "height"), size))), []
    page.add_init_script(SHIFTS)
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    if slow:
        page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW)
    page.goto(url, timeout=120_000)
    page.wait_for_function(DRAWN, timeout=120_000)
    page.wait_for_timeout(500)
    paint, shift = page.evaluate(READ)
    page.close()
    return sum(sizes) / 1e6, paint, shift


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", help="such as 0a_signal.html (default: all)")
    parser.add_argument("--site", type=Path, default=ROOT / "_docs", help="built site (default _docs)")
    parser.add_argument("--slow", action="store_true", help="at 1.6 Mbit/s and 150 ms, as Lighthouse does")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    names = args.pages or sorted(path.relative_to(args.site).as_posix() for path in args.site.rglob("*.html"))
    wrong = []
    print(f"{'page':34}{'MB':>6}" + "".join(f"{f'paint, {size}':>15}{'shift':>8}" for size in SIZES))
    with sync_playwright() as play, serving(args.site) as home:
        browser = play.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        for name in names:
            found = [measure(browser, home + name, size, args.slow) for size in SIZES.values()]
            weight = max(megabytes for megabytes, *_ in found)
            print(f"{name:34}{weight:6.2f}"
                  + "".join(f"{paint:12.0f} ms{shift:8.3f}" for _, paint, shift in found), flush=True)
            if weight >= MOST or any(shift >= MOVES for *_, shift in found):
                wrong.append(name)
        browser.close()
    print(f"{len(names) - len(wrong)} of {len(names)} pages are below {MOST} MB and a shift of {MOVES}"
          + (f"; not {', '.join(wrong)}" if wrong else ""))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
