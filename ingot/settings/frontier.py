"""Settings of the search for a smaller base, and what that may take and lose."""

from typing import Annotated

from pydantic import Field

from ingot.quantities import SIZE
from ingot.settings.compress import Pruning
from ingot.settings.gguf import Quant
from ingot.settings.section import Distinct, FileName, Section, setting

Size = Annotated[str, Field(pattern=SIZE.pattern, json_schema_extra={"form": "a size such as 60MB or 1.5GB"})]


class Budget(Section):
    """What the released base may take and lose, for `make plan` and `make frontier`; null: it may take any."""

    file: Size | None = setting("Packed file, such as 60MB", default=None)
    memory: Size | None = setting("The model in memory, such as 90MB", default=None)
    loss: float | None = setting(
        "What its answers may lose against the last model before compression", default=None, unit="points", ge=0
    )


class Frontier(Section):
    """`make frontier`: types of models of the chain are tried, for the best base within `budget`; null: no search."""

    sources: Distinct[str] = setting(
        "Models of the chain that are tried; empty: the last one before compression, and the last of all"
    )
    types: Distinct[Quant] = setting("llama.cpp types, and mixes of them, that are tried of each", min_length=1)
    distilled: Distinct[Quant] = setting(
        "Types that the last model before compression is trained for, by `distil.training`; empty: none"
    )
    prunings: dict[FileName, Pruning] = setting(
        "Ways to prune the last model before compression, by names of yours; `recover` trains each; {}: none"
    )
    questions: int = setting("Validation questions of each domain that are asked at most", unit="questions", ge=1)
    max_token_loss: float = setting(
        "How many fewer reference tokens a candidate that is asked may find likeliest than the model before",
        unit="points",
        gt=0,
        le=100,
    )
