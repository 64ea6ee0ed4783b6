"""Training speed beside SpikingJelly and snnTorch: the same two networks, data, batches, steps and threads, an epoch each, turn by turn.

    cargo build --release -p spinloom && cargo build --release -p spinloom-network --example train
    python examples/networks/peers.py --data FOLDER --threads 1 --rounds 3

It wants torch, snntorch and spikingjelly, and prints the seconds of every epoch, the medians of each code, and their ratios to ours: of wall time, and of processor time, which on one
thread is the wall time of a machine that does nothing else. `fc` is 784-256-128-10 on MNIST, 20 steps of
Poisson spikes, leaky neurons in all layers, batches of 128; `conv` is conv 24, pool, conv 48, pool, conv 64, pool, dense 128, 10 on CIFAR-10 with batch normalisation, 4 steps of constant
pixels, leaky neurons, batches of 64, the outputs' sums as answer. All use an arctan surrogate and Adam, in f32. Peers run as their documentation recommends: SpikingJelly in multi-step mode,
snnTorch with a loop over steps; normalisation over all steps at once where the code allows it.
"""

import argparse, gzip, json, os, re, resource, statistics, subprocess, sys, tempfile, time
from pathlib import Path

a = argparse.ArgumentParser()
a.add_argument("--data", type=Path, required=True)
a.add_argument("--threads", type=int, default=1)
a.add_argument("--rounds", type=int, default=3)
a.add_argument("--samples", type=int, nargs=2, default=[60000, 10000], help="of MNIST and CIFAR-10 at most")
a.add_argument("--programs", type=Path, default=Path("target/release"))
a.add_argument("--only", choices=["fc", "conv"])
a.add_argument("--cpus", help="a list of processors to keep to, e.g. 0 or 0,1")
a = a.parse_args()
os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(a.threads)
if a.cpus:
    os.sched_setaffinity(0, {int(c) for c in a.cpus.split(",")})

import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
import snntorch as snn
from snntorch import surrogate as snn_surrogate
import spikingjelly.activation_based as sj
from spikingjelly.activation_based import functional, layer, neuron, surrogate

torch.set_num_threads(a.threads)
torch.manual_seed(1)
STEPS = {"fc": 20, "conv": 4}
BATCH = {"fc": 128, "conv": 64}


def idx(path):
    raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    dims = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)


def data(net):
    if net == "fc":
        find = lambda name: next(p for p in (a.data / "mnist").iterdir() if p.name.startswith(name))
        x, y = idx(find("train-images")).reshape(-1, 784), idx(find("train-labels"))
    else:
        folder = next(a.data / f for f in ("cifar-10-batches-bin", "cifar10-jpeg-subset") if (a.data / f).is_dir())
        files = sorted(p for p in folder.iterdir() if "train" in p.name or re.match(r"data_batch_\d", p.name))
        raw = b"".join(gzip.open(p).read() if p.suffix == ".gz" else p.read_bytes() for p in files)
        rows = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
        x, y = rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]
    n = min(len(x), a.samples[net == "conv"])
    return torch.tensor(x[:n].astype(np.float32) / 255), torch.tensor(y[:n].astype(np.int64))


def jelly(net):
    lif = lambda: neuron.LIFNode(tau=10.0 if net == "fc" else 2.0, decay_input=False, v_reset=0.0, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m")
    if net == "fc":
        stack = [layer.Linear(784, 256), lif(), layer.Linear(256, 128), lif(), layer.Linear(128, 10), lif()]
    else:
        stack, channels = [], 3
        for width in (24, 48, 64):
            stack += [layer.Conv2d(channels, width, 3, padding=1), layer.BatchNorm2d(width), lif(), layer.AvgPool2d(2)]
            channels = width
        stack += [layer.Flatten(), layer.Linear(1024, 128), layer.BatchNorm1d(128), lif(), layer.Linear(128, 10)]
    net = nn.Sequential(*stack)
    functional.set_step_mode(net, "m")

    def run(x):
        functional.reset_net(net)
        return net(x).mean(0)

    return net, run


class Torch(nn.Module):
    def __init__(self, kind):
        super().__init__()
        leaky = lambda: snn.Leaky(beta=0.9 if kind == "fc" else 0.5, spike_grad=snn_surrogate.atan(), reset_mechanism="zero")
        if kind == "fc":
            self.parts = nn.ModuleList([nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, 10)])
            self.cells = nn.ModuleList([leaky() for _ in range(3)])
        else:
            widths = [3, 24, 48, 64]
            conv = [nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o)) for i, o in zip(widths, widths[1:])]
            self.parts = nn.ModuleList(conv + [nn.Sequential(nn.Flatten(), nn.Linear(1024, 128), nn.BatchNorm1d(128))])
            self.cells = nn.ModuleList([leaky() for _ in range(4)])
            self.last = nn.Linear(128, 10)
        self.kind = kind

    def forward(self, x):
        state, total = [c.init_leaky() for c in self.cells], 0
        for t in range(len(x)):
            y = x[t]
            for i, (part, cell) in enumerate(zip(self.parts, self.cells)):
                y, state[i] = cell(part(y), state[i])
                if self.kind == "conv" and i < 3:
                    y = F.avg_pool2d(y, 2)
            total = total + (y if self.kind == "fc" else self.last(y))
        return total / len(x)


def torch_net(kind):
    net = Torch(kind)
    return net, net


def epoch(kind, build, x, y):
    if not hasattr(build, kind):
        net, run = build(kind)
        setattr(build, kind, (net, run, torch.optim.Adam(net.parameters(), 1e-3)))
    net, run, adam = getattr(build, kind)
    net.train()
    order, start, cpu = torch.randperm(len(x)), time.perf_counter(), time.process_time()
    for some in order.split(BATCH[kind]):
        pixels = x[some]
        steps = (STEPS[kind],) + (1,) * pixels.dim()
        spikes = (torch.rand((STEPS[kind],) + pixels.shape) <= pixels).float() if kind == "fc" else pixels.unsqueeze(0).repeat(steps)
        adam.zero_grad()
        F.cross_entropy(5 * run(spikes), y[some]).backward()
        adam.step()
    return time.perf_counter() - start, time.process_time() - cpu


CONV = """task: classifier
settings: {data: cifar-10, samples: [%d, 100], layers: [{conv: 24, norm: true}, {pool: 2}, {conv: 48, norm: true}, {pool: 2}, {conv: 64, norm: true}, {pool: 2}, {dense: 128, norm: true}],
  neuron: lif, beta: 0.5, steps: 4, epochs: %d, batch: 64, logits: 5}
"""


def run(kind, x, epochs):
    """Seconds of an epoch as the program tells them, and of processors in all."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    before = used()
    with tempfile.TemporaryDirectory() as folder:
        if kind == "fc":
            args = [a.programs / "examples/train", "--data", a.data, "--epochs", epochs, "--threads", a.threads, "--json", f"{folder}/r.json", "--first", len(x)]
            subprocess.run([*map(str, args)], check=True, stdout=subprocess.DEVNULL)
            r = json.load(open(f"{folder}/r.json"))[0]
            # It trains on eleven twelfths, the rest chooses the epoch; the time is scaled to all of them.
            seconds = min(e["seconds"] for e in r["epochs"]) * len(x) / r["split"][0]
        else:
            Path(folder, "conv.yaml").write_text(CONV % (len(x), epochs))
            args = [a.programs / "spinloom", "network", f"{folder}/conv.yaml", "--data", a.data, "--out", folder]
            subprocess.run([*map(str, args)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            r = json.load(open(f"{folder}/results.json"))
            seconds = float(re.search(r"an epoch of ([\d.]+) s", " ".join(r["outcomes"][0]["notes"])).group(1))
    return seconds, used() - before


def ours(kind, x):
    """Reading the data and the last test are in every run: the processor time of an epoch is the difference of runs of one and of three, halved."""
    one, three = run(kind, x, 1), run(kind, x, 3)
    return min(one[0], three[0]), (three[1] - one[1]) / 2


print(f"torch {torch.__version__}, snntorch {snn.__version__}, spikingjelly {getattr(sj, '__version__', '')}, {a.threads} threads")
for kind in ["fc", "conv"]:
    if a.only and kind != a.only:
        continue
    x, y = data(kind)
    codes = {"spinloom": lambda: ours(kind, x), "SpikingJelly": lambda: epoch(kind, jelly, x, y), "snnTorch": lambda: epoch(kind, torch_net, x, y)}
    found = {name: [] for name in codes}
    for _ in range(a.rounds):
        for name, one in codes.items():
            found[name].append(one())
            print(f"  {kind} {name}: {found[name][-1][0]:.2f} s, {found[name][-1][1]:.2f} s of processors", flush=True)
    middle = {name: [statistics.median(v) for v in zip(*v)] for name, v in found.items()}
    for name, (wall, cpu) in middle.items():
        ratios = [a / b for a, b in zip((wall, cpu), middle["spinloom"])]
        print(f"{kind}, {len(x)} samples: {name} {wall:.2f} s an epoch ({ratios[0]:.2f} x ours), {cpu:.2f} s of processors ({ratios[1]:.2f} x)")
