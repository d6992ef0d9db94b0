"""The file of views: any DuckDB client opens it, while publications come and go, and none of them waits."""

import ast
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path

import duckdb
import pytest

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from orchestration.mart import current_names, identified, read_versions
from orchestration.medallion.publishing import publish
from tests.support.warehouse import START, add_rows, copied

ROWS = 300
CLOCK = frozen_clock(START + timedelta(days=30))

_READER = """
import duckdb, json, pathlib, sys
mart, stop = sys.argv[1], pathlib.Path(sys.argv[2])
print("ready", flush=True)
while not stop.exists():
    with duckdb.connect(mart, read_only=True) as connection:
        found = connection.execute(
            "SELECT (SELECT min(bronze_rows) FROM meta.publications), "
            "(SELECT max(bronze_rows) FROM meta.publications), "
            "(SELECT max(_row_number) + 1 FROM silver.payments_enriched_silver), "
            "(SELECT count(*) FROM gold.v_executive_kpis)"
        ).fetchone()
    print(json.dumps(found), flush=True)
"""

_WRITER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("SET checkpoint_threshold = '1GB'")
connection.execute("CREATE TABLE notes AS SELECT 1 AS note")
connection.execute("DROP VIEW gold.v_executive_kpis")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    add_rows(lake, ROWS)
    publish(lake, CLOCK)
    return lake


@contextlib.contextmanager
def other_process(code: str, *arguments: object) -> Iterator[subprocess.Popen]:
    """Another DuckDB client, once it is ready."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def read(lake: Lake, sql: str) -> list[tuple]:
    """As any client does, in a process of its own: within one, DuckDB shares what is open already."""
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall())"
    found = subprocess.run(
        [sys.executable, "-c", code, str(lake.mart), sql], capture_output=True, text=True, check=True
    )
    return ast.literal_eval(found.stdout)


def test_readers_are_never_blocked_and_never_see_half(lake, tmp_path):
    """A client opens and queries the mart in a loop: every time it finds silver and gold of one publication."""
    stop = tmp_path / "stop"
    with other_process(_READER, lake.mart, stop) as reader:
        for upto in range(ROWS + 20, ROWS + 200, 20):
            add_rows(lake, upto)
            assert publish(lake, CLOCK).is_published
        stop.touch()
        out, _ = reader.communicate(timeout=60)
        assert reader.returncode == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert len({tuple(line) for line in found}) > 2
    for least, greatest, last_row, kpis in found:
        assert least == greatest
        assert least - 20 < last_row <= least
        assert kpis > 0
    assert [line[0] for line in found] == sorted(line[0] for line in found)


def test_a_client_that_writes_blocks_nobody(lake):
    """It has the file open for writing, and has changed it: publications go on, and what it did goes with its file."""
    with other_process(_WRITER, lake.mart):
        assert publish(lake, CLOCK).is_published
        add_rows(lake, ROWS + 50)
        assert publish(lake, CLOCK).is_published
        assert read(lake, "SELECT DISTINCT bronze_rows FROM meta.publications") == [(ROWS + 50,)]
        assert read(lake, "SELECT count(*) FROM duckdb_tables()") == [(0,)]
        assert read(lake, "SELECT count(*) > 0 FROM gold.v_executive_kpis") == [(True,)]


def test_what_is_open_stays_as_it_was(lake):
    with duckdb.connect(str(lake.mart), read_only=True) as connection:
        before = connection.execute("FROM silver.payments_enriched_silver ORDER BY _row_number").fetchall()
        add_rows(lake, ROWS + 50)
        publish(lake, CLOCK)
        assert connection.execute("FROM silver.payments_enriched_silver ORDER BY _row_number").fetchall() == before


def test_it_holds_nothing_but_views(lake):
    with duckdb.connect(str(lake.mart), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_a_lake_that_was_moved_gets_views_onto_its_own_files(lake, tmp_path_factory):
    moved = copied(lake, tmp_path_factory.mktemp("moved"))
    assert publish(moved, CLOCK).is_new
    with duckdb.connect(str(moved.mart), read_only=True) as connection:
        (sql,) = connection.execute("SELECT sql FROM duckdb_views() WHERE view_name = 'v_daily_trends'").fetchone()
    assert str(moved.root) in sql


def test_a_lost_file_of_views_is_made_again(lake):
    lake.mart.unlink()
    assert publish(lake, CLOCK).is_new
    assert read(lake, "SELECT count(*) FROM meta.publications") == [(2,)]


def test_the_identity_of_a_version_is_its_position_and_content(lake):
    (version,) = read_versions(lake, "gold")
    assert version.version == current_names(lake)["gold"]
    assert version.version.startswith(f"{ROWS}_")
    later = version.model_copy(update={"published_at": version.published_at + timedelta(days=1), "outcomes": ()})
    assert identified(later) == later
    moved = version.model_copy(update={"as_of": version.as_of.astimezone(UTC) + timedelta(seconds=1)})
    assert identified(moved).version != version.version
