"""Services that tests try to reach."""

import re

from forager.environments.repository.services import SERVICES
from forager.images.builder import Diagnosis, SourceProject
from forager.images.recipe import Recipe
from forager.images.rules.rule import Proposals

_REFUSED = re.compile(
    r"[Cc]onnection refused|ConnectionRefusedError|Can't connect to|[Cc]ould not connect|"
    r"connection to server|ConnectionError|OperationalError|Connect call failed"
)
_SIGNS = {
    "postgresql": r"PGSQL\.5432|port[= ]\"?5432|:5432\b|psycopg\d?\.OperationalError",
    "mysql": r"MySQL server|MariaDB server|\b3306\b|mysqld\.sock|Error: \(200[2-6], [\"']Can't",
    "redis": r"\b6379\b|redis\.exceptions\.ConnectionError",
    "rabbitmq": r"\b5672\b|amqp\.exceptions",
    "memcached": r"\b11211\b",
}
_NO_DATABASE = {
    "postgresql": r'database "(\w{1,60})" does not exist',
    "mysql": r"Unknown database '(\w{1,60})'",
}


def services(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the services whose ports refuse connections, and the databases that they lack."""
    if failure.stage == "install":
        return
    found = []
    if _REFUSED.search(failure.log):
        found = [name for name, sign in _SIGNS.items() if re.search(sign, failure.log)]
    found += [
        f"{name}/{database}"
        for name, pattern in _NO_DATABASE.items()
        for database in re.findall(pattern, failure.log)
    ]
    new = [name for name in dict.fromkeys(found) if name not in recipe.services]
    if new:
        variables: dict[str, str] = {}
        for name in new:
            variables |= SERVICES[name.partition("/")[0]].variables
        added = {
            "services": [*recipe.services, *new],
            "variables": {**variables, **recipe.variables},
        }
        yield recipe.model_copy(update=added), f"tests try to reach {', '.join(new)}"
