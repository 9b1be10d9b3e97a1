"""Package metadata, read from settings.ini so that nothing is listed twice."""
from configparser import ConfigParser

from setuptools import find_packages, setup

config = ConfigParser(delimiters=["="])
config.read("settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    keywords=cfg["keywords"],
    author=cfg["author"],
    author_email=cfg["author_email"],
    license="Apache-2.0",
    url=cfg["git_url"],
    packages=find_packages(include=[cfg["lib_path"], cfg["lib_path"] + ".*"]),
    package_data={cfg["lib_path"]: ["*.mplstyle", "py.typed", "live/index.html", "live/core.js", "live/figure.js", "live/worker.js"]},  # noqa: E501
    install_requires=cfg["requirements"].split(),
    extras_require={
        name: cfg[f"{key}_requirements"].split()
        for name, key in {"dev": "dev", "lazy": "lazy", "peers": "peer", "psdr": "psdr"}.items()
    },
    python_requires=">=" + cfg["min_python"],
    entry_points={"console_scripts": cfg["console_scripts"].split()},
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
    ],
    zip_safe=False,
)
