"""Route a prompt, from its text alone, to the base or to the modifier that it is likeliest to need."""

from pathlib import Path
from typing import Any

from ingot.routing import classifier
from ingot.routing.thresholds import routes_at


class Router:
    """Chooses a route for a prompt: the modifier with the highest probability, if it reaches the threshold."""

    def __init__(self, folder: Path) -> None:
        """Load the folder that the step `train_router` wrote."""
        self.reader, self.decisions, settings = classifier.load(folder)
        self.threshold = float(settings["threshold"])

    def probabilities(self, prompts: list[str]) -> dict[str, Any]:
        """Compute for each modifier the probability [n] that a prompt needs it.

        A prompt needs a modifier if the base answers it wrong and the modifier answers it right.
        """
        seen = self.reader.read(prompts)
        return {name: decision.probability(seen) for name, decision in self.decisions.items()}

    def routes(self, prompts: list[str]) -> list[str]:
        """Choose "base" or the name of a modifier for every prompt."""
        return routes_at(self.probabilities(prompts), self.threshold)


def is_right(route: str, right: dict[str, bool]) -> bool:
    """Tell whether a route is the right one. `right` says of each route whether its answer is right.

    It is if its answer is right. If no answer is right, the base is the right route, because it is the cheapest.
    """
    return right[route] or (route == "base" and not any(right.values()))
