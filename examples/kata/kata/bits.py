"""Numbers as bits."""


def is_bit_set(number, position):
    return number >> position & 1 == 1


def set_bit(number, position):
    return number | 1 << position


def clear_bit(number, position):
    return number & ~(1 << position)


def toggle_bit(number, position):
    return number ^ 1 << position


def lowest_bit(number):
    return number & -number


def without_lowest_bit(number):
    return number & (number - 1)


def count_ones(number):
    return bin(number).count("1")


def count_bits(number):
    return len(bin(number)) - 2


def parity(number):
    return bin(number).count("1") % 2


def is_power_of_two(number):
    return number > 0 and number & (number - 1) == 0


def shift_left(number, count):
    return number << count


def shift_right(number, count):
    return number >> count


def low_byte(number):
    return number & 255


def high_byte(number):
    return number >> 8


def join_bytes(high, low):
    return high << 8 | low


def low_bits(number, count):
    return number & ((1 << count) - 1)


def mask_of(count):
    return (1 << count) - 1


def differing_bits(a, b):
    return bin(a ^ b).count("1")


def shared_bits(a, b):
    return bin(a & b).count("1")


def to_binary(number):
    return bin(number)[2:]


def from_binary(text):
    return int(text, 2)


def to_hexadecimal(number):
    return hex(number)[2:]


def from_hexadecimal(text):
    return int(text, 16)


def bits_of(number):
    bits = []
    while number > 0:
        bits.append(number & 1)
        number >>= 1
    return bits


def from_bits(bits):
    number = 0
    for bit in bits:
        number = number << 1 | bit
    return number


def gray_code(number):
    return number ^ number >> 1


def single_number(numbers):
    result = 0
    for number in numbers:
        result ^= number
    return result


def positions_of_ones(number):
    return [i for i in range(number.bit_length()) if number >> i & 1]


def has_permission(flags, permission):
    return flags & permission == permission


def grant(flags, permission):
    return flags | permission


def revoke(flags, permission):
    return flags & ~permission
