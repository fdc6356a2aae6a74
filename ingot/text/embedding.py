"""Turn prompts into vectors for clustering: reduced TF-IDF, or those of a sentence-transformers model."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.text.terms import terms


def tfidf(prompts: list[str]) -> tuple[Any, list[str]]:
    """Compute TF-IDF of words and word pairs. Return the matrix [prompts, terms] (sparse), and the terms."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=terms, min_df=1, sublinear_tf=True)
    return vectorizer.fit_transform(prompts), vectorizer.get_feature_names_out().tolist()


def vectors(prompts: list[str], encoder: Path | None, dimensions: int, seed: int) -> Any:
    """Compute a vector of length 1 for every prompt, [prompts, width].

    `encoder` is the folder of a sentence-transformers model, which has a width of its own. Without it, vectors are
    TF-IDF, reduced to at most `dimensions` by a singular value decomposition (latent semantic analysis).

    Raises InputError if there is no such model in the folder.
    """
    import numpy as np
    from sklearn.preprocessing import normalize

    if encoder is None and len(set(prompts)) == 1:
        return np.ones((len(prompts), 1))  # equal prompts, equal vectors
    if encoder is None:
        from sklearn.decomposition import TruncatedSVD

        matrix, names = tfidf(prompts)
        width = min(dimensions, len(prompts) - 1, len(names) - 1)
        reduced = TruncatedSVD(width, random_state=seed).fit_transform(matrix) if width > 0 else matrix.toarray()
        return normalize(reduced)
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    try:
        model = SentenceTransformer(str(encoder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{encoder}: this is not the folder of a sentence-transformers model ({error}); fetch one, or use `tfidf`"
        ) from None
    return normalize(model.encode(prompts, show_progress_bar=False))
