"""A business day on its way through the gate: staged from frozen inputs, reconciled, judged. Nothing here is published.

What is staged lies apart, where no reader looks, and each attempt replaces the one before.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.files import replacing
from expectations.finance import (
    AUDITED_TRIAL_BALANCE,
    DAY_TABLES,
    LEDGER_BATCHES,
    LEDGER_ENTRIES,
    LEDGER_POSTINGS,
    OPEN_ITEMS,
    PLATFORM_PAYMENTS,
    RECONCILED_ROWS,
)
from expectations.schema import TableSchema
from expectations.thresholds import FinancePolicy
from orchestration.finance import gate
from orchestration.finance.actions import Action, read_actions, resolutions
from orchestration.finance.audited_tables import audited_tables
from orchestration.finance.canonical import content_hash
from orchestration.finance.chain import Check, Link, TableHash, current_days, read_chain, staged_identity, stale_days
from orchestration.finance.files import output_path
from orchestration.finance.gate_contract import check_result, check_staging
from orchestration.finance.reconcile import DayInputs, reconcile
from orchestration.finance.signatures import explain_approvals, read_approvals
from orchestration.finance.snapshots import (
    BANK,
    PLATFORM,
    Snapshot,
    changed_tables,
    newest_snapshot,
    read_tables,
)
from orchestration.outcomes import Outcome

OUTPUTS: tuple[TableSchema, ...] = (*DAY_TABLES, OPEN_ITEMS, RECONCILED_ROWS)
"""What comes of a day. The last two are not published, but are part of its proof."""


class NotInOrder(TollgateError):
    """A day's opening is not there: the day before is not audited, or is stale."""


class StagedInputs(BaseModel):
    """From what a day is reconciled.

    Attributes:
        business_date: the day.
        snapshots: per side, the frozen input.
        opening: hash of the manifest of the day before.
        actions: resolutions of breaks that were open before, as they stand in the record.
        configuration: the policy, whole.
    """

    model_config = ConfigDict(frozen=True)

    business_date: date
    snapshots: dict[str, Snapshot]
    opening: str
    actions: tuple[Action, ...]
    configuration: dict[str, Any]

    @property
    def policy(self) -> FinancePolicy:
        """The recorded configuration."""
        return FinancePolicy(**self.configuration)

    def identity(self, outputs: Mapping[str, TableHash]) -> str:
        """What is approved, if anything is: these inputs with these outputs."""
        # When a snapshot was taken, and from where, makes no other day of it.
        return staged_identity(
            self.business_date,
            {side: snapshot.snapshot for side, snapshot in self.snapshots.items()},
            self.opening,
            [action.model_dump(mode="json") for action in self.actions],
            self.configuration,
            {name: table.hash for name, table in outputs.items()},
        )


class Verdict(BaseModel):
    """What the gate said of a staged day.

    Attributes:
        staged: identity of inputs and outputs.
        inputs: what it was made from.
        outputs: what came of it.
        checks: the verdicts of every check.
        is_by_approval: it is beyond tolerance, and passed since two people signed.
    """

    model_config = ConfigDict(frozen=True)

    staged: str
    inputs: StagedInputs
    outputs: dict[str, TableHash]
    checks: tuple[Check, ...]
    is_by_approval: bool

    @property
    def failed(self) -> tuple[Check, ...]:
        """Why the day is blocked. A check without a verdict did not pass."""
        judged = {check.check for check in self.checks}
        missing = [
            Check(asset=check.asset, check=check.check, passed=False, summary="was not made")
            for check in gate.CHECKS
            if check.check not in judged
        ]
        return (*(check for check in self.checks if not check.passed), *missing)


@dataclass(frozen=True)
class Opening:
    """What a day starts from: the day before's open items and trial balance, as its manifest has them."""

    link: Link
    open_items: pa.Table
    balances: pa.Table


@dataclass(frozen=True)
class Staging:
    """A day that is staged, with the verdicts on its inputs."""

    inputs: StagedInputs
    rows: dict[str, int]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Judgement:
    """A day that is reconciled: the gate's verdict, the verdicts of this step, and the tables."""

    verdict: Verdict
    outcomes: tuple[Outcome, ...]
    tables: dict[str, pa.Table]


def staging_folder(lake: Lake, day: date) -> Path:
    """Where a day's attempt lies."""
    return lake.finance / "staging" / day.isoformat()


def stage(lake: Lake, day: date, policy: FinancePolicy) -> Staging:
    """Decides what a day is reconciled from, and checks it.

    Raises:
        InputMissing: a side has not been frozen.
        NotInOrder: the day before is not audited, or is to be re-run first.
    """
    opening = read_opening(lake, day)
    snapshots = {side: newest_snapshot(lake, side, day) for side in (BANK, PLATFORM)}
    inputs = StagedInputs(
        business_date=day,
        snapshots=snapshots,
        opening=opening.link.hash,
        actions=tuple(resolutions(read_actions(lake), opening.open_items.column("break_id").unique().to_pylist())),
        configuration=asdict(policy),
    )
    tables, changed = {}, []
    for side, snapshot in snapshots.items():
        tables |= (found := read_tables(lake, side, day, snapshot.snapshot))
        changed += changed_tables(snapshot, found)
    outcomes = (
        *gate.judge_inputs(tables, opening.open_items, changed, policy),
        check_staging(tables, day, lake),
    )
    place = staging_folder(lake, day)
    shutil.rmtree(place, ignore_errors=True)
    _write_json(place / "inputs.json", inputs)
    _write_checks(place / "staging_checks.json", outcomes)
    return Staging(inputs, {name: table.num_rows for name, table in tables.items()}, outcomes)


def reconcile_staged(
    lake: Lake, day: date, registry: Path, unsigned_allowed: bool = False, threads: int | None = None
) -> Judgement:
    """Reconciles what is staged, and judges it; all of it stays in the staging folder.

    Args:
        lake: where it is staged.
        day: the business day.
        registry: of the keys that may sign for a day that is beyond tolerance.
        unsigned_allowed: in a demo, approvals need no signature.
        threads: of DuckDB.

    Raises:
        NotInOrder: nothing is staged.
    """
    place = staging_folder(lake, day)
    if not (place / "inputs.json").exists():
        raise NotInOrder(f"{day} is not staged", where=place, remedy="materialise settlement_staging first")
    inputs = StagedInputs.model_validate_json((place / "inputs.json").read_bytes())
    opening = read_opening(lake, day)
    if opening.link.hash != inputs.opening:
        raise NotInOrder(f"the day before {day} was published anew meanwhile", remedy=f"stage {day} again")
    tables = read_inputs(lake, inputs)
    outputs = compute(inputs, tables, opening, threads)
    frozen = {
        schema.name: TableHash(rows=outputs[schema.name].num_rows, hash=content_hash(outputs[schema.name], schema))
        for schema in OUTPUTS
    }
    staged = inputs.identity(frozen)
    approval = explain_approvals(read_approvals(lake, day, staged), staged, registry, unsigned_allowed)
    judged = gate.Judged(day, tables, opening.open_items, opening.balances, outputs)
    outcomes = (
        *gate.judge_result(judged, inputs.policy, approval.text if approval.is_complete else ""),
        check_result(outputs, day, lake),
    )
    for schema in OUTPUTS:
        with replacing(place / f"{schema.name}.parquet") as file:
            pq.write_table(outputs[schema.name], file, compression="zstd")
    verdict = Verdict(
        staged=staged,
        inputs=inputs,
        outputs=frozen,
        checks=(*_read_checks(place / "staging_checks.json"), *_kept(outcomes)),
        is_by_approval=approval.is_complete and bool(gate.beyond_tolerance(outputs, inputs.policy)),
    )
    _write_json(place / "verdict.json", verdict)
    return Judgement(verdict, outcomes, outputs)


def compute(
    inputs: StagedInputs, tables: Mapping[str, pa.Table], opening: Opening, threads: int | None = None
) -> dict[str, pa.Table]:
    """All outputs of a day by name: a pure function of what is given."""
    day = inputs.business_date
    reconciliation = reconcile(
        DayInputs(
            business_date=day,
            payments=tables[PLATFORM_PAYMENTS.name],
            entries=tables[LEDGER_ENTRIES.name],
            batches=tables[LEDGER_BATCHES.name],
            opening=opening.open_items,
            written_off=frozenset(action.break_id for action in inputs.actions),
        ),
        inputs.policy,
        threads,
    )
    made = audited_tables(
        day,
        reconciliation,
        tables[PLATFORM_PAYMENTS.name],
        tables[LEDGER_POSTINGS.name],
        opening.balances,
    )
    return made | {OPEN_ITEMS.name: reconciliation.open_items, RECONCILED_ROWS.name: reconciliation.rows}


def read_inputs(lake: Lake, inputs: StagedInputs) -> dict[str, pa.Table]:
    """Both sides' frozen tables, by name."""
    tables: dict[str, pa.Table] = {}
    for side, snapshot in inputs.snapshots.items():
        tables |= read_tables(lake, side, inputs.business_date, snapshot.snapshot)
    return tables


def read_opening(lake: Lake, day: date) -> Opening:
    """What the day before left.

    Raises:
        NotInOrder: it is not audited, or it is stale.
    """
    links, before = read_chain(lake), day - timedelta(days=1)
    link = current_days(links).get(before)
    if link is None:
        raise NotInOrder(
            f"{day} cannot be reconciled: {before} is not audited",
            remedy=f"run {before} first, or declare an opening (`tollgate finance open {day} --reason ...`)",
        )
    if before in stale_days(links):
        raise NotInOrder(
            f"{day} cannot be reconciled: {before} is stale, since a day before it was restated",
            remedy=f"run {before} again first",
        )
    return read_opening_of(lake, link)


def read_opening_of(lake: Lake, link: Link) -> Opening:
    """What the day of a manifest left to the next one."""
    return Opening(link, read_output(lake, link, OPEN_ITEMS), read_output(lake, link, AUDITED_TRIAL_BALANCE))


def read_output(lake: Lake, link: Link, schema: TableSchema) -> pa.Table:
    """An output of a manifest, with exactly the types of its schema."""
    path = output_path(lake, link.manifest.outputs[schema.name])
    return pq.read_table(path, partitioning=None).cast(schema.arrow())


def read_verdict(lake: Lake, day: date) -> Verdict | None:
    """What the gate said of the newest attempt; None where there is none that came so far."""
    path = staging_folder(lake, day) / "verdict.json"
    return Verdict.model_validate_json(path.read_bytes()) if path.exists() else None


def failed_checks(lake: Lake, day: date) -> tuple[Check, ...]:
    """Why the newest attempt at a day is blocked, if it is: also one that did not come to be reconciled."""
    verdict = read_verdict(lake, day)
    if verdict is not None:
        return verdict.failed
    path = staging_folder(lake, day) / "staging_checks.json"
    return tuple(check for check in _read_checks(path) if not check.passed) if path.exists() else ()


def read_staged(lake: Lake, day: date) -> dict[str, pa.Table]:
    """The outputs of the newest attempt."""
    place = staging_folder(lake, day)
    return {
        schema.name: pq.read_table(place / f"{schema.name}.parquet", partitioning=None).cast(schema.arrow())
        for schema in OUTPUTS
    }


def _kept(outcomes: Sequence[Outcome]) -> tuple[Check, ...]:
    return tuple(
        Check(asset=outcome.asset, check=outcome.check, passed=outcome.passed, summary=outcome.summary)
        for outcome in outcomes
    )


def _write_json(path: Path, model: BaseModel) -> None:
    with replacing(path) as file:
        file.write(model.model_dump_json(indent=1).encode() + b"\n")


def _write_checks(path: Path, outcomes: Sequence[Outcome]) -> None:
    with replacing(path) as file:
        file.write(json.dumps([check.model_dump() for check in _kept(outcomes)], indent=1).encode())


def _read_checks(path: Path) -> list[Check]:
    return [Check.model_validate(check) for check in json.loads(path.read_bytes())]
