"""What the catalogue needs from outside, in its own words."""

from services.catalog.ports.documents import Documents
from services.catalog.ports.index import Arrivals, Backlog, Copies, Questions, Studies

__all__ = ["Arrivals", "Backlog", "Copies", "Documents", "Questions", "Studies"]
