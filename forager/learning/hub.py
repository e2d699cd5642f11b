"""Models by name: a directory of this machine, or a repository of the Hugging Face Hub."""

import re
from pathlib import Path

from forager.errors import UsageError

_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_FILES = ["*.json", "*.jinja", "*.safetensors", "*.txt", "*.model"]  # weights once, and no code


def hub_name(model: Path) -> str:
    """The repository that a model's name may mean, `owner/name`; empty where it is a directory."""
    found = None if model.exists() else _NAME.fullmatch(str(model))
    return found[1] if found else ""


def model_directory(model: Path) -> Path:
    """The directory of a model, got from the Hub where it is named `owner/name[@revision]`.

    Files that were got before are not got again; without a network they do (the library's cache,
    its token and its environment variables hold: https://huggingface.co/docs/huggingface_hub).
    What is neither a directory nor such a name is returned as it is. Raises UsageError.
    """
    if not hub_name(model):
        return model
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{model} is no directory; to get it from the Hub: pip install -e '.[learn]'"
        ) from error
    name, revision = _NAME.fullmatch(str(model)).groups()  # type: ignore[union-attr]
    try:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=_FILES, ignore_patterns="*/*")
        )
    except (OSError, ValueError) as error:
        said = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{model} is no directory, and could not be got from the Hugging Face Hub: {said}"
        ) from error
