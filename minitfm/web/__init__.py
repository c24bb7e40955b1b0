"""The live pages: a Transformer that runs in the reader's browser, and views of its
attention, of many figures and of a soft dictionary.

``AttentionView``, ``LiveTransformer``, ``Frames`` and ``SoftLookup`` are widgets for
the notebook. Their modules in ``static`` need no kernel, so the site (through
``minitfm.web.sphinx``) shows the same. ``date_model`` and ``read_date`` are the site's
model in Python.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minitfm.web.frames import Frames
    from minitfm.web.lookup import SoftLookup
    from minitfm.web.reading import date_model, date_model_facts, read_date
    from minitfm.web.widgets import Attention, AttentionView, LiveTransformer

__all__ = [
    "Attention",
    "AttentionView",
    "Frames",
    "LiveTransformer",
    "SoftLookup",
    "date_model",
    "date_model_facts",
    "read_date",
]
_MODULES = {
    "Frames": "frames",
    "SoftLookup": "lookup",
    "date_model": "reading",
    "date_model_facts": "reading",
    "read_date": "reading",
}


def __getattr__(name: str) -> Any:
    """Import the widgets when they are used: the site's builds need neither torch nor
    anywidget.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(
        import_module(f"minitfm.web.{_MODULES.get(name, 'widgets')}"),
        name,
    )
