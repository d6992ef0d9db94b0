"""How a table is described, and what is made from a description: Arrow, Spark and pandera schemas."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import pandera.pandas as pandera
    from pyspark.sql.types import StructType


class DataType(StrEnum):
    STRING = "string"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT64 = "float64"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    """A point in time, UTC, in microseconds."""
    DATE = "date"
    STRINGS = "strings"
    """A list of strings."""

    @property
    def arrow(self) -> pa.DataType:
        return _ARROW_TYPES[self]


_ARROW_TYPES = {
    DataType.STRING: pa.string(),
    DataType.INT16: pa.int16(),
    DataType.INT32: pa.int32(),
    DataType.INT64: pa.int64(),
    DataType.FLOAT64: pa.float64(),
    DataType.BOOLEAN: pa.bool_(),
    DataType.INSTANT: pa.timestamp("us", tz="UTC"),
    DataType.DATE: pa.date32(),
    DataType.STRINGS: pa.list_(pa.string()),
}


class PiiClass(StrEnum):
    """How sensitive a column is, and so who may see it."""

    NONE = "none"
    PSEUDONYM = "pseudonym"
    """Identifies a person only together with another system."""
    PERSONAL = "personal"
    CARDHOLDER = "cardholder"
    """What PCI-DSS lets us keep of a card: token, first six, last four."""


@dataclass(frozen=True)
class Field:
    """One column: what it means, its type and unit, and what values it may hold."""

    name: str
    type: DataType
    description: str
    nullable: bool = True
    unit: str | None = None
    pii: PiiClass = PiiClass.NONE
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSchema:
    """A table: its columns in order, what one row is (`grain`) and what identifies it (`key`).

    `skipped_by` names the columns by whose bounds readers skip files, the key where it names none. Delta keeps bounds
    for these alone: with 45 columns, thousands of small commits would fill the memory of whoever opens the table.
    """

    name: str
    description: str
    grain: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    skipped_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = {*self.key, *self.partition_by, *self.skipped_by} - {*self.columns}
        if unknown or len({*self.columns}) != len(self.columns):
            raise ValueError(f"{self.name}: unknown or repeated columns {sorted(unknown) or self.columns}")

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> Field:
        return self.fields[self.columns.index(name)]

    def arrow(self) -> pa.Schema:
        """The Arrow schema, with nullability and each column's description as field metadata."""
        return pa.schema(
            pa.field(f.name, f.type.arrow, nullable=f.nullable, metadata={"comment": f.description})
            for f in self.fields
        )

    def spark(self) -> "StructType":
        """The Spark schema."""
        from pyspark.sql import types as spark

        spark_types = {
            DataType.STRING: spark.StringType(),
            DataType.INT16: spark.ShortType(),
            DataType.INT32: spark.IntegerType(),
            DataType.INT64: spark.LongType(),
            DataType.FLOAT64: spark.DoubleType(),
            DataType.BOOLEAN: spark.BooleanType(),
            DataType.INSTANT: spark.TimestampType(),
            DataType.DATE: spark.DateType(),
            DataType.STRINGS: spark.ArrayType(spark.StringType()),
        }
        return spark.StructType(
            [
                spark.StructField(f.name, spark_types[f.type], f.nullable, {"comment": f.description})
                for f in self.fields
            ]
        )

    def pandera(self) -> "pandera.DataFrameSchema":
        """The schema that a pandas frame of this table (Arrow-backed types) must satisfy."""
        import pandas as pd
        import pandera.pandas as pandera

        def checks(field: Field) -> list[Any]:
            found: list[Any] = []
            if field.minimum is not None:
                found.append(pandera.Check.ge(field.minimum))
            if field.maximum is not None:
                found.append(pandera.Check.le(field.maximum))
            if field.allowed:
                found.append(pandera.Check.isin(field.allowed))
            return found

        return pandera.DataFrameSchema(
            {f.name: pandera.Column(pd.ArrowDtype(f.type.arrow), checks(f), nullable=f.nullable) for f in self.fields},
            name=self.name,
            strict=True,
            ordered=True,
        )
