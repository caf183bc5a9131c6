"""Checking a step's parameters against a pydantic model."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from app.domain.errors import InvalidInput
from app.domain.template import problems_of


class Parameters(BaseModel):
    """Base of every step's parameters: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


P = TypeVar("P", bound=Parameters)


def read(model: type[P], parameters: dict[str, Any]) -> P:
    """The parameters as the model has them.

    Raises:
        InvalidInput: fields are relative to the parameters.
    """
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        raise InvalidInput(*problems_of(error)) from error
