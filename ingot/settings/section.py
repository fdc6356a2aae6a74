"""What settings are made of: strict, frozen sections whose fields say what they are, in which unit and range."""

from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

T = TypeVar("T")
PROBLEM = "problem"
"""Marks errors whose message is already written for a person."""


def setting(description: str, *, default: Any = ..., unit: str = "", form: str = "", **limits: Any) -> Any:
    """Make the field of a setting.

    Args:
        description: what the setting is, in a few words.
        default: only for keys that an entry of a list or mapping may leave out; presets/defaults.yaml has all others.
        unit: what its number counts.
        form: what a text of its `pattern` looks like, in words.
        limits: `ge`, `gt`, `le`, `lt`, `min_length` and `pattern`, as pydantic knows them.
    """
    about: dict[str, Any] = {name: text for name, text in (("unit", unit), ("form", form)) if text}
    return Field(default, description=description, json_schema_extra=about, **limits)


@dataclass_transform(kw_only_default=True, field_specifiers=(setting,))
class Section(BaseModel):
    """Settings that belong together: nothing is converted, unknown keys are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def problem(message: str) -> PydanticCustomError:
    """Make the error for what a type cannot express; the message goes on from "key: "."""
    return PydanticCustomError(PROBLEM, "{message}", {"message": message})


def all_different(values: list[T]) -> list[T]:
    """Refuse a list that has an entry twice."""
    for place, value in enumerate(values):
        if value in values[:place]:
            raise problem(f"{value!r} is in the list twice; name it once")
    return values


Distinct = Annotated[list[T], AfterValidator(all_different), Field(json_schema_extra={"uniqueItems": True})]
"""A list without repetitions."""
Pair = Annotated[tuple[T, T], Strict(False)]
"""A lower and an upper end; in YAML a list of two."""
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Steps = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)]
"""A number of steps, or a share of all steps."""
LOWER_CASE = {"form": "a name of lower-case letters and _"}
Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$", json_schema_extra=LOWER_CASE)]
COMMIT = {"form": "a commit of 40 hex digits"}
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", json_schema_extra=COMMIT)]
"""What a model or data set of the hub is pinned to. A branch such as main would be another one tomorrow."""
FILE_NAME = {"form": "a name of lower-case letters, digits and _, with a letter first"}
FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", json_schema_extra=FILE_NAME)]
