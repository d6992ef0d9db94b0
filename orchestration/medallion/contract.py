"""What dbt takes from the contract: silver's columns, and currencies. `make contract` writes them; a test compares.

`python -m orchestration.medallion.contract`
"""

from pathlib import Path
from typing import Any

import yaml

from expectations.currencies import minor_unit_exponents
from expectations.schema import DataType, Field, TableSchema
from expectations.silver import SILVER_TABLES
from orchestration.medallion.dbt_runner import PROJECT

_HEAD = "# Made from expectations/silver.py by `make contract`.\n"

_DUCKDB_TYPES = {
    DataType.STRING: "varchar",
    DataType.INT16: "smallint",
    DataType.INT32: "integer",
    DataType.INT64: "bigint",
    DataType.FLOAT64: "double",
    DataType.BOOLEAN: "boolean",
    DataType.INSTANT: "timestamp with time zone",
    DataType.DATE: "date",
    DataType.STRINGS: "varchar[]",
}


def rendered() -> dict[Path, str]:
    """The `.yml` of each silver table, and the seed of currencies, by path."""
    models = {
        PROJECT / "models" / "silver" / f"{table.name}.yml": _HEAD + _yaml(_model(table)) for table in SILVER_TABLES
    }
    lines = [f"{currency},{decimals}\n" for currency, decimals in sorted(minor_unit_exponents().items())]
    return models | {PROJECT / "seeds" / "currencies.csv": "".join(["currency,decimals\n", *lines])}


def _model(table: TableSchema) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": table.name,
                "description": f"{table.description} Grain: {table.grain}.",
                "config": {
                    "contract": {"enforced": True},
                    "meta": {"owner": "team:data-engineering", "grain": table.grain},
                },
                "data_tests": [
                    {"unique_grain": {"name": f"unique_grain_{table.name}", "arguments": {"columns": list(table.key)}}}
                ],
                "columns": [_column(field, table) for field in table.fields],
            }
        ]
    }


def _column(field: Field, table: TableSchema) -> dict[str, Any]:
    column: dict[str, Any] = {
        "name": field.name,
        "data_type": _DUCKDB_TYPES[field.type],
        "description": field.description + (f" Unit: {field.unit}." if field.unit else ""),
    }
    if field.pii != "none":
        column["config"] = {"meta": {"pii": str(field.pii)}}
    if not field.nullable:
        column["constraints"] = [{"type": "not_null"}]
    if field.allowed:
        name = f"allowed_{table.name}_{field.name}"
        column["data_tests"] = [{"accepted_values": {"name": name, "arguments": {"values": list(field.allowed)}}}]
    return column


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True)


def main() -> None:
    """Writes the files."""
    for path, text in rendered().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
