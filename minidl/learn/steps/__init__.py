"""Twelve steps, from a number and its slope to two players: each a page with one program.

    python -m minidl.learn.steps                        their names
    python -m minidl.learn.steps 2                      run the program of page 2
    python -m minidl.learn.steps 2 --copy sweep.py      a copy of it, to change and to run

The pages stand beside this file: README.md is where to start.
"""
from pathlib import Path
import re

HERE = Path(__file__).parent
PAGES = sorted(HERE.glob("[0-9][0-9]_*.md"))


def title(page):
    """Its heading, as "2. The chain rule and the sweep"."""
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def program(page):
    """(the program of a page, the number of lines above it)"""
    text = page.read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return found[1], text[:found.start(1)].count("\n")


def run(page):
    """Run the program of a page, here; a traceback shows the page's own lines."""
    code, above = program(page)
    exec(compile("\n" * above + code, str(page), "exec"), {"__name__": "__main__"})
