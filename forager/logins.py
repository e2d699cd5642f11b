"""Names, passwords and tokens in addresses: kept in this process, in no record and no message.

An address loses its login before it enters a record (`Address`, `take`). Whoever makes a
request asks for the login again (`of`). What is printed or recorded of a failure passes
`hide`.
"""

import re
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

_HIDDEN = "***"
_SHORTEST = 5  # characters of a secret that is hidden in texts; a shorter one would hide too much
_SECRET = re.compile(
    r"(?:^(?:key|token)|(?:api|access|private|subscription)[_-]?key|secret|passw(?:or)?d"
    r"|authorization|credentials?|(?:access|api|auth|bearer|session)[_-]?token)$",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(
    r"([?&][\w.-]{0,40}(?:key|token|secret|password|passwd|auth|sig|signature)=)[^&\s#'\"]+",
    re.IGNORECASE,
)


class Login(NamedTuple):
    """What an address says of the one who asks."""

    user: str
    password: str
    query: tuple[tuple[str, str], ...]

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password for HTTP's basic authentication, if there are any."""
        return (self.user, self.password) if self.user or self.password else None

    def __repr__(self) -> str:
        return f"Login({_HIDDEN})"


NO_LOGIN = Login("", "", ())


class Logins:
    """The logins of this process by scheme and host; for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._logins: dict[str, Login] = {}
        self._secrets: frozenset[str] = frozenset()  # replaced: signal handlers read it

    def take(self, url: str, *, query: bool = False) -> str:
        """Return a web address without its login, which is remembered; with `query` that, too.

        Of an address that is not of the web only the password is cut off: ssh asks for it itself.
        """
        scheme, login, rest = _split(url)
        if not scheme.endswith(("http://", "https://")):
            return f"{scheme}{login.partition(':')[0]}@{rest}" if ":" in login else url
        rest, mark, asked = rest.partition("?") if query else (rest, "", "")
        if not login and not mark:
            return url
        user, _, password = map(unquote, login.partition(":"))
        given = Login(user, password, tuple(parse_qsl(asked.partition("#")[0], True)))
        self.learn({_host(scheme, rest): given})
        return scheme + rest

    def learn(self, logins: Mapping[str, Login]) -> None:
        """Remember logins that another process took."""
        with self._lock:
            self._logins |= logins
        for login in logins.values():
            self.keep_secret(login.password or login.user, *(value for _, value in login.query))

    def keep_secret(self, *secrets: str) -> None:
        """Hide these in texts."""
        with self._lock:
            known = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
            self._secrets |= {secret for secret in known if len(secret) >= _SHORTEST}

    def hide_secrets(self, value: Any) -> Any:
        """JSON with `***` for texts whose names say that they are secret; `hide` learns them."""
        if isinstance(value, list):
            return [self.hide_secrets(item) for item in value]
        if not isinstance(value, dict):
            return value
        secret = {name: item for name, item in value.items() if _SECRET.search(name)}
        texts = {name: item for name, item in secret.items() if isinstance(item, str)}
        self.keep_secret(*texts.values())
        shown = {name: self.hide_secrets(item) for name, item in value.items()}
        return shown | dict.fromkeys(texts, _HIDDEN)

    def of(self, urls: Iterable[str]) -> dict[str, Login]:
        """The logins for these addresses by scheme and host."""
        hosts = {_host(scheme, rest) for scheme, _, rest in map(_split, urls)}
        return {host: login for host, login in self.all().items() if host in hosts}

    def all(self) -> dict[str, Login]:
        """All logins by scheme and host."""
        with self._lock:
            return dict(self._logins)

    def hide(self, text: str) -> str:
        """The text with `***` for the logins of all addresses, and for secrets that are known."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return _QUERY.sub(rf"\g<1>{_HIDDEN}", _USER.sub(f"{_HIDDEN}@", text))


LOGINS = Logins()


def without_login(url: str) -> str:
    """An address that somebody else wrote, without user, password and tokens."""
    return _QUERY.sub(r"\1", _USER.sub("", url))


def _split(url: str) -> tuple[str, str, str]:
    """Scheme (with `://`), login and the rest of an address.

    A password may hold a slash that should be written `%2F`; what stands before it is no port then.
    """
    scheme, mark, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        login = authority.rpartition("@")[0]
    elif ":" in authority and not authority.rpartition(":")[2].isdecimal() and "@" in rest:
        login = rest.rpartition("@")[0]
    else:
        return scheme + mark, "", rest
    return scheme + mark, login, rest[len(login) + 1 :]


def _host(scheme: str, rest: str) -> str:
    return scheme + re.split("[/?#]", rest, maxsplit=1)[0].lower()
