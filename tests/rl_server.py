"""A person's own vLLM server, as far as `forager rl` uses one, on a tiny model of Transformers.

It samples with the shipped LocalSampler, takes weights through vLLM's developer endpoints, and
answers with token ids and log-probabilities.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from rl_program import TASKS

from forager.agent.traffic import NoLimit
from forager.learning.rl.local_sampler import LocalSampler
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job
from forager.trajectories.record import Sampling


class OwnServer:
    """The state of a server.

    `key`: what requests below /v1 must name, as vLLM's --api-key. `login`: what the proxy before
    it wants of each request, as `user:password`. `deaf`: it says that it takes
    weights, and keeps those it has. `plain`: it has no developer endpoints.
    """

    def __init__(
        self,
        base: Path,
        *,
        name: str = "policy",
        key: str = "",
        login: str = "",
        deaf: bool = False,
        plain: bool = False,
    ) -> None:
        self.name, self.key, self.login = name, key, login
        self.deaf, self.plain = deaf, plain
        self.sampler = LocalSampler(base, "float32")
        self.sampler.load(base, 0)
        self.calls: list[str] = []
        self._asked = 0
        self._lock = Lock()

    def admits(self, path: str, authorization: str | None) -> bool:
        """Whether a request is answered."""
        if self.login:
            return authorization == f"Basic {b64encode(self.login.encode()).decode()}"
        return not (self.key and path.startswith("/v1/")) or authorization == f"Bearer {self.key}"

    def answer(self, path: str, given: dict[str, Any]) -> Any:
        """The answer to a request; None for an unknown path."""
        with self._lock:
            self.calls.append(path)
            match path:
                case "/v1/models":
                    return {"data": [{"id": self.name}]}
                case "/v1/chat/completions":
                    return self._chat(given)
                case "/v1/completions":
                    return {"choices": [{"prompt_logprobs": self._scores(given["prompt"])}]}
                case "/tokenize":
                    text = self.sampler.tokenizer.render(given["messages"], [], "", prompt=True)
                    return {"tokens": self.sampler.tokenizer.encode(text)}
                case _ if self.plain:
                    return None
                case "/collective_rpc":
                    if not self.deaf:
                        self.sampler.load(Path(given["kwargs"]["weights_path"]), len(self.calls))
                    return {}
                case "/pause" | "/resume" | "/reset_prefix_cache":
                    return {"success": True}
        return None

    def _chat(self, given: dict[str, Any]) -> dict[str, Any]:
        """A completion, from random numbers of its own."""
        self._asked += 1
        sampling = Sampling(
            temperature=given["temperature"], max_tokens=given["max_tokens"], seed=self._asked
        )
        settings = RunSettings(models=["policy"], sampling=sampling)
        reply = self.sampler.model(Job(TASKS[0], 0), settings, NoLimit()).query(
            given["messages"], []
        )
        content = [{"logprob": logprob} for logprob in reply.logprobs or ()]
        choice = {
            "message": reply.message,
            "finish_reason": reply.finish_reason,
            "token_ids": reply.completion_token_ids,
            "logprobs": {"content": content},
        }
        usage = reply.usage.model_dump()
        return {"choices": [choice], "prompt_token_ids": reply.prompt_token_ids, "usage": usage}

    def _scores(self, ids: list[int]) -> list[Any]:
        """The log-probability of each token of a prompt but the first."""
        import torch

        with torch.no_grad():
            logits = self.sampler._model(torch.tensor([ids])).logits[0].float()
        scores = logits.log_softmax(-1)
        pairs = enumerate(ids[1:])
        return [None, *({str(id): {"logprob": float(scores[place, id])}} for place, id in pairs)]


@contextmanager
def serving(server: OwnServer) -> Iterator[str]:
    """Serve on a free port; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """List the models."""
            self._answer({})

        def do_POST(self) -> None:
            """Answer a request."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.loads(body or b"{}"))

        def _answer(self, given: dict[str, Any]) -> None:
            path = self.path.partition("?")[0]
            if not server.admits(path, self.headers["Authorization"]):
                self.send_error(401)
                return
            found = server.answer(path, given)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()
