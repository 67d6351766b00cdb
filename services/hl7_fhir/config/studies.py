"""What becomes of studies."""

from typing import Annotated

from pydantic import Field

from shared.settings import ServiceSettings


class Studies(ServiceSettings):
    """Where studies are told, and how ImagingStudy tells of them."""

    #: Where the catalogue keeps the summaries of studies, and the longest that is read, bytes.
    summaries_url: str = "file:///var/lib/causeway/summaries"
    summary_limit: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024
    #: An ImagingStudy lists its instances up to so many; of a larger one it tells how many there are.
    imaging_study_instances: Annotated[int, Field(ge=0)] = 2000
    #: The root of this site's DICOMweb as readers reach it; without it an ImagingStudy has no Endpoint.
    dicomweb_url: str = ""
