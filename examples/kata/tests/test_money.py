from kata.money import (
    affordable,
    average_price,
    balance,
    basket_total,
    break_even,
    bulk_price,
    can_afford,
    change_due,
    cheapest,
    coins_needed,
    compound,
    dearest,
    discount_of,
    discounted,
    exchange,
    free_items,
    hourly_pay,
    is_overdrawn,
    is_profitable,
    margin,
    missing_money,
    monthly_salary,
    overtime_pay,
    percent_change,
    price_after_coupon,
    price_range,
    profit,
    shipping_cost,
    simple_interest,
    split_bill,
    tax_of,
    tip,
    total_price,
    unit_price,
    with_tax,
    with_tip,
    without_tax,
    yearly_salary,
    years_to_double,
)


def test_total_price():
    assert total_price(5, 3) == 15


def test_unit_price():
    assert unit_price(15, 3) == 5


def test_with_tax():
    assert with_tax(200, 10) == 220


def test_tax_of():
    assert tax_of(200, 10) == 20


def test_without_tax():
    assert without_tax(220, 10) == 200


def test_discounted():
    assert discounted(200, 10) == 180


def test_discount_of():
    assert discount_of(200, 25) == 50


def test_price_after_coupon():
    assert price_after_coupon(50, 20) == 30
    assert price_after_coupon(10, 20) == 0


def test_cheapest():
    assert cheapest({"pear": 3, "apple": 2, "fig": 5}) == "apple"


def test_dearest():
    assert dearest({"pear": 3, "fig": 5, "apple": 2}) == "fig"


def test_basket_total():
    assert basket_total({"fig": 2, "pear": 1}, {"fig": 5, "pear": 3}) == 13


def test_affordable():
    assert affordable({"fig": 5, "pear": 3, "kiwi": 4}, 4) == ["pear", "kiwi"]


def test_can_afford():
    assert can_afford(5, 5)
    assert not can_afford(5, 4)


def test_change_due():
    assert change_due(20, 13) == 7


def test_missing_money():
    assert missing_money(20, 13) == 7
    assert missing_money(5, 13) == 0


def test_split_bill():
    assert split_bill(60, 4) == 15


def test_tip():
    assert tip(60, 10) == 6


def test_with_tip():
    assert with_tip(60, 10) == 66


def test_profit():
    assert profit(100, 70) == 30


def test_margin():
    assert margin(100, 75) == 0.25


def test_is_profitable():
    assert is_profitable(100, 99)
    assert not is_profitable(100, 100)


def test_break_even():
    assert break_even(100, 15, 5) == 10


def test_simple_interest():
    assert simple_interest(200, 5, 3) == 30


def test_compound():
    assert compound(100, 0.5, 2) == 225


def test_years_to_double():
    assert years_to_double(100, 0.5) == 2
    assert years_to_double(100, 1) == 1


def test_monthly_salary():
    assert monthly_salary(36000) == 3000


def test_yearly_salary():
    assert yearly_salary(3000) == 36000


def test_hourly_pay():
    assert hourly_pay(15, 8) == 120


def test_overtime_pay():
    assert overtime_pay(10, 42) == 440
    assert overtime_pay(10, 40) == 400


def test_balance():
    assert balance([100, 50], [30]) == 120


def test_is_overdrawn():
    assert is_overdrawn(-1)
    assert not is_overdrawn(0)


def test_shipping_cost():
    assert shipping_cost(50) == 0
    assert shipping_cost(49) == 5


def test_bulk_price():
    assert bulk_price(2, 10) == 18
    assert bulk_price(2, 9) == 18
    assert bulk_price(2, 5) == 10


def test_free_items():
    assert free_items(7) == 2


def test_coins_needed():
    assert coins_needed(63, [1, 10, 25]) == 6


def test_exchange():
    assert exchange(20, 1.5) == 30


def test_percent_change():
    assert percent_change(50, 60) == 20


def test_average_price():
    assert average_price([1, 2, 6]) == 3


def test_price_range():
    assert price_range([4, 9, 2]) == (2, 9)
