"""Patch the reference's source, and run what comes out."""

import ast
import math
import re
import textwrap
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Patch = tuple[str, str]


def patches(text: str) -> dict[str, tuple[Patch, ...]]:
    """Read known mistakes: a line ``name: old => new`` each, further patches of the same
    mistake on lines of their own that begin with ``+``. A line break inside a patch is
    written ⏎, a space at its end ␣.
    """
    found: dict[str, list[Patch]] = {}
    name = ""
    for line in filter(None, map(str.rstrip, text.splitlines())):
        head, arrow, new = line.partition(" =>")
        if line.startswith("+"):
            old = head[1:].removeprefix(" ")
        else:
            name, _, old = head.partition(": ")
        if not arrow or not old:
            raise ValueError(f"no patch: {line!r}")
        patch = (_plain(old), _plain(new.removeprefix(" ")))
        found.setdefault(name, []).append(patch)
    return {name: tuple(several) for name, several in found.items()}


def _plain(text: str) -> str:
    return text.replace("⏎", "\n").replace("␣", " ")


def patched(source: str, patches: tuple[Patch, ...]) -> str | None:
    """Replace each patch's first text by its second, everywhere; None if a text is not
    there (any more).
    """
    for old, new in patches:
        if old not in source:
            return None
        source = source.replace(old, new)
    return source


def places(source: str, patches: tuple[Patch, ...]) -> set[int]:
    """The characters of the source that the patches replace."""
    found: set[int] = set()
    for old, _ in patches:
        start = source.find(old)
        while start >= 0:
            found.update(range(start, start + len(old)))
            start = source.find(old, start + 1)
    return found


def defined(source: str) -> str:
    """The name of the function or class that a source defines last."""
    return re.findall(r"^(?:def|class) (\w+)", source, re.MULTILINE)[-1]


def under(source: str, body: str) -> str:
    """The source with another body, not indented, for the function that it defines
    last, or for the last one of its class: signature and `__init__` stay.
    """
    last = ast.parse(source).body[-1]
    while isinstance(last, ast.ClassDef):
        last = last.body[-1]
    assert isinstance(last, ast.FunctionDef)
    first = last.body[0]
    head = source.splitlines(keepends=True)[: first.lineno - 1]
    return "".join(head) + textwrap.indent(body, " " * first.col_offset)


def stub_of(solution: str, doc: str) -> str:
    """What the learner fills in: the solution's head over this docstring."""
    return under(solution, f'"""{doc}"""\nraise NotImplementedError\n')


def build(source: str, name: str, names: dict[str, Any], limit: int = 0) -> Any:
    """Execute the source among torch, F, nn, math and ``names``, and return what it
    calls ``name``.

    Args:
        source: text.
        name: what to return of all that it defines.
        names: what else it may use.
        limit: rounds of its `while` loops, all together, after which it raises; 0 for
            none.
    """
    space = {
        "__name__": "exercise",
        "torch": torch,
        "F": F,
        "nn": nn,
        "math": math,
        **names,
    }
    tree = ast.parse(textwrap.dedent(source))
    if limit and "while" in source:
        rounds = iter(range(limit))
        space["_tick"] = lambda: next(rounds)
        for node in ast.walk(tree):
            if isinstance(node, ast.While):
                tick = ast.parse("_tick()").body
                node.body = [*tick, *node.body]
        ast.fix_missing_locations(tree)
    exec(compile(tree, f"<{name}>", "exec", dont_inherit=True), space)
    return space[name]
