"""The canonical form: the same for the same content, whatever holds it; another one for anything else."""

import base64
import hashlib
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.schema import DataType, Field, TableSchema
from orchestration.finance.canonical import DIGEST_BYTES, NotCanonical, canonical_lines, content_hash, row_digests

SCHEMA = TableSchema(
    name="things",
    description="",
    grain="",
    fields=(
        Field("text", DataType.STRING, "", nullable=False),
        Field("number", DataType.INT64, "", nullable=False),
        Field("day", DataType.DATE, ""),
        Field("instant", DataType.INSTANT, ""),
        Field("flag", DataType.BOOLEAN, ""),
        Field("note", DataType.STRING, ""),
    ),
    key=("text", "number"),
)

TEXT = st.text(st.sampled_from("ab\\tn\tN\n\r \u00e4\U0001f600"), max_size=5)
ROW = st.fixed_dictionaries(
    {
        "text": TEXT,
        "number": st.integers(-(2**63), 2**63 - 1),
        "day": st.none() | st.dates(),
        "instant": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        "flag": st.none() | st.booleans(),
        "note": st.none() | TEXT,
    }
)
ROWS = st.lists(ROW, max_size=12, unique_by=lambda row: (row["text"], row["number"]))


def table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA.arrow())


def by_hand(rows: list[dict]) -> list[str]:
    """The documented form, word for word."""

    def field(value: object) -> str:
        if value is None:
            return "\\N"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, datetime):
            since = value - datetime(1970, 1, 1, tzinfo=UTC)
            return str((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds)
        if isinstance(value, str):
            for character, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
                value = value.replace(character, escape)
            return value
        return value.isoformat() if isinstance(value, date) else str(value)

    ordered = sorted(rows, key=lambda row: (row["text"].encode(), row["number"]))
    return ["\t".join(field(row[name]) for name in SCHEMA.columns) + "\n" for row in ordered]


@given(ROWS)
def test_others_can_make_it_by_the_documentation_alone(rows: list[dict]):
    lines = by_hand(rows)
    assert canonical_lines(table(rows), SCHEMA).to_pylist() == lines
    header = "text:string\tnumber:int64\tday:date\tinstant:instant\tflag:boolean\tnote:string\n"
    digest = hashlib.sha256((header + "".join(lines)).encode()).digest()
    assert content_hash(table(rows), SCHEMA) == base64.b32encode(digest).decode().rstrip("=")
    assert row_digests(table(rows), SCHEMA) == b"".join(
        hashlib.sha256(line.encode()).digest()[:DIGEST_BYTES] for line in lines
    )


@given(ROWS, st.randoms(use_true_random=False))
def test_it_does_not_depend_on_how_the_table_is_held(rows: list[dict], random):
    expected = content_hash(table(rows), SCHEMA)
    shuffled = [*rows]
    random.shuffle(shuffled)
    cut = random.randint(0, len(rows))
    pieces = pa.concat_tables([table(shuffled[:cut]), table(shuffled[cut:])])
    assert content_hash(pieces, SCHEMA) == expected
    packed = pieces.set_column(0, "text", pieces.column("text").combine_chunks().dictionary_encode())
    assert content_hash(packed, SCHEMA) == expected
    large = pieces.set_column(5, "note", pieces.column("note").cast(pa.large_string()))
    assert content_hash(large.slice(0), SCHEMA) == expected


@given(ROWS, ROWS)
def test_other_content_has_another_hash(rows: list[dict], others: list[dict]):
    def as_set(given: list[dict]) -> list[tuple]:
        return sorted((tuple(row.values()) for row in given), key=repr)

    assert (content_hash(table(rows), SCHEMA) == content_hash(table(others), SCHEMA)) == (
        as_set(rows) == as_set(others)
    )


def test_a_key_that_comes_twice_is_refused():
    row = {"text": "a", "number": 1}
    with pytest.raises(NotCanonical, match="things has a key twice: text a, number 1"):
        content_hash(table([row, row | {"note": "b"}]), SCHEMA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: given.drop_columns("note"), "has the columns"),
        (lambda given: given.select([*reversed(given.column_names)]), "has the columns"),
        (lambda given: given.set_column(1, "number", given.column("number").cast(pa.int32())), "number is int32"),
        (lambda given: given.set_column(1, "number", given.column("number").cast(pa.float64())), "number is double"),
    ],
)
def test_a_table_of_another_shape_is_refused(change, message: str):
    with pytest.raises(NotCanonical, match=message):
        content_hash(change(table([{"text": "a", "number": 1}])), SCHEMA)


@given(ROWS.filter(bool), st.data())
def test_any_single_value_that_changes_changes_the_hash(rows: list[dict], data):
    at = data.draw(st.integers(0, len(rows) - 1))
    other, name = data.draw(ROW), data.draw(st.sampled_from(SCHEMA.columns))
    changed = [*rows[:at], rows[at] | {name: other[name]}, *rows[at + 1 :]]
    keys = {(row["text"], row["number"]) for row in changed}
    if other[name] != rows[at][name] and len(keys) == len(rows):
        assert content_hash(table(changed), SCHEMA) != content_hash(table(rows), SCHEMA)


@given(st.none() | TEXT, st.none() | TEXT)
def test_two_texts_are_never_written_alike(one: str | None, other: str | None):
    def line(note: str | None) -> str:
        return canonical_lines(table([{"text": "a", "number": 1, "note": note}]), SCHEMA)[0].as_py()

    assert (line(one) == line(other)) == (one == other)
    assert line(one).count("\t") == len(SCHEMA.fields) - 1 and line(one).count("\n") == 1 and "\r" not in line(one)


def test_it_does_not_depend_on_the_number_of_threads():
    rows = [{"text": f"t{number % 100}", "number": number, "note": "a\tb"} for number in range(3_000)]
    before = pa.cpu_count()
    try:
        found = []
        for threads in (1, 4):
            pa.set_cpu_count(threads)
            found.append(content_hash(table(rows[::-1]), SCHEMA))
    finally:
        pa.set_cpu_count(before)
    assert found[0] == found[1] == content_hash(table(rows), SCHEMA)
