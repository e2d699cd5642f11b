"""Uploads an exported data set to the Hugging Face Hub.

The library's variables apply: HF_TOKEN, HF_ENDPOINT, HTTPS_PROXY.
"""

import re
from pathlib import Path

from forager.errors import UsageError

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_name(name: str) -> None:
    """Raise UsageError if this is no name of a repository."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"--push takes owner/name of the Hugging Face Hub, not {name!r}")


def push(directory: Path, name: str, *, public: bool = False) -> str:
    """Upload a directory as a data set, private unless `public`; return its address.

    All files go into one commit: readers see the whole upload or nothing of it. Files that the
    repository has already are not sent again. Raises UsageError.
    """
    check_name(name)
    try:
        from huggingface_hub import HfApi
    except ModuleNotFoundError as error:
        raise UsageError("--push needs huggingface_hub: pip install -e '.[datasets]'") from error
    hub = HfApi(library_name="forager")
    try:
        made = hub.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
        hub.upload_folder(
            repo_id=made.repo_id,
            folder_path=directory,
            repo_type="dataset",
            commit_message=f"Upload {directory.name}",
            delete_patterns=["data/*", "*.jsonl"],
        )
    except (OSError, ValueError, LookupError) as error:  # LookupError: not the Hub's answer
        reason = " ".join(str(error).split())[:300]
        raise UsageError(
            f"{directory} is written, but the Hub does not take it as {name}: {reason}; "
            "`hf auth login` sets a token"
        ) from error
    return f"{hub.endpoint}/datasets/{made.repo_id}"
