"""How a model is served."""

from typing import Literal

from pydantic import Field

from forager.records import Record


class ServeSettings(Record):
    """The settings of a server; what is empty or None is left to vLLM."""

    name: str = Field("", description="What the model is asked for by; else its directory's name.")
    replicas: int = Field(1, ge=1, description="Servers of the model, each on a port of its own.")
    host: str = Field("127.0.0.1", description="Where they listen.")
    port: int | None = Field(None, description="Of the first, the others follow; None: free ones.")
    python: str = Field("", description="A Python that has vLLM; else this one.")
    context: int | None = Field(None, ge=1, description="Tokens of prompt and completion at most.")
    dtype: str = Field("", description="Of the weights in use, such as bfloat16; else as kept.")
    devices: int = Field(1, ge=1, description="GPUs of a replica (tensor parallel).")
    gpu_memory: float | None = Field(None, gt=0, le=1, description="Share of a GPU's memory.")
    cpu_cache: int = Field(1, ge=1, description="GiB for keys and values, on a CPU.")
    cpu_cores: str = Field(
        "", description="On a CPU: cores of each replica, as 0-1|2-3; nobind; else vLLM's choice."
    )
    cpu_nice: int = Field(
        10,
        ge=0,
        le=19,
        description="On a CPU: niceness. Its worker spins between requests beside the sandboxes.",
    )
    eager: bool | None = Field(None, description="No compilation; None: only on a CPU.")
    chat_template: str = Field("", description="A file; else the model's own.")
    tool_parser: str = Field("", description="vLLM's parser of tool calls, such as hermes.")
    reload: Literal["restart", "in_place"] = Field(
        "restart", description="How new weights come; in place opens vLLM's developer endpoints."
    )
    start_seconds: float = Field(900.0, gt=0, description="For all to answer.")
    arguments: list[str] = Field([], description="More for vLLM's server, as it is given them.")
