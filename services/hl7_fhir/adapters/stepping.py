"""What scheduled steps and the worklist are made of, by the site's settings."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from services.hl7_fhir.adapters.dicom_association import Find, Limits, Titles
from services.hl7_fhir.adapters.dicom_port import DicomPort
from services.hl7_fhir.adapters.following import Follower
from services.hl7_fhir.adapters.late_steps import LateSteps
from services.hl7_fhir.adapters.listener import Port, tls_ports
from services.hl7_fhir.adapters.performed import SqlPerformedSteps
from services.hl7_fhir.adapters.steps import Steps
from services.hl7_fhir.adapters.telling_all import TellingAll
from services.hl7_fhir.adapters.tells import Tells
from services.hl7_fhir.adapters.worklist import SqlWorklist
from services.hl7_fhir.config.worklist import WorklistSettings
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.worklist.step import Rules
from shared.http import Check
from shared.identity import SiteKey
from shared.sql import Database
from shared.storage.opening import open_store


class Stepping:
    """The parts that belong together; ``tells`` passes on what receivers are to know."""

    def __init__(
        self,
        settings: WorklistSettings,
        database: Database,
        site: Site,
        site_key: SiteKey,
        tells: Tells | None = None,
    ) -> None:
        rules = Rules(
            stations=settings.scheduled_stations,
            default_modality=settings.scheduled_modality,
            charsets=settings.worklist_charsets,
            states=settings.scheduled_states,
        )
        keep = timedelta(seconds=settings.worklist_keep)
        steps = Steps(site, site_key, rules, keep=keep, tells=tells)
        reports = open_store(settings.landing_url) if settings.landing_url else None
        self._settings = settings
        self.followers: tuple[Follower, ...] = (steps,) if settings.scheduled_steps else ()
        late = LateSteps(steps, timedelta(days=settings.scheduled_steps_days))
        #: What makes the steps of orders that were here before these were wanted.
        self.late = tuple(TellingAll(database, late, site, site_key) for _ in self.followers)
        self.performed = SqlPerformedSteps(database, steps, reports)
        self.pages = SqlWorklist(database)

    @staticmethod
    def checks(ports: Sequence[DicomPort]) -> Mapping[str, Check]:
        """The readiness check of the port, when there is one."""
        return {f"worklist-{number}" if number else "worklist": each.check for number, each in enumerate(ports)}

    def ports(self, find: Find) -> Sequence[DicomPort]:
        """What answers with ``find`` on the plain port, the one for TLS, or both; or none. OSError when a certificate
        cannot be used."""
        settings = self._settings
        plain = () if settings.worklist_port is None else (Port(settings.worklist_host, settings.worklist_port),)
        secured = tls_ports(
            settings.worklist_host,
            settings.worklist_tls_port,
            (settings.worklist_tls_cert, settings.worklist_tls_key, settings.worklist_tls_client_ca),
            mutual=settings.worklist_tls_mutual,
            handshake=settings.worklist_greeting_timeout,
            waiting=settings.worklist_associations,
        )
        if not plain and not secured:
            return ()
        limits = Limits(
            associations=settings.worklist_associations,
            first=settings.worklist_greeting_timeout,
            idle=settings.worklist_idle_timeout,
            message=settings.worklist_message_timeout,
            answer=settings.worklist_message_timeout,
        )
        titles = Titles(settings.worklist_title, frozenset(settings.worklist_callers))
        return (DicomPort(ports=(*plain, *secured), titles=titles, find=find, limits=limits),)
