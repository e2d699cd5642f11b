"""Dates, times of day and calendars."""

from datetime import date, timedelta


def is_leap_year(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_year(year):
    return 366 if year % 4 == 0 and year % 100 != 0 or year % 400 == 0 else 365


def century(year):
    return (year - 1) // 100 + 1


def decade(year):
    return year // 10 * 10


def next_day(day):
    return day + timedelta(days=1)


def previous_day(day):
    return day - timedelta(days=1)


def days_later(day, count):
    return day + timedelta(days=count)


def weeks_later(day, count):
    return day + timedelta(weeks=count)


def days_between(start, end):
    return (end - start).days


def days_including(start, end):
    return (end - start).days + 1


def is_weekend(day):
    return day.weekday() >= 5


def is_weekday(day):
    return day.weekday() < 5


def is_monday(day):
    return day.weekday() == 0


def first_of_month(day):
    return day.replace(day=1)


def first_of_year(day):
    return day.replace(month=1, day=1)


def last_of_year(day):
    return day.replace(month=12, day=31)


def last_of_month(day):
    start = day.replace(day=1)
    return (start + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def next_month(month):
    return month % 12 + 1


def previous_month(month):
    return (month - 2) % 12 + 1


def quarter(month):
    return (month - 1) // 3 + 1


def first_month_of_quarter(quarter):
    return 3 * (quarter - 1) + 1


def half_of_year(month):
    return 1 if month <= 6 else 2


def age(born, today):
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_birthday(born, today):
    return (born.month, born.day) == (today.month, today.day)


def earlier(a, b):
    return a if a < b else b


def later(a, b):
    return a if a > b else b


def is_past(day, today):
    return day < today


def is_future(day, today):
    return day > today


def same_month(a, b):
    return a.year == b.year and a.month == b.month


def day_of_year(day):
    return (day - date(day.year, 1, 1)).days + 1


def days_left_in_year(day):
    return (date(day.year, 12, 31) - day).days


def iso_date(day):
    return f"{day.year:04}-{day.month:02}-{day.day:02}"


def german_date(day):
    return f"{day.day:02}.{day.month:02}.{day.year}"


def american_date(day):
    return f"{day.month}/{day.day}/{day.year}"


def parse_iso_date(text):
    year, month, day = text.split("-")
    return date(int(year), int(month), int(day))


def clock_minutes(hours, minutes):
    return hours * 60 + minutes


def clock_text(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"


def is_morning(hour):
    return 6 <= hour < 12


def is_night(hour):
    return hour >= 22 or hour < 6


def to_twelve_hours(hour):
    return (hour - 1) % 12 + 1


def add_minutes(clock, minutes):
    return (clock + minutes) % 1440
