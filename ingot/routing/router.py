"""The router: from the prompt alone, the base or the modifier that is likeliest to be needed."""

from pathlib import Path
from typing import Any

from ingot.routing import classifier
from ingot.routing.thresholds import routes_at


class Router:
    """Chooses a route for a prompt: the modifier with the highest probability, if it reaches the threshold."""

    def __init__(self, folder: Path) -> None:
        """Load what `train_router` wrote."""
        self.features, self.decisions, settings = classifier.load(folder)
        self.threshold = float(settings["threshold"])

    def probabilities(self, prompts: list[str]) -> dict[str, Any]:
        """Return per modifier the probability [n] that the base fails a prompt and the modifier does not."""
        x = self.features.matrix(prompts)
        return {name: decision.probability(x) for name, decision in self.decisions.items()}

    def routes(self, prompts: list[str]) -> list[str]:
        """Return "base" or the name of a modifier for every prompt."""
        return routes_at(self.probabilities(prompts), self.threshold)


def is_right(route: str, right: dict[str, bool]) -> bool:
    """Tell whether a decision is right: the chosen one answers right, or nobody does and the cheapest was chosen."""
    return right[route] or (route == "base" and not any(right.values()))
