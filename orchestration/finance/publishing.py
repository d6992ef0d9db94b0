"""Publishing a business day: its tables as files that never change, a manifest in the chain, and the readers' pointer.

The manifest's coming into being is the commit point. What is killed before leaves nothing that a reader or the chain
knows of; what is killed after is completed by the next publication, or by running the same one again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from expectations.catalog import Lake
from expectations.clock import Clock
from expectations.errors import TollgateError
from expectations.finance import (
    AUDITED_DAILY_BREAKS,
    AUDITED_DAILY_SETTLEMENT,
    AUDITED_TRIAL_BALANCE,
    LEDGER_BALANCES,
    OPEN_ITEMS,
)
from expectations.schema import TableSchema
from expectations.settings import Settings
from orchestration.faults import commit_points
from orchestration.finance.audited_tables import totals
from orchestration.finance.business_day import (
    OUTPUTS,
    NotInOrder,
    Verdict,
    read_staged,
    read_verdict,
)
from orchestration.finance.canonical import content_hash
from orchestration.finance.chain import (
    Code,
    Draft,
    Input,
    Link,
    TableHash,
    append,
    current_days,
    mend_head,
    read_chain,
    stale_days,
)
from orchestration.finance.code_version import code_hash, package_version
from orchestration.finance.files import write_table
from orchestration.finance.postgres import mirror
from orchestration.finance.register import FINANCE, domain_version
from orchestration.finance.signatures import load_key, read_approvals, sign_link
from orchestration.mart import (
    CommitPoint,
    current_versions,
    publishing_alone,
    show,
)


class DayBlocked(TollgateError):
    """A day did not pass its gate, so it is not published."""


class ReasonMissing(TollgateError):
    """An audited day would be restated, and nobody has said why."""


@dataclass(frozen=True)
class Published:
    """What publishing a day came to.

    Attributes:
        link: the day's manifest.
        is_new: a version was published; otherwise the day was published so already.
        stale: days that are to be run again, in order, since this one was restated.
    """

    link: Link
    is_new: bool
    stale: tuple[date, ...]


@dataclass(frozen=True)
class Publisher:
    """Who publishes, and with what.

    Attributes:
        lake: where.
        clock: the time of publication.
        by: who, or which run.
        signing_key: file of the private key that signs manifests; they stay unsigned without it.
        registry: of public keys.
        postgres: a database that gets the tables too.
        passed: told each commit point.
    """

    lake: Lake
    clock: Clock
    by: str
    registry: Path
    signing_key: Path | None = None
    postgres: str | None = None
    passed: CommitPoint = lambda point: None

    def publish(self, day: date, reason: str | None = None) -> Published:
        """Publishes what is staged of a day, if it has passed every check.

        Raises:
            DayBlocked: it has not, or is not what was judged.
            ReasonMissing: the day is audited, and this would be something else.
            NotInOrder: the day before was published anew since.
            ChainMoved: another publication came first.
        """
        verdict = self._passed_verdict(day)
        tables = read_staged(self.lake, day)
        self._check_is_what_was_judged(verdict, tables)
        links = read_chain(self.lake)
        current = current_days(links)
        before = next((link for link in current.values() if link.hash == verdict.inputs.opening), None)
        if before is None or before.manifest.business_date in stale_days(links):
            raise NotInOrder(f"what {day} starts from is not current any more", remedy=f"run {day} again")
        existing = current.get(day)
        if existing and _says(existing) == _would_say(verdict):
            self.show()
            return Published(existing, False, tuple(sorted(stale_days(links))))
        link = self._append(
            links,
            tables,
            kind="day",
            business_date=day,
            version=existing.manifest.version + 1 if existing else 1,
            reason=_reason(reason, day, existing, links),
            opening=verdict.inputs.opening,
            inputs={
                side: Input(snapshot=snapshot.snapshot, tables=_plain(snapshot.tables))
                for side, snapshot in verdict.inputs.snapshots.items()
            },
            actions=[action.model_dump(mode="json") for action in verdict.inputs.actions],
            configuration=verdict.inputs.configuration,
            checks=[check.model_dump() for check in verdict.checks],
            approvals=[
                approval.model_dump(mode="json")
                for approval in (read_approvals(self.lake, day, verdict.staged) if verdict.is_by_approval else ())
            ],
            totals=totals(tables[AUDITED_DAILY_SETTLEMENT.name], tables[AUDITED_DAILY_BREAKS.name]),
        )
        self.show()
        return Published(link, True, tuple(sorted(stale_days(read_chain(self.lake)))))

    def declare_opening(self, first_day: date, balances: pa.Table, reason: str) -> Link:
        """Declares what the first day starts from: no open items, and the bank's closing balances of the day before.

        Args:
            first_day: the first day that will be reconciled.
            balances: the bank's, of the day before, as `LEDGER_BALANCES`; may be empty.
            reason: why it begins here.

        Raises:
            NotInOrder: the books are open already.
        """
        before = date.fromordinal(first_day.toordinal() - 1)
        links = read_chain(self.lake)
        if links:
            newest = max(current_days(links))
            raise NotInOrder(f"the books are open already, up to {newest}", remedy="run the days after it in order")
        rows = [
            {
                "business_date": before,
                "account_id": row["account_id"],
                "currency": row["currency"],
                "opening_minor": row["closing_minor"],
                "debits_minor": 0,
                "credits_minor": 0,
                "closing_minor": row["closing_minor"],
            }
            for row in balances.select(LEDGER_BALANCES.columns).to_pylist()
        ]
        tables = {
            AUDITED_TRIAL_BALANCE.name: pa.Table.from_pylist(rows, AUDITED_TRIAL_BALANCE.arrow()),
            OPEN_ITEMS.name: OPEN_ITEMS.arrow().empty_table(),
        }
        return self._append(
            links,
            tables,
            kind="opening",
            business_date=before,
            version=1,
            reason=reason,
            opening="",
            inputs={},
            actions=[],
            configuration={},
            checks=[],
            approvals=[],
            totals={},
        )

    def show(self) -> None:
        """Makes readers see what the chain says is current, in the mart and, if there is one, in PostgreSQL.

        Raises:
            MirrorFailed: PostgreSQL refuses; the mart shows it all the same.
        """
        with publishing_alone(self.lake):
            links = read_chain(self.lake)
            mend_head(self.lake, links)
            version = domain_version(self.lake, links)
            if version is not None:
                show(self.lake, {**current_versions(self.lake), FINANCE: version}, self.passed)
        if self.postgres:
            engine = sa.create_engine(self.postgres)
            mirror(engine, self.lake, links)
            engine.dispose()

    def _passed_verdict(self, day: date) -> Verdict:
        verdict = read_verdict(self.lake, day)
        if verdict is None:
            raise DayBlocked(f"{day} has not been judged", remedy="materialise reconciliation first")
        if verdict.failed:
            reasons = "; ".join(f"{check.check}: {check.summary}" for check in verdict.failed)
            raise DayBlocked(f"{day} is blocked: {reasons}", remedy="what was published before stays")
        return verdict

    def _check_is_what_was_judged(self, verdict: Verdict, tables: Mapping[str, pa.Table]) -> None:
        found = {
            schema.name: TableHash(rows=tables[schema.name].num_rows, hash=content_hash(tables[schema.name], schema))
            for schema in OUTPUTS
        }
        if verdict.inputs.identity(found) != verdict.staged:
            raise DayBlocked(
                f"what is staged of {verdict.inputs.business_date} is not what was judged", remedy="run the day again"
            )

    def _append(self, links: Sequence[Link], tables: Mapping[str, pa.Table], **said: Any) -> Link:
        """Writes the files, and the manifest after those that were read. Until it is there, nothing has happened."""
        schemas: dict[str, TableSchema] = {schema.name: schema for schema in OUTPUTS}
        outputs = {name: write_table(self.lake, table, schemas[name]) for name, table in sorted(tables.items())}
        self.passed("finance files")
        draft = Draft(
            published_at=self.clock(),
            published_by=self.by,
            code=Code(version=package_version(), hash=code_hash()),
            outputs=outputs,
            **said,
        )
        link = append(self.lake, draft, links[-1].hash if links else "", self.passed)
        if self.signing_key:
            sign_link(self.lake, link, load_key(self.signing_key), self.registry)
        self.passed("signed")
        return link


def _plain(tables: Mapping[str, TableHash]) -> dict[str, dict[str, Any]]:
    return {name: table.model_dump() for name, table in tables.items()}


def _says(link: Link) -> tuple:
    """What makes one version of a day another one than the next."""
    manifest = link.manifest
    return (
        manifest.opening,
        {side: given.snapshot for side, given in manifest.inputs.items()},
        [action["sequence"] for action in manifest.actions],
        dict(manifest.configuration),
        {name: output.hash for name, output in manifest.outputs.items()},
    )


def _would_say(verdict: Verdict) -> tuple:
    return (
        verdict.inputs.opening,
        {side: snapshot.snapshot for side, snapshot in verdict.inputs.snapshots.items()},
        [action.sequence for action in verdict.inputs.actions],
        dict(verdict.inputs.configuration),
        {name: table.hash for name, table in verdict.outputs.items()},
    )


def _reason(reason: str | None, day: date, existing: Link | None, links: list[Link]) -> str | None:
    if existing is None or reason:
        return reason
    if day in stale_days(links):
        return "a day before it was restated"
    raise ReasonMissing(
        f"{day} is audited (version {existing.manifest.version}), and would be restated",
        remedy="say why: `reason` in the run's config of the audited tables, or `tollgate finance run DAY --reason`",
    )


def make_publisher(settings: Settings, by: str) -> Publisher:
    """The publisher of a lake, as the settings have it."""
    postgres = settings.finance_postgres_url
    return Publisher(
        Lake(settings.lake),
        settings.clock,
        by,
        settings.finance_keys,
        settings.finance_signing_key,
        postgres.get_secret_value() if postgres else None,
        commit_points(settings),
    )
