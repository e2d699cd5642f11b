"""Models by name: a local directory, or a repository of the Hugging Face Hub."""

import re
from pathlib import Path

from forager.errors import UsageError

_NAME = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@([\w./-]+))?")  # `../base` is none
_FILES = [
    "*.json",
    "*.jinja",
    "*.safetensors",
    "*.txt",
    "*.model",
]  # no code, and weights once


def hub_name(model: Path) -> str:
    """The repository `owner/name` that a model's name refers to; empty for a directory."""
    found = None if model.exists() else _NAME.fullmatch(str(model))
    return found[1] if found else ""


def check_model(model: Path) -> None:
    """Raise UsageError if it is neither a repository's name nor a directory that holds a model."""
    if not hub_name(model) and not (model / "config.json").is_file():
        raise UsageError(f"{model} is not a Hugging Face model: it has no config.json")


def model_directory(model: Path) -> Path:
    """The directory of a model; `owner/name[@revision]` is downloaded from the Hub.

    Files in the library's cache are not downloaded again and work offline; its token and its
    environment variables apply (https://huggingface.co/docs/huggingface_hub). Any other name is
    returned unchanged. Raises UsageError.
    """
    if not hub_name(model):
        return model
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{model} is no directory; to download it from the Hub: pip install -e '.[learn]'"
        ) from error
    name, revision = _NAME.fullmatch(str(model)).groups()  # type: ignore[union-attr]
    try:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=_FILES, ignore_patterns="*/*")
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{model} is no directory, and the Hugging Face Hub does not provide it: {reason}"
        ) from error
