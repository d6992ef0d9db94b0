"""What a detector leaves in a lake, in a form that can be compared."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
from deltalake import QueryBuilder

from expectations import delta
from expectations.catalog import Lake
from expectations.places import names
from expectations.schema import TableSchema
from expectations.tables import DETECTION_FILES, DETECTIONS, PATTERN_STATE, PATTERN_STATUS
from spark_jobs.pattern_detector import state
from tests.support_naive.recomputation import Recomputed


@dataclass(frozen=True)
class Outcome:
    """Everything that must come out the same however the work was cut; under a frozen clock, to the byte."""

    detections: list[dict[str, object]]
    status: list[dict[str, object]]
    state: list[dict[str, object]]
    ledger: list[dict[str, object]]
    files: dict[str, bytes]
    cells: int

    def agrees_with(self, expected: Recomputed) -> None:
        """Asserts that this is what the recomputation says."""
        columns = ("cell", "pattern_id", "action_type", "customer_id", "merchant_id")
        assert [tuple(row[column] for column in columns) for row in self.detections] == expected.detections
        assert [row["sequence"] for row in self.detections] == [*range(len(expected.detections))]
        status = {(r["pattern_id"], r["customer_id"], r["merchant_id"]): (r["holds"], r["cell"]) for r in self.status}
        assert status == expected.status
        assert len(status) == len(self.status)
        assert self.state == expected.state


def outcome(lake: Lake) -> Outcome:
    """What is in a lake now. Merchants may live in other buckets, so the state is without those."""
    return Outcome(
        detections=_rows(lake, DETECTIONS, "sequence"),
        status=_rows(lake, PATTERN_STATUS, ", ".join(PATTERN_STATUS.key)),
        state=_latest(_rows(lake, PATTERN_STATE, "cell")),
        ledger=_rows(lake, DETECTION_FILES, "file_sequence"),
        files={name: (lake.detection_files / name).read_bytes() for name in names(lake.detection_files)},
        cells=state.committed_cells(lake.table("pattern_state")),
    )


def _rows(lake: Lake, schema: TableSchema, order_by: str) -> list[dict[str, object]]:
    table = delta.open_table(lake.table(schema.name))
    if table is None:
        return []
    query = QueryBuilder().register("rows_of_table", table).execute(f"SELECT * FROM rows_of_table ORDER BY {order_by}")
    return pa.table(query.read_all()).select(schema.columns).to_pylist()


def _latest(log: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """The last row of each pair, in order of merchant and customer."""
    latest = {(row["merchant_id"], row["customer_id"]): row for row in log}
    return [{name: row[name] for name in row if name != "bucket"} for _, row in sorted(latest.items())]
