"""pynetdicom as a requestor, without two races of its reactor with the call that waits for an answer.

A call clears the reactor's checkpoint and believes that it stands; one that has just passed it goes round once more,
takes the answer when it is there by then, and drops it as no request. The call ends at its timeout, without a status.

An N-EVENT-REPORT is served on a thread of its own, which says at its end that the reactor does not stand. When it
stands by then, because a call wants it to, that call waits for ever.
"""

import threading
from typing import Any

from pynetdicom.association import Association

_serve = Association._serve_request


def _give_back(self: Association, message: Any, context_id: int) -> None:
    if self.is_requestor and message.MessageIDBeingRespondedTo is not None:
        self.dimse.msg_queue.put((context_id, message))
    else:
        _serve(self, message, context_id)


def _tell(self: Association, is_paused: bool) -> None:
    """That it does not stand only the reactor itself can say: it is the association's own thread."""
    if is_paused or threading.current_thread() is self or "_stands" not in vars(self):
        vars(self)["_stands"] = is_paused


# There is no other way in.
Association._serve_request = _give_back  # type: ignore[method-assign]  # a function for a method
Association._is_paused = property(lambda self: vars(self)["_stands"], _tell)  # type: ignore[assignment]  # a property for an attribute
