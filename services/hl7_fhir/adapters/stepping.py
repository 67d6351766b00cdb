"""What scheduled steps and the worklist are made of, by the site's settings."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from services.hl7_fhir.adapters.dicom_association import Find, Limits, Titles
from services.hl7_fhir.adapters.dicom_port import DicomPort
from services.hl7_fhir.adapters.following import Follower
from services.hl7_fhir.adapters.performed import SqlPerformedSteps
from services.hl7_fhir.adapters.steps import Steps
from services.hl7_fhir.adapters.tells import Tells
from services.hl7_fhir.adapters.worklist import SqlWorklist
from services.hl7_fhir.config.worklist import WorklistSettings
from services.hl7_fhir.domain.record import Site
from services.hl7_fhir.domain.step import Rules
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
        self.performed = SqlPerformedSteps(database, steps, reports)
        self.pages = SqlWorklist(database)

    @staticmethod
    def checks(ports: Sequence[DicomPort]) -> Mapping[str, Check]:
        """The readiness check of the port, when there is one."""
        return {f"worklist-{number}" if number else "worklist": each.check for number, each in enumerate(ports)}

    def ports(self, find: Find) -> Sequence[DicomPort]:
        """The port that answers with ``find``, or none."""
        settings = self._settings
        if settings.worklist_port is None:
            return ()
        limits = Limits(
            associations=settings.worklist_associations,
            first=settings.worklist_greeting_timeout,
            idle=settings.worklist_idle_timeout,
            message=settings.worklist_message_timeout,
            answer=settings.worklist_message_timeout,
        )
        titles = Titles(settings.worklist_title, frozenset(settings.worklist_callers))
        port = DicomPort(
            host=settings.worklist_host, port=settings.worklist_port, titles=titles, find=find, limits=limits
        )
        return (port,)
