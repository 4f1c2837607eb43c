"""What the fields of settings are made of: numbers within their range, and the choice of a class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError


def says(wanted: str, remedy: str | None = None) -> WrapValidator:
    """Refuse a value in our own words.

    Args:
        wanted: what a key allows, range included.
        remedy: the way out, where there is a better one than another value.
    """

    def validate(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError:
            raise PydanticCustomError("refused", "{wanted}", {"wanted": wanted, "remedy": remedy}) from None  # type: ignore[arg-type]

    return WrapValidator(validate)


_REAL = Annotated[StrictFloat, Field(allow_inf_nan=False)]
_POSITIVE = Annotated[_REAL, Field(gt=0)]
_SHARE = Annotated[_REAL, Field(ge=0, le=1)]
_WHOLE = Annotated[StrictInt, Field(ge=1)]
_TEXT = Annotated[StrictStr, Field(min_length=1, pattern="^[^\x00]*$")]
Flag = Annotated[StrictBool, says("true or false")]
Positive = Annotated[_POSITIVE, says("a number above 0")]
Epochs = Annotated[_POSITIVE, says("a number above 0", "to skip the hidden stage, use knowledge=logits")]
PositiveOrNull = Annotated[_POSITIVE | None, says("a number above 0, or null")]
NotNegative = Annotated[_REAL, Field(ge=0), says("a number from 0")]
Share = Annotated[_SHARE, says("a share from 0 to 1")]
ShareOrNull = Annotated[_SHARE | None, says("a share from 0 to 1, or null")]
ShareBelowOne = Annotated[_SHARE, Field(lt=1), says("a share from 0 to below 1")]
Amount = Annotated[
    Annotated[_POSITIVE, Field(le=1)] | None,
    says("a share above 0 and up to 1, or null", "use knowledge=logits for none of it, or leave hsk.amount out"),
]
PathName = Literal["equal", "depth_fixed", "tokens_first", "units_first"]
Integer = Annotated[StrictInt, says("a whole number")]
Whole = Annotated[_WHOLE, says("a whole number from 1")]
WholeOrNull = Annotated[_WHOLE | None, says("a whole number from 1, or null")]
FromTwoOrNull = Annotated[Annotated[StrictInt, Field(ge=2)] | None, says("a whole number from 2, or null")]
NoneOrMore = Annotated[StrictInt, Field(ge=0), says("a whole number from 0")]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**63), says("a whole number from 0")]
Text = Annotated[_TEXT, says("text that is not empty")]
Folder = Annotated[_TEXT, says("the path of a folder", "name one with paths.root=..., or unset HSKD_ROOT")]
TextOrNull = Annotated[_TEXT | None, says("text that is not empty, or null")]
_NUMBERS = Annotated[list[Annotated[StrictInt, Field(ge=0)]], Field(min_length=1)]
Devices = Annotated[
    _WHOLE | Literal["auto", -1] | _NUMBERS,
    BeforeValidator(lambda value: int(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else value),
    says("a number from 1, -1 for all there are, or a list of their numbers: [0, 2]"),
]
BF16, TF32 = "bf16-mixed", "tf32"
REFUSED_PRECISIONS = {
    "16-mixed": "its gradients are scaled while they are clipped, and hidden states overflow float16",
    "16-true": "hidden states overflow float16",
    "bf16-true": "weights in bfloat16 lose updates of less than a 256th of them",
}
"""Precisions that Lightning has and a stage cannot be trained in, and why."""


def _as_precision(value: Any) -> Any:
    if isinstance(value, str) and value in REFUSED_PRECISIONS:
        context = {
            "wanted": f"32-true, {TF32} or {BF16}",
            "remedy": f"choose one of these: {REFUSED_PRECISIONS[value]}",
        }
        raise PydanticCustomError("refused", "{wanted}", context)  # type: ignore[arg-type]
    return BF16 if value == "bf16" else value


Precision = Annotated[Literal["32-true", "tf32", "bf16-mixed"], BeforeValidator(_as_precision)]
"""bf16 is read as bf16-mixed, so that past this line there is one spelling."""
Optimizer = Literal["adamw", "bert_adam"]
Schedule = Literal["constant", "linear"]
NODE = ConfigDict(extra="forbid")
"""A node has no key that is not known."""


@dataclass(frozen=True, config=NODE)
class Choice:
    """An option of a group whose class takes arguments: a strategy, an initialisation, a data set."""

    name: Text
    """What it is called, in conf/ and in every identity."""
    target: StrictStr | None = None
    """The class that a configuration names for it; None where it names none, as that of a cell."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """That class's arguments."""

    @model_validator(mode="before")
    @classmethod
    def _split(cls, node: Any) -> Any:
        if not isinstance(node, Mapping):
            return node
        rest = {key: value for key, value in node.items() if key not in ("name", "_target_")}
        return {"name": node.get("name"), "target": node.get("_target_"), "options": rest}

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Choice:
        """A node of the configuration."""
        return TypeAdapter(cls).validate_python(node)

    @property
    def node(self) -> dict[str, Any]:
        """As the configuration has it."""
        target = {} if self.target is None else {"_target_": self.target}
        return {"name": self.name, **target, **self.options}
