"""The demo log holds what the pattern detector looks for, and near misses. All event types count."""


def test_upgrade_frequent_but_light_customers_of_the_dominant_merchant(demo):
    found = demo.execute("""
        with pair as (
            select merchant_id, customer_id, count(*) as rows, avg(weight) as weight from events group by all
        ), merchant as (
            select merchant_id, sum(rows) as rows, count(*) as customers,
                quantile_cont(rows, 0.9) as many, quantile_cont(weight, 0.1) as light
            from pair group by merchant_id
        )
        select merchant.rows, customers, count(*) filter (pair.rows >= many and weight <= light)
        from merchant join pair using (merchant_id) where merchant.rows > 50_000 group by all
    """).fetchall()
    [(rows, customers, upgrades)] = found
    assert 0.15 * 400_000 < rows < 0.19 * 400_000
    assert customers > 3_000
    assert 50 <= upgrades <= 200


def test_child_loyal_customers_of_cheap_merchants(ask):
    loyal, cheap = ask("""
        select count(*), count(*) filter (amount < 23)
        from (select count(*) as rows, avg(amount) as amount from events group by customer_id, merchant_id)
        where rows >= 80
    """)
    assert 50 <= cheap <= 150
    assert loyal > cheap


def test_dei_needed_merchants_with_fewer_women_than_men(ask):
    needed, balanced, small = ask("""
        select count(*) filter (women > 100 and women < men), count(*) filter (women > 100 and women >= men),
            count(*) filter (women <= 100 and women < men)
        from (select count(distinct customer_id) filter (gender = 'F') as women,
                     count(distinct customer_id) filter (gender = 'M') as men
              from events group by merchant_id)
    """)
    assert 10 <= needed <= 40
    assert balanced >= 10
    assert small >= 100
