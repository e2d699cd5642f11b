"""What breaks code: CWM's five families of mutations, and five more.

Third parties add mutators through the entry point group `forager.mutators`. The name of an entry
point is the family that it extends or creates; its object is a mutator or a tuple of mutators:

    [project.entry-points."forager.mutators"]
    operators = "my_package.mutators:swap_constants"
"""

from forager.mutation.candidates import Families
from forager.plugins import plugins
from mutators.arguments import (
    change_default,
    remove_keyword,
    remove_parameter,
    swap_arguments,
    swap_keywords,
)
from mutators.attributes import swap_attribute, swap_function, swap_method, swap_sibling
from mutators.branches import (
    choose_side,
    drop_condition,
    drop_filter,
    invert_condition,
    keep_branch,
    remove_branch,
)
from mutators.classes import remove_base, remove_decorator, remove_method
from mutators.exceptions import (
    drop_raise,
    narrow_caught,
    remove_handler,
    return_raised,
    swap_caught,
    swap_raised,
)
from mutators.functions import delete_body, delete_part
from mutators.loops import shift_limit, stop_early, swap_jump, unwrap_iterable
from mutators.operators import (
    shift_bound,
    shift_number,
    swap_augmented,
    swap_binary,
    swap_boolean,
    swap_comparison,
    swap_truth,
    swap_unary,
)
from mutators.statements import (
    remove_guard,
    remove_import,
    remove_imported_name,
    remove_return,
    remove_statement,
    swap_statements,
    unwrap_try,
    unwrap_with,
)
from mutators.variables import replace_variable, swap_variables

FAMILIES: Families = {
    # CWM's families. A change that two families offer belongs to the earlier one: `statements`
    # removes one simple statement, `functions` longer parts of a body.
    "statements": (
        remove_import,
        remove_imported_name,
        remove_return,
        remove_guard,
        remove_statement,
        unwrap_with,
        unwrap_try,
        swap_statements,
    ),
    "functions": (delete_body, delete_part),
    "arguments": (
        remove_parameter,
        swap_arguments,
        swap_keywords,
        remove_keyword,
        change_default,
    ),
    "variables": (swap_variables, replace_variable),
    "operators": (
        swap_binary,
        swap_augmented,
        swap_unary,
        swap_boolean,
        swap_comparison,
        swap_truth,
        shift_number,
        shift_bound,
    ),
    # Families that CWM lacks.
    "classes": (remove_method, remove_base, remove_decorator),
    "branches": (
        invert_condition,
        drop_condition,
        drop_filter,
        choose_side,
        keep_branch,
        remove_branch,
    ),
    "loops": (swap_jump, stop_early, shift_limit, unwrap_iterable),
    "exceptions": (
        swap_caught,
        narrow_caught,
        remove_handler,
        swap_raised,
        return_raised,
        drop_raise,
    ),
    "attributes": (swap_function, swap_method, swap_attribute, swap_sibling),
}

REVERSIBLE: Families = {
    "statements": (swap_statements,),
    "arguments": (remove_parameter, swap_arguments, swap_keywords),
    "variables": FAMILIES["variables"],
    "operators": FAMILIES["operators"],
    "loops": (swap_jump, shift_limit),
    "exceptions": (swap_caught, swap_raised),
    "attributes": FAMILIES["attributes"],
}
"""Mutators that can undo their own changes; the repair policy tries them."""


def load_families() -> Families:
    """All families with the mutators of installed packages. Raises UsageError."""
    families = dict(FAMILIES)
    for name, _, loaded in plugins("forager.mutators"):
        added = loaded if isinstance(loaded, tuple) else (loaded,)
        families[name] = (*families.get(name, ()), *added)
    return families
