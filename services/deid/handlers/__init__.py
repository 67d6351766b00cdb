"""What de-identification does when something arrives."""

from services.deid.handlers.identity import IdentityHandlers
from services.deid.handlers.merges import MergeHandlers
from services.deid.handlers.packs import DeidHandlers, QuarantineHandlers
from services.deid.handlers.recall import RecallHandlers

__all__ = ["DeidHandlers", "IdentityHandlers", "MergeHandlers", "QuarantineHandlers", "RecallHandlers"]
