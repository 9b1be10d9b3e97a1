"""Run a notebook from top to bottom in a process of its own, and compare what it says with its saved
outputs."""

import os
import re
import traceback
from pathlib import Path

from forks import FORKS, end_workers, finished

SKIPPED = re.compile(r"^#\|\s*(slow|notest|eval:\s*false)", re.M)
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


def text_of(outputs: list) -> str:
    "What a cell printed and returned, as text; no warnings."
    parts = [o.get("text", o.get("data", {}).get("text/plain", ""))
             for o in outputs if o.get("output_type") != "error" and o.get("name") != "stderr"]
    return "\n".join("".join(part) for part in parts)


def words(text: str) -> list[str]:
    "Text without its numbers, addresses and spaces: verdicts, names, what was chosen."
    text = re.sub(r"<Figure size .*?>|0x[0-9a-f]+", "", text)
    return re.sub(r"[\s\-|=]+", " ", NUMBER.sub("#", text)).split()


def run_cells(path: Path, sender) -> None:
    """Send the text of every code cell, and the error of the first that fails; to be called in a fresh
    process."""
    sender.send(said_by(path))
    end_workers()


def said_by(path: Path) -> tuple[dict[str, str], str | None]:
    "Text by cell, up to the first that fails, and its error."
    from execnb.nbio import read_nb
    from execnb.shell import CaptureShell

    os.environ["IN_TEST"] = "1"
    os.chdir(path.parent)
    shell, said = CaptureShell(path), {}
    for cell in read_nb(path).cells:
        if cell.cell_type == "code" and not SKIPPED.search(cell.source):
            said[cell.id] = text_of(shell.run(cell.source))
            if shell.exc is not None:
                return said, f"{path.name}, cell {cell.id}:\n{cell.source}\n\n" + "".join(
                    traceback.format_exception(shell.exc))
    return said, None


def run_chapter(path: Path, seconds: float = 900) -> tuple[dict[str, str], str | None]:
    "Text by cell, and the error if there was one."
    receiver, sender = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=run_cells, args=(path, sender))
    child.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            child.kill()
        return receiver.recv()
    except EOFError:
        return {}, f"{path.name}: the process ended with no result within {seconds:g} s"
    finally:
        finished(child)
