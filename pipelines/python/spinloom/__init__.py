"""Spinloom from Python: run experiments and mumax3 scripts, read records and cards, hold the reins of a run.

    import spinloom
    record = spinloom.run("wall.yaml", out="out/wall")
    record.column("wall_x")          # numpy, one value a row
    record.frame("m", -1)            # numpy, (nz, ny, nx, 3)
    record.to_xarray()               # everything, with coordinates and units
"""

from __future__ import annotations

from . import _spinloom
from ._spinloom import Running, SpinloomError, __version__, card, start, start_script, vet

__all__ = ["Record", "Running", "SpinloomError", "__version__", "card", "run", "run_script", "start", "start_script", "vet"]


class Record(_spinloom.Record):
    """What a run has left: tables, fields, events and everything that it depended on."""

    def to_xarray(self, replica: int = 0):
        """One replica as an xarray.Dataset: columns over ``row``, fields over ``frame``, ``z``, ``y``, ``x``. The numbers are not copied."""
        import numpy
        import xarray

        data, coords = {}, {}
        for name, unit in self.columns:
            array = xarray.DataArray(self.column(name, replica), dims="row", attrs={"units": unit})
            (coords if name == "t" else data)[name] = array
        axes = ("x", "y", "z")
        for axis, name in enumerate(axes):
            places = self.origin[axis] + (numpy.arange(self.shape[axis]) + 0.5) * self.cell[axis]
            coords[name] = xarray.DataArray(places, dims=name, attrs={"units": "m"})
        for name, unit, components, frames in self.fields:
            own = [k for k, (_, r) in enumerate(frames) if r == replica]
            if not own:
                continue
            values = self.frames(name, own)
            dims, wide = ("frame", "z", "y", "x"), components > 1
            array = xarray.DataArray(
                values if wide else values[..., 0], dims=dims + (("component",) if wide else ()), attrs={"units": unit}
            )
            data[name] = array
            coords[f"{name}_t"] = xarray.DataArray([frames[k][0] for k in own], dims="frame", attrs={"units": "s"})
            if components == 3:
                coords["component"] = ["x", "y", "z"]
        return xarray.Dataset(data, coords, attrs={"device": self.device, "source": self.source, **dict(self.replicas[replica][1])})


def _ended(running):
    """Waits for a run to end; Ctrl-C stops it first."""
    try:
        running.wait()
    except KeyboardInterrupt:
        running.stop()
        raise
    return running.folder


def run(file, out=None, *, resume=False, force=False) -> Record:
    """Runs an experiment to its end and gives its record."""
    return Record(_ended(start(file, out, resume=resume, force=force)))


def run_script(file, out=None, *, resume=False, clean=False) -> str:
    """Runs a mumax3 script to its end and gives the folder that it has written."""
    return _ended(start_script(file, out, resume=resume, clean=clean))
