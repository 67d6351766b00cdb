"""What de-identification does when something arrives."""

from services.deid.handlers.deciding import Deciding
from services.deid.handlers.identity import IdentityHandlers
from services.deid.handlers.merges import MergeHandlers
from services.deid.handlers.packs import DeidHandlers
from services.deid.handlers.quarantine import QuarantineHandlers
from services.deid.handlers.recall import RecallHandlers
from services.deid.handlers.reports import ReportHandlers

__all__ = [
    "Deciding",
    "DeidHandlers",
    "IdentityHandlers",
    "MergeHandlers",
    "QuarantineHandlers",
    "RecallHandlers",
    "ReportHandlers",
]
