//! The spin diode: rectified voltage over the frequency of the input.

use super::{About, Coefficient, Example, Model, Scatter, any, column, crossed, even, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// A symmetric and an antisymmetric line on an offset.
pub struct SpinDiode;

impl Model for SpinDiode {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 5] = [
            any("V_sym", "{V}", "frequencies within a linewidth of the resonance"),
            any("V_anti", "{V}", "frequencies a linewidth below and above the resonance"),
            positive("f_res", "s^-1", "frequencies on both sides of the resonance"),
            positive("half_width", "s^-1", "frequencies from the resonance to several linewidths away").stage(2),
            any("V_off", "{V}", "frequencies far from the resonance"),
        ];
        About {
            name: "spin-diode",
            kind: Kind::Oscillator,
            equation: "V = (V_sym w^2 + V_anti w (f - f_res))/[(f - f_res)^2 + w^2] + V_off, w = half_width",
            reference: "A. A. Tulapurkar et al., Nature 438, 339 (2005); line shapes of J. C. Sankey et al., Nat. Phys. 4, 67 (2008)",
            columns: const { &[column("f", Some(Dimension::FREQUENCY), "frequency of the input"), column("V", None, "rectified voltage")] },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("V"),
            derived: &[],
            axes: ["f", "V", ""],
            open: &["damping: half_width holds it times a factor of the equilibrium; lines in several fields give it"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("f").iter().zip(mean).for_each(|(f, m)| {
            let off = f - p[2];
            *m = (p[0] * p[3] * p[3] + p[1] * p[3] * off) / (off * off + p[3] * p[3]) + p[4];
        });
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (f, v) = (data.col("f"), data.col("V"));
        let ends = [f.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)), f.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))];
        let off = ends.iter().flatten().map(|e| v[e.0]).sum::<f64>() / 2.0;
        // The line is where the voltage is furthest from its ends.
        let Some(top) = (0..v.len()).max_by(|a, b| (v[*a] - off).abs().total_cmp(&(v[*b] - off).abs())) else { return Vec::new() };
        let height = v[top] - off;
        let range = span(f)[1] - span(f)[0];
        if height == 0.0 || range == 0.0 {
            return Vec::new();
        }
        let off = if off == 0.0 { 0.01 * height } else { off };
        super::grid(&[&[0.02, 0.08], &[-0.7, 0.3, 0.9]])
            .into_iter()
            .map(|g| vec![height, g[1] * height, f[top], g[0] * range, off])
            .collect()
    }

    fn example(&self) -> Example {
        Example {
            truth: vec![4e-5, -1.5e-5, 5.2e9, 1.2e8, 2e-6],
            sigma: 1e-6,
            design: crossed(&[("f", "Hz", &even(4e9, 6.5e9, 101))], 1, &[("V", "V", 0.0)]),
        }
    }
}
