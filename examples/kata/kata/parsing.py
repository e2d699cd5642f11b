"""Text as values."""


def parse_numbers(text):
    return [int(part) for part in text.split(",")]


def parse_pair(text):
    left, right = text.split("=")
    return left.strip(), right.strip()


def parse_pairs(text):
    return dict(part.split("=") for part in text.split("&"))


def parse_boolean(text):
    return text.strip().lower() in ("yes", "true", "1")


def parse_range(text):
    first, last = text.split("-")
    return list(range(int(first), int(last) + 1))


def parse_clock(text):
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def parse_percent(text):
    return float(text.rstrip("%")) / 100


def parse_price(text):
    return int(text.replace(".", ""))


def parse_point(text):
    x, y = text.strip("()").split(",")
    return int(x), int(y)


def parse_fraction(text):
    numerator, denominator = text.split("/")
    return int(numerator) / int(denominator)


def parse_version(text):
    return tuple(int(part) for part in text.split("."))


def is_newer(a, b):
    return [int(part) for part in a.split(".")] > [int(part) for part in b.split(".")]


def major_version(text):
    return int(text.split(".")[0])


def minor_version(text):
    return int(text.split(".")[1])


def next_major(text):
    return f"{int(text.split('.')[0]) + 1}.0"


def file_extension(path):
    return path.rsplit(".")[-1]


def file_name(path):
    return path.split("/")[-1]


def file_stem(path):
    return path.split("/")[-1].split(".")[0]


def parent_directory(path):
    return "/".join(path.split("/")[:-1])


def path_depth(path):
    return path.count("/")


def join_path(directory, name):
    return directory.rstrip("/") + "/" + name


def is_hidden(path):
    return path.split("/")[-1].startswith(".")


def is_absolute(path):
    return path.startswith("/")


def email_user(address):
    return address.split("@")[0]


def email_host(address):
    return address.split("@")[1]


def url_scheme(url):
    return url.split("://")[0]


def url_host(url):
    return url.split("://")[1].split("/")[0]


def url_path(url):
    return "/" + "/".join(url.split("/")[3:])


def has_query(url):
    return "?" in url


def without_query(url):
    return url.split("?")[0]


def csv_row(line):
    return [cell.strip() for cell in line.split(",")]


def csv_column(lines, index):
    return [line.split(",")[index] for line in lines]


def without_comments(lines):
    return [line for line in lines if not line.startswith("#")]


def strip_comment(line):
    return line.split("#")[0].rstrip()


def indentation(line):
    return len(line) - len(line.lstrip())


def count_tokens(text):
    return len(text.replace("(", " ( ").replace(")", " ) ").split())


def roman_digit(letter):
    return {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}[letter]


def from_digits(digits):
    number = 0
    for digit in digits:
        number = number * 10 + digit
    return number


def to_digits(number):
    return [int(digit) for digit in str(number)]


def without_quotes(text):
    return text[1:-1] if text[:1] == '"' else text
