"""Truth values and choices."""


def both(a, b):
    return a and b


def at_least_one(a, b):
    return a or b


def neither(a, b):
    return not a and not b


def exactly_one(a, b):
    return a != b


def implies(a, b):
    return not a or b


def equivalent(a, b):
    return a == b


def majority(votes):
    return sum(votes) > len(votes) / 2


def unanimous(votes):
    return all(votes)


def nobody(votes):
    return not any(votes)


def count_true(flags):
    return sum(flags)


def count_false(flags):
    return len(flags) - sum(flags)


def first_true(flags):
    return flags.index(True)


def choose(condition, yes, no):
    return yes if condition else no


def default_to(value, default):
    return default if value is None else value


def first_not_none(values):
    return next(value for value in values if value is not None)


def larger_of(a, b):
    return a if a > b else b


def smaller_of(a, b):
    return a if a < b else b


def largest_of_three(a, b, c):
    return max(a, b, c)


def smallest_of_three(a, b, c):
    return min(a, b, c)


def middle_of_three(a, b, c):
    return sorted([a, b, c])[1]


def compare(a, b):
    if a == b:
        return 0
    return 1 if a > b else -1


def are_ordered(a, b, c):
    return a <= b <= c


def all_different(a, b, c):
    return a != b and b != c and a != c


def fizz_buzz(number):
    if number % 15 == 0:
        return "FizzBuzz"
    if number % 3 == 0:
        return "Fizz"
    return "Buzz" if number % 5 == 0 else str(number)


def grade(points):
    if points >= 90:
        return "A"
    return "B" if points >= 70 else "C"


def has_passed(points, needed):
    return points >= needed


def size_name(number):
    if number < 10:
        return "small"
    return "medium" if number < 100 else "large"


def traffic_light(light):
    return {"green": "go", "yellow": "wait", "red": "stop"}[light]


def ticket_price(age):
    if age < 6:
        return 0
    return 5 if age < 18 else 10


def water_state(degrees):
    if degrees <= 0:
        return "ice"
    return "steam" if degrees >= 100 else "water"


def needs_umbrella(raining, inside):
    return raining and not inside


def can_enter(ticket, member):
    return ticket or member


def apply_twice(function, value):
    return function(function(value))


def apply_all(functions, value):
    for function in functions:
        value = function(value)
    return value


def count_matching(items, condition):
    return sum(1 for item in items if condition(item))


def keep_matching(items, condition):
    return [item for item in items if condition(item)]


def drop_matching(items, condition):
    return [item for item in items if not condition(item)]


def all_match(items, condition):
    return all(condition(item) for item in items)


def any_match(items, condition):
    return any(condition(item) for item in items)
