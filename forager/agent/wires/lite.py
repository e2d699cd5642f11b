"""Any provider that the package litellm knows, by the prefix of the model's name (`gemini/…`).

https://docs.litellm.ai/docs/providers. It reads keys from the variables of each provider.
"""

import os
from typing import Any

from forager.agent import NO_URL
from forager.errors import UsageError


def complete(body: dict[str, Any], url: str, key: str, timeout: float) -> dict[str, Any]:
    """Ask once; an empty `key` leaves it to litellm. Raises what litellm does: errors of openai."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks GitHub, and waits
    try:
        import litellm
    except ModuleNotFoundError as error:
        raise UsageError("--api litellm needs the package: pip install -e '.[litellm]'") from error
    litellm.suppress_debug_info = True
    place = {} if url == NO_URL else {"api_base": url}
    given = {"api_key": key} if key else {}
    answer = litellm.completion(**body, **place, **given, timeout=timeout, num_retries=0)
    found: dict[str, Any] = answer.model_dump()
    return found
