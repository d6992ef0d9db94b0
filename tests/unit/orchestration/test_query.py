"""Questions to the published marts, now and as of an earlier instant, from Python and from the command line."""

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from orchestration import cli
from orchestration.medallion.publishing import publish
from orchestration.query import NothingPublished, QueryError, open_mart, run_query
from tests.support.warehouse import START, add_rows

CLOCK = frozen_clock(START + timedelta(days=30))
UPTO = (100, 150, 200)

_POSITIONS = "SELECT DISTINCT bronze_rows FROM meta.publications"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three publications; an entry is a minute."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for upto in UPTO:
        add_rows(lake, upto)
        publish(lake, CLOCK)
    return lake


def as_of(rows: int) -> datetime:
    """What gold took for now when so many entries were covered."""
    return START + timedelta(minutes=rows - 1)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (None, 200),
        (as_of(200), 200),
        (as_of(200) - timedelta(microseconds=1), 150),
        (as_of(150), 150),
        (as_of(100), 100),
        (as_of(100) + timedelta(days=99), 200),
    ],
)
def test_as_of_opens_the_newest_version_at_or_before(lake, moment, expected):
    assert run_query(lake, _POSITIONS, moment)["bronze_rows"].to_pylist() == [expected]
    (last,) = run_query(lake, "SELECT max(_row_number) + 1 FROM silver.payments_enriched_silver", moment)[0].to_pylist()
    assert expected - 10 < last <= expected


def test_before_the_first_version_there_is_one_line(lake):
    with pytest.raises(NothingPublished, match="the first one is as of 2026-03-01T01:39:00"):
        open_mart(lake, as_of(99))


def test_before_the_first_publication_there_is_one_line(tmp_path):
    for moment in (None, START):
        with pytest.raises(NothingPublished, match="nothing is published yet"):
            open_mart(Lake(tmp_path), moment)


def test_a_wrong_query_is_one_line(lake):
    with pytest.raises(QueryError, match="v_nothing") as error:
        run_query(lake, "SELECT *\nFROM gold.v_nothing")
    assert "\n" not in str(error.value) and "LINE" not in str(error.value)


def test_what_asks_for_nothing_gives_nothing(lake):
    assert run_query(lake, "CREATE TABLE mine AS SELECT 1 AS a").num_rows <= 1
    assert run_query(lake, "SELECT 1 AS a WHERE false").column_names == ["a"]


@pytest.fixture
def sql(lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable:
    """`tollgate sql` in this process: exit code, standard output and error."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object, where: Path = lake.root) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tollgate", "sql", *map(str, arguments), "--lake", str(where)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code or 0, *capsys.readouterr())

    return command


_VALUES = (
    "SELECT 12345678901 AS amount_minor, TIMESTAMPTZ '2026-03-01 10:00:00+02' AS at, DATE '2026-03-01' AS day, "
    "['a', 'b'] AS reasons, NULL AS nothing, '[bold]' AS text, sum(1) AS total, true AS yes, 'nan'::DOUBLE AS rate"
)


def test_csv(sql):
    code, out, err = sql(_VALUES, "--format", "csv")
    assert (code, err) == (0, "")
    header, row = csv.reader(io.StringIO(out))
    assert header[0] == "amount_minor"
    assert row == [
        "12345678901",
        "2026-03-01T08:00:00+00:00",
        "2026-03-01",
        '["a", "b"]',
        "",
        "[bold]",
        "1",
        "True",
        "nan",
    ]


def test_json(sql):
    code, out, err = sql(_VALUES, "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out) == [
        {
            "amount_minor": 12345678901,
            "at": "2026-03-01T08:00:00+00:00",
            "day": "2026-03-01",
            "reasons": ["a", "b"],
            "nothing": None,
            "text": "[bold]",
            "total": 1,
            "yes": True,
            "rate": None,
        }
    ]
    assert json.loads(sql("SELECT 1 AS a WHERE false", "--format", "json")[1]) == []


def test_table(sql):
    code, out, err = sql(_VALUES)
    assert (code, err) == (0, "")
    for text in ("amount_minor", "12345678901", "2026-03-01T08:00:00+00:00", "[bold]"):
        assert text in out


def test_columns_of_the_same_name(sql):
    assert sql("SELECT 1 AS a, 2 AS a", "--format", "csv")[1] == "a,a\n1,2\n"


def test_the_published_views(sql):
    code, out, _ = sql("SELECT * FROM gold.v_executive_kpis ORDER BY currency", "--format", "csv")
    assert code == 0
    assert [row["currency"] for row in csv.DictReader(io.StringIO(out))] == ["ALL", "EUR", "JPY"]


@pytest.mark.parametrize("moment", ["2026-03-01T02:29:00Z", "2026-03-01T02:29:00", "2026-03-01T04:29:00+02:00"])
def test_as_of_is_utc_unless_it_says_otherwise(sql, moment):
    code, out, _ = sql(_POSITIONS, "--format", "csv", "--as-of", moment)
    assert (code, out) == (0, "bronze_rows\n150\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["SELECT * FROM gold.v_nothing"], "v_nothing"),
        (["SELEC 1"], "syntax error"),
        (["SELECT error('no')"], "no"),
        (["SELECT 1", "--as-of", "yesterday"], "'yesterday' is no instant"),
        (["SELECT 1", "--as-of", "2026-02-28"], "the first one is as of 2026-03-01T01:39:00+00:00"),
        (["SELECT 1", "--format", "xml"], "xml"),
    ],
)
def test_a_mistake_is_one_line(sql, arguments, words):
    code, out, err = sql(*arguments)
    assert (code, out) == (2, "")
    assert words in err and err.count("\n") == 1


def test_nothing_published_is_one_line(sql, tmp_path):
    code, out, err = sql("SELECT 1", where=tmp_path)
    assert (code, out) == (2, "")
    assert "nothing is published yet" in err and err.count("\n") == 1


def test_instants_are_utc(lake):
    (instant,) = run_query(lake, "SELECT max(event_timestamp) AS at FROM silver.payments_enriched_silver")[
        "at"
    ].to_pylist()
    assert instant.utcoffset() == timedelta(0) and instant.astimezone(UTC) == as_of(200)
