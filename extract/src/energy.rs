//! What a pulse costs: Joule heat of a current that layers in contact share like sheet resistors in parallel.
//!
//! All layers see the same field E along the strip, fixed by the drive in the driven layer: E = J rho. The current is I = w E sum(t_i / rho_i), the
//! power P = E L I. Not included: leads and contacts, the read-out, the source that makes the field of the hard layer, spin currents.
//!
//! Without the resistivity of every layer nothing is computed; no value is filled in.

use serde::Serialize;
use spinloom_base::Dimension;

/// A resistivity and where it is from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resistivity {
    /// In Ohm m.
    pub value: f64,
    /// A citation, a measurement, or `assumed`.
    pub source: String,
}

/// A layer of the stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// What it is called.
    pub name: String,
    /// In m.
    pub thickness: f64,
    /// Absent where it is not known.
    pub resistivity: Option<Resistivity>,
}

/// The stack that carries the current.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stack {
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Index of the layer in which the drive, if a current density, flows (the heavy metal).
    pub driven: usize,
    /// Width of the strip (m).
    pub width: f64,
    /// Length along the current (m).
    pub length: f64,
}

impl Stack {
    /// Sheet conductance sum(t_i / rho_i) (1/Ohm); absent if any resistivity is.
    pub fn sheet_conductance(&self) -> Option<f64> {
        self.layers.iter().map(|l| Some(l.thickness / l.resistivity.as_ref()?.value)).sum()
    }

    /// Power (W) at a drive: a current density (A/m^2) in the driven layer, or a current (A) through the whole stack.
    /// Absent without resistivities, or where the drive is neither.
    pub fn power(&self, drive: f64, dimension: Dimension) -> Option<f64> {
        let sheet = self.sheet_conductance()?;
        let field = match dimension {
            Dimension::CURRENT_DENSITY => drive * self.layers.get(self.driven)?.resistivity.as_ref()?.value,
            Dimension::CURRENT => drive / (self.width * sheet),
            _ => return None,
        };
        Some(field * field * self.length * self.width * sheet)
    }

    /// Where the numbers come from, the assumed ones named.
    pub fn origin(&self) -> String {
        let layers: Vec<String> = self
            .layers
            .iter()
            .map(|l| match &l.resistivity {
                Some(r) => format!("{} {:e} m with {:e} Ohm m ({})", l.name, l.thickness, r.value, r.source),
                None => format!("{} {:e} m, resistivity unknown", l.name, l.thickness),
            })
            .collect();
        format!("Joule heat of the stack, {:e} m wide and {:e} m long, layers in parallel: {}", self.width, self.length, layers.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> Stack {
        let layer = |name: &str, thickness: f64, rho: f64| Layer {
            name: name.into(),
            thickness,
            resistivity: Some(Resistivity { value: rho, source: "assumed".into() }),
        };
        Stack { layers: vec![layer("Pt", 5e-9, 2e-7), layer("Co", 1e-9, 1e-7)], driven: 0, width: 64e-9, length: 400e-9 }
    }

    #[test]
    fn power_by_hand() {
        // E = 1e11 * 2e-7 = 2e4 V/m; sum t/rho = 0.025 + 0.01 = 0.035 S; I = 64e-9 * 2e4 * 0.035 = 44.8 uA; U = 8 mV; P = 0.3584 uW.
        let p = stack().power(1e11, Dimension::CURRENT_DENSITY).unwrap();
        assert!((p - 3.584e-7).abs() < 1e-18, "{p:e}");
        // The same as rho_parallel J_mean^2 volume: J_mean = I/(w 6 nm) = 1.1667e11, rho = 6e-9/0.035, volume = 1.536e-22 m3.
        let mean = 44.8e-6 / (64e-9 * 6e-9);
        assert!((p - 6e-9 / 0.035 * mean * mean * 1.536e-22).abs() < 1e-15);
        // And given as the current itself.
        assert!((stack().power(44.8e-6, Dimension::CURRENT).unwrap() - p).abs() < 1e-18);
    }

    #[test]
    fn one_layer_is_rho_j_squared_times_volume() {
        let mut one = stack();
        one.layers.pop();
        // 2e-7 * 1e22 * 5e-9 * 64e-9 * 400e-9 = 2.56e-7 W.
        assert!((one.power(1e11, Dimension::CURRENT_DENSITY).unwrap() - 2.56e-7).abs() < 1e-18);
    }

    #[test]
    fn nothing_is_invented() {
        let mut unknown = stack();
        unknown.layers[1].resistivity = None;
        assert_eq!(unknown.power(1e11, Dimension::CURRENT_DENSITY), None);
        assert_eq!(stack().power(1e11, Dimension::FIELD), None);
        assert!(stack().origin().contains("assumed") && unknown.origin().contains("resistivity unknown"));
    }
}
