//! Pictures of fields: a vector's direction as a colour, a number from black to white.

use crate::ovf::Ovf;
use image::{Rgb, RgbImage};

/// The layer `z` of a field seen from above, a pixel a cell, y upward. `at` gives a component of a cell. Vectors are shown by their direction: hue for
/// the azimuth (red is +x, then yellow, green, cyan is −x, blue, magenta), white for +z, black for −z, grey for none, saturation for the length beside the
/// largest. Numbers go from black to white over `range`, by default that of the whole field.
///
/// # Panics
/// If there is no such layer.
pub fn picture(n: [usize; 3], z: usize, components: usize, range: Option<[f64; 2]>, at: impl Fn(usize, usize) -> f64) -> RgbImage {
    let [nx, ny, nz] = n;
    assert!(z < nz, "layer {z} of {nz}");
    let cells = nx * ny * nz;
    let vector = |i: usize| [0, 1, 2].map(|c| at(c, i));
    let [low, high] = range.unwrap_or_else(|| {
        let values = (0..cells).flat_map(|i| (0..components).map(move |c| (c, i))).map(|(c, i)| at(c, i)).filter(|v| v.is_finite());
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)])
    });
    let largest = if components == 3 { (0..cells).map(|i| norm(vector(i))).fold(0.0, f64::max) } else { 0.0 };
    RgbImage::from_fn(nx as u32, ny as u32, |x, y| {
        let i = (z * ny + ny - 1 - y as usize) * nx + x as usize;
        Rgb(if components == 3 {
            let v = vector(i);
            if largest == 0.0 || norm(v) == 0.0 { [128; 3] } else { direction_colour(v.map(|c| c / largest)) }
        } else if high > low {
            [(255.0 * (at(0, i) - low) / (high - low)).round() as u8; 3]
        } else {
            [128; 3]
        })
    })
}

impl Ovf {
    /// The [`picture`] of a layer.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn picture(&self, z: usize, range: Option<[f64; 2]>) -> RgbImage {
        let width = self.components();
        picture(self.mesh.n, z, width, range, |c, i| self.data[i * width + c])
    }
}

fn norm(v: [f64; 3]) -> f64 {
    v.iter().map(|c| c * c).sum::<f64>().sqrt()
}

/// Hue from the azimuth, lightness from z.
pub fn direction_colour(v: [f64; 3]) -> [u8; 3] {
    let (h, s, l) = (v[1].atan2(v[0]) / std::f64::consts::FRAC_PI_3, norm(v), 0.5 + 0.5 * v[2]);
    let h = h.rem_euclid(6.0);
    let chroma = if l <= 0.5 { 2.0 * l * s } else { s * (2.0 - 2.0 * l) };
    let x = chroma * (1.0 - (h % 2.0 - 1.0).abs());
    let (r, g, b) = match h as u8 {
        0 => (chroma, x, 0.0),
        1 => (x, chroma, 0.0),
        2 => (0.0, chroma, x),
        3 => (0.0, x, chroma),
        4 => (x, 0.0, chroma),
        _ => (chroma, 0.0, x),
    };
    let m = l - 0.5 * chroma;
    [r, g, b].map(|c| (255.0 * (c + m)).clamp(0.0, 255.0).round() as u8)
}
