"""``yeeter receive mllp|dicom``: the built-in receivers, honest or lying.

Each option is a field of the receiver's options of the same name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

LEDGER = "File in which the ledger outlives this receiver, as JSON lines."

receive = typer.Typer(no_args_is_help=True)


def _lie(text: str) -> Any:
    return typer.Option(min=0, metavar="N", help=text, show_default=False, rich_help_panel="Lies")


Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")]
DelayMs = Annotated[int, typer.Option(min=0, metavar="MS", help="Milliseconds before each answer.")]
TlsCertFile = Annotated[Path | None, typer.Option(help="PEM certificate; with it, TLS is spoken.")]
TlsKeyFile = Annotated[Path | None, typer.Option(help="PEM key, where the certificate's file has none.")]
TlsCaFile = Annotated[Path | None, typer.Option(help="PEM CAs; senders must show a certificate of one of them.")]
UntilEof = Annotated[bool, typer.Option("--until-eof", help="Stop when standard input ends, too.")]


@receive.command()
def mllp(
    host: Host = "127.0.0.1",
    port: Port = 2575,
    ledger: Annotated[Path | None, typer.Option(help=LEDGER)] = None,
    show: Annotated[bool, typer.Option("--show", help="Each message on stdout, a segment a line.")] = False,
    delay_ms: DelayMs = 0,
    tls_cert_file: TlsCertFile = None,
    tls_key_file: TlsKeyFile = None,
    tls_ca_file: TlsCaFile = None,
    until_eof: UntilEof = False,
    drop: Annotated[int, _lie("Acknowledge N orders and don't keep them.")] = 0,
    duplicate: Annotated[int, _lie("Keep N orders twice.")] = 0,
    swap_patient: Annotated[int, _lie("Keep N orders under another patient.")] = 0,
    reject: Annotated[int, _lie("Answer N orders with AR.")] = 0,
    error: Annotated[int, _lie("Answer N orders with AE when they come first.")] = 0,
) -> None:
    """Receive HL7 orders over MLLP until stopped."""
    options = locals()
    from app.receivers.mllp import MllpReceiverOptions, serve

    _configure_logs()
    serve(MllpReceiverOptions(**options))


@receive.command()
def dicom(
    host: Host = "127.0.0.1",
    port: Port = 11112,
    aet: Annotated[str, typer.Option(help="Own AE title.")] = "YEETER",
    check_aet: Annotated[bool, typer.Option("--check-aet", help="Reject calls to another AE title.")] = False,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the instances here; else: index only.")] = None,
    ledger: Annotated[Path | None, typer.Option(help=LEDGER)] = None,
    delay_ms: DelayMs = 0,
    tls_cert_file: TlsCertFile = None,
    tls_key_file: TlsKeyFile = None,
    tls_ca_file: TlsCaFile = None,
    until_eof: UntilEof = False,
    drop: Annotated[int, _lie("Answer N studies with success and don't keep them.")] = 0,
    duplicate: Annotated[int, _lie("Keep N studies a second time under another Study Instance UID.")] = 0,
    fail: Annotated[int, _lie("Answer the instances of N studies with 0xC000.")] = 0,
    swap_patient: Annotated[int, _lie("Keep N studies under another study's patient.")] = 0,
) -> None:
    """Receive DICOM studies (C-STORE, C-FIND, C-ECHO) until stopped."""
    options = locals()
    from app.receivers.dicom import DicomReceiverOptions, serve

    _configure_logs()
    serve(DicomReceiverOptions(**options))


def _configure_logs() -> None:
    from app.settings import load_settings
    from app.util.logs import configure_logs

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
