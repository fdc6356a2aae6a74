"""Import transformers without scikit-learn and scipy, which take almost two seconds of every job that holds a model.

transformers needs a metric of the one for assisted generation, and a function of the other to find objects in pictures.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

# What asks whether a package is there, before each of these is imported.
ASKED = {
    "transformers.generation.candidate_generator": "is_sklearn_available",
    "transformers.loss.loss_for_object_detection": "is_scipy_available",
}


class Light(MetaPathFinder):
    """Answers no, when transformers is about to ask for one of the packages."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Find nothing: others do that."""
        if name in ASKED:
            setattr(sys.modules["transformers.utils"], ASKED[name], lambda: False)


def import_light() -> None:
    """See to it that transformers will be imported without them. Whoever else needs them may import them."""
    sys.meta_path.insert(0, Light())


def import_tokenizers_only() -> None:
    """Import what transformers needs for tokenizers, as if there were no torch: with it, that takes ten seconds.

    This is for a process that never computes with torch: transformers does not look for it again.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # it would say that there is none
    import_light()
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import transformers.models.auto.tokenization_auto  # noqa: F401
    finally:
        if hidden:
            del sys.modules["torch"]
