"""Fetch a file of a data set from the Hugging Face hub, at a commit."""

import shutil
from pathlib import Path

from ingot.errors import InputError
from ingot.settings.data import HubFile


def fetch_source(file: Path, *, hub: HubFile) -> None:
    """Write a file of a data set; nothing of it is run. InputError if the hub does not give it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        fetched = hf_hub_download(hub.id, hub.file, repo_type="dataset", revision=hub.revision)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{hub.id} at {hub.revision[:12]}: {hub.file} cannot be had: {reason}; correct `sources`, set HF_TOKEN if"
            " it is private, or fetch the file by hand and name it by `path`"
        ) from None
    shutil.copyfile(fetched, file)
