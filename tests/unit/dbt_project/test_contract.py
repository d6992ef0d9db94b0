"""What dbt has of the contract is what the contract says: columns, currencies, thresholds."""

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from expectations.thresholds import MEDALLION
from orchestration.medallion.contract import rendered
from orchestration.medallion.dbt_runner import PROJECT


@pytest.mark.parametrize("path", sorted(rendered()), ids=lambda path: path.name)
def test_what_is_made_from_the_contract_is_committed(path: Path):
    """After a change of the contract: `make contract`."""
    assert path.read_text() == rendered()[path]


def test_dbt_goes_by_the_same_thresholds():
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    assert {name: variables.get(name) for name in asdict(MEDALLION)} == asdict(MEDALLION)


def models(layer: str) -> list[dict]:
    found = [yaml.safe_load(path.read_text()) for path in sorted((PROJECT / "models" / layer).glob("*.yml"))]
    return [model for content in found for model in content.get("models", [])]


@pytest.mark.parametrize("model", models("silver") + models("gold"), ids=lambda model: model["name"])
def test_every_model_says_what_it_is(model: dict):
    assert "Grain: " in model["description"] or model["config"]["meta"].get("grain")
    assert all(column.get("description") for column in model["columns"])
    assert any("unique_grain" in test for test in model["data_tests"])


@pytest.mark.parametrize("layer", ["silver", "gold"])
def test_every_model_has_its_sql_and_its_yml(layer: str):
    names = {path.stem for path in (PROJECT / "models" / layer).glob("*.sql")}
    assert names and names == {model["name"] for model in models(layer)}


def test_there_are_sixteen_gold_views():
    assert len(models("gold")) == 16
