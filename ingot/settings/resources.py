"""Settings of what a job asks of the machine or the cluster."""

from ingot.settings.section import Section, setting


class Resources(Section):
    """What a job with a model in memory asks of a cluster."""

    gpu: int = setting("GPUs per job", unit="GPUs", ge=0, le=64)
    memory_mb: int = setting("Main memory per job", unit="MB", ge=100)
    minutes: int = setting("Longest time of a job", unit="minutes", ge=1)
    gpu_memory_mb: int | None = setting(
        "Memory of a GPU, by which the plan judges; null: that of the one here", unit="MB", ge=1000
    )
    gpu_price: float | None = setting("Price of an hour of a GPU, for the plan; null: not counted", unit="USD", ge=0)
    partition: str | None = setting("Partition of the cluster that has the GPUs; null: its default one")
