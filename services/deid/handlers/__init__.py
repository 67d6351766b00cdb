"""What de-identification does when something arrives."""

from services.deid.handlers.identity import IdentityHandlers
from services.deid.handlers.merges import MergeHandlers
from services.deid.handlers.packs import DeidHandlers, QuarantineHandlers

__all__ = ["DeidHandlers", "IdentityHandlers", "MergeHandlers", "QuarantineHandlers"]
