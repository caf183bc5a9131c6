"""Options that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="API to ask, e.g. http://127.0.0.1:8000. Default: YEETER_SERVER."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Run key or id.", show_default=False)]
TemplateName = Annotated[str, typer.Argument(metavar="NAME", help="Template name or id.", show_default=False)]
TemplateFile = Annotated[
    str, typer.Argument(metavar="FILE", help="YAML or JSON file; - for stdin.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
