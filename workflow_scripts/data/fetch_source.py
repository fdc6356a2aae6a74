"""Fetch a file of a data set from the Hugging Face hub, at a commit that never changes."""

import shutil
from pathlib import Path

from ingot.errors import InputError


def fetch_source(file: Path, *, dataset: str, revision: str, name: str) -> None:
    """Write the file `name` of a data set; nothing of it is run. InputError if the hub does not give it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = hf_hub_download(dataset, name, repo_type="dataset", revision=revision)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{dataset} at {revision[:12]}: {name} cannot be had: {reason}; correct `sources`, set HF_TOKEN if it is"
            " private, or fetch the file by hand and name it by `path`"
        ) from None
    shutil.copyfile(found, file)
