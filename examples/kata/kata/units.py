"""Conversions between units."""


def celsius_to_fahrenheit(degrees):
    return degrees * 9 / 5 + 32


def fahrenheit_to_celsius(degrees):
    return (degrees - 32) * 5 / 9


def celsius_to_kelvin(degrees):
    return degrees + 273.15


def kelvin_to_celsius(degrees):
    return degrees - 273.15


def minutes_to_seconds(minutes):
    return minutes * 60


def seconds_to_minutes(seconds):
    return seconds / 60


def hours_to_minutes(hours):
    return hours * 60


def minutes_to_hours(minutes):
    return minutes / 60


def hours_to_seconds(hours):
    return hours * 3600


def days_to_hours(days):
    return days * 24


def hours_to_days(hours):
    return hours / 24


def weeks_to_days(weeks):
    return weeks * 7


def days_to_weeks(days):
    return days // 7


def years_to_months(years):
    return years * 12


def months_to_years(months):
    return months // 12


def split_seconds(seconds):
    return seconds // 60, seconds % 60


def split_minutes(minutes):
    return minutes // 60, minutes % 60


def split_months(months):
    return months // 12, months % 12


def kilometers_to_meters(kilometers):
    return kilometers * 1000


def meters_to_kilometers(meters):
    return meters / 1000


def meters_to_centimeters(meters):
    return meters * 100


def centimeters_to_meters(centimeters):
    return centimeters / 100


def feet_to_inches(feet):
    return feet * 12


def inches_to_feet(inches):
    return inches / 12


def height_in_inches(feet, inches):
    return feet * 12 + inches


def kilograms_to_grams(kilograms):
    return kilograms * 1000


def grams_to_kilograms(grams):
    return grams / 1000


def liters_to_milliliters(liters):
    return liters * 1000


def bytes_to_bits(count):
    return count * 8


def bits_to_bytes(count):
    return (count + 7) // 8


def kilobytes_to_bytes(count):
    return count * 1024


def euros_to_cents(euros):
    return round(euros * 100)


def cents_to_euros(cents):
    return cents / 100


def percent_to_share(percent):
    return percent / 100


def share_to_percent(share):
    return share * 100


def degrees_to_turns(degrees):
    return degrees / 360


def normalize_degrees(degrees):
    return degrees % 360


def dozens(eggs):
    return eggs // 12


def speed(distance, hours):
    return distance / hours


def travel_time(distance, speed):
    return distance / speed


def travel_distance(speed, hours):
    return speed * hours


def meters_per_second(kilometers_per_hour):
    return kilometers_per_hour / 3.6


def density(mass, volume):
    return mass / volume


def body_mass_index(kilograms, meters):
    return kilograms / meters**2
