"""The exported model as KServe's server sees it."""

import asyncio
from typing import Any

from kserve import InferRequest, InferResponse, Model

from lockgate.shipping.answer import predictions
from serving.runtime.requests import datatype, from_v1, from_v2, inputs_metadata, to_v2
from serving.runtime.scorer import Scorer

ROWS_INLINE = 64
BINARY_HEADER = "inference-header-content-length"


class TabularModel(Model):  # type: ignore[misc]
    """Answers V1 and V2 requests with a `Scorer`; ready from the start: a scorer that exists is warm."""

    def __init__(self, name: str, scorer: Scorer, max_rows: int) -> None:
        super().__init__(name)
        self._scorer = scorer
        self._columns = scorer.spec.inputs
        self._max_rows = max_rows
        self.ready = True

    def load(self) -> bool:
        """Nothing is left to load: KServe calls this for a model that was unloaded, which stays so."""
        return bool(self.ready)

    async def predict(
        self,
        payload: object,
        headers: dict[str, str] | None = None,
    ) -> InferResponse | dict[str, Any]:
        """Decodes the request, scores its rows and puts the answers in the words of its protocol.

        Raises:
            RequestError: answered with status 400.
        """
        is_v2 = isinstance(payload, InferRequest)
        if is_v2:
            is_binary = BINARY_HEADER in (headers or {})
            tensors = from_v2(payload, self._columns, self._max_rows, is_binary=is_binary)
        else:
            tensors = from_v1(payload, self._columns, self._max_rows)
        rows = len(next(iter(tensors.values())))
        # A few rows take less time than the way to a thread; many would keep health checks waiting.
        if rows <= ROWS_INLINE:
            answered = self._scorer.score(tensors)
        else:
            answered = await asyncio.to_thread(self._scorer.score, tensors)
        if is_v2:
            return to_v2(payload, answered)
        return {"predictions": predictions(answered, self._scorer.spec.classes)}

    def get_input_types(self) -> list[dict[str, Any]]:
        """V2's model metadata: the input columns."""
        return inputs_metadata(self._columns)

    def get_output_types(self) -> list[dict[str, Any]]:
        """V2's model metadata: the answers."""
        return self._scorer.outputs_metadata(datatype)

    def validate(self, payload: object) -> object:
        """Leaves all checking to the decoding in `predict`, which names column and row."""
        return payload
