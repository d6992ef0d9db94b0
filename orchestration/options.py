"""Options that several commands have."""

from typing import Annotated, Any

import typer

from expectations.places import location


def place(*names: str, help: str) -> typer.models.OptionInfo:
    """An option that takes a path or `s3://bucket/key`."""
    return typer.Option(*names, parser=location, metavar="PATH|s3://...", help=help)


LakeOption = Annotated[Any, place("--lake", help="Root of the lake. [default: .tollgate/lake]")]
