"""A list of entries with their sum."""

import json

from tally.text import euros


class Entry:
    """A name with an amount."""

    def __init__(self, name, amount):
        self.name = name
        self.amount = amount

    def __eq__(self, other):
        if not isinstance(other, Entry):
            return NotImplemented
        return (self.name, self.amount) == (other.name, other.amount)

    def __hash__(self):
        return hash((self.name, self.amount))

    def __lt__(self, other):
        return self.amount < other.amount

    def __repr__(self):
        return f"Entry({self.name!r}, {self.amount!r})"


class Ledger:
    """Entries in the order in which they came."""

    def __init__(self, entries=()):
        self.entries = list(entries)

    def add(self, name, amount):
        """Append an entry, and return it."""
        entry = Entry(name, amount)
        self.entries.append(entry)
        return entry

    def balance(self):
        """The sum of all amounts."""
        return sum(entry.amount for entry in self.entries)

    def names(self):
        """All names, each once."""
        return {entry.name for entry in self.entries}

    def find(self, name):
        """The first entry of a name; None if there is none."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        return None

    def largest(self):
        """The entry with the largest amount."""
        return max(self.entries, key=lambda entry: entry.amount)

    def totals(self):
        """The sum of the amounts by name."""
        result = {}
        for entry in self.entries:
            result[entry.name] = result.get(entry.name, 0) + entry.amount
        return result

    def visit(self, visitor):
        """Call a function with each entry."""
        for entry in self.entries:
            visitor(entry)

    def __contains__(self, name):
        return any(entry.name == name for entry in self.entries)

    def __len__(self):
        return len(self.entries)

    def __iter__(self):
        return iter(self.entries)

    def __enter__(self):
        self.kept = list(self.entries)
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            self.entries = self.kept
        return False


def statement(ledger):
    """The entries and their sum as lines of text."""
    lines = [f"{entry.name:<10}{euros(entry.amount):>10}" for entry in ledger]
    lines.append(f"{'sum':<10}{euros(ledger.balance()):>10}")
    return "\n".join(lines) + "\n"


def as_json(ledger):
    """The totals as JSON with sorted keys."""
    return json.dumps(ledger.totals(), sort_keys=True)
