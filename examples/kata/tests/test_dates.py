from datetime import date

from kata.dates import (
    add_minutes,
    age,
    american_date,
    century,
    clock_minutes,
    clock_text,
    day_of_year,
    days_between,
    days_in_year,
    days_including,
    days_later,
    days_left_in_year,
    decade,
    earlier,
    first_month_of_quarter,
    first_of_month,
    first_of_year,
    german_date,
    half_of_year,
    is_birthday,
    is_future,
    is_leap_year,
    is_monday,
    is_morning,
    is_night,
    is_past,
    is_weekday,
    is_weekend,
    iso_date,
    last_of_month,
    last_of_year,
    later,
    next_day,
    next_month,
    parse_iso_date,
    previous_day,
    previous_month,
    quarter,
    same_month,
    to_twelve_hours,
    weeks_later,
)


def test_is_leap_year():
    assert is_leap_year(2024)
    assert is_leap_year(2000)
    assert not is_leap_year(1900)
    assert not is_leap_year(2023)


def test_days_in_year():
    assert days_in_year(2024) == 366
    assert days_in_year(1900) == 365
    assert days_in_year(2000) == 366
    assert days_in_year(2023) == 365


def test_century():
    assert century(2000) == 20
    assert century(2001) == 21


def test_decade():
    assert decade(1987) == 1980


def test_next_day():
    assert next_day(date(2024, 2, 28)) == date(2024, 2, 29)


def test_previous_day():
    assert previous_day(date(2024, 3, 1)) == date(2024, 2, 29)


def test_days_later():
    assert days_later(date(2024, 1, 30), 3) == date(2024, 2, 2)


def test_weeks_later():
    assert weeks_later(date(2024, 1, 1), 2) == date(2024, 1, 15)


def test_days_between():
    assert days_between(date(2024, 1, 1), date(2024, 1, 31)) == 30


def test_days_including():
    assert days_including(date(2024, 1, 1), date(2024, 1, 31)) == 31


def test_is_weekend():
    assert is_weekend(date(2024, 6, 1))
    assert is_weekend(date(2024, 6, 2))
    assert not is_weekend(date(2024, 5, 31))


def test_is_weekday():
    assert is_weekday(date(2024, 5, 31))
    assert not is_weekday(date(2024, 6, 1))


def test_is_monday():
    assert is_monday(date(2024, 6, 3))
    assert not is_monday(date(2024, 6, 4))


def test_first_of_month():
    assert first_of_month(date(2024, 6, 17)) == date(2024, 6, 1)


def test_first_of_year():
    assert first_of_year(date(2024, 6, 17)) == date(2024, 1, 1)


def test_last_of_year():
    assert last_of_year(date(2024, 6, 17)) == date(2024, 12, 31)


def test_last_of_month():
    assert last_of_month(date(2024, 2, 10)) == date(2024, 2, 29)
    assert last_of_month(date(2024, 12, 10)) == date(2024, 12, 31)


def test_next_month():
    assert next_month(5) == 6
    assert next_month(12) == 1


def test_previous_month():
    assert previous_month(5) == 4
    assert previous_month(1) == 12


def test_quarter():
    assert quarter(3) == 1
    assert quarter(4) == 2
    assert quarter(12) == 4


def test_first_month_of_quarter():
    assert first_month_of_quarter(1) == 1
    assert first_month_of_quarter(4) == 10


def test_half_of_year():
    assert half_of_year(6) == 1
    assert half_of_year(7) == 2


def test_age():
    assert age(date(2000, 5, 10), date(2024, 5, 10)) == 24
    assert age(date(2000, 5, 10), date(2024, 5, 9)) == 23


def test_is_birthday():
    assert is_birthday(date(2000, 5, 10), date(2024, 5, 10))
    assert not is_birthday(date(2000, 5, 10), date(2024, 6, 10))
    assert not is_birthday(date(2000, 5, 10), date(2000, 5, 11))


def test_earlier():
    assert earlier(date(2024, 1, 1), date(2023, 1, 1)) == date(2023, 1, 1)
    assert earlier(date(2022, 1, 1), date(2023, 1, 1)) == date(2022, 1, 1)


def test_later():
    assert later(date(2024, 1, 1), date(2023, 1, 1)) == date(2024, 1, 1)


def test_is_past():
    assert is_past(date(2024, 1, 1), date(2024, 1, 2))
    assert not is_past(date(2024, 1, 2), date(2024, 1, 2))


def test_is_future():
    assert is_future(date(2024, 1, 3), date(2024, 1, 2))
    assert not is_future(date(2024, 1, 2), date(2024, 1, 2))


def test_same_month():
    assert same_month(date(2024, 1, 3), date(2024, 1, 9))
    assert not same_month(date(2024, 1, 3), date(2023, 1, 3))
    assert not same_month(date(2024, 1, 3), date(2024, 2, 3))


def test_day_of_year():
    assert day_of_year(date(2024, 1, 1)) == 1
    assert day_of_year(date(2024, 3, 1)) == 61


def test_days_left_in_year():
    assert days_left_in_year(date(2024, 12, 30)) == 1


def test_iso_date():
    assert iso_date(date(2024, 6, 1)) == "2024-06-01"


def test_german_date():
    assert german_date(date(2024, 6, 1)) == "01.06.2024"


def test_american_date():
    assert american_date(date(2024, 6, 1)) == "6/1/2024"


def test_parse_iso_date():
    assert parse_iso_date("2024-06-01") == date(2024, 6, 1)


def test_clock_minutes():
    assert clock_minutes(2, 30) == 150


def test_clock_text():
    assert clock_text(150) == "02:30"


def test_is_morning():
    assert is_morning(6)
    assert is_morning(11)
    assert not is_morning(12)
    assert not is_morning(5)


def test_is_night():
    assert is_night(22)
    assert is_night(5)
    assert not is_night(6)
    assert not is_night(21)


def test_to_twelve_hours():
    assert to_twelve_hours(0) == 12
    assert to_twelve_hours(13) == 1
    assert to_twelve_hours(12) == 12


def test_add_minutes():
    assert add_minutes(1430, 20) == 10
