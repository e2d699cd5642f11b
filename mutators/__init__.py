"""What breaks code: CWM's five families of mutations.

A third party adds mutators through the entry point group `forager.mutators`. The entry point is
named after the family that it extends or founds; the object is a mutator or a tuple of them:

    [project.entry-points."forager.mutators"]
    operators = "my_package.mutators:swap_constants"
"""

from importlib.metadata import entry_points

from forager.mutation.candidates import Families
from mutators.arguments import remove_parameter, swap_arguments
from mutators.functions import delete_body, delete_part
from mutators.operators import (
    swap_augmented,
    swap_binary,
    swap_boolean,
    swap_comparison,
    swap_unary,
)
from mutators.statements import remove_import, remove_imported_name, remove_return
from mutators.variables import swap_variables

FAMILIES: Families = {
    # First, for what two families offer goes to the earlier: deleting a lone `return` is theirs.
    "statements": (remove_import, remove_imported_name, remove_return),
    "functions": (delete_body, delete_part),
    "arguments": (remove_parameter, swap_arguments),
    "variables": (swap_variables,),
    "operators": (swap_binary, swap_augmented, swap_unary, swap_boolean, swap_comparison),
}


def load_families() -> Families:
    """The five families, and what installed packages add to them."""
    families = dict(FAMILIES)
    found = sorted(entry_points(group="forager.mutators"), key=lambda each: (each.name, each.value))
    for entry_point in found:
        loaded = entry_point.load()
        added = loaded if isinstance(loaded, tuple) else (loaded,)
        families[entry_point.name] = (*families.get(entry_point.name, ()), *added)
    return families
