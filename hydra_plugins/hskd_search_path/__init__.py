"""Where Hydra looks for search paths: the sweeps that the package brings are found like its other configurations."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class SweepsSearchPath(SearchPathPlugin):
    """Adds hskd_lightning.sweeps, behind conf/, for this program alone: plugins are loaded by every Hydra program."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if any(element.path == "pkg://hskd_lightning.conf" for element in search_path.get_path()):
            search_path.append("hskd", "pkg://hskd_lightning.sweeps")
