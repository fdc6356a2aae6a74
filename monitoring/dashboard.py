"""The Grafana dashboard of the server, as code: `make monitoring` writes dashboard.json from it."""

from pathlib import Path
from typing import Any

# (title, unit, what is better, {legend: query}). Units are Grafana's.
PANELS: list[tuple[str, str, str, dict[str, str]]] = [
    (
        "Requests a second, by route and status",
        "reqps",
        "status 200 is good; 429, 499 and 5xx ask for a look",
        {"{{route}} {{status}}": "sum by (route, status) (rate(ingot_requests_total[1m]))"},
    ),
    ("Open requests", "short", "lower is better: more than the slots wait", {"open": "ingot_open_requests"}),
    (
        "Time to the first token",
        "s",
        "lower is better",
        {
            f"{{{{route}}}} p{percent}": f"histogram_quantile(0.{percent},"
            " sum by (route, le) (rate(ingot_first_token_seconds_bucket[5m])))"
            for percent in (50, 95)
        },
    ),
    (
        "Time to the end of an answer, p95",
        "s",
        "lower is better",
        {"{{route}}": "histogram_quantile(0.95, sum by (route, le) (rate(ingot_request_seconds_bucket[5m])))"},
    ),
    (
        "Tokens a second of an answer, median",
        "short",
        "higher is better",
        {"{{route}}": "histogram_quantile(0.5, sum by (route, le) (rate(ingot_tokens_per_second_bucket[5m])))"},
    ),
    (
        "Tokens a second, of all",
        "short",
        "what the server does",
        {
            "{{kind}}": "sum by (kind) (rate(ingot_tokens_total[1m]))",
            "computed": "rate(ingot_computed_tokens_total[1m])",
        },
    ),
    (
        "Choices of routes",
        "short",
        "many escalations say that a route answers badly",
        {"{{route}} {{reason}}": "sum by (route, reason) (increase(ingot_choices_total[5m]))"},
    ),
    (
        "Probability of the chosen route, mean",
        "percentunit",
        "low says that the router does not know these prompts",
        {
            "{{route}}": "sum by (route) (rate(ingot_route_probability_sum[5m]))"
            " / sum by (route) (rate(ingot_route_probability_count[5m]))"
        },
    ),
    (
        "Memory",
        "bytes",
        "flat is good",
        {"server": "ingot_resident_bytes", "lanes": "ingot_lane_bytes"},
    ),
    (
        "Lanes and evictions",
        "short",
        "evictions say that the routes need more memory",
        {"lanes": "ingot_lanes", "evictions": "increase(ingot_evictions_total[5m])"},
    ),
]
TARGET = Path(__file__).with_name("dashboard.json")


def written() -> str:
    """Write the dashboard as Grafana's JSON."""
    from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    source = DataSourceRef(type_val="prometheus", uid="${source}")
    choice: Any = dashboard.DatasourceVariable("source").type("prometheus").label("Prometheus")
    board = dashboard.Dashboard("Ingot").uid("ingot").refresh("30s").time("now-1h", "now").with_variable(choice)
    for title, unit, better, queries in PANELS:
        panel = timeseries.Panel().title(title).unit(unit).description(better).datasource(source).span(12).height(8)
        for legend, query in queries.items():
            panel = panel.with_target(prometheus.Dataquery().expr(query).legend_format(legend))
        board = board.with_panel(panel)
    return str(JSONEncoder(sort_keys=True, indent=2).encode(board.build())) + "\n"


if __name__ == "__main__":
    TARGET.write_text(written(), encoding="utf-8")
