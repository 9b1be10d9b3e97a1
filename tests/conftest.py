"""A browser for the tests that need one."""

import os
import shutil

import pytest

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def missing(what: str):
    "Skip a test that lacks something; fail instead where the environment says CI_BROWSER=1."
    (pytest.fail if os.environ.get("CI_BROWSER") == "1" else pytest.skip)(f"{what}: tests in a browser were not run")


@pytest.fixture(scope="session")
def browser():
    "Chromium, headless: $CHROMIUM, or the first on the PATH."
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("no chromium on the PATH and none in $CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: tests in a browser were not run")
    with sync_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield chromium
        chromium.close()
