from os import PathLike
from typing import Any

from ._spinloom import Record as _Record
from ._spinloom import Running as Running
from ._spinloom import SpinloomError as SpinloomError
from ._spinloom import __version__ as __version__
from ._spinloom import card as card
from ._spinloom import start as start
from ._spinloom import start_script as start_script
from ._spinloom import vet as vet

_Path = str | PathLike[str]

class Record(_Record):
    def to_xarray(self, replica: int = 0) -> Any: ...

def run(file: _Path, out: _Path | None = None, *, resume: bool = False, force: bool = False) -> Record: ...
def run_script(file: _Path, out: _Path | None = None, *, resume: bool = False, clean: bool = False) -> str: ...
