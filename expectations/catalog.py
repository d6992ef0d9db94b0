"""Where every table and folder of the lake is. The only place that knows, and that would branch on an environment."""

from dataclasses import dataclass
from pathlib import Path

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
    """The places of one lake; it holds the data of one source log."""

    root: Path

    def table(self, name: str) -> Path:
        """Location of a Delta table that `expectations.tables` declares."""
        return self.root / _FOLDERS[TABLES[name].name] / name

    @property
    def landing(self) -> Path:
        """Chunk files, as the chunker wrote them."""
        return self.root / "landing"

    @property
    def archive(self) -> Path:
        """Chunk files that bronze and the detector have worked off."""
        return self.root / "archive"

    @property
    def detection_files(self) -> Path:
        return self.root / "detections"

    @property
    def offset_file(self) -> Path:
        return self.root / "state" / "offset.csv"

    @property
    def warehouse(self) -> Path:
        """DuckDB file, private to dbt: whoever opens it holds the warehouse lock."""
        return self.root / "warehouse" / "warehouse.duckdb"

    @property
    def marts(self) -> Path:
        """What was published: one folder per domain, of Parquet files that never change."""
        return self.root / "marts"

    @property
    def mart(self) -> Path:
        """DuckDB file of views onto the published files; what readers open."""
        return self.marts / "mart.duckdb"

    @property
    def data_docs(self) -> Path:
        return self.root / "data_docs"

    @property
    def locks(self) -> Path:
        return self.root / "state" / "locks"

    @property
    def detector_lease(self) -> Path:
        return self.root / "state" / "detector.lease.json"

    @property
    def medallion_lease(self) -> Path:
        return self.root / "state" / "medallion.lease.json"

    @property
    def detector_checkpoint(self) -> Path:
        return self.root / "checkpoints" / "detector"

    @property
    def finance(self) -> Path:
        """Frozen inputs, staged days, the chain of manifests, approvals: what proves the audited tables."""
        return self.root / "finance"
