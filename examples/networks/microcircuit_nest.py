"""The cortical microcircuit in NEST, beside `microcircuit.yaml`: the same numbers (Potjans and Diesmann, Cereb. Cortex 24, 785 (2014)), wall time over biological time and rates.

    python -m venv nest && nest/bin/pip install nest-simulator numpy
    nest/bin/python examples/networks/microcircuit_nest.py SCALE THREADS SETTLE TIME        # numbers of neurons over the original's, threads, seconds
"""

import sys
import time

import numpy as np

import nest

scale, threads, settle, span = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
SIZES = np.array([20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948])
EXTERNAL = [1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100]
CHANCE = [
    [0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0],
    [0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0],
    [0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0],
    [0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0],
    [0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0],
    [0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0],
    [0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252],
    [0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443],
]
W, STEP = 87.8, 0.1

nest.verbosity = nest.VerbosityLevel.ERROR
nest.ResetKernel()
nest.set(resolution=STEP, local_num_threads=threads, rng_seed=1)
begun = time.time()
sizes = np.maximum(2, np.round(SIZES * scale)).astype(int)
neuron = dict(C_m=250.0, tau_m=10.0, tau_syn_ex=0.5, tau_syn_in=0.5, t_ref=2.0, E_L=-65.0, V_th=-50.0, V_reset=-65.0, I_e=0.0)
groups = [nest.Create("iaf_psc_exp", int(n), params=neuron) for n in sizes]
for group in groups:
    group.V_m = nest.random.uniform(-65.0, -54.5)
for k, group in enumerate(groups):
    noise = nest.Create("poisson_generator", params=dict(rate=8.0 * EXTERNAL[k]))
    nest.Connect(noise, group, "all_to_all", dict(weight=W, delay=STEP))
for to in range(8):
    for of in range(8):
        if CHANCE[to][of] > 0:
            whole = np.log(1 - CHANCE[to][of]) / np.log(1 - 1 / (float(SIZES[to]) * SIZES[of]))
            weight, delay = (W if of % 2 == 0 else -4 * W), (1.5 if of % 2 == 0 else 0.75)
            weight *= 2 if (to, of) == (0, 2) else 1
            drawn = nest.random.normal(mean=weight, std=0.1 * abs(weight))
            nest.Connect(
                groups[of],
                groups[to],
                dict(rule="fixed_total_number", N=int(round(whole / SIZES[to] * sizes[to]))),
                dict(
                    synapse_model="static_synapse",
                    weight=nest.math.redraw(drawn, min=0.0, max=np.inf) if weight > 0 else nest.math.redraw(drawn, min=-np.inf, max=0.0),
                    delay=nest.math.redraw(nest.random.normal(mean=delay, std=0.5 * delay), min=STEP - 0.5 * STEP, max=np.inf),
                ),
            )
recorders = [nest.Create("spike_recorder") for _ in groups]
for group, recorder in zip(groups, recorders):
    nest.Connect(group, recorder)
nest.Prepare()
connected = time.time()
nest.Run(1000 * settle)
before = np.array([r.n_events for r in recorders])
nest.Run(1000 * span)
wall = time.time() - connected
rates = (np.array([r.n_events for r in recorders]) - before) / sizes / span
nest.Cleanup()
print(f"NEST {nest.__version__}: scale {scale}, {threads} threads, {nest.num_connections / 1e6:.1f} million connections made in {connected - begun:.1f} s")
print(f"wall time over biological time {wall / (settle + span):.2f}; rates (Hz) " + ", ".join(f"{r:.3f}" for r in rates))
