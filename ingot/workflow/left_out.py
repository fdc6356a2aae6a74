"""Say what a build leaves out: what is not made, not measured, or not used."""

from ingot.workflow.build import Build
from ingot.workflow.chain import KINDS


def unused_data(build: Build) -> list[str]:
    """List what a build lacks in data, or does not use of them."""
    share = build.settings.split.shares.routing
    if not build.has_data:
        return ["No data stage: `sources` is empty, so nothing was trained on your own data."]
    if share and not build.has_router:
        unused = f"No router, so nothing used the {share:.0%} of the records that are set aside for it"
        return [f"{unused}; `split.shares.routing: 0` trains on them."]
    return []


def left_out(build: Build) -> list[str]:
    """List what a build does not make or does not measure, and why, in one sentence each."""
    settings = build.settings
    lines = unused_data(build)
    if build.has_model and not build.benchmark:
        lines.append("Nothing was measured, and no gate was passed: there are neither `benchmarks` nor `sources`.")
    elif build.has_model and not settings.benchmarks:
        lines.append("`benchmarks` is empty, so the models were measured on the test split of the data.")
    if build.has_model and build.asked != build.benchmark:
        lines.append(
            f"Of each domain, {settings.measure.most} questions at most were asked, drawn by the hashes of their"
            " content."
        )
    if missing := [step for step in KINDS if step not in build.chain]:
        lines.append(f"The chain leaves out {', '.join(f'`{step}`' for step in missing)}.")
    if build.has_model and not build.types:
        lines.append("No GGUF files: `gguf` is null.")
    if build.types and not build.has_importance:
        lines.append("The GGUF types were made without an importance matrix.")
    if build.types and not build.domains:
        lines.append("No modifiers, so no router, no escalation detector, and no gate on the system.")
    elif build.domains and not build.has_router:
        lines.append("No router, so no escalation detector, and no gate on the system.")
    elif build.domains and not build.has_detector:
        lines.append("No escalation detector: `detector` is null.")
    if build.has_model and not build.asked_suites:
        lines.append("No public suites were asked.")
    if build.has_model and not (settings.compare or settings.judge_open):
        lines.append("No judge compared the answers of two models.")
    return lines
