"""Settings of a vLLM server."""

from typing import Literal

from pydantic import AliasChoices, Field

from forager.learning.processor import prefers_bf16
from forager.records import Record


class ServeSettings(Record):
    """Settings of a model's servers, by vLLM's names; an empty value leaves the choice to vLLM.

    Names that earlier versions used still work in files.
    """

    served_model_name: str = Field(
        "",
        validation_alias=AliasChoices("served_model_name", "name"),
        description="Name that requests use for the model; default: its directory's name.",
    )
    replicas: int = Field(1, ge=1, description="Number of servers, each on its own port.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int | None = Field(
        None, description="Port of the first server, the others follow; default: free ports."
    )
    python: str = Field("", description="Python that has vLLM; default: the one of forager.")
    max_model_len: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("max_model_len", "context"),
        description="Maximum number of tokens of prompt and completion.",
    )
    dtype: str = Field(
        "",
        description="Precision of the weights, such as bfloat16; default: as they are stored. "
        "autocast: bfloat16 where this machine computes faster in it, else as they are stored.",
    )
    tensor_parallel_size: int = Field(
        1,
        ge=1,
        validation_alias=AliasChoices("tensor_parallel_size", "devices"),
        description="GPUs per server.",
    )
    gpu_memory_utilization: float | None = Field(
        None,
        gt=0,
        le=1,
        validation_alias=AliasChoices("gpu_memory_utilization", "gpu_memory"),
        description="Share of a GPU's memory that a server may use.",
    )
    cpu_kvcache_space: int = Field(
        1,
        ge=1,
        validation_alias=AliasChoices("cpu_kvcache_space", "cpu_cache"),
        description="GiB for the KV cache, on a CPU.",
    )
    cpu_cores: str = Field(
        "",
        description="On a CPU: cores of each server, such as 0-1|2-3, or nobind; default: vLLM's "
        "choice.",
    )
    cpu_nice: int = Field(
        10,
        ge=0,
        le=19,
        description="On a CPU: niceness of the servers, whose workers spin between requests.",
    )
    enforce_eager: bool | None = Field(
        None,
        validation_alias=AliasChoices("enforce_eager", "eager"),
        description="Do not compile the model; default: only on a CPU.",
    )
    chat_template: str = Field("", description="File of a chat template; default: the model's.")
    tool_call_parser: str = Field(
        "",
        validation_alias=AliasChoices("tool_call_parser", "tool_parser"),
        description="vLLM tool parser for your model family, such as hermes.",
    )
    reload: Literal["restart", "in_place"] = Field(
        "restart",
        description="How to load new weights; in_place opens vLLM's developer endpoints.",
    )
    start_timeout: float = Field(
        900.0,
        gt=0,
        validation_alias=AliasChoices("start_timeout", "start_seconds"),
        description="Seconds to wait until all servers answer.",
    )
    arguments: list[str] = Field([], description="Further arguments for vLLM's server.")

    def on_this_machine(self) -> "ServeSettings":
        """These settings, with the precision that `autocast` means here."""
        if self.dtype != "autocast":
            return self
        return self.model_copy(update={"dtype": "bfloat16" if prefers_bf16() else ""})
