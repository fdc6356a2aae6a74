"""Settings of the GGUF files and of packing."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ingot.quantities import MIX, bits_of
from ingot.settings.section import Distinct, Section, problem, setting
from ingot.settings.training import Calibration

GgufType = Literal[
    "F16",
    "Q8_0",
    "Q6_K",
    "Q5_K_M",
    "Q5_K_S",
    "Q5_0",
    "Q4_K_M",
    "Q4_K_S",
    "Q4_0",
    "IQ4_NL",
    "IQ4_XS",
    "Q3_K_L",
    "Q3_K_M",
    "Q3_K_S",
    "IQ3_M",
    "IQ3_S",
    "IQ3_XS",
    "IQ3_XXS",
    "Q2_K",
    "Q2_K_S",
    "IQ2_M",
    "IQ2_S",
    "IQ2_XS",
    "IQ2_XXS",
    "IQ1_M",
    "IQ1_S",
    "TQ2_0",
    "TQ1_0",
]
Mix = Annotated[
    str, Field(pattern=MIX.pattern, json_schema_extra={"form": "a mix such as MIX_2_25: 2.25 bits a weight"})
]
"""The best mix of types, tensor by tensor, that takes so many bits a weight."""
Quant = GgufType | Mix
NEED_IMPORTANCE = {"IQ3_XS", "IQ3_XXS", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"}
"""The types that llama.cpp makes only with an importance matrix."""


def needs_importance(quant: str) -> bool:
    """Tell whether a type is made only with an importance matrix."""
    return quant in NEED_IMPORTANCE or bits_of(quant) > 0


def with_f16(types: list[Quant]) -> list[Quant]:
    """Refuse a list without F16."""
    if "F16" not in types:
        raise problem("F16 must be in the list: all other types are made from it and compared with it")
    return types


class Importance(Calibration):
    """The importance matrix: which weights matter most to the answers, for types with few bits; null: none is made."""


class Sensitivity(Calibration):
    """What each matrix loses in fewer bits, measured for the mixes among the types, such as MIX_2_25."""


class Gguf(Section):
    """Files for llama.cpp; null: none are made."""

    types: Annotated[Distinct[Quant], AfterValidator(with_f16), Field(min_length=1)] = setting(
        "llama.cpp types, and mixes of them such as MIX_2_25, to make, each with its gate"
    )
    serve: Quant = setting("The type that modifiers and router are built on and that is released")


class Pack(Section):
    """Packing of the files to send, by zstd."""

    level: int = setting("zstd level", ge=1, le=22)
