"""Ready-made data sets, and readers for your own files."""

from afnio.utils.datasets.bbh import BBHTask
from afnio.utils.datasets.facility_support import FacilitySupport
from afnio.utils.datasets.files import CSVDataset, JSONLDataset
from afnio.utils.datasets.generated import GeneratedTask
from afnio.utils.datasets.table import TableDataset
from afnio.utils.datasets.trec import TREC
from afnio.utils.datasets.utils import DatasetNotFoundError, DownloadError

__all__ = [
    "TREC",
    "BBHTask",
    "CSVDataset",
    "DatasetNotFoundError",
    "DownloadError",
    "FacilitySupport",
    "GeneratedTask",
    "JSONLDataset",
    "TableDataset",
]
