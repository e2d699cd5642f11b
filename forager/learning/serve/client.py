"""Requests to a server of vLLM's interface, with the login of its address."""

from typing import TYPE_CHECKING, Any

from forager.logins import LOGINS, NO_LOGIN

if TYPE_CHECKING:
    from requests import Response

_SECONDS = 600  # a server that replaces weights takes its time


def post(
    url: str,
    json: Any = None,
    *,
    key: str = "",
    query: dict[str, str] | None = None,
    timeout: float = _SECONDS,
) -> "Response":
    """The answer to a POST request, whatever its status. Raises requests.RequestException.

    As in a `ChatEndpoint`, a login takes the place of the key.
    """
    import requests

    login = next(iter(LOGINS.of([url]).values()), NO_LOGIN)
    return requests.post(
        url,
        json=json,
        params=[*(query or {}).items(), *login.query],
        headers={"Authorization": f"Bearer {key}"} if key else {},
        auth=login.auth,
        timeout=timeout,
    )
