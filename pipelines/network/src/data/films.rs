//! Films of skyrmions: three kinds of dynamics that no single picture tells apart, for a recurrent classifier (Deviatov, Iakovlev and Mazurenko, Phys. Rev. Appl. 12, 054026 (2019), who took
//! theirs from micromagnetic simulations; these are a model's).
//!
//! A current drives all skyrmions of a film, heat shakes them, and they repel each other: the equation of Thiele (Phys. Rev. Lett. 30, 230 (1973)) for each,
//! G ẑ × v + α𝒟 v = F, in units of 4π Ms t/γ for G and α𝒟, with a random force ⟨F_i F_j⟩ = 2 kT α𝒟 δ_ij (Schütte et al., Phys. Rev. B 90, 174434 (2014)) and a repulsion that falls as
//! e^(−r/ξ) (the tail of that of Lin et al., Phys. Rev. B 87, 214419 (2013)). Of the kinds, one only moves; in one a pulse makes new skyrmions, which grow to their radius as R0 (1 − e^(−t/τ)); in one
//! skyrmions die: a wall's tension 2π Rσ against a drag in proportion to R gives R = √(R0² − 2ct), and nothing after. Numbers are drawn alike for all, so that the mean picture of a
//! nucleation is that of an annihilation: only the order in time tells. A film begins with three to six skyrmions (or ends with them), and gains (or loses) four to seven.
//!
//! A picture is m_z of the cells, 255 for −1: θ(r) = 2 arctan(sinh(R/w)/sinh(r/w)) (Wang, Yuan and Wang, Commun. Phys. 1, 31 (2018)), the skyrmions as if each were alone.

use super::samples::{Part, Samples};
use rayon::prelude::*;
use spinloom_base::hash;
use spinloom_base::random::Stream;

/// Cells along a side, as in the paper; its boundaries are periodic.
const SIDE: usize = 100;
/// Radius and width of the wall (cells).
const RADIUS: f64 = 5.0;
const WALL: f64 = 1.5;
/// α𝒟 over G.
const DRAG: f64 = 0.3;
/// Drift (cells a frame), and diffusion (cells² a frame).
const DRIFT: f64 = 2.0;
const DIFFUSION: f64 = 0.1;
/// Force of repulsion at r = 0, where a force of 1 moves a skyrmion by about a cell a frame, and its range (cells).
const PUSH: f64 = 12.0;
const RANGE: f64 = 4.0;
/// Steps of Euler's method a frame.
const STEPS: usize = 8;
/// What the kinds are called, in the order of their labels.
pub(super) const KINDS: [&str; 3] = ["motion", "nucleation", "annihilation"];

/// A skyrmion: where it is, when it is born and when it begins to die (frames).
struct Skyrmion {
    at: [f64; 2],
    born: f64,
    dies: f64,
}

impl Skyrmion {
    fn radius(&self, t: f64) -> f64 {
        const GROWS_IN: f64 = 0.5;
        const DIES_IN: f64 = 1.0;
        let grown = RADIUS * (1.0 - (-(t - self.born).max(0.0) / GROWS_IN).exp());
        let left = 1.0 - (t - self.dies).max(0.0) / DIES_IN;
        grown * left.max(0.0).sqrt()
    }
}

/// The shortest way round.
fn apart(a: f64, b: f64) -> f64 {
    let d = a - b;
    d - SIDE as f64 * (d / SIDE as f64).round()
}

/// Films of so many frames, for training and test; pixels are means over squares of `bin` cells.
pub(super) fn films(frames: usize, bin: usize, [train, test]: [usize; 2]) -> Samples {
    let side = SIDE.div_ceil(bin);
    let part = |from: usize, n: usize| {
        let one = |i: usize| {
            let mut stream = Stream::new(1, 0x534B << 40 | i as u64);
            let kind = stream.below(KINDS.len());
            let mut pixels = Vec::with_capacity(frames * side * side);
            film(kind, frames, bin, &mut stream, &mut pixels);
            (kind as u8, pixels)
        };
        let all: Vec<(u8, Vec<u8>)> = (from..from + n).into_par_iter().map(one).collect();
        Part { labels: all.iter().map(|f| f.0).collect(), pixels: all.into_iter().flat_map(|f| f.1).collect() }
    };
    let (train, test) = (part(0, train), part(train, test));
    let parts = [&train.pixels, &train.labels, &test.pixels, &test.labels].map(|p| hash::of_bytes(p));
    Samples {
        name: format!("films of skyrmions by Thiele's equation ({}; drawn by the program, seed 1)", KINDS.join(", ")),
        stand_in: false,
        sha256: hash::of_bytes(parts.join(" ").as_bytes()),
        shape: [side, side, 1],
        frames,
        unit: 255.0,
        classes: KINDS.len(),
        train,
        test,
    }
}

/// Appends the frames of one film.
fn film(kind: usize, frames: usize, bin: usize, stream: &mut Stream, pixels: &mut Vec<u8>) {
    let (few, more) = (3 + stream.below(4), 4 + stream.below(4));
    // What only moves has any of the numbers that the others go through.
    let there = if kind == 0 { few + stream.below(more + 1) } else { few + more };
    let mut all: Vec<Skyrmion> = (0..there)
        .map(|i| {
            let at = [stream.uniform() * SIDE as f64, stream.uniform() * SIDE as f64];
            // Some time within the film, not in its first or last frame.
            let when = 0.5 + stream.uniform() * (frames as f64 - 2.0).max(0.5);
            let changes = i >= few;
            let born = if kind == 1 && changes { when } else { -1e9 };
            let dies = if kind == 2 && changes { when } else { 1e9 };
            Skyrmion { at, born, dies }
        })
        .collect();
    let dt = 1.0 / STEPS as f64;
    // F = kT-noise: D = kT α𝒟/(G² + α²𝒟²), G = 1.
    let share = 1.0 + DRAG * DRAG;
    let noise = (2.0 * DIFFUSION * share / dt).sqrt();
    for frame in 0..frames {
        for step in 0..if frame == 0 { 0 } else { STEPS } {
            let t = frame as f64 - 1.0 + step as f64 * dt;
            let forces: Vec<[f64; 2]> = (0..all.len())
                .map(|i| {
                    // Both axes of the random force; the current's is along x, and the skyrmions leave it by their Hall angle.
                    let mut f = [noise * stream.normal() + DRIFT * share.sqrt(), noise * stream.normal()];
                    for j in (0..all.len()).filter(|j| *j != i && all[i].radius(t) > 0.0 && all[*j].radius(t) > 0.0) {
                        let d = [0, 1].map(|k| apart(all[i].at[k], all[j].at[k]));
                        let r = d[0].hypot(d[1]).max(1e-6);
                        (0..2).for_each(|k| f[k] += PUSH * (-r / RANGE).exp() * d[k] / r);
                    }
                    f
                })
                .collect();
            for (s, f) in all.iter_mut().zip(forces) {
                // G ẑ × v + α𝒟 v = F solved for v.
                let v = [(DRAG * f[0] + f[1]) / share, (DRAG * f[1] - f[0]) / share];
                (0..2).for_each(|k| s.at[k] = (s.at[k] + v[k] * dt).rem_euclid(SIDE as f64));
            }
        }
        // The angle of a cell is that of the nearest wall; five widths outside there is none that a byte could tell.
        let mut angle = vec![0.0f64; SIDE * SIDE];
        for (at, radius) in all.iter().map(|s| (s.at, s.radius(frame as f64))).filter(|s| s.1 > 0.0) {
            let (reach, inside) = ((radius + 5.0 * WALL).ceil() as i64, (radius / WALL).sinh());
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let cell = [at[0].floor() + dx as f64, at[1].floor() + dy as f64];
                    let r = (cell[0] + 0.5 - at[0]).hypot(cell[1] + 0.5 - at[1]);
                    let [x, y] = cell.map(|c| c.rem_euclid(SIDE as f64) as usize);
                    let here = &mut angle[y * SIDE + x];
                    *here = here.max(2.0 * (inside / (r / WALL).sinh().max(1e-9)).atan());
                }
            }
        }
        for y in (0..SIDE).step_by(bin) {
            for x in (0..SIDE).step_by(bin) {
                let rows = y..(y + bin).min(SIDE);
                let seen = rows.flat_map(|y| &angle[y * SIDE + x..y * SIDE + (x + bin).min(SIDE)]);
                let (sum, n) = seen.fold((0.0, 0.0), |(sum, n), a| (sum + 1.0 - a.cos(), n + 1.0));
                pixels.push((127.5 * sum / n).round() as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reversed cells of each frame of a film.
    fn areas(s: &Samples, i: usize) -> Vec<usize> {
        let frame = s.shape[0] * s.shape[1];
        s.train.pixels[i * s.size()..][..s.size()].chunks_exact(frame).map(|f| f.iter().filter(|p| **p > 127).count()).collect()
    }

    #[test]
    fn reversed_area_rests_grows_or_falls() {
        let s = films(12, 1, [60, 3]);
        assert_eq!((s.shape, s.classes, s.test.labels.len()), ([100, 100, 1], 3, 3));
        for i in 0..60 {
            let a = areas(&s, i);
            let (first, last) = (a[0] as f64, a[11] as f64);
            // A skyrmion covers about πR² = 79 cells; where two touch, a few less. Four at least come or go.
            match s.train.labels[i] {
                0 => assert!((last - first).abs() < 0.25 * first, "{a:?}"),
                1 => assert!(last > first + 150.0, "{a:?}"),
                _ => assert!(last < first - 150.0, "{a:?}"),
            }
        }
        assert!((0..3).all(|k| s.train.labels.iter().filter(|l| **l == k).count() > 10));
        // The series does not depend on how many are asked for.
        assert_eq!(films(12, 1, [5, 0]).train.pixels, s.train.pixels[..5 * s.size()]);
    }

    #[test]
    fn one_skyrmion_drifts_at_its_hall_angle() {
        // v = F/√(G² + α²𝒟²) at arctan(G/α𝒟) to the force: here 2 cells a frame, 73.3 degrees.
        let f = DRIFT * (1.0 + DRAG * DRAG).sqrt();
        let v = [DRAG * f / (1.0 + DRAG * DRAG), -f / (1.0 + DRAG * DRAG)];
        assert!((v[0].hypot(v[1]) - DRIFT).abs() < 1e-12);
        // The same, seen in the films: the mean over many of the way that matches the next frame best.
        let s = films(2, 2, [400, 0]);
        let mut sum = vec![0.0f64; 36];
        for i in (0..400).filter(|i| s.train.labels[*i] == 0) {
            let (a, b) = s.train.pixels[i * s.size()..][..s.size()].split_at(2500);
            for (k, sum) in sum.iter_mut().enumerate() {
                let (dx, dy) = ((k % 6) as i64 - 2, (k / 6) as i64 - 3);
                *sum += (0..2500i64)
                    .map(|q| {
                        let (x, y) = ((q % 50 - dx).rem_euclid(50), (q / 50 - dy).rem_euclid(50));
                        (f64::from(b[q as usize]) - f64::from(a[(y * 50 + x) as usize])).powi(2)
                    })
                    .sum::<f64>();
            }
        }
        let best = (0..36).min_by(|a, b| sum[*a].total_cmp(&sum[*b])).unwrap();
        // Half a picture's cells: (0.29, −0.96).
        assert_eq!(((best % 6) as i64 - 2, (best / 6) as i64 - 3), (0, -1));
    }
}
