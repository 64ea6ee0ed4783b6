//! Compares with the world: standard problems, closed forms, other codes.
//!
//! Each problem is a function that runs the solver and returns a [`Report`]: what was asked, what came out, what is right,
//! how far apart they may be and why. The numbers to compare with lie in `reference/`, each file with its source.

pub mod dynamics;
pub mod statics;
pub mod textures;
pub mod thermal;
pub mod torques;

use std::fmt;

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is compared.
    pub what: String,
    /// What this program computed.
    pub got: f64,
    /// What is right.
    pub want: f64,
    /// How far apart they may be, absolutely.
    pub tolerance: f64,
    /// Why so far.
    pub reason: &'static str,
}

impl Check {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        (self.got - self.want).abs() <= self.tolerance
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "ok  " } else { "FAIL" };
        write!(f, "{verdict} {:<52} {:>13.6} (want {:.6} ± {:.2e}: {})", self.what, self.got, self.want, self.tolerance, self.reason)
    }
}

/// The outcome of one problem.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which problem.
    pub name: &'static str,
    /// Where it is stated.
    pub source: &'static str,
    /// Cells × evaluations, and seconds, for the record.
    pub work: String,
    /// The comparisons.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether all hold.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(Check::holds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} — {} [{}]", self.name, self.source, self.work)?;
        for c in &self.checks {
            writeln!(f, "  {c}")?;
        }
        Ok(())
    }
}

/// A problem: its name and how to run it.
pub struct Problem {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Runs it.
    pub run: fn() -> Report,
}

/// Every problem there is.
pub const PROBLEMS: &[Problem] = &[
    Problem { name: "prisms", about: "demagnetising factors of rectangular prisms", run: statics::prisms },
    Problem { name: "newell", about: "the demagnetising tensor between cells up to 1000 apart", run: statics::newell },
    Problem { name: "dmi1d", about: "DMI standard problem, one dimension", run: statics::dmi1d },
    Problem { name: "sp4-field1", about: "muMAG standard problem 4, field 1", run: dynamics::sp4_field1 },
    Problem { name: "sp4-field2", about: "muMAG standard problem 4, field 2", run: dynamics::sp4_field2 },
    Problem { name: "sp3", about: "muMAG standard problem 3, flower and vortex in a cube", run: textures::sp3 },
    Problem { name: "sp5", about: "muMAG standard problem 5, a vortex driven by a current", run: textures::sp5 },
    Problem { name: "dmi2d", about: "DMI standard problem, a skyrmion in a disk", run: textures::dmi2d },
    Problem { name: "macrospin", about: "damped precession of one spin", run: dynamics::macrospin },
    Problem { name: "wall-sot", about: "Néel wall driven by spin-orbit torque, both signs of J and D", run: dynamics::wall_sot },
    Problem { name: "slonczewski", about: "one spin under field, anisotropy and spin-transfer torque", run: torques::slonczewski },
    Problem { name: "stt", about: "reversal time and oscillation under spin-transfer torque", run: torques::stt },
    Problem { name: "walls", about: "Bloch walls driven by a field (Walker) and by a current (Zhang and Li)", run: torques::walls },
    Problem { name: "resonance", about: "Kittel's formula and exchange spin waves", run: torques::resonance },
    Problem { name: "layers", about: "two layers coupled across a spacer: spin flop and saturation", run: torques::layers },
    Problem { name: "fokker-planck", about: "decay of an ensemble of uniaxial macrospins", run: thermal::fokker_planck },
    Problem { name: "boltzmann", about: "uniaxial macrospins in equilibrium", run: thermal::boltzmann },
    Problem { name: "langevin", about: "superparamagnetic moment in a field", run: thermal::langevin },
];

/// The rows of a reference table; lines with `#` and the heading are skipped, text columns become not-a-number.
pub fn table(text: &str) -> Vec<Vec<f64>> {
    text.lines()
        .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        .skip(1)
        .map(|l| l.split(',').map(|c| c.trim().parse().unwrap_or(f64::NAN)).collect())
        .collect()
}

/// The magnetisation averaged over the mesh.
pub fn mean(m: &[f64]) -> [f64; 3] {
    let cells = m.len() / 3;
    std::array::from_fn(|c| m[c * cells..(c + 1) * cells].iter().sum::<f64>() / cells as f64)
}
