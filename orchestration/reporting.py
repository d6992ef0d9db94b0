"""How the pure steps' figures and verdicts become Dagster events: the same ones from a run, a stream and a sensor."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from expectations.schema import PiiClass, TableSchema
from orchestration.outcomes import CheckDeclaration, Outcome


def described(schema: TableSchema) -> dict[str, Any]:
    """What the contract says of a table, as an asset's metadata: its columns with types, units and meaning."""
    columns = [
        dg.TableColumn(
            field.name,
            str(field.type),
            description=field.description + (f" Unit: {field.unit}." if field.unit else ""),
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
            tags={"pii": str(field.pii)} if field.pii is not PiiClass.NONE else {},
        )
        for field in schema.fields
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "grain": schema.grain,
        **({"key": ", ".join(schema.key)} if schema.key else {}),
    }


def check_spec(
    declaration: CheckDeclaration, partitions_def: dg.PartitionsDefinition | None = None
) -> dg.AssetCheckSpec:
    """The check as Dagster declares it; with a verdict for each partition, if it has any."""
    with warnings.catch_warnings():
        # Partitions of checks are a preview of Dagster's: without them, a day's verdict replaces the day's before.
        warnings.filterwarnings("ignore", message=".*partitions_def on an AssetCheckSpec")
        return dg.AssetCheckSpec(
            name=declaration.check,
            asset=declaration.asset,
            description=declaration.description,
            blocking=declaration.is_blocking,
            partitions_def=partitions_def,
        )


def check_result(outcome: Outcome) -> dg.AssetCheckResult:
    """The verdict as a run yields it."""
    return dg.AssetCheckResult(
        asset_key=outcome.asset,
        check_name=outcome.check,
        passed=outcome.passed,
        description=outcome.summary,
        metadata=dict(outcome.figures),
    )


def check_results(outcomes: Iterable[Outcome], context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """The verdicts that this run was asked for."""
    wanted = context.op_execution_context.selected_asset_check_keys
    for outcome in outcomes:
        if dg.AssetCheckKey(dg.AssetKey(outcome.asset), outcome.check) in wanted:
            yield check_result(outcome)


def check_evaluation(outcome: Outcome) -> dg.AssetCheckEvaluation:
    """The verdict as a sensor tick or a stream reports it."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(outcome.asset),
        check_name=outcome.check,
        passed=outcome.passed,
        description=outcome.summary,
        metadata=dict(outcome.figures),
    )


def materialization(asset: str, metadata: Mapping[str, Any]) -> dg.AssetMaterialization:
    """A materialisation as a sensor tick or a stream reports it."""
    return dg.AssetMaterialization(asset_key=asset, metadata=dict(metadata))


def report_live(
    context: dg.OpExecutionContext,
    events: Iterable[dg.AssetMaterialization | dg.AssetObservation],
    outcomes: Iterable[Outcome],
) -> None:
    """What a lingering run has done, and the verdicts on it, while it goes on.

    Dagster keeps one verdict of a check per run, and takes a verdict as that of the newest materialisation if both come
    from the same run. So both are reported as coming from none, and each increment keeps its own verdicts.
    """
    for event in events:
        context.instance.report_runless_asset_event(event)
    for outcome in outcomes:
        context.instance.report_runless_asset_event(check_evaluation(outcome))
        if not outcome.passed:
            context.log.error(f"{outcome.asset}.{outcome.check}: {outcome.summary}")
