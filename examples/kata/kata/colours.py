"""Colours as triples of red, green and blue from 0 to 255."""


def grey(level):
    return level, level, level


def red_of(colour):
    return colour[0]


def green_of(colour):
    return colour[1]


def blue_of(colour):
    return colour[2]


def inverted(colour):
    return tuple(255 - part for part in colour)


def brightness(colour):
    return sum(colour) / 3


def is_grey(colour):
    return colour[0] == colour[1] == colour[2]


def is_dark(colour):
    return sum(colour) / 3 < 128


def is_bright(colour):
    return sum(colour) / 3 >= 128


def is_black(colour):
    return max(colour) == 0


def is_white(colour):
    return min(colour) == 255


def is_reddish(colour):
    return colour[0] > colour[1] and colour[0] > colour[2]


def mix(a, b):
    return tuple((x + y) // 2 for x, y in zip(a, b))


def add_colours(a, b):
    return tuple(min(255, x + y) for x, y in zip(a, b))


def lighter(colour, amount):
    return tuple(min(255, part + amount) for part in colour)


def darker(colour, amount):
    return tuple(max(0, part - amount) for part in colour)


def to_hex(colour):
    return "#" + "".join(f"{part:02x}" for part in colour)


def from_hex(text):
    return tuple(int(text[i : i + 2], 16) for i in range(1, 7, 2))


def strongest_part(colour):
    return max(colour)


def weakest_part(colour):
    return min(colour)


def contrast(a, b):
    return abs(sum(a) - sum(b))


def saturation(colour):
    return max(colour) - min(colour)


def only_red(colour):
    return colour[0], 0, 0


def only_blue(colour):
    return 0, 0, colour[2]


def swap_red_and_blue(colour):
    return colour[2], colour[1], colour[0]


def same_colour(a, b):
    return all(x == y for x, y in zip(a, b))
