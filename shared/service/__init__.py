"""The chassis of every service: ``python -m shared.service services.deid.app:build``."""

from shared.service.model import On, OnDeadLetter, Service, Task
from shared.service.running import run

__all__ = ["On", "OnDeadLetter", "Service", "Task", "run"]
