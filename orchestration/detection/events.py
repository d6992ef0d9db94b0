"""The figures that the detection flow shows with its assets."""

from collections.abc import Iterator, Sequence

import dagster as dg

from expectations.catalog import Lake
from orchestration.reporting import materialization
from spark_jobs.pattern_detector.detector import MicroBatch
from spark_jobs.pattern_detector.outbox import read_detections

_PREVIEW_ROWS = 10


def materializations(batches: Sequence[MicroBatch], lake: Lake) -> Iterator[dg.AssetMaterialization]:
    """One per asset that the micro-batches changed; the files only where some were written."""
    cells = sum(batch.last_cell - batch.first_cell + 1 for batch in batches)
    raised = sum(batch.detections for batch in batches)
    files = [path for batch in batches for path in batch.files]
    pace = {
        "cells": cells,
        "micro-batches": len(batches),
        "seconds": round(sum(batch.duration_s for batch in batches), 3),
    }
    if batches:
        pace |= {"up to cell": batches[-1].last_cell, "lag seconds": round(batches[-1].lag_s, 3)}
    yield materialization("pattern_state", pace | {"path": dg.MetadataValue.path(str(lake.table("pattern_state")))})
    yield materialization("pattern_status", {"changes": sum(batch.flips for batch in batches)})
    yield materialization("detections", {"dagster/row_count": raised, **pace, "newest": _newest(lake)})
    yield materialization(
        "detection_files",
        {
            "files": len(files),
            "newest file": files[-1].name if files else "none",
            "path": dg.MetadataValue.path(str(lake.detection_files)),
        },
    )


def _newest(lake: Lake) -> dg.MetadataValue:
    """The last detections, as a table to look at."""
    found = read_detections(lake)
    rows = found.slice(max(0, len(found) - _PREVIEW_ROWS)).to_pylist()[::-1]
    columns = ("cell", "pattern_id", "action_type", "customer_id", "merchant_id")
    return dg.MetadataValue.table(
        [dg.TableRecord({column: row[column] for column in columns}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(column, "int" if column == "cell" else "string") for column in columns]),
    )
