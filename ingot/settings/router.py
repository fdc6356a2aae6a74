"""Settings of the router and of the escalation detector."""

from ingot.settings.section import Section, Share, setting


class Costs(Section):
    """What an answer costs, in a unit of your own."""

    base: float = setting("Cost of an answer by the base", gt=0)
    modifier: float = setting("Cost of an answer by the base with a modifier", gt=0)


class Router(Section):
    """Chooses, from the prompt alone, the base or a modifier; null: none is trained."""

    features: int = setting("Length of the feature vector", unit="features", ge=16, le=4096)
    embedding: str | None = setting(
        "Folder with a vector per token: a model2vec model, or a checkpoint such as results/merged; null: none"
    )
    most: int | None = setting("Routing prompts that are asked, of each domain; null: all", unit="prompts", ge=1)
    threshold: Share | None = setting(
        "Probability from which a modifier is used; null: the one that pays best on prompts left out of training"
    )
    costs: Costs
    worth: float = setting("What a right answer is worth, in the unit of `costs`", gt=0)


class Detector(Section):
    """Tells messages such as "that's wrong, try again" from others; null: none is trained."""

    examples: int = setting("Messages to learn from, and as many to test with", unit="messages", ge=10)
    features: int = setting("Length of the feature vector", unit="features", ge=16, le=4096)
