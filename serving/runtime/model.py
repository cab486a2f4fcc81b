"""The exported model as KServe's server sees it: for requests that take the long way."""

from typing import Any

from kserve import InferRequest, InferResponse, Model

from lockgate.shipping.packing import Packed
from serving.runtime.batcher import Batcher, Slice
from serving.runtime.requests import datatype, from_v1, from_v2, inputs_metadata, inputs_of, to_v2
from serving.runtime.sample import first_rows
from serving.runtime.scorer import Scorer

BINARY_HEADER = "inference-header-content-length"


class TabularModel(Model):  # type: ignore[misc]
    """Answers V1 and V2 requests with a `Batcher`; ready from the start: a scorer that exists is warm."""

    def __init__(self, name: str, scorer: Scorer, batcher: Batcher, max_rows: int) -> None:
        super().__init__(name)
        self._scorer = scorer
        self._batcher = batcher
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
            Overloaded: answered with status 503.
        """
        packing = self._scorer.packing
        if isinstance(payload, InferRequest):
            is_binary = BINARY_HEADER in (headers or {})
            packed = from_v2(list(inputs_of(payload)), packing, self._max_rows, is_binary=is_binary)
            return to_v2(payload, (await self._score(packed)).columns())
        packed = from_v1(payload, packing, self._max_rows)
        return {"predictions": (await self._score(packed)).predictions()}

    async def _score(self, packed: Packed) -> Slice:
        answer = await self._batcher.score(packed)
        first_rows.get().append(answer.first())
        return answer

    def get_input_types(self) -> list[dict[str, Any]]:
        """V2's model metadata: the input columns."""
        return inputs_metadata(self._scorer.spec.inputs)

    def get_output_types(self) -> list[dict[str, Any]]:
        """V2's model metadata: the answers."""
        return self._scorer.outputs_metadata(datatype)

    def validate(self, payload: object) -> object:
        """Leaves all checking to the decoding in `predict`, which names column and row."""
        return payload
