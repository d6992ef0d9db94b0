"""Every benchmark runs in a fresh process: none inherits another's memory, caches or Spark session."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

_SPAWN = multiprocessing.get_context("spawn")
_CLEAN_UP_SECONDS = 90


def isolated(module: str, function: str, *arguments: object) -> Any:
    """What the function returns in a process of its own, which is interrupted and awaited if we are.

    Raises:
        whatever the function raises; RuntimeError if its process dies.
    """
    receiver, sender = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_call, args=(sender, module, function, arguments))
    process.start()
    sender.close()
    try:
        found, error = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{module}.{function}: its process ended with code {process.exitcode}") from None
    except KeyboardInterrupt:
        process.join(_CLEAN_UP_SECONDS)  # the terminal interrupts it, too
        raise
    finally:
        _end(process)
    if error is not None:
        raise error
    return found


def _call(sender: Connection, module: str, function: str, arguments: tuple[object, ...]) -> None:
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first
        signal.signal(ending, signal.default_int_handler)
    run: Callable[..., object] = getattr(import_module(module), function)
    try:
        outcome = run(*arguments), None
    except KeyboardInterrupt:
        return
    except Exception as error:
        outcome = None, error
    try:
        sender.send(outcome)
    except Exception as error:  # an exception of Spark's, for one, does not travel
        sender.send((None, RuntimeError(f"{outcome[1] or error!r}")))


def _end(process: multiprocessing.process.BaseProcess) -> None:
    process.join(10)
    if process.is_alive():
        os.kill(process.pid, signal.SIGINT)
        process.join(_CLEAN_UP_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
