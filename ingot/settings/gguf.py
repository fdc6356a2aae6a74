"""Settings of the GGUF files and of packing."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ingot.settings.section import Distinct, Section, problem, setting
from ingot.settings.training import Calibration

SIZE = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(KB|MB|GB|KiB|MiB|GiB)$")
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
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
MIX = re.compile("^MIX_([0-9])_([0-9]{2})$")
Mix = Annotated[
    str, Field(pattern=MIX.pattern, json_schema_extra={"form": "a mix such as MIX_2_25: 2.25 bits a weight"})
]
"""The best mix of types, tensor by tensor, that takes so many bits a weight."""
Quant = GgufType | Mix
NEED_IMPORTANCE = {"IQ3_XS", "IQ3_XXS", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"}
"""The types that llama.cpp makes only with an importance matrix."""


def bits_of(quant: str) -> float:
    """Return the bits a weight of a mix such as MIX_2_25; 0.0 if it is a type of llama.cpp."""
    found = MIX.fullmatch(quant)
    return float(f"{found[1]}.{found[2]}") if found else 0.0


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


Size = Annotated[str, Field(pattern=SIZE.pattern, json_schema_extra={"form": "a size such as 60MB or 1.5GB"})]


def bytes_of(size: str) -> int:
    """Return the bytes of a size."""
    found = SIZE.match(size)
    assert found  # the settings are checked
    number, unit = found.groups()
    return round(float(number) * UNITS[unit])


class Budget(Section):
    """What the released base may take and lose, for `make plan` and `make frontier`; null: it may take any."""

    file: Size | None = setting("Packed file, such as 60MB", default=None)
    memory: Size | None = setting("The model in memory, such as 90MB", default=None)
    loss: float | None = setting(
        "What its answers may lose against the last model before compression", default=None, unit="points", ge=0
    )

    @property
    def is_set(self) -> bool:
        """Whether anything is asked for. A loss of 0 is."""
        return any(value is not None for value in self.model_dump().values())


class Frontier(Section):
    """`make frontier`: types of models of the chain are tried, for the best base within `budget`; null: no search."""

    sources: Distinct[str] = setting(
        "Models of the chain that are tried; empty: the last one before compression, and the last of all"
    )
    types: Distinct[Quant] = setting("llama.cpp types, and mixes of them, that are tried of each", min_length=1)
    distilled: Distinct[Quant] = setting(
        "Types that the last model before compression is trained for, by `distil.training`; empty: none"
    )
    questions: int = setting("Validation questions of each domain that are asked at most", unit="questions", ge=1)
    max_token_loss: float = setting(
        "How many fewer reference tokens a candidate that is asked may find likeliest than the model before",
        unit="points",
        gt=0,
        le=100,
    )
