"""The contract: every table is described, and its Arrow, Spark and pandera schemas say the same."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pandera.errors
import pyarrow as pa
import pytest

from expectations.catalog import Lake
from expectations.payments import EVENT_TYPES, PAYMENT, PAYMENT_TRUTH
from expectations.schema import DataType, Field, PiiClass, TableSchema
from expectations.tables import PAYMENTS_RAW_BRONZE, TABLES

SCHEMAS = {**TABLES, "payment": PAYMENT, "payment_truth": PAYMENT_TRUTH}

SPARK_NAMES = {
    "string": "string",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "double": "double",
    "bool": "boolean",
    "timestamp[us, tz=UTC]": "timestamp",
}
"""What Spark calls the types of Arrow."""

SOUND = {
    DataType.STRING: "x",
    DataType.INT16: 1,
    DataType.INT32: 1,
    DataType.INT64: 1,
    DataType.FLOAT64: 0.5,
    DataType.BOOLEAN: True,
    DataType.INSTANT: datetime(2026, 10, 1, tzinfo=UTC),
}


def frame(schema: TableSchema, **changes: object) -> pd.DataFrame:
    """One sound row, with some columns changed."""
    row = {field.name: field.allowed[0] if field.allowed else SOUND[field.type] for field in schema.fields} | changes
    nullable = pa.schema([field.with_nullable(True) for field in schema.arrow()])
    return pa.Table.from_pylist([row], nullable).to_pandas(types_mapper=pd.ArrowDtype)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_table_is_described(schema: TableSchema):
    assert schema.description and schema.grain
    assert all(field.description.endswith((".", "...")) for field in schema.fields)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_a_key_and_a_place(name: str):
    schema = TABLES[name]
    assert schema.name == name and schema.key
    assert all(not schema.field(column).nullable for column in (*schema.key, *schema.partition_by))
    assert Lake(Path("lake")).table(name).name == name


def test_the_lake_knows_no_other_table():
    with pytest.raises(KeyError):
        Lake(Path("lake")).table("payments")


def test_no_two_places_of_a_lake_are_the_same_or_inside_each_other(tmp_path):
    lake = Lake(tmp_path)
    places = [*(lake.table(name) for name in TABLES), lake.landing, lake.archive, lake.detection_files]
    places += [lake.offset_file, lake.locks, lake.detector_lease, lake.detector_checkpoint]
    assert len({*places}) == len(places)
    assert not any(one in other.parents for one in places for other in places)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_arrow_and_spark_agree(schema: TableSchema):
    arrow = [(field.name, SPARK_NAMES[str(field.type)], field.nullable) for field in schema.arrow()]
    spark = [(field.name, field.dataType.simpleString(), field.nullable) for field in schema.spark()]
    assert (
        arrow == spark == [(field.name, SPARK_NAMES[str(field.type.arrow)], field.nullable) for field in schema.fields]
    )
    comments = {field.metadata[b"comment"].decode() for field in schema.arrow()}
    assert comments == {field.metadata["comment"] for field in schema.spark()}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_pandera_agrees_with_arrow(schema: TableSchema):
    columns = schema.pandera().columns
    assert [(name, column.dtype.type.pyarrow_dtype, column.nullable) for name, column in columns.items()] == [
        (field.name, field.type, field.nullable) for field in schema.arrow()
    ]
    schema.pandera().validate(frame(schema))


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_pandera_wants_every_required_value(schema: TableSchema):
    for field in schema.fields:
        if field.nullable:
            schema.pandera().validate(frame(schema, **{field.name: None}))
        else:
            with pytest.raises(pandera.errors.SchemaError, match=field.name):
                schema.pandera().validate(frame(schema, **{field.name: None}))


@pytest.mark.parametrize("field", [f for f in PAYMENT.fields if f.minimum is not None], ids=lambda field: field.name)
def test_pandera_rejects_what_is_out_of_range(field: Field):
    step = 1 if field.type is not DataType.FLOAT64 else 0.001
    beyond = [field.minimum - step] + ([field.maximum + step] if field.maximum is not None else [])
    within = [field.minimum] + ([field.maximum] if field.maximum is not None else [])
    for value in within:
        PAYMENT.pandera().validate(frame(PAYMENT, **{field.name: value}))
    for value in beyond:
        with pytest.raises(pandera.errors.SchemaError, match=field.name):
            PAYMENT.pandera().validate(frame(PAYMENT, **{field.name: value}))


def test_pandera_knows_the_event_types():
    for event_type in EVENT_TYPES:
        PAYMENT.pandera().validate(frame(PAYMENT, event_type=event_type))
    with pytest.raises(pandera.errors.SchemaError, match="event_type"):
        PAYMENT.pandera().validate(frame(PAYMENT, event_type="purchase"))


def test_pandera_wants_the_columns_in_their_order_and_no_others():
    sound = frame(PAYMENT)
    for wrong in (sound[list(reversed(sound.columns))], sound.assign(more=1), sound.drop(columns="city")):
        with pytest.raises((pandera.errors.SchemaError, pandera.errors.SchemaErrors)):
            PAYMENT.pandera().validate(wrong)


def test_bronze_is_the_payment_with_where_it_came_from():
    assert PAYMENTS_RAW_BRONZE.columns[: len(PAYMENT.columns)] == PAYMENT.columns
    assert PAYMENTS_RAW_BRONZE.columns[len(PAYMENT.columns) :] == (
        *("_ingested_at", "_source_file", "_row_number", "_chunk"),
    )


def test_money_is_integers_with_a_currency_and_has_its_unit():
    """Binary floating point is for measures alone."""
    for schema in SCHEMAS.values():
        for field in schema.fields:
            if "amount" in field.name or "fee" in field.name or "weight" in field.name:
                assert field.type is DataType.INT64 and field.unit
            if field.name == "amount_minor":
                assert "currency" in schema.columns


def test_what_identifies_a_card_or_a_person_is_classed():
    classes = {field.name: field.pii for field in PAYMENT.fields}
    cardholder = {name for name, pii in classes.items() if pii is PiiClass.CARDHOLDER}
    assert cardholder == {"card_token", "card_bin6", "card_last4"}
    assert {"gender", "age_band", "lat", "lon"} <= {name for name, pii in classes.items() if pii is PiiClass.PERSONAL}
    for schema in SCHEMAS.values():
        for field in schema.fields:
            if field.name in classes and field.name in ("customer_id", "gender"):
                assert field.pii is classes[field.name], schema.name


def test_a_schema_is_refused_with_a_key_that_it_lacks_or_a_column_twice():
    field = Field("a", DataType.STRING, "A.")
    for fields, key in (((field,), ("b",)), ((field, field), ())):
        with pytest.raises(ValueError, match="wrong: unknown or repeated columns"):
            TableSchema("wrong", "Wrong.", "one", fields, key)
