from kata.units import (
    bits_to_bytes,
    body_mass_index,
    bytes_to_bits,
    celsius_to_fahrenheit,
    celsius_to_kelvin,
    centimeters_to_meters,
    cents_to_euros,
    days_to_hours,
    days_to_weeks,
    degrees_to_turns,
    density,
    dozens,
    euros_to_cents,
    fahrenheit_to_celsius,
    feet_to_inches,
    grams_to_kilograms,
    height_in_inches,
    hours_to_days,
    hours_to_minutes,
    hours_to_seconds,
    inches_to_feet,
    kelvin_to_celsius,
    kilobytes_to_bytes,
    kilograms_to_grams,
    kilometers_to_meters,
    liters_to_milliliters,
    meters_per_second,
    meters_to_centimeters,
    meters_to_kilometers,
    minutes_to_hours,
    minutes_to_seconds,
    months_to_years,
    normalize_degrees,
    percent_to_share,
    seconds_to_minutes,
    share_to_percent,
    speed,
    split_minutes,
    split_months,
    split_seconds,
    travel_distance,
    travel_time,
    weeks_to_days,
    years_to_months,
)


def test_celsius_to_fahrenheit():
    assert celsius_to_fahrenheit(100) == 212
    assert celsius_to_fahrenheit(10) == 50


def test_fahrenheit_to_celsius():
    assert fahrenheit_to_celsius(212) == 100


def test_celsius_to_kelvin():
    assert celsius_to_kelvin(0) == 273.15


def test_kelvin_to_celsius():
    assert kelvin_to_celsius(273.15) == 0


def test_minutes_to_seconds():
    assert minutes_to_seconds(2) == 120


def test_seconds_to_minutes():
    assert seconds_to_minutes(90) == 1.5


def test_hours_to_minutes():
    assert hours_to_minutes(1.5) == 90


def test_minutes_to_hours():
    assert minutes_to_hours(90) == 1.5


def test_hours_to_seconds():
    assert hours_to_seconds(2) == 7200


def test_days_to_hours():
    assert days_to_hours(3) == 72


def test_hours_to_days():
    assert hours_to_days(36) == 1.5


def test_weeks_to_days():
    assert weeks_to_days(3) == 21


def test_days_to_weeks():
    assert days_to_weeks(15) == 2


def test_years_to_months():
    assert years_to_months(3) == 36


def test_months_to_years():
    assert months_to_years(30) == 2


def test_split_seconds():
    assert split_seconds(135) == (2, 15)


def test_split_minutes():
    assert split_minutes(135) == (2, 15)


def test_split_months():
    assert split_months(30) == (2, 6)


def test_kilometers_to_meters():
    assert kilometers_to_meters(1.5) == 1500


def test_meters_to_kilometers():
    assert meters_to_kilometers(1500) == 1.5


def test_meters_to_centimeters():
    assert meters_to_centimeters(1.5) == 150


def test_centimeters_to_meters():
    assert centimeters_to_meters(150) == 1.5


def test_feet_to_inches():
    assert feet_to_inches(5) == 60


def test_inches_to_feet():
    assert inches_to_feet(66) == 5.5


def test_height_in_inches():
    assert height_in_inches(5, 7) == 67


def test_kilograms_to_grams():
    assert kilograms_to_grams(0.5) == 500


def test_grams_to_kilograms():
    assert grams_to_kilograms(500) == 0.5


def test_liters_to_milliliters():
    assert liters_to_milliliters(0.25) == 250


def test_bytes_to_bits():
    assert bytes_to_bits(4) == 32


def test_bits_to_bytes():
    assert bits_to_bytes(9) == 2
    assert bits_to_bytes(8) == 1


def test_kilobytes_to_bytes():
    assert kilobytes_to_bytes(2) == 2048


def test_euros_to_cents():
    assert euros_to_cents(1.15) == 115
    assert euros_to_cents(0.29) == 29


def test_cents_to_euros():
    assert cents_to_euros(150) == 1.5


def test_percent_to_share():
    assert percent_to_share(25) == 0.25


def test_share_to_percent():
    assert share_to_percent(0.25) == 25


def test_degrees_to_turns():
    assert degrees_to_turns(90) == 0.25


def test_normalize_degrees():
    assert normalize_degrees(450) == 90
    assert normalize_degrees(-90) == 270


def test_dozens():
    assert dozens(30) == 2


def test_speed():
    assert speed(150, 2) == 75


def test_travel_time():
    assert travel_time(150, 75) == 2


def test_travel_distance():
    assert travel_distance(75, 2) == 150


def test_meters_per_second():
    assert meters_per_second(36) == 10


def test_density():
    assert density(10, 4) == 2.5


def test_body_mass_index():
    assert body_mass_index(80, 2) == 20
