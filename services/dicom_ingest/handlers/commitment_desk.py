"""Where associations hand what arrives."""

from services.dicom_ingest.handlers.commitment import Commitment
from services.dicom_ingest.handlers.commitment_reports import CommitmentReports
from services.dicom_ingest.handlers.reception import Reception
from services.dicom_ingest.handlers.steps import Steps
from services.dicom_ingest.ports import Publisher
from services.dicom_ingest.ports.commitment import Reach
from shared.identity import SiteKey


class CommitmentDesk:
    """Instances go to reception, reports on procedure steps to theirs; requests for commitment stay here."""

    def __init__(self, *, reception: Reception, bus: Publisher, reach: Reach, site_key: SiteKey, steps: Steps) -> None:
        commitment = Commitment(requests=reach.requests, site_key=site_key, remembered=reach.remembered)
        self.arrive, self.store, self.leave = reception.arrive, reception.store, reception.leave
        self.report = steps.begin
        self.ask, self.decided = commitment.begin, commitment.decided
        self.run = CommitmentReports(commitment=commitment, bus=bus, reach=reach).run
