"""Delta tables without a JVM: an append happens once per position of its source, whoever tries it again."""

import dataclasses
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import delta
from expectations.schema import DataType, Field, TableSchema
from tests.support.lake_contents import delta_rows

NUMBERS = TableSchema(
    name="numbers",
    description="Numbers.",
    grain="one number",
    fields=(
        Field("number", DataType.INT64, "A number.", nullable=False),
        Field("word", DataType.STRING, "Its name."),
    ),
    key=("number",),
)


def numbers(first: int, upto: int) -> pa.Table:
    return pa.table({"number": [*range(first, upto)], "word": [str(n) for n in range(first, upto)]}, NUMBERS.arrow())


def stored(path: Path) -> list[int]:
    return delta.read_rows(path, NUMBERS, ["number"]).column("number").to_pylist()


def test_a_table_that_is_not_there_reads_as_empty(tmp_path: Path):
    assert delta.open_table(tmp_path / "numbers") is None
    assert delta.read_rows(tmp_path / "numbers", NUMBERS).equals(NUMBERS.arrow().empty_table())
    assert delta.position(None, "writer") == 0


def test_a_new_table_says_what_it_is_and_records_changes(tmp_path: Path):
    table = delta.ensure_table(tmp_path / "numbers", NUMBERS, notes={"number": {"unit": "apples"}})
    assert (table.metadata().name, table.metadata().description) == ("numbers", "Numbers.")
    assert table.metadata().configuration["delta.enableChangeDataFeed"] == "true"
    fields = {field.name: field for field in table.schema().fields}
    assert fields["number"].metadata == {"comment": "A number.", "unit": "apples"}
    assert (fields["number"].nullable, fields["word"].nullable) == (False, True)
    assert delta.ensure_table(tmp_path / "numbers", NUMBERS).version() == table.version() == 0


def test_a_table_gets_the_columns_that_were_declared_after_it_was_made(tmp_path: Path):
    """Old rows have nothing in them; new rows do, wherever the column is declared."""
    older = dataclasses.replace(NUMBERS, fields=(NUMBERS.fields[0],))
    delta.append_once(delta.ensure_table(tmp_path / "numbers", older), numbers(0, 1).select(["number"]), "writer", 1)
    grown = dataclasses.replace(NUMBERS, fields=NUMBERS.fields[::-1])
    delta.append_once(delta.ensure_table(tmp_path / "numbers", grown), numbers(1, 2), "writer", 2)
    assert delta_rows(tmp_path / "numbers", order_by="number") == [{"number": 0}, {"number": 1, "word": "1"}]
    assert delta.read_rows(tmp_path / "numbers", grown, ["number"])["word"].to_pylist() == [None, "1"]


@given(tries=st.lists(st.integers(1, 12), min_size=1, max_size=6))
@settings(deadline=None, max_examples=12)
def test_trying_again_adds_nothing(tmp_path_factory, tries: list[int]):
    """Each try wants to bring the table to a position; only what lies beyond the highest so far is added."""
    path = tmp_path_factory.mktemp("lake") / "numbers"
    for upto in tries:
        table = delta.ensure_table(path, NUMBERS)
        first = delta.position(table, "writer")
        assert delta.append_once(table, numbers(first, max(first, upto)), "writer", upto) == (upto > first)
    assert [row["number"] for row in delta_rows(path, order_by="number")] == list(range(max(tries)))


def test_writers_have_positions_of_their_own(tmp_path: Path):
    table = delta.ensure_table(tmp_path / "numbers", NUMBERS)
    assert delta.append_once(table, numbers(0, 3), "one", 3)
    assert delta.append_once(table, numbers(10, 12), "other", 2)
    assert (delta.position(table, "one"), delta.position(table, "other")) == (3, 2)


def test_a_writer_that_has_not_seen_the_other_fails(tmp_path: Path):
    """Two with the same position: the second commit is refused, not doubled."""
    first = delta.ensure_table(tmp_path / "numbers", NUMBERS)
    second = delta.open_table(tmp_path / "numbers")
    assert delta.append_once(first, numbers(0, 3), "writer", 3)
    with pytest.raises(CommitFailedError):
        delta.append_once(second, numbers(0, 3), "writer", 3)
    assert stored(tmp_path / "numbers") == [0, 1, 2]


def test_positions_outlive_the_housekeeping(tmp_path: Path):
    """Files merged, and the log before a checkpoint gone: what was appended is not appended again."""
    path = tmp_path / "numbers"
    for first in range(0, 10, 2):
        delta.append_once(delta.ensure_table(path, NUMBERS), numbers(first, first + 2), "writer", first + 2)
    delta.open_table(path).optimize.compact()
    table = delta.open_table(path)
    table.create_checkpoint()
    for commit in (path / "_delta_log").glob("*.json"):
        if int(commit.stem) < table.version():
            commit.unlink()
    assert not delta.append_once(delta.open_table(path), numbers(8, 10), "writer", 10)
    assert delta.append_once(delta.open_table(path), numbers(10, 12), "writer", 12)
    assert stored(path) == list(range(12))


@pytest.mark.parametrize("folder", ["o'neil", "two words", "ä;b"])
def test_a_lake_may_have_any_name(tmp_path: Path, folder: str):
    path = tmp_path / folder / "numbers"
    delta.append_once(delta.ensure_table(path, NUMBERS), numbers(0, 2), "writer", 2)
    assert stored(path) == [0, 1]


def test_a_text_in_sql():
    connection = delta.connect({})
    for text in ("plain", "o'neil", "''", "a;b"):
        assert connection.execute(f"SELECT {delta.sql_text(text)}").fetchone() == (text,)
