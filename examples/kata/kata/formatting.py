"""Values as text."""


def pad_left(text, width):
    return " " * (width - len(text)) + text


def pad_right(text, width):
    return text + " " * (width - len(text))


def center_text(text, width):
    left = (width - len(text)) // 2
    return " " * left + text


def zero_padded(number, width):
    return str(number).rjust(width, "0")


def truncate(text, limit):
    return text if len(text) <= limit else text[:limit] + "..."


def quote(text):
    return '"' + text + '"'


def in_parentheses(text):
    return "(" + text + ")"


def in_brackets(text):
    return "[" + text + "]"


def bulleted(lines):
    return "\n".join("- " + line for line in lines)


def numbered(lines):
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def indented(text, width):
    return "\n".join(" " * width + line for line in text.splitlines())


def underlined(title):
    return title + "\n" + "=" * len(title)


def comma_separated(items):
    return ", ".join(str(item) for item in items)


def and_joined(words):
    return ", ".join(words[:-1]) + " and " + words[-1]


def or_joined(words):
    return ", ".join(words[:-1]) + " or " + words[-1]


def plural(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ordinal(number):
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def with_sign(number):
    return f"+{number}" if number > 0 else str(number)


def as_percent(share):
    return f"{share * 100:.0f}%"


def as_euros(cents):
    return f"{cents // 100}.{cents % 100:02} EUR"


def as_yes_no(flag):
    return "yes" if flag else "no"


def as_fraction(numerator, denominator):
    return f"{numerator}/{denominator}"


def as_range(first, last):
    return str(first) if first == last else f"{first}-{last}"


def as_duration(seconds):
    return f"{seconds // 60}m {seconds % 60}s"


def as_kilobytes(size):
    return f"{size / 1024:.1f} KB"


def full_name(first, last):
    return first + " " + last


def formal_name(first, last):
    return last + ", " + first


def initials(name):
    return "".join(part[0] for part in name.split())


def abbreviated_name(first, last):
    return first[0] + ". " + last


def greeting(name, hour):
    return f"Good morning, {name}" if hour < 12 else f"Good day, {name}"


def snake_to_camel(name):
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def camel_to_snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


def kebab_case(title):
    return "-".join(title.lower().split())


def title_case(text):
    return " ".join(word.capitalize() for word in text.split())


def masked(number):
    return "*" * (len(number) - 4) + number[-4:]


def progress_bar(done, width):
    return "#" * done + "." * (width - done)


def table_row(cells):
    return "| " + " | ".join(cells) + " |"


def key_value_lines(mapping):
    return "\n".join(f"{key}: {value}" for key, value in mapping.items())


def html_tag(name, content):
    return f"<{name}>{content}</{name}>"


def grouped_digits(number):
    return f"{number:,}".replace(",", " ")
