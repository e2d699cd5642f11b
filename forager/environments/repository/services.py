"""Services that tests need, such as a database: started inside the sandbox before the tests.

They come from Debian's packages and listen on 127.0.0.1 with their usual ports, without passwords.
Root's shell starts each as the user that its package made, so that grading can end what tests
leave and keep the service; the agent's shell starts it as the agent.
"""

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from forager.errors import SandboxError
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending

_SECONDS = 90.0


class Service(NamedTuple):
    """A service by its name in recipes."""

    packages: tuple[str, ...]
    user: str
    port: int
    script: str
    """Starts it as $as with data in $data; creates the databases "$@"."""
    variables: dict[str, str]
    """That tell clients where it is."""


SERVICES = {
    "postgresql": Service(
        ("postgresql", "postgresql-contrib"),
        "postgres",
        5432,
        """
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
$as "$bin/initdb" -D "$data/db" -U postgres -A trust -E UTF8 --no-sync
$as "$bin/pg_ctl" -D "$data/db" -l "$data/log" -w -t 60 \
    -o '-c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp' start
"$bin/createuser" -h 127.0.0.1 -U postgres -s agent
for name; do "$bin/createdb" -h 127.0.0.1 -U postgres "$name"; done
""",
        {"PGHOST": "127.0.0.1", "PGUSER": "postgres"},
    ),
    "mysql": Service(
        ("mariadb-server",),
        "mysql",
        3306,
        """
$as mariadb-install-db --no-defaults --datadir="$data/db" \
    --auth-root-authentication-method=normal --skip-test-db
$as setsid mariadbd --no-defaults --datadir="$data/db" --socket=/tmp/mysql.sock --port=3306 \
    --bind-address=127.0.0.1 --pid-file="$data/pid" --skip-log-bin &
until mariadb-admin --no-defaults -h 127.0.0.1 -u root ping; do sleep 0.3; done
for name in test "$@"; do
    mariadb --no-defaults -h 127.0.0.1 -u root -e "CREATE DATABASE IF NOT EXISTS \\`$name\\`"
done
""",
        {"MYSQL_UNIX_PORT": "/tmp/mysql.sock", "MYSQL_HOST": "127.0.0.1"},
    ),
    "redis": Service(
        ("redis-server",),
        "redis",
        6379,
        "$as redis-server --port 6379 --bind 127.0.0.1 --save '' --dir \"$data\" --daemonize yes",
        {},
    ),
    "rabbitmq": Service(
        ("rabbitmq-server",),
        "rabbitmq",
        5672,
        """
$as env HOME="$data" RABBITMQ_HOME="$data" RABBITMQ_NODENAME=rabbit@localhost \
    RABBITMQ_MNESIA_BASE="$data/db" RABBITMQ_LOG_BASE="$data/log" \
    setsid /usr/lib/rabbitmq/bin/rabbitmq-server &
""",
        {},
    ),
    "memcached": Service(
        ("memcached",),
        "memcache",
        11211,
        "$as setsid memcached -l 127.0.0.1 -m 32 &",
        {},
    ),
}
_START = r"""
(
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
start() {
    user=$1 port=$2 data=$(mktemp -d /tmp/forager-service.XXXXXX) as=
    shift 2
    answers "$port" && return
    cd "$data"
    if [ "$(id -u)" = 0 ]; then
        chown "$user" "$data"
        as="setpriv --reuid=$user --regid=$user --init-groups"
    fi
    eval "$script"
    for _ in $(seq 200); do answers "$port" && return; sleep 0.2; done
    echo "nothing answers at port $port"
    return 1
}
"""


def packages_of(services: Sequence[str]) -> list[str]:
    """The Debian packages of services."""
    found = [name for text in services for name in SERVICES[text.partition("/")[0]].packages]
    return list(dict.fromkeys(found))


def checked(services: list[str]) -> list[str]:
    """Return the services. Raises ValueError for an unknown one."""
    for text in services:
        name, _, database = text.partition("/")
        if name not in SERVICES or not re.fullmatch(r"\w{0,60}", database):
            known = ", ".join(SERVICES)
            raise ValueError(f"{text!r} is no service: write {known}, or NAME/DATABASE")
    return services


def starting(services: Sequence[str]) -> str:
    """The shell command that starts services and waits until they answer."""
    databases: dict[str, list[str]] = {}
    for text in services:
        name, _, database = text.partition("/")
        databases.setdefault(name, []).extend([database] if database else [])
    starts = [
        f"script={shlex.quote(service.script)}; "
        f"start {shlex.join([service.user, str(service.port), *names])} || exit 1\n"
        for name, names in databases.items()
        for service in [SERVICES[name]]
    ]
    return f"{_START}{''.join(starts)}) >/tmp/forager-services.log 2>&1 </dev/null"


def start_services(sandbox: Sandbox, services: Sequence[str]) -> None:
    """Start the services that do not answer yet. Raises SandboxError."""
    if not services:
        return
    result = sandbox.run(starting(services), timeout=_SECONDS)
    if result.exit_code:
        log = sandbox.run("tail -c 2000 /tmp/forager-services.log").output
        raise SandboxError(f"a service does not start ({', '.join(services)}): {ending(log)}")
