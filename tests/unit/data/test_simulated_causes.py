"""What happens in the demo log is consistent and follows from causes that a model can learn."""

import pytest

from data.vocabulary import Scenario, labels

RETRIES = "events again join events before on before.transaction_id = again.retry_of"


def test_most_events_are_payments_and_only_what_settles_has_a_batch(ask):
    assert ask("select avg((event_type = 'authorisation')::int) from events") >= 0.70
    assert (
        ask("""
        select count(*) from events
        where (settlement_batch_id is not null) <> (event_type in ('capture', 'refund', 'chargeback'))
    """)
        == 0
    )


def test_later_events_follow_an_earlier_approved_payment_of_at_least_their_amount(ask):
    assert (
        ask("""
        select count(*) from events
        where (original_transaction_id is null) <> (event_type = 'authorisation')
    """)
        == 0
    )
    assert (
        ask("""
        select count(*) from events later
        anti join payments first on first.transaction_id = later.original_transaction_id
            and first.is_approved and first.event_timestamp < later.event_timestamp
            and first.line < later.line and first.amount >= later.amount
            and first.customer_id = later.customer_id and first.merchant_id = later.merchant_id
            and first.card_number = later.card_number and first.currency = later.currency
        where later.event_type <> 'authorisation'
    """)
        == 0
    )


def test_no_more_is_returned_than_was_captured_and_nothing_after_a_reversal(ask):
    assert (
        ask("""
        select count(*) from events capture join events back using (original_transaction_id)
        where capture.event_type = 'capture' and back.event_type in ('refund', 'chargeback')
            and (back.amount > capture.amount or back.event_timestamp <= capture.event_timestamp)
    """)
        == 0
    )
    assert (
        ask("""
        select count(*) from (
            select count(*) filter (event_type in ('refund', 'chargeback')) as returned,
                count(*) filter (event_type = 'capture') as captured,
                count(*) filter (event_type = 'reversal') as reversed
            from events where original_transaction_id is not null group by original_transaction_id
        ) where returned > 1 or captured > 1 or reversed > 1 or (reversed = 1 and returned + captured > 0)
    """)
        == 0
    )


def test_retries_repeat_a_declined_attempt_once(ask):
    retries, odd = ask("""
        select count(*) filter (is_retry),
            count(*) filter (is_retry <> (retry_of is not null) or is_retry <> (attempt > 1))
        from events
    """)
    assert retries > 5_000
    assert odd == 0
    assert retries == ask(f"""
        select count(distinct before.transaction_id) from {RETRIES}
            and not before.is_approved and before.attempt + 1 = again.attempt
            and before.event_timestamp < again.event_timestamp and before.card_number = again.card_number
            and before.amount = again.amount and before.merchant_id = again.merchant_id
    """)


def test_a_declined_payment_has_a_reason_and_nothing_else_has(ask):
    assert ask("select count(*) from events where is_approved = (decline_reason is not null)") == 0
    assert ask("select count(*) from events where event_type <> 'authorisation' and not is_approved") == 0
    assert ask("select count(*) from events where uses_3ds <> (three_ds_outcome is not null)") == 0
    assert ask("""
        select count(distinct decline_reason) = 1 and min(decline_reason) = 'authentication_failed'
        from payments where three_ds_outcome in ('challenge_failed', 'abandoned') and not is_retry
    """)


def test_approval_depends_on_score_and_amount(ask):
    unsuspicious, suspicious, small, large = ask("""
        select avg(is_approved::int) filter (fraud_score < 0.1),
            avg(is_approved::int) filter (fraud_score > 0.6),
            avg(is_approved::int) filter (currency = 'EUR' and amount < 20),
            avg(is_approved::int) filter (currency = 'EUR' and amount > 1000)
        from payments where not is_retry
    """)
    assert unsuspicious > 0.9 > 0.75 > suspicious
    assert small > large + 0.1


def test_success_of_retries_depends_on_reason_and_delay(ask):
    quick, slow, expired = ask(f"""
        select avg(approved) filter (reason = 'issuer_unavailable' and delay < interval 1 minute),
            avg(approved) filter (reason = 'issuer_unavailable' and delay >= interval 1 minute),
            avg(approved) filter (reason = 'expired_card')
        from (select again.is_approved::int as approved, before.decline_reason as reason,
                     again.event_timestamp - before.event_timestamp as delay from {RETRIES})
    """)
    assert slow > quick + 0.2
    assert quick > expired


@pytest.mark.parametrize("scenario", labels(Scenario))
def test_every_scenario_is_there(ask, scenario):
    assert ask(f"select count(*) from events where scenario = '{scenario}'") > 200


@pytest.mark.parametrize(("score", "least", "most"), [("fraud_score", 0.85, 0.99), ("aml_score", 0.55, 0.9)])
def test_scores_tell_fraud_apart_but_not_perfectly(ask, score, least, most):
    """The area under the ROC curve is the Mann-Whitney U statistic over its maximum."""
    ranks, frauds, others = ask(f"""
        select sum(rank) filter (is_fraud), count(*) filter (is_fraud), count(*) filter (not is_fraud)
        from (select is_fraud, rank() over (order by {score})
                               + (count(*) over (partition by {score}) - 1) / 2 as rank from payments)
    """)
    assert least < (ranks - frauds * (frauds + 1) / 2) / (frauds * others) < most


def test_frauds_look_like_their_scenario(ask):
    tested, trust, ring_targets, modes = ask("""
        select max(amount) filter (scenario = 'card_testing' and currency = 'EUR'),
            avg(device_trust_score) filter (scenario = 'account_takeover'),
            count(distinct merchant_id) filter (scenario = 'merchant_ring'),
            string_agg(distinct entry_mode, ' ') filter (scenario = 'colluding_merchant')
        from payments
    """)
    assert tested < 3
    assert trust < 0.5
    assert ring_targets <= 6
    assert modes == "manual"


def test_stolen_cards_travel_impossibly_fast(ask):
    """Most stolen payments are degrees away from another payment with the card within three hours."""
    assert (
        ask("""
        select median(degrees) from (
            select max(abs(stolen.lat - held.lat) + abs(stolen.lon - held.lon)) as degrees
            from payments stolen join payments held on held.card_number = stolen.card_number
                and held.event_timestamp between stolen.event_timestamp - interval 3 hour
                                             and stolen.event_timestamp
            where stolen.scenario = 'stolen_card' group by stolen.line)
    """)
        > 15
    )


def test_chargebacks_come_mostly_from_fraud(ask):
    assert ask("select avg(is_fraud::int) from events where event_type = 'chargeback'") > 0.6


def test_refunds_depend_on_the_trade(ask):
    fashion, grocery = ask("""
        select avg((event_type = 'refund')::int) filter (merchant_segment = 'fashion'),
            avg((event_type = 'refund')::int) filter (merchant_segment = 'grocery') from events
    """)
    assert fashion > 5 * grocery


def test_hours_and_days_have_their_rhythm(ask):
    night, noon, morning_coffee, evening_coffee = ask("""
        select count(*) filter (hour in (1, 2, 3)), count(*) filter (hour in (11, 12, 13)),
            count(*) filter (merchant_segment = 'coffee' and hour in (6, 7, 8)),
            count(*) filter (merchant_segment = 'coffee' and hour in (18, 19, 20))
        from (select hour(event_timestamp) as hour, * from payments where merchant_country = 'DE')
    """)
    assert noon > 4 * night
    assert morning_coffee > evening_coffee
    working_day, weekend = ask("""
        select avg(rows) filter (isodow(day) < 6), avg(rows) filter (isodow(day) > 5)
        from (select event_timestamp::date as day, count(*) as rows from events group by day)
    """)
    assert working_day > 1.05 * weekend


def test_latency_depends_on_processor_and_challenge(ask):
    slow, quick, challenged, frictionless = ask("""
        select median(latency_ms) filter (processor = 'vantora'),
            median(latency_ms) filter (processor = 'nordpay'),
            median(latency_ms) filter (three_ds_outcome = 'challenge_passed'),
            median(latency_ms) filter (three_ds_outcome = 'frictionless') from payments
    """)
    assert slow > 1.5 * quick
    assert challenged > frictionless + 500
