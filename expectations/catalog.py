"""Where every table and folder of the lake is. The only place that knows, and that would branch on an environment."""

from dataclasses import dataclass
from pathlib import Path

from expectations.places import Location
from expectations.s3 import S3Path
from expectations.settings import HOME
from expectations.tables import TABLES

_FOLDERS = {
    "payments_raw_bronze": "bronze",
    "source_quarantine": "quarantine",
    "pattern_state": "patterns",
    "pattern_status": "patterns",
    "detections": "patterns",
    "detection_files": "patterns",
}


@dataclass(frozen=True)
class Lake:
    """The places of one lake; it holds the data of one source log.

    What streams in is below `root`, on a disk or on S3. What only one machine can use is below `local`: the warehouse
    and the marts, which DuckDB keeps in files, finance's proofs, locks and Spark's checkpoint.
    """

    root: Location

    @property
    def local(self) -> Path:
        """On this machine: the root itself, or a folder for what belongs to a root on S3."""
        if isinstance(self.root, S3Path):
            return HOME / "s3" / self.root.bucket / self.root.key
        return self.root

    def table(self, name: str) -> Location:
        """Location of a Delta table that `expectations.tables` declares."""
        return self.root / _FOLDERS[TABLES[name].name] / name

    @property
    def landing(self) -> Location:
        """Chunk files, as the chunker wrote them."""
        return self.root / "landing"

    @property
    def archive(self) -> Location:
        """Chunk files that bronze and the detector have worked off."""
        return self.root / "archive"

    @property
    def detection_files(self) -> Location:
        return self.root / "detections"

    @property
    def offset_file(self) -> Location:
        return self.root / "state" / "offset.csv"

    @property
    def warehouse(self) -> Path:
        """DuckDB file, private to dbt: whoever opens it holds the warehouse lock."""
        return self.local / "warehouse" / "warehouse.duckdb"

    @property
    def marts(self) -> Path:
        """What was published: one folder per domain, of Parquet files that never change."""
        return self.local / "marts"

    @property
    def mart(self) -> Path:
        """DuckDB file of views onto the published files; what readers open."""
        return self.marts / "mart.duckdb"

    @property
    def data_docs(self) -> Path:
        return self.local / "data_docs"

    @property
    def locks(self) -> Path:
        return self.local / "state" / "locks"

    @property
    def detector_lease(self) -> Location:
        return self.root / "state" / "detector.lease.json"

    @property
    def medallion_lease(self) -> Path:
        return self.local / "state" / "medallion.lease.json"

    @property
    def detector_checkpoint(self) -> Path:
        return self.local / "checkpoints" / "detector"

    @property
    def finance(self) -> Path:
        """Frozen inputs, staged days, the chain of manifests, approvals: what proves the audited tables."""
        return self.local / "finance"
