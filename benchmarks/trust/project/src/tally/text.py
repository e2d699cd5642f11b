"""How accounts are written."""


def slug(title):
    """Write a title as a part of a link.

    >>> slug("Cash and Cards")
    'cash-and-cards'
    >>> slug("rent")
    'rent'
    """
    return "-".join(title.lower().split())


def euros(amount):
    """Write an amount with two digits of cents."""
    return f"{amount // 100}.{amount % 100:02}"


def code(number):
    """Write a number as a code such as T-0042."""
    return f"T-{number:04}"
