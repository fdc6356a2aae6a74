"""The bill of materials of a release, as CycloneDX 1.6 has it for machine learning (ECMA-424).

It follows from manifest and figures alone. So whoever has a release can make it again, and compare.
"""

import uuid
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.container import sha256
from ingot.io.records import read_json

BILL = "bom.cdx.json"
Component = dict[str, Any]


def licences(licence: str | None) -> dict[str, Any]:
    """Name a licence as CycloneDX does: by its SPDX expression if it is one, else by its name."""
    if not licence or licence == "not stated":
        return {}
    return {"licenses": [{"expression": licence}] if is_spdx(licence) else [{"license": {"name": licence}}]}


def is_spdx(licence: str) -> bool:
    """Tell whether a text is an expression of SPDX's licences, such as `Apache-2.0`."""
    from license_expression import get_spdx_licensing

    try:
        return not get_spdx_licensing().validate(licence, strict=True).errors
    except Exception:
        return False


def metrics(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """List how good each model is, and the system if there is one: the share of right answers with its interval."""
    shares = {row["model"]: row["exact_match"]["all"] for row in figures["measured"]}
    if figures["system"]:
        shares["system"] = figures["system"]["system"]
    return [
        {
            "type": "exact match on held-out questions",
            "slice": name,
            "value": str(share["share"]),
            "confidenceInterval": {"lowerBound": str(share["low"]), "upperBound": str(share["high"])},
        }
        for name, share in shares.items()
    ]


def model_card(manifest: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    """Make the model card of the bill."""
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "text-generation",
            "datasets": [{"ref": f"source:{name}"} for name in manifest["sources"]],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": metrics(figures)},
        "considerations": {"technicalLimitations": manifest["left_out"]},
    }


def bill_of_materials(folder: Path) -> dict[str, Any]:
    """Make the bill of materials of the release in a folder."""
    manifest, figures = read_json(folder / "manifest.json"), read_json(folder / "figures.json")
    base = manifest["base"]
    materials: list[Component] = [
        {
            "type": "machine-learning-model",
            "bom-ref": "base",
            "name": str(base.get("model") or base["kind"]),
            **({"version": base["revision"]} if base.get("revision") else {}),
            **licences(base["licence"]),
        }
    ]
    materials += [
        {
            "type": "data",
            "bom-ref": f"source:{name}",
            "name": name,
            "description": f"{source['records']} records",
            **licences(source["licence"]),
        }
        for name, source in manifest["sources"].items()
    ]
    materials += [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
        }
        for name, version in manifest["versions"].items()
    ]
    files: list[Component] = [
        {
            "type": "file",
            "bom-ref": file["path"],
            "name": file["path"],
            "hashes": [{"alg": "SHA-256", "content": file["sha256"]}],
        }
        for file in manifest["files"]
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(sha256(folder / 'manifest.json')[:32])}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "release",
                "name": f"ingot-{manifest['preset']}",
                "modelCard": model_card(manifest, figures),
            }
        },
        "components": materials + files,
        "dependencies": [
            {"ref": "release", "dependsOn": [file["bom-ref"] for file in files]},
            *({"ref": file["bom-ref"], "dependsOn": [one["bom-ref"] for one in materials]} for file in files),
        ],
    }


def check_format(text: str) -> None:
    """Raise InputError if a text is no valid CycloneDX 1.6."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise InputError(f"{BILL}: no valid CycloneDX 1.6: {str(error.data).splitlines()[0]}")
