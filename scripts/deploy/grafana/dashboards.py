"""Makes the Grafana dashboards.

`python -m scripts.deploy.grafana.dashboards` writes them; with `--check` it compares.

They name their data source by a variable, so that they can be imported anywhere.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphGradientMode, LegendDisplayMode
from grafana_foundation_sdk.models.common import LegendPlacement as Placement
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

from scripts.deploy.grafana.overview import OVERVIEW
from scripts.deploy.grafana.queries import VARIABLES, Graph, Rows
from scripts.deploy.grafana.storage import STORAGE

HERE: Final = Path(__file__).parent
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
DASHBOARDS: Final[Mapping[str, Rows]] = {"Overview": OVERVIEW, "Storage": STORAGE}


def panel(graph: Graph) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .title(graph.title)
        .description(graph.about)
        .unit(graph.unit)
        .datasource(SOURCE)
        .height(7)
        .span(8)
        .gradient_mode(GraphGradientMode.NONE)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(Placement.BOTTOM)
            .show_legend(show_legend=True)
        )
    )
    for number, (legend, expression) in enumerate(graph.queries.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend)
        made = made.with_target(query.datasource(SOURCE).ref_id(chr(ord("A") + number)))
    return made


def board(name: str, rows: Rows) -> str:
    """Return a dashboard as JSON."""
    made = (
        dashboard.Dashboard(f"Inventory: {name}")
        .uid(f"inventory-{name.lower()}")
        .tags(["inventory"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    )
    for variable in VARIABLES:
        query = f"label_values(inventory_worker_up, {variable})"
        made = made.with_variable(
            dashboard.QueryVariable(variable)
            .query(query)
            .datasource(SOURCE)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        )
    for row, graphs in rows.items():
        made = made.with_row(dashboard.Row(row))
        for graph in graphs:
            made = made.with_panel(panel(graph))
    text: str = JSONEncoder(sort_keys=True, indent=2).encode(made.build())
    return f"{text}\n"


def main(*arguments: str) -> int:
    """Write the dashboards, or with `--check` say which are not as they should be."""
    stale = []
    for name, rows in DASHBOARDS.items():
        file, text = HERE / f"{name.lower()}.json", board(name, rows)
        if "--check" in arguments:
            if not file.exists() or file.read_text("utf-8") != text:
                stale.append(file.name)
        else:
            file.write_text(text, "utf-8")
    if stale:
        print(f"{', '.join(stale)}: run python -m scripts.deploy.grafana.dashboards")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
