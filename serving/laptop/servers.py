"""Model servers as processes of this machine: started, asked, started again when they end, stopped."""

import re
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from lockgate.shipping.folder import EXAMPLE, Example
from lockgate.shipping.server import command, environment
from serving.laptop.child import bound

# What the server logs once it listens.
LISTENS = re.compile(r"at http://(127\.0\.0\.1:\d+) after")
# A process that ends is started again after so long, then after twice as long, and so on.
FIRST_PAUSE = 1.0
# So often a process may end before its first answer, until that is its end.
TRIES = 3
ASK_SECONDS = 5.0


class Server:
    """One model server; a context manager that ends it.

    Args:
        folder: the model folder.
        model: the model's name in the URL.
        options: more words for the server's command line.

    Attributes:
        restarts: how often its process has ended and was started again.
        said: how the process ended last, in a few words.
        address: where it listens, `127.0.0.1:port`; empty until it has predicted.
    """

    def __init__(self, folder: Path, model: str, options: tuple[str, ...] = ()) -> None:
        self.folder, self.model = folder, model
        self.restarts = 0
        self.said = ""
        self.address = ""
        self._has_served = False
        self._options = options
        self._again_at: float | None = None

    @property
    def identity(self) -> str:
        """Names the process: another one after each restart, as its counts begin anew."""
        return f"{self.folder.name[:8]}-{self.restarts}"

    @property
    def is_hopeless(self) -> bool:
        """Whether it has ended again and again without ever answering."""
        return not self._has_served and self.restarts >= TRIES

    def __enter__(self) -> Self:
        """Starts the process, and does not wait for it."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process."""
        self._stack.close()

    def look(self) -> bool:
        """Whether it takes requests; starts it again where its process has ended."""
        code = self._process.poll()
        if code is None:
            self.address = self.address or self._found()
            return bool(self.address)
        self.address = ""
        if self._again_at is None:
            self.said = f"its process ended with code {code}: {self._last_line()}"
            self._again_at = time.monotonic() + FIRST_PAUSE * 2**self.restarts
            self.restarts += 1
        if time.monotonic() >= self._again_at and not self.is_hopeless:
            self._stack.close()
            self._start()
        return False

    def _start(self) -> None:
        self._again_at = None
        with ExitStack() as stack:
            self._log = stack.enter_context(tempfile.NamedTemporaryFile(prefix="lockgate-server-"))
            words = ["--port", "0", "--drain", "0", *self._options]
            variables = [f"{key}={value}" for key, value in environment().items()]
            started = ["env", *variables, *command(self.folder, self.model, words)]
            self._process = stack.enter_context(bound(started, self._log))
            self._stack = stack.pop_all()

    def _found(self) -> str:
        """Where it listens, once it predicts the model's example."""
        found = LISTENS.search(self._text())
        if found is None or (said := self._asked(found[1])):
            self.said = "it is loading its model" if found is None else said
            return ""
        self.said, self._has_served = "", True
        return found[1]

    def _asked(self, address: str) -> str:
        """What a prediction of the model's example came to, where it is no answer."""
        row: dict[str, Any] = dict(Example.load(self.folder / EXAMPLE).row)
        url = f"http://{address}/v1/models/{self.model}:predict"
        try:
            answer = httpx.post(url, json={"instances": [row]}, trust_env=False, timeout=ASK_SECONDS)
        except httpx.TransportError as error:
            return f"it does not answer: {str(error) or type(error).__name__}"
        return (
            ""
            if answer.status_code == httpx.codes.OK
            else f"it answers its example with {answer.status_code}"
        )

    def _text(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def _last_line(self) -> str:
        lines = [line for line in self._text().splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it wrote nothing"
