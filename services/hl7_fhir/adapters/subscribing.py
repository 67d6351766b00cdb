"""Subscriptions as one part: what keeps them, what finds their events, and what sends these."""

import ssl

from services.hl7_fhir.adapters.bell import Bell
from services.hl7_fhir.adapters.deliveries import Patience, SqlDeliveries
from services.hl7_fhir.adapters.dispatch import Dispatcher
from services.hl7_fhir.adapters.header_vault import HeaderVault
from services.hl7_fhir.adapters.holders import anybody, holders
from services.hl7_fhir.adapters.rest_hooks import RestHooks
from services.hl7_fhir.adapters.socket_deliveries import SqlSocketDeliveries
from services.hl7_fhir.adapters.subscriptions import SqlSubscriptions
from services.hl7_fhir.adapters.trimming import Trimming
from services.hl7_fhir.config import Settings
from services.hl7_fhir.domain.subscriptions.endpoints import parse
from shared.identity import SiteKey
from shared.service import Task
from shared.sql import Database

#: Seconds between two looks at the feed.
_POLL = 0.25


class Subscribing:
    """The adapters of subscriptions over one database; without the setting nobody is told."""

    def __init__(self, settings: Settings, database: Database, site_key: SiteKey) -> None:
        vault = HeaderVault(site_key)
        limit = settings.fhir_subscription_limit
        standing_of = holders(settings.http_token_file) if settings.fhir_subscriptions else anybody
        self.bell = Bell()
        self.store = SqlSubscriptions(database, vault, limit)
        self.sockets = SqlSocketDeliveries(database, vault, standing_of)
        self._enabled = settings.fhir_subscriptions
        keep = settings.fhir_subscription_keep
        self._dispatcher = Dispatcher(database, vault, self.bell, poll=_POLL, keep=keep)
        self._trimming = Trimming(database, keep)
        patience = Patience(give_up=settings.fhir_subscription_give_up)
        deliveries = SqlDeliveries(database, vault, patience, standing_of)
        listed = settings.fhir_subscription_endpoints
        if not all(map(parse, listed)):
            raise ValueError("CAUSEWAY_FHIR_SUBSCRIPTION_ENDPOINTS lists what is no plain http(s) URL")
        ca_file = settings.fhir_subscription_ca_file
        trust = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self._rest_hooks = RestHooks(deliveries, self.bell, listed=listed, at_once=limit, trust=trust)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What keeps the feed short, what finds events in it, and what sends them."""
        trimming = Task("changes", self._trimming.run)
        if not self._enabled:
            return (trimming,)
        rest_hooks = Task("rest-hooks", self._rest_hooks.run)
        return (trimming, Task("subscription-events", self._dispatcher.run), rest_hooks)
