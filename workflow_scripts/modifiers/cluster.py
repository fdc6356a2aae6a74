"""Group the failures of a domain into clusters of similar prompts, so that rare patterns are taught, too."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingot.io.records import Record, read_records, write_json, write_records
from ingot.settings.modifiers import Cluster
from ingot.text.embedding import tfidf, vectors

SHOWN = 5  # how many terms and prompts of a cluster the report shows
JUDGED = 2000  # how many failures the silhouette is computed on: its time grows with their square


def partition(points: Any, least: int, most: int, seed: int) -> tuple[list[int], dict[int, float]]:
    """Cut points [points, width] into clusters with k-means, for every k from `least` to `most`, and take the best k.

    The best k has the highest silhouette (Rousseeuw 1987); of equal ones, the smallest is taken. If there are at most
    `least` different points, they are one cluster.

    Returns:
        The number of each point's cluster [points], where 0 is the largest cluster; and the silhouette of every k.
    """
    import numpy as np
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    different = len(np.unique(points.round(6), axis=0))
    labels_of_k: dict[int, Any] = {}
    silhouettes: dict[int, float] = {}
    for k in range(least, min(most, different - 1) + 1):
        labels_of_k[k] = KMeans(k, n_init=4, random_state=seed).fit_predict(points)
        sample = min(JUDGED, len(points))
        score = silhouette_score(points, labels_of_k[k], sample_size=sample, random_state=seed)
        silhouettes[k] = round(float(score), 4)
    if not labels_of_k:
        return [0] * len(points), {}
    labels = labels_of_k[max(silhouettes, key=lambda k: (silhouettes[k], -k))].tolist()
    order = [label for label, _ in sorted(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))]
    return [order.index(label) for label in labels], silhouettes


def describe(failures: Sequence[Record], labels: Sequence[int]) -> list[dict[str, Any]]:
    """Describe every cluster by its size, its most telling terms (by mean TF-IDF) and some of its prompts."""
    import numpy as np

    matrix, terms = tfidf([record["instruction"] for record in failures])
    described = []
    for number in range(max(labels) + 1):
        members = [i for i, label in enumerate(labels) if label == number]
        weights = np.asarray(matrix[members].mean(axis=0)).ravel()
        best = np.argsort(-weights, kind="stable")[:SHOWN]
        described.append(
            {
                "cluster": number,
                "failures": len(members),
                "terms": [terms[i] for i in best],
                "prompts": [failures[i]["instruction"] for i in members[:SHOWN]],
            }
        )
    return described


def cluster(
    failures: Path,
    encoder: list[Path],
    clustered: Path,
    report: Path,
    *,
    domain: str,
    settings: Cluster,
    seed: int,
) -> None:
    """Write the failures with the numbers of their clusters, and a report of the clusters.

    `encoder` is the folder of a sentence-transformers model, or [] for TF-IDF.
    """
    import sklearn.cluster  # noqa: F401  (loads the libraries whose threads are limited)
    from threadpoolctl import threadpool_limits

    records = list(read_records(failures))
    with threadpool_limits(1):  # so that sums, and with them clusters, do not depend on the number of cores
        prompts = [record["instruction"] for record in records]
        points = vectors(prompts, encoder[0] if encoder else None, settings.dimensions, seed)
        labels, silhouettes = partition(points, settings.least, settings.most, seed)
    write_records(clustered, ({**record, "cluster": k} for record, k in zip(records, labels, strict=True)))
    described = describe(records, labels)
    write_json(report, {"domain": domain, "clusters": len(described), "silhouettes": silhouettes, "found": described})
