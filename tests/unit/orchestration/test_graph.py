"""The graph itself: it loads, it is the one that was committed, and every asset keeps the house's rules."""

import json
from pathlib import Path

import dagster as dg
import pytest

from expectations.tables import TABLES
from orchestration.definitions import defs

SNAPSHOT = Path(__file__).with_name("asset_graph.json")


def asset_graph() -> dict:
    """What there is to know of the graph's shape, in a stable order."""
    graph = defs.resolve_asset_graph()
    return {
        key.to_user_string(): {
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "group": graph.get(key).group_name,
            "kinds": sorted(graph.get(key).kinds),
            "checks": {
                check.name: "blocking" if graph.get_check_spec(check).blocking else "warning"
                for check in sorted(graph.get(key).check_keys, key=lambda check: check.name)
            },
        }
        for key in sorted(graph.get_all_asset_keys(), key=str)
    }


def test_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_the_graph_is_the_committed_one():
    """After a change that is meant, run this file as a script, and put what it prints into the snapshot beside it."""
    assert asset_graph() == json.loads(SNAPSHOT.read_text())


@pytest.mark.parametrize("name", sorted(asset_graph()))
def test_every_asset_says_whose_it_is_and_what(name: str):
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))
    assert node.group_name and node.owners and node.description and node.kinds


@pytest.mark.parametrize("name", sorted(set(asset_graph()) - {"transaction_log", "core_banking"}))
def test_every_asset_of_ours_has_a_check(name: str):
    assert asset_graph()[name]["checks"]


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_is_an_asset_with_a_blocking_check(table: str):
    assert "blocking" in asset_graph()[table]["checks"].values()


def test_every_schedule_and_sensor_says_what_it_is_for():
    repository = defs.get_repository_def()
    assert all(sensor.description for sensor in repository.sensor_defs)
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "hourly_maintenance",
        "hourly_medallion_build",
        "nightly_audit",
        "nightly_finance",
    }


@pytest.mark.parametrize("job", ["pattern_stream", "live_medallion"])
def test_a_lingering_job_targets_no_asset(job: str):
    """Otherwise automation would see its assets as in progress for as long as it lingers."""
    assert not list(defs.resolve_job_def(job).asset_layer.executable_asset_keys)


if __name__ == "__main__":
    print(json.dumps(asset_graph(), indent=2))
