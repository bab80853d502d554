"""Which processes a machine needs."""

from collections.abc import Mapping, Sequence

from understudy.supervisor.children import ChildSpec, role_argv

API_RANK, REST_RANK = 0, 1


def api_children(workers: int, listener: int, environment: Mapping[str, str]) -> list[ChildSpec]:
    """The API's workers, all accepting on one listening socket, so that a killed one refuses nobody."""
    return [
        ChildSpec(
            name=f"api-{number}",
            argv=role_argv("api"),
            environment={**environment, "UNDERSTUDY_API_FD": str(listener)},
            file_descriptors=(listener,),
            stop_rank=API_RANK,
        )
        for number in range(workers)
    ]


def reader_children(shadow_aliases: Sequence[str], environment: Mapping[str, str]) -> list[ChildSpec]:
    """What prepares the models and reads the log."""
    shadows = [
        ChildSpec(
            name=f"shadow-{alias}" if alias != "shadow" else alias,
            argv=role_argv("shadow", "--alias", alias),
            environment=environment,
        )
        for alias in shadow_aliases
    ]
    return [
        ChildSpec(name="loader", argv=role_argv("loader"), environment=environment, stop_rank=REST_RANK),
        ChildSpec(name="indexer", argv=role_argv("indexer"), environment=environment, stop_rank=REST_RANK),
        *shadows,
    ]


def mlflow_ui_child(port: int, environment: Mapping[str, str]) -> ChildSpec:
    """The registry's own web page; nothing waits for it."""
    return ChildSpec(
        name="mlflow_ui",
        argv=role_argv("mlflow_ui", "--port", str(port)),
        environment=environment,
        expendable=True,
    )
