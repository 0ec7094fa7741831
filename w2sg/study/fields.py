"""Kinds of values that a configuration holds, and the class of its sections; every cluster job reads them."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from w2sg.study.mistakes import NAME, TEXT, ConfigError, Key, explain

T = TypeVar("T")


def _unlike(values: list[T]) -> list[T]:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError(f"{values} repeats a value")
    return values


def _by_name(entries: dict[str, T]) -> dict[str, T]:
    return dict(sorted(entries.items()))


Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(pattern=TEXT)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Listed = Annotated[list[T], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unlike)]
"""A list of at least one value, none of them twice."""
Named = Annotated[dict[Name, T], AfterValidator(_by_name)]
"""Entries by name; sorted, so that the order of a file decides nothing."""


class Section(BaseModel):
    """A part of the configuration: unknown keys, and values of another kind, are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_serializer(mode="wrap")
    def _given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what was not given and has no default."""
        fields = type(self).model_fields
        return {k: v for k, v in write(self).items() if v is not None or fields[k].default is not None}


def at(key: str, text: str) -> PydanticCustomError:
    """Returns the error by which a section's validator blames one of its keys.

    Args:
        key: The key.
        text: What is wrong with it.
    """
    return PydanticCustomError("at", "{key}: {text}", {"key": key, "text": text})


def read(kind: Any, value: Any, place: Key = ()) -> Any:
    """Returns a value as a section.

    Args:
        kind: Class of the section, or a union of such classes.
        value: What a file says.
        place: Where it stands in the configuration.

    Raises:
        ConfigError: With one line per mistake.
    """
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise ConfigError(explain(error, kind, place)) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
