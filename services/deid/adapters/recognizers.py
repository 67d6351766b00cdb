"""Loads the plug-in that finds names in free text."""

from importlib.metadata import EntryPoint
from typing import cast

from services.deid.domain.recognizer import Recognizer

GROUP = "causeway.recognizers"


def load_recognizer(where: str | None) -> Recognizer | None:
    """The object at ``module:object``, made when it is a class; None for none.

    Raises ImportError or AttributeError when there is none there, TypeError when it finds nothing in texts: then the
    service does not start.
    """
    if not where:
        return None
    loaded = EntryPoint("recognizer", where, GROUP).load()
    recognizer = loaded() if isinstance(loaded, type) else loaded
    if not callable(getattr(recognizer, "spans", None)):
        raise TypeError("a recognizer has a method spans(text)")
    return cast("Recognizer", recognizer)
