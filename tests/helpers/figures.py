"""Figures of a build as results/release/figures.json has them, made up."""


def share(right, of=480):
    """A share with an interval, as ingot.measuring.significance.proportion returns it."""
    reach = 1.96 * (right * (1 - right) / of) ** 0.5
    return {
        "right": round(right * of),
        "of": of,
        "share": right,
        "low": round(max(0.0, right - reach), 4),
        "high": round(min(1.0, right + reach), 4),
    }


def pair(gain):
    """A comparison, as ingot.measuring.significance.compare_pairs returns it."""
    return {"won": 60, "lost": 20, "gain": gain, "gain_low": gain - 3, "gain_high": gain + 3, "p_value": 0.001}


MODELS = {  # parent, bytes, share of right answers
    "base": (None, 13_644_784, 0.415),
    "adapter": ("base", 1_252_376, 0.621),
    "targeted": ("adapter", 1_252_376, 0.740),
    "merged": ("targeted", 13_644_784, 0.740),
    "pruned": ("merged", 13_644_784, 0.610),
    "recovered": ("merged", 13_644_784, 0.781),
    "awq": ("recovered", 2_176_880, 0.777),
    "F16": ("recovered", 6_854_912, 0.781),
    "Q8_0": ("F16", 3_660_032, 0.781),
    "Q5_K_M": ("F16", 2_477_824, 0.775),
    "Q4_K_M": ("F16", 2_141_952, 0.779),
    "IQ4_XS": ("F16", 1_925_376, 0.773),
}
PACKED = {"F16": 3_516_534, "Q8_0": 2_575_770, "Q5_K_M": 2_361_665, "Q4_K_M": 1_972_459, "IQ4_XS": 1_492_305}
DOMAINS = ("automation", "code", "reasoning")


def ledger():
    def row(artifact, size, parent, right):
        return {
            "artifact": artifact,
            "path": f"results/{artifact}",
            "bytes": size,
            "weights": 3_410_176,
            "bits_per_weight": round(size * 8 / 3_410_176, 3),
            "zeros": 0.46,
            "parent": parent,
            "ratio": 0.5 if parent else None,
            "perplexity": 7.7 if right else None,
            "exact_match": right,
            "note": "",
        }

    rows = [row(name, size, parent, right) for name, (parent, size, right) in MODELS.items()]
    rows += [row(f"{name}.zst", size, name, MODELS[name][2]) for name, size in PACKED.items()]
    return [*rows, *(row(f"modifier_{domain}", 488_800, None, None) for domain in DOMAINS)]


def measured(name, parent, right):
    figures = {
        "parent": parent,
        "model": name,
        "perplexity": 7.7,
        "tokens": 4000,
        "exact_match": {"all": share(right) | {"cut_off": 3}, "code": share(right, 80), "code/easy": share(right, 20)},
        "likelihoods": {"all": {"of": 40, "likelihood": -1.5}, "instruction": {"of": 40, "likelihood": -1.5}},
        "unstopped": 0,
        "token_mismatches": 0,
    }
    if parent:
        compared = pair(2.0)
        figures |= {"exact_match_gain": compared.pop("gain"), **compared, "top1_agreement": 0.98, "kl": 0.01}
        figures["domains"] = {domain: pair(2.0) | {"p_adjusted": 0.003} for domain in DOMAINS}
        figures["open"] = {"instruction": {"of": 40, **pair(0.02)}}
        figures["judged"] = {"instruction": share(0.55, 40)}
    return figures


def stages():
    shares = {"base": 0.415, "adapter": 0.621, "targeted": 0.74, "system": 0.938}
    return [
        {
            "stage": name,
            "exact_match": {"all": share(right), **{domain: share(right, 80) for domain in DOMAINS}},
            "costs": {"tokens": 80_000, "bytes": 1_252_376},
            "versus_before": None if name == "base" else {**pair(20.0), "forgetting": 0.2},
        }
        for name, right in shares.items()
    ]


def system():
    def point(cost, accuracy):
        return {"threshold": 0.5, "cost": cost, "accuracy": accuracy}

    steps = [i / 10 for i in range(11)]
    return {
        "system": share(0.938),
        "oracle": share(0.962),
        "right_decisions": share(0.971),
        "base": share(0.773),
        "uncompressed_model": "targeted",
        "uncompressed": share(0.74),
        "versus_uncompressed": pair(19.8),
        "expected_calibration_error": 0.011,
        "reliability": [{"confidence": step, "true": step, "count": 40} for step in steps],
        "curves": {
            "router": [point(1 + 0.2 * step, 0.773 + 0.165 * (1 - (2 * step - 1) ** 2)) for step in steps],
            "confidence": [point(1 + 1.2 * step, 0.773 + 0.1 * step) for step in steps],
            "base": point(1, 0.773),
            "modifier": point(1.2, 0.7),
            "oracle": point(1.08, 0.962),
        },
        "modifiers": {
            domain: {"base": share(0.6, 80), "modifier": share(0.95, 80), **pair(35.0)} for domain in DOMAINS
        },
    }


def figures(preset="tiny"):
    """Everything that the rule `release` writes to figures.json."""
    paths = [*(f"files/modifiers/{domain}/lora.gguf.zst" for domain in DOMAINS), "files/router/model/layers"]
    files = [{"path": path, "bytes": 464_780, "sha256": "0" * 64} for path in paths]
    files.append({"path": "files/packed/IQ4_XS.gguf.zst", "bytes": PACKED["IQ4_XS"], "sha256": "0" * 64})
    side = {"messages": 100, "accuracy": 0.99, "false_alarms": 0.01, "missed": 0.01}
    return {
        "manifest": {
            "preset": preset,
            "base": {"kind": "pretrain", "parameters": 3_410_176, "licence": "Apache-2.0"},
            "adapters": ["adapter", "targeted"],
            "chain": ["adapt", "target", "merge", "prune", "recover", "quantize_awq"],
            "served": "IQ4_XS",
            "files": files,
            "other_types": [],
            "parents": {name: parent for name, (parent, _, _) in MODELS.items()},
            "gates": list(MODELS)[1:],
            "data": {"read": {"in": 14_030, "out": 13_930}},
            "sources": {"alpaca": {"records": 4221, "licence": None}},
            "serving": {
                "model": "files/packed/IQ4_XS.gguf.zst",
                "modifiers": {},
                "tokenizer": "files/tokenizer",
                "router": None,
                "detector": None,
                "worth": {},
                "context": 512,
            },
            "left_out": ["No judge compared answers in pairs."],
            "versions": {"torch": "2.13.0"},
        },
        "ledger": ledger(),
        "stages": stages(),
        "measured": [measured(name, parent, right) for name, (parent, _, right) in MODELS.items()],
        "system": system(),
        "detector": {"held_out": {"sentences": side, "families": side}, "bytes": 160_000},
        "suites": [],
        "compared": [],
    }
