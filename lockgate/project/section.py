"""What every section of project.yaml is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base class of every part of project.yaml: unknown keys are refused, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
