//! Exchange bias with a memory: an antiferromagnet of grains beside the magnet, each of which pulls the cells it touches along its own axis, one way or
//! the other, and turns round when heat lets it.
//!
//! A grain of volume V, contact area A = V/t and easy axis a has two states s = ±1 with the energy K V sin²φ − J A (m·n), n along the grain's own order at
//! the angle φ to s a: the anisotropy K(T) = K0 (1 − T/T_N)^n of the antiferromagnet against the coupling J to the magnet. Of m only the component along
//! a counts, so that with h = J A (m·a)/(2 K V) the way out of s has the barrier
//!
//!   ΔE(s) = K V (1 + s h)²   for |h| < 1, otherwise 0 for the state against m and 2 J A |m·a| for the other
//!
//! (Fulcomer and Charap, J. Appl. Phys. 43, 4190 (1972); O'Grady, Fernandez-Outon and Vallejo-Fernandez, J. Magn. Magn. Mater. 322, 883 (2010)). The two
//! barriers differ by 2 J A (m·a), the difference of the two energies, so that occupation ends at Boltzmann's. A grain leaves a state at the
//! rate f0 exp(−ΔE/kT) (Néel, Ann. Géophys. 5, 99 (1949)); over any time both ways together have a closed form, and that is what is drawn from.
//!
//! On the magnet acts B = J s a/(Msat h) in cells of height h at the interface, the gradient of the same energy; nothing acts above T_N. J does not
//! depend on temperature here. Grains do not couple to each other, and turn as a whole.

use crate::experiment::read_unit_vector;
use crate::shapes::Shape;
use spinloom_base::constants::KB;
use spinloom_base::random::{Stream, open_unit, philox4x32};
use spinloom_base::{Dimension, Fields, Node, Problems, Value};
use spinloom_kernels::{Mesh, RegionMap};

/// An antiferromagnet under (or on) the magnet.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeBias {
    /// Its name; the columns are `B_<name>`, `order_<name>` and `flips_<name>`.
    pub name: String,
    /// Where it touches the magnet.
    pub shape: Shape,
    /// Whether it lies above.
    pub above: bool,
    /// Size of a grain: its square is the mean area (m).
    pub grain: f64,
    /// Thickness t (m).
    pub thickness: f64,
    /// Standard deviation of ln V.
    pub sigma: f64,
    /// K0 (J/m³).
    pub anisotropy: f64,
    /// T_N (K).
    pub neel: f64,
    /// n of K(T).
    pub power: f64,
    /// J (J/m²).
    pub coupling: f64,
    /// Easy axes.
    pub axis: Axis,
    /// f0 (1/s).
    pub attempts: f64,
    /// The direction in which it has been set, along the axis if the file says nothing; at random if `None`.
    pub set: Option<[f64; 3]>,
}

/// How the easy axes of the grains lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// About a direction, scattered by an angle (rad, standard deviation in each of two directions).
    About([f64; 3], f64),
    /// At random in the plane.
    Plane,
    /// At random in space.
    Space,
}

/// One grain.
#[derive(Clone, Debug, PartialEq)]
pub struct Grain {
    /// The cells that it touches.
    pub cells: Vec<usize>,
    /// V (m³).
    pub volume: f64,
    /// a, a unit vector.
    pub axis: [f64; 3],
}

/// Barriers (J) out of s = +1 and out of s = −1, of a grain with anisotropy energy `kv` = K V and coupling energy `e` = J A (m·a).
pub fn barriers(kv: f64, e: f64) -> [f64; 2] {
    if e.abs() < 2.0 * kv {
        let h = e / (2.0 * kv);
        [kv * (1.0 + h).powi(2), kv * (1.0 - h).powi(2)]
    } else {
        [(2.0 * e).max(0.0), (-2.0 * e).max(0.0)]
    }
}

impl ExchangeBias {
    /// K(T) (J/m³).
    pub fn anisotropy_at(&self, t: f64) -> f64 {
        self.anisotropy * (1.0 - t / self.neel).max(0.0).powf(self.power)
    }

    /// Rates (1/s) out of s = +1 and out of s = −1 at a temperature (K), with m·a.
    pub fn rates(&self, volume: f64, t: f64, along: f64) -> [f64; 2] {
        let e = self.coupling * volume / self.thickness * along;
        barriers(self.anisotropy_at(t) * volume, e).map(|b| if b == 0.0 { self.attempts } else { self.attempts * (-b / (KB * t)).exp() })
    }

    /// The probability that a grain has the other sign after a time (s): the master equation of two states, exact.
    pub fn flips(&self, volume: f64, t: f64, along: f64, sign: f64, dt: f64) -> f64 {
        let [down, up] = self.rates(volume, t, along);
        let (out, sum) = (if sign > 0.0 { down } else { up }, down + up);
        if sum > 0.0 { -out / sum * (-sum * dt).exp_m1() } else { 0.0 }
    }

    /// The largest volume (m³) that an uncoupled grain can have and yet relax within a time (s) at a temperature (K): K V = kT ln(f0 t).
    pub fn blocking_volume(&self, t: f64, time: f64) -> f64 {
        KB * t * (self.attempts * time).ln() / self.anisotropy_at(t)
    }

    /// The mean of ln V.
    pub fn mean_ln_volume(&self) -> f64 {
        // The mean of a lognormal is exp(μ + σ²/2).
        (self.grain.powi(2) * self.thickness).ln() - 0.5 * self.sigma.powi(2)
    }

    /// The grains of one member of an ensemble: one centre at random in every square of the size of a grain, every interface cell with the nearest;
    /// volumes from the lognormal distribution, the largest to the largest grain. The same for the same seed, member and position in the file.
    pub fn grains(&self, mesh: &Mesh, map: &RegionMap, seed: u64, member: u64, place: usize) -> Vec<Grain> {
        let [nx, ny, nz] = mesh.n;
        let inside: Vec<bool> = {
            let mut v = vec![false; mesh.cells()];
            self.shape.cells(mesh).into_iter().for_each(|i| v[i] = map.cells[i] != RegionMap::VACUUM);
            v
        };
        let domain = member << 16 | (place as u64) << 8;
        let key = [seed as u32 ^ 0x4AF0_11A5, (seed >> 32) as u32];
        let mut found: Vec<([i32; 2], Grain)> = Vec::new();
        let mut by_square = std::collections::HashMap::new();
        for column in 0..nx * ny {
            let mut heights: Vec<usize> = (0..nz).map(|z| z * nx * ny + column).collect();
            if self.above {
                heights.reverse();
            }
            let Some(cell) = heights.into_iter().find(|i| inside[*i]) else { continue };
            let p = mesh.position(column % nx, column / nx, 0);
            let p = [p[0] / self.grain, p[1] / self.grain];
            let own = p.map(|x| x.floor() as i32);
            let mut nearest = (f64::INFINITY, own);
            // The centre in the own square is nearer than √2: none outside two squares can be.
            for dy in -2..=2 {
                for dx in -2..=2 {
                    let square = [own[0] + dx, own[1] + dy];
                    let bits = philox4x32([square[0] as u32, square[1] as u32, domain as u32, (domain >> 32) as u32], key);
                    let centre = [0, 1].map(|c| f64::from(square[c]) + open_unit(bits[c]));
                    let distance = (0..2).map(|c| (centre[c] - p[c]).powi(2)).sum::<f64>();
                    if distance < nearest.0 {
                        nearest = (distance, square);
                    }
                }
            }
            let at = *by_square.entry(nearest.1).or_insert_with(|| {
                found.push((nearest.1, Grain { cells: Vec::new(), volume: 0.0, axis: [0.0; 3] }));
                found.len() - 1
            });
            found[at].1.cells.push(cell);
        }
        let mut grains: Vec<Grain> = found.into_iter().map(|(_, g)| g).collect();
        let mut stream = Stream::new(seed ^ 0x4AF0_11A5, 1 << 63 | domain);
        let mut volumes: Vec<f64> = grains.iter().map(|_| (self.mean_ln_volume() + self.sigma * stream.normal()).exp()).collect();
        volumes.sort_by(f64::total_cmp);
        let mut order: Vec<usize> = (0..grains.len()).collect();
        order.sort_by_key(|i| grains[*i].cells.len());
        order.into_iter().zip(volumes).for_each(|(i, v)| grains[i].volume = v);
        for grain in &mut grains {
            let z = [stream.normal(), stream.normal(), stream.normal()];
            let v = match self.axis {
                Axis::Space => z,
                Axis::Plane => [z[0], z[1], 0.0],
                Axis::About(a, spread) => {
                    // z without its part along a is a normal deviate in the two directions across.
                    let along: f64 = (0..3).map(|c| a[c] * z[c]).sum();
                    std::array::from_fn(|c| a[c] + spread * (z[c] - along * a[c]))
                }
            };
            let norm = v.iter().map(|c| c * c).sum::<f64>().sqrt();
            grain.axis = v.map(|c| c / norm);
        }
        grains
    }

    /// The signs at the start.
    pub fn start(&self, grains: &[Grain], seed: u64, member: u64, place: usize) -> Vec<f64> {
        let mut stream = Stream::new(seed ^ 0x4AF0_11A5, 3 << 62 | member << 16 | (place as u64) << 8);
        grains
            .iter()
            .map(|g| match self.set {
                Some(v) if (0..3).map(|c| v[c] * g.axis[c]).sum::<f64>() != 0.0 => (0..3).map(|c| v[c] * g.axis[c]).sum::<f64>().signum(),
                _ => {
                    if stream.uniform() > 0.5 {
                        1.0
                    } else {
                        -1.0
                    }
                }
            })
            .collect()
    }

    /// What the grains do to the magnet: B (T) in every cell, `[component][z][y][x]`. `height` is that of a cell (m), as `msat` is its moment, `temperature` that of every grain (K).
    pub fn field(
        &self,
        grains: &[Grain],
        signs: &[f64],
        msat: impl Fn(usize) -> f64,
        height: impl Fn(usize) -> f64,
        temperature: &[f64],
        out: &mut [f64],
    ) {
        let cells = out.len() / 3;
        for ((grain, sign), t) in grains.iter().zip(signs).zip(temperature) {
            for &i in &grain.cells {
                let ms = msat(i);
                if ms > 0.0 && *t < self.neel {
                    (0..3).for_each(|c| out[c * cells + i] += self.coupling * sign * grain.axis[c] / (ms * height(i)));
                }
            }
        }
    }

    /// Reads one entry of `exchange_bias`.
    pub fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut f = Fields::of(node, "an exchange bias", problems)?;
        let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let shape = f.optional("shape").map_or(Some(Shape::All), |n| Shape::read(n, problems));
        let above = f.optional("side").map_or(Some(false), |n| n.choice(&["below", "above"], problems).map(|i| i == 1));
        let mut number = |key: &'static str, dimension, default: Option<f64>, problems: &mut Problems| match default {
            None => f.required(key, problems).and_then(|n| n.positive(dimension, problems)),
            Some(d) => f.optional(key).map_or(Some(d), |n| n.positive(dimension, problems)),
        };
        let grain = number("grain", Dimension::LENGTH, None, problems);
        let thickness = number("thickness", Dimension::LENGTH, None, problems);
        let anisotropy = number("K_AF", Dimension::ENERGY_DENSITY, None, problems);
        let neel = number("T_N", Dimension::TEMPERATURE, None, problems);
        let power = number("n", Dimension::NONE, Some(1.0), problems);
        let attempts = number("f0", Dimension::FREQUENCY, Some(1e12), problems);
        let sigma_node = f.optional("sigma");
        let sigma = sigma_node.map_or(Some(0.0), |n| n.quantity(Dimension::NONE, problems));
        let coupling = f.required("J_ex", problems).and_then(|n| n.quantity(Dimension::SURFACE_ENERGY, problems));
        let spread = f.optional("spread");
        let axis_node = f.required("axis", problems);
        let axis = axis_node.and_then(|n| match &n.value {
            Value::Text(_) => n.choice(&["plane", "space"], problems).map(|i| [Axis::Plane, Axis::Space][i]),
            _ => {
                let angle = spread.map_or(Some(0.0), |n| n.quantity(Dimension::NONE, problems))?;
                read_unit_vector(n, problems).map(|a| Axis::About(a, angle))
            }
        });
        let set = match f.optional("set") {
            Some(n) if matches!(n.value, Value::Text(_)) => n.choice(&["random"], problems).map(|_| None),
            Some(n) => read_unit_vector(n, problems).map(Some),
            None => Some(if let Some(Axis::About(a, _)) = axis { Some(a) } else { None }),
        };
        f.finish(problems);
        if let (Some(s), Some(Axis::Plane | Axis::Space)) = (spread, axis) {
            problems.push(s.error("axes at random have no spread"));
        }
        if let (Some(n), Some(s)) = (sigma_node, sigma)
            && !(0.0..=3.0).contains(&s)
        {
            problems.push(n.error(format!("sigma = {s} is not the width of a distribution of volumes")).hint("0.2 to 0.6 is common"));
        }
        Some(Self {
            name: name?,
            shape: shape?,
            above: above?,
            grain: grain?,
            thickness: thickness?,
            sigma: sigma?,
            anisotropy: anisotropy?,
            neel: neel?,
            power: power?,
            coupling: coupling?,
            axis: axis?,
            attempts: attempts?,
            set: set?,
        })
    }
}

/// Grains that turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// s of every grain.
    pub signs: Vec<f64>,
    /// Steps taken: part of the key of the random numbers.
    pub steps: f64,
    /// Times that a grain has turned.
    pub flips: f64,
}

impl Memory {
    /// Advances all grains by `dt` (s) at temperatures (K) of their own, with the means of m·a over their cells. `id` keys the random numbers: seed, member
    /// and position in the file.
    pub fn advance(&mut self, bias: &ExchangeBias, grains: &[Grain], temperature: &[f64], along: &[f64], dt: f64, id: (u64, u64, usize)) {
        let (seed, member, place) = id;
        let step = self.steps as u64;
        let key = [seed as u32 ^ 0x4AF0_11A5, (seed >> 32) as u32 ^ (member >> 32) as u32 ^ ((place as u32 + 1) << 16)];
        for (i, grain) in grains.iter().enumerate() {
            let p = bias.flips(grain.volume, temperature[i], along[i], self.signs[i], dt);
            let [bits, ..] = philox4x32([i as u32, member as u32, step as u32, (step >> 32) as u32], key);
            // In (0, 1]: never where p = 0, always where p = 1.
            if open_unit(bits) <= p {
                self.signs[i] = -self.signs[i];
                self.flips += 1.0;
            }
        }
        self.steps += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IrMn as in the York experiments, roughly: 8 nm grains of 6 nm.
    fn irmn() -> ExchangeBias {
        ExchangeBias {
            name: "irmn".into(),
            shape: Shape::All,
            above: false,
            grain: 8e-9,
            thickness: 6e-9,
            sigma: 0.4,
            anisotropy: 1.3e6,
            neel: 690.0,
            power: 1.0,
            coupling: 2e-4,
            axis: Axis::About([1.0, 0.0, 0.0], 0.0),
            attempts: 1e12,
            set: Some([1.0, 0.0, 0.0]),
        }
    }

    /// A film of about `n`² grains.
    fn film(bias: &ExchangeBias, n: usize, member: u64) -> Vec<Grain> {
        let mesh = Mesh::new([4 * n, 4 * n, 1], [2e-9; 3]);
        bias.grains(&mesh, &RegionMap::uniform(mesh.cells()), 7, member, 0)
    }

    fn mean(v: &[f64]) -> f64 {
        v.iter().sum::<f64>() / v.len() as f64
    }

    /// A ramp of temperature in many steps, m along ±x.
    fn ramp(bias: &ExchangeBias, grains: &[Grain], memory: &mut Memory, [from, to]: [f64; 2], time: f64, along: f64) {
        let n = 300;
        for k in 0..n {
            let t = from + (to - from) * (f64::from(k) + 0.5) / f64::from(n);
            memory.advance(bias, grains, &vec![t; grains.len()], &vec![along; grains.len()], time / f64::from(n), (7, 0, 0));
        }
    }

    fn fresh(bias: &ExchangeBias, grains: &[Grain]) -> Memory {
        Memory { signs: bias.start(grains, 7, 0, 0), steps: 0.0, flips: 0.0 }
    }

    #[test]
    fn grains_cover_the_film_with_the_sizes_asked_for() {
        let bias = irmn();
        let grains = film(&bias, 60, 0);
        let cells: usize = grains.iter().map(|g| g.cells.len()).sum();
        assert_eq!(cells, 240 * 240);
        // One centre in each square, and those of the rim reach in.
        assert!((grains.len() as f64 / 3600.0 - 1.0).abs() < 0.05, "{}", grains.len());
        let logs: Vec<f64> = grains.iter().map(|g| g.volume.ln()).collect();
        let width = (mean(&logs.iter().map(|l| l * l).collect::<Vec<_>>()) - mean(&logs).powi(2)).sqrt();
        // Five standard errors of 3600 draws: 0.4 · 5/60 and 0.4 · 5/85.
        assert!((mean(&logs) - bias.mean_ln_volume()).abs() < 0.034 && (width - 0.4).abs() < 0.024, "{width}");
        // The larger the grain, the larger its volume.
        let (small, large) = (grains.iter().min_by_key(|g| g.cells.len()).unwrap(), grains.iter().max_by_key(|g| g.cells.len()).unwrap());
        assert!(small.volume < large.volume);
        // On a stack it touches the lowest cells, or the highest ones that there are.
        let mesh = Mesh::new([8, 8, 3], [4e-9; 3]);
        let mut map = RegionMap::uniform(192);
        map.cells[128 + 9] = RegionMap::VACUUM;
        let touched = |above: bool| {
            let mut cells: Vec<usize> =
                ExchangeBias { above, ..bias.clone() }.grains(&mesh, &map, 7, 0, 0).into_iter().flat_map(|g| g.cells).collect();
            cells.sort_unstable();
            cells
        };
        assert_eq!(touched(false), (0..64).collect::<Vec<_>>());
        assert_eq!(touched(true), [64 + 9].into_iter().chain((128..192).filter(|i| *i != 137)).collect::<Vec<_>>());
        // Another member has other grains; the same one the same.
        assert!(film(&bias, 60, 1) != grains && film(&bias, 60, 0) == grains);
        let scattered = film(&ExchangeBias { axis: Axis::About([0.0, 0.0, 1.0], 0.1), ..bias.clone() }, 60, 0);
        let tilt = mean(&scattered.iter().map(|g| g.axis[0].powi(2)).collect::<Vec<_>>()).sqrt();
        // Five standard errors; the length of the axis takes another percent.
        assert!((tilt - 0.1).abs() < 0.007, "{tilt}");
        assert!(scattered.iter().all(|g| (g.axis.iter().map(|c| c * c).sum::<f64>() - 1.0).abs() < 1e-12));
    }

    #[test]
    fn barriers_and_rates_have_their_hand_values_and_keep_detailed_balance() {
        assert_eq!(barriers(4.0, 0.0), [4.0, 4.0]);
        // h = 1/2: 4·(9/4) and 4·(1/4).
        assert_eq!(barriers(4.0, 4.0), [9.0, 1.0]);
        // Beyond h = 1 the state against m is no minimum.
        assert_eq!((barriers(4.0, 10.0), barriers(0.0, -3.0)), ([20.0, 0.0], [0.0, 6.0]));
        let bias = irmn();
        for t in [300.0, 500.0, 680.0, 700.0] {
            let v = 200e-27;
            let [down, up] = bias.rates(v, t, 0.7);
            let e = bias.coupling * v / bias.thickness * 0.7;
            assert!(((up / down).ln() - 2.0 * e / (KB * t)).abs() < 1e-9, "{t}");
        }
        // At rest with nothing in between, and equilibrium after long: Boltzmann's.
        assert_eq!(bias.flips(384e-27, 300.0, 1.0, 1.0, 0.0), 0.0);
        let e = bias.coupling * 384e-27 / bias.thickness;
        let p = bias.flips(384e-27, 650.0, 1.0, 1.0, 1.0);
        assert!((p - 1.0 / (1.0 + (2.0 * e / (KB * 650.0)).exp())).abs() < 1e-12, "{p}");
    }

    #[test]
    fn an_ensemble_of_equal_grains_relaxes_as_the_master_equation_says() {
        let bias = ExchangeBias { sigma: 0.0, ..irmn() };
        let grains = film(&bias, 80, 0);
        let n = grains.len() as f64;
        let (t, v) = (600.0, grains[0].volume);
        let [down, up] = bias.rates(v, t, -0.3);
        let rate = down + up;
        let mut memory = fresh(&bias, &grains);
        for k in 1..=8 {
            // Steps of any length: here a quarter of the time constant.
            memory.advance(&bias, &grains, &vec![t; grains.len()], &vec![-0.3; grains.len()], 0.25 / rate, (7, 0, 0));
            let end = (up - down) / rate;
            let exact = end + (1.0 - end) * (-0.25 * f64::from(k)).exp();
            // Five standard errors.
            assert!((mean(&memory.signs) - exact).abs() < 5.0 / n.sqrt(), "{k}: {} {exact}", mean(&memory.signs));
        }
    }

    #[test]
    fn bias_is_set_and_reversed_by_field_cooling() {
        let bias = ExchangeBias { set: None, ..irmn() };
        let grains = film(&bias, 40, 0);
        let mut memory = fresh(&bias, &grains);
        let field = || {
            let mut b = vec![0.0; 3 * 160 * 160];
            bias.field(&grains, &memory.signs, |_| 1e6, |_| 2e-9, &vec![300.0; grains.len()], &mut b);
            mean(&b[..160 * 160])
        };
        // J/(Msat t) = 0.1 T if all agree; at random nothing but noise, 5/√1600 of it.
        assert!(field().abs() < 0.0125);
        let cooled = |memory: &mut Memory, along: f64| ramp(&bias, &grains, memory, [690.0, 300.0], 1.0, along);
        let fraction = |memory: &Memory| {
            let mut b = vec![0.0; 3 * 160 * 160];
            bias.field(&grains, &memory.signs, |_| 1e6, |_| 2e-9, &vec![300.0; grains.len()], &mut b);
            mean(&b[..160 * 160]) / 0.1
        };
        cooled(&mut memory, 1.0);
        let plus = fraction(&memory);
        cooled(&mut memory, -1.0);
        let minus = fraction(&memory);
        // Each grain freezes at the equilibrium of its blocking temperature, tanh(J A/kT): above 0.9 for all but the smallest.
        assert!(plus > 0.9 && (plus + minus).abs() < 0.05, "{plus} {minus}");
        // A year at rest at 300 K against the field: what each grain's own probability says.
        let (mut expected, mut variance, mut all) = (0.0, 0.0, 0.0);
        for (g, s) in grains.iter().zip(&memory.signs) {
            let p = bias.flips(g.volume, 300.0, 1.0, *s, 3e7);
            let n = g.cells.len() as f64;
            expected += n * s * (1.0 - 2.0 * p);
            variance += 4.0 * n * n * p * (1.0 - p);
            all += n;
        }
        ramp(&bias, &grains, &mut memory, [300.0, 300.0], 3e7, 1.0);
        assert!((fraction(&memory) - expected / all).abs() < 5.0 * variance.sqrt() / all, "{} {}", fraction(&memory), expected / all);
        assert!(fraction(&memory) < -0.5, "most of it stays: {}", fraction(&memory));
    }

    #[test]
    fn blocking_temperatures_follow_from_the_volumes() {
        // Set along +x, held for 100 s at T with m along −x and a weak coupling, cooled: grains below the blocking volume follow. Without coupling they
        // would be at random; with J so that 2 J A = 6 kT they have turned.
        let bias = ExchangeBias { coupling: 4e-4, ..irmn() };
        let grains = film(&bias, 60, 0);
        let n = grains.len() as f64;
        let mut last = 0.0;
        for t in [350.0, 420.0, 480.0, 540.0] {
            let mut memory = fresh(&bias, &grains);
            memory.advance(&bias, &grains, &vec![t; grains.len()], &vec![-1.0; grains.len()], 100.0, (7, 0, 0));
            let turned = memory.signs.iter().filter(|s| **s < 0.0).count() as f64 / n;
            // The integral of the probability over the distribution of ln V.
            let steps = 4000;
            let exact: f64 = (0..steps)
                .map(|k| {
                    let z = 10.0 * (f64::from(k) + 0.5) / f64::from(steps) - 5.0;
                    let v = (bias.mean_ln_volume() + bias.sigma * z).exp();
                    (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * bias.flips(v, t, -1.0, 1.0, 100.0) * 10.0 / f64::from(steps)
                })
                .sum();
            let error = (exact * (1.0 - exact) / n).sqrt();
            assert!((turned - exact).abs() < 5.0 * error + 1e-3, "{t} K: {turned} {exact}");
            // Closed form: all below the blocking volume of their own barrier K V (1 − J A/(2 K V))² = kT ln(f0 t). With A = V/t the bracket is
            // (1 − J/(2 K t)) for every grain; ln V is normal. The edge of the exponential is sharp to 1/ln(f0 t) = 3 % in V, which moves the
            // fraction by less than 0.03 · 0.4/σ.
            let bracket = 1.0 - bias.coupling / (2.0 * bias.anisotropy_at(t) * bias.thickness);
            let z = ((bias.blocking_volume(t, 100.0) / bracket.powi(2)).ln() - bias.mean_ln_volume()) / bias.sigma;
            let below = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
            println!("{t} K: {turned:.3} turned, {exact:.3} by the integral, {below:.3} below the blocking volume");
            assert!((turned - below).abs() < 0.04, "{t} K: {turned} {below}");
            assert!(turned > last);
            last = turned;
        }
    }

    #[test]
    fn ten_years_at_rest_and_a_nanosecond_at_the_peak_of_a_pulse() {
        // Grains of 8 x 8 x 6 nm³: K V/kT at 300 K is 1.3e6 · (1 − 300/690) · 384e-27/(kB 300) = 68.
        let bias = ExchangeBias { sigma: 0.0, ..irmn() };
        let v = (bias.mean_ln_volume()).exp();
        assert!((bias.anisotropy_at(300.0) * v / (KB * 300.0) - 68.1).abs() < 0.1);
        let decade = 3.156e8;
        // Against the magnet: h = 2e-4/(2 · 7.35e5 · 6e-9) = 0.023, the barrier 65 kT, e^65/f0 = 1.7e16 s.
        let against = bias.flips(v, 300.0, 1.0, -1.0, decade);
        assert!(against < 1e-7 && against > 1e-9, "{against}");
        // Without a magnet along the axis e^68/f0 = 4e17 s, with it longer still.
        assert!(bias.flips(v, 300.0, 0.0, 1.0, decade) < 1e-8 && bias.flips(v, 300.0, 1.0, 1.0, decade) < 1e-10);
        // At the peak of a pulse, 650 K, the barrier against m is 2 kT and a nanosecond more than a hundred times the time constant: all set but
        // Boltzmann's share.
        let [_, up] = bias.rates(v, 650.0, 1.0);
        assert!((up / bias.attempts).ln() < -1.9 && (up / bias.attempts).ln() > -2.1, "{}", (up / bias.attempts).ln());
        let e = bias.coupling * v / bias.thickness;
        let left = 1.0 - bias.flips(v, 650.0, 1.0, -1.0, 1e-9);
        let share = 1.0 / (1.0 + (2.0 * e / (KB * 650.0)).exp());
        assert!((left - share).abs() < 1e-6 && left < 0.06, "{left} {share}");
        // The ensemble says the same.
        let grains = film(&bias, 50, 0);
        let n = grains.len();
        let mut memory = Memory { signs: vec![-1.0; n], steps: 0.0, flips: 0.0 };
        memory.advance(&bias, &grains, &vec![650.0; n], &vec![1.0; n], 1e-9, (7, 0, 0));
        let down = memory.signs.iter().filter(|s| **s < 0.0).count() as f64 / n as f64;
        assert!((down - share).abs() < 5.0 * (share / n as f64).sqrt(), "{down} {share}");
        let before = memory.signs.clone();
        memory.advance(&bias, &grains, &vec![300.0; n], &vec![0.0; n], decade, (7, 0, 0));
        assert_eq!(memory.signs, before);
    }

    #[test]
    fn members_of_an_ensemble_differ_and_repeat() {
        let bias = irmn();
        let run = |member: u64| {
            let grains = film(&bias, 12, member);
            let mut memory = Memory { signs: bias.start(&grains, 7, member, 0), steps: 0.0, flips: 0.0 };
            for _ in 0..5 {
                memory.advance(&bias, &grains, &vec![520.0; grains.len()], &vec![-1.0; grains.len()], 1e-8, (7, member, 0));
            }
            mean(&memory.signs)
        };
        let spread: Vec<f64> = (0..30).map(run).collect();
        let width = (mean(&spread.iter().map(|s| s * s).collect::<Vec<_>>()) - mean(&spread).powi(2)).sqrt();
        // 144 grains with a probability p of having turned: 2 √(p (1 − p)/144), and the spread of volumes is in p.
        assert!(width > 0.02 && width < 0.12, "{width}");
        assert_eq!(run(3), spread[3]);
    }
}
