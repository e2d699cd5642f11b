"""The host's package index, proxies and CA bundle, for builds.

Build commands get them as variables; no image contains them.
"""

import configparser
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import requests

from forager.logins import LOGINS, without_login

PYPI = "https://pypi.org/simple"
TORCH = "https://download.pytorch.org/whl/cpu/torch/"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_BUNDLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def index_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return the package index that uv or pip of this host is set to use."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if environ.get(name):
            return environ[name]
    return _pip_settings(environ).get("index-url") or PYPI


def ca_bundle(environ: Mapping[str, str] = os.environ) -> str:
    """Return the file of CA certificates that this host trusts; empty if none is set."""
    for name in _BUNDLES:
        if environ.get(name) and Path(environ[name]).is_file():
            return environ[name]
    stated = _pip_settings(environ).get("cert", "")
    return stated if stated and Path(stated).is_file() else ""


def build_variables(
    bundle: str, environ: Mapping[str, str] = os.environ, *, logins: bool = True
) -> dict[str, str]:
    """Return the variables that carry the host's settings into a build.

    `bundle` is the path of the CA bundle in the container, or empty. Indexes that are files of this
    host are left out, as the container does not have them. Without `logins` the addresses have no
    users and passwords: a model could read them.
    """
    settings = _pip_settings(environ)
    variables = {
        name: environ[name]
        for lower in _PROXIES
        for name in (lower, lower.upper())
        if environ.get(name)
    }
    if not variables and settings.get("proxy"):
        variables = {"http_proxy": settings["proxy"], "https_proxy": settings["proxy"]}
    index = index_url(environ)
    if _reachable(index) and index != PYPI:
        variables |= {"UV_DEFAULT_INDEX": index, "PIP_INDEX_URL": index}
    stated = (
        environ.get("UV_INDEX")
        or environ.get("UV_EXTRA_INDEX_URL")
        or environ.get("PIP_EXTRA_INDEX_URL")
        or settings.get("extra-index-url", "")
    )
    extra = " ".join(word for word in stated.split() if _reachable(word))
    if extra:
        variables |= {"UV_INDEX": extra, "PIP_EXTRA_INDEX_URL": extra}
    trusted = environ.get("UV_INSECURE_HOST") or settings.get("trusted-host", "")
    if trusted:
        variables |= {"UV_INSECURE_HOST": trusted, "PIP_TRUSTED_HOST": trusted}
    if bundle:
        variables |= dict.fromkeys((*_BUNDLES, "GIT_SSL_CAINFO"), bundle)
    for address in " ".join(variables.values()).split():
        LOGINS.take(address)  # so that no log of a build shows a password
    if not logins:
        return {name: without_login(value) for name, value in variables.items()}
    return variables


@cache
def has_torch_index() -> bool:
    """Whether PyTorch's own index answers, which has builds without CUDA: sandboxes have no GPU."""
    try:
        return requests.head(TORCH, timeout=5, verify=ca_bundle() or True).ok
    except requests.RequestException:
        return False


def _reachable(url: str) -> bool:
    return "://" in url and not url.startswith("file:")


def _pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Read pip's own configuration files; more specific files override others."""
    home = Path(environ.get("HOME", "/nonexistent"))
    configured = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", configured / "pip/pip.conf"]
    files += [Path(sys.prefix) / "pip.conf", Path(environ.get("PIP_CONFIG_FILE", "/nonexistent"))]
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    for file in files:
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue  # pip itself will say so
    merged: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            merged |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return merged
