"""A soft dictionary to play with: a few keys, one query, and the average that it
gets.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from minitfm.web.pages import WITHOUT, bundle
from minitfm.web.widgets import PageWidget

Number = float | int


class SoftLookup(PageWidget):
    """Keys and a query in the plane: drag the query, and watch scores, weights and the
    average move.

    ``SoftLookup({"north": ((0, 2), 2.0), "east": ((2, 0), 14.0)}, query=(1, 1))`` is
    alive in a notebook, and on a page without a kernel.

    Attributes:
        query: where the query points; it follows the reader, and setting it moves the
            view.
    """

    _esm = bundle("lookup.js")
    data = traitlets.Dict().tag(sync=True)
    query: traitlets.List = traitlets.List().tag(sync=True)

    def __init__(
        self,
        entries: Mapping[str, tuple[Sequence[Number], Number]],
        query: Sequence[Number],
        *,
        axes: tuple[str, str] = ("x", "y"),
        unit: str = "",
        presets: Mapping[str, Sequence[Number]] | None = None,
    ) -> None:
        """Lay out the dictionary.

        Args:
            entries: for each name its key, two numbers, and its value.
            query: two numbers, where it points at first.
            axes: what the two directions mean.
            unit: of the values.
            presets: queries to choose at a click, by name.

        Raises:
            ValueError: if there is no entry, or a key or a query has not two numbers.
        """
        if not entries:
            raise ValueError("there is nothing to look up; give at least one entry")
        pairs = {"query": query, **{name: key for name, (key, _) in entries.items()}}
        for name, pair in (pairs | dict(presets or {})).items():
            if len(pair) != 2:
                raise ValueError(
                    f"{name} has {len(pair)} numbers; the picture is a plane, so it"
                    " needs two"
                )
        data = {
            "entries": [
                {"name": name, "key": list(key), "value": value}
                for name, (key, value) in entries.items()
            ],
            "axes": list(axes),
            "unit": unit,
            "presets": [
                {"name": name, "query": list(pair)}
                for name, pair in (presets or {}).items()
            ],
        }
        super().__init__(data=data, query=list(query))

    def html(self) -> str:
        """The same for a page: an element with its data inside."""
        data: dict[str, Any] = {**self.data, "query": self.query}
        inline = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        inline = inline.replace("<", "\\u003c")  # "</script>" would end the element
        return (
            f"<minitfm-lookup><p>{WITHOUT}</p>"
            f'<script type="application/json">{inline}</script></minitfm-lookup>'
        )

    def __repr__(self) -> str:
        names = ", ".join(entry["name"] for entry in self.data["entries"])
        return f"SoftLookup({names}; query {self.query})"
