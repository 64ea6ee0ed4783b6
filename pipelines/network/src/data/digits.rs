//! Digits in a wavering hand: each is a few pen strokes from a small vector font, bent, sheared, turned and drawn with a pen of some width.

use super::Images;
use crate::encode::domain;
use spinloom_base::random::Stream;

/// Width and height of a picture (pixels).
pub(super) const SIDE: usize = 28;

/// A stroke: points in a box of width and height 1, y downwards, joined by a smooth curve (Catmull and Rom).
type Stroke = &'static [[f32; 2]];

/// One or more ways to write each digit.
const FONT: [&[&[Stroke]]; 10] = [
    &[
        &[&[[0.5, 0.0], [0.15, 0.2], [0.05, 0.55], [0.25, 0.95], [0.55, 1.0], [0.85, 0.75], [0.9, 0.35], [0.75, 0.08], [0.48, 0.0]]],
        &[&[[0.6, 0.02], [0.25, 0.15], [0.1, 0.5], [0.2, 0.9], [0.5, 1.0], [0.8, 0.8], [0.9, 0.45], [0.8, 0.1], [0.5, 0.05], [0.4, 0.15]]],
    ],
    &[
        &[&[[0.5, 0.0], [0.5, 0.35], [0.5, 0.7], [0.5, 1.0]]],
        &[&[[0.3, 0.2], [0.45, 0.08], [0.55, 0.0]], &[[0.55, 0.0], [0.55, 0.5], [0.55, 1.0]]],
    ],
    &[
        &[
            &[[0.1, 0.25], [0.25, 0.05], [0.55, 0.0], [0.8, 0.15], [0.8, 0.4], [0.5, 0.7], [0.1, 1.0]],
            &[[0.1, 1.0], [0.5, 0.97], [0.95, 0.98]],
        ],
        &[&[
            [0.15, 0.2],
            [0.4, 0.0],
            [0.75, 0.1],
            [0.75, 0.4],
            [0.4, 0.8],
            [0.12, 0.92],
            [0.2, 0.75],
            [0.45, 0.85],
            [0.7, 1.0],
            [0.95, 0.9],
        ]],
    ],
    &[&[
        &[[0.12, 0.12], [0.4, 0.0], [0.75, 0.1], [0.75, 0.35], [0.4, 0.48]],
        &[[0.4, 0.48], [0.8, 0.58], [0.88, 0.8], [0.6, 1.0], [0.25, 0.98], [0.05, 0.85]],
    ]],
    &[
        &[&[[0.2, 0.0], [0.15, 0.3], [0.12, 0.55]], &[[0.12, 0.55], [0.5, 0.58], [0.9, 0.52]], &[[0.75, 0.05], [0.72, 0.5], [0.7, 1.0]]],
        &[&[[0.65, 0.0], [0.4, 0.3], [0.08, 0.65]], &[[0.08, 0.65], [0.5, 0.65], [0.95, 0.62]], &[[0.65, 0.0], [0.65, 0.5], [0.65, 1.0]]],
    ],
    &[&[
        &[[0.85, 0.02], [0.55, 0.02], [0.25, 0.03]],
        &[[0.25, 0.03], [0.2, 0.25], [0.18, 0.45]],
        &[[0.18, 0.45], [0.5, 0.35], [0.82, 0.5], [0.85, 0.8], [0.55, 1.0], [0.25, 0.98], [0.08, 0.88]],
    ]],
    &[
        &[&[
            [0.7, 0.0],
            [0.4, 0.2],
            [0.18, 0.55],
            [0.2, 0.88],
            [0.5, 1.0],
            [0.8, 0.88],
            [0.82, 0.65],
            [0.55, 0.52],
            [0.25, 0.65],
            [0.2, 0.8],
        ]],
        &[&[[0.5, 0.0], [0.25, 0.35], [0.15, 0.7], [0.35, 0.98], [0.7, 0.95], [0.8, 0.72], [0.55, 0.58], [0.2, 0.72]]],
    ],
    &[
        &[&[[0.08, 0.05], [0.5, 0.03], [0.9, 0.05]], &[[0.9, 0.05], [0.6, 0.45], [0.4, 1.0]]],
        &[
            &[[0.08, 0.15], [0.12, 0.05], [0.5, 0.06], [0.88, 0.02]],
            &[[0.88, 0.02], [0.62, 0.5], [0.5, 1.0]],
            &[[0.35, 0.52], [0.6, 0.5], [0.85, 0.48]],
        ],
    ],
    &[
        &[&[
            [0.75, 0.12],
            [0.45, 0.0],
            [0.18, 0.15],
            [0.3, 0.4],
            [0.65, 0.58],
            [0.8, 0.82],
            [0.5, 1.0],
            [0.18, 0.85],
            [0.32, 0.58],
            [0.65, 0.4],
            [0.8, 0.2],
            [0.72, 0.1],
        ]],
        &[
            &[[0.5, 0.0], [0.2, 0.12], [0.25, 0.4], [0.5, 0.47], [0.75, 0.35], [0.78, 0.1], [0.5, 0.0]],
            &[[0.5, 0.47], [0.15, 0.65], [0.2, 0.92], [0.5, 1.0], [0.82, 0.9], [0.85, 0.62], [0.5, 0.47]],
        ],
    ],
    &[
        &[
            &[[0.8, 0.15], [0.5, 0.0], [0.18, 0.15], [0.2, 0.42], [0.5, 0.5], [0.78, 0.35], [0.82, 0.12]],
            &[[0.82, 0.12], [0.78, 0.55], [0.7, 1.0]],
        ],
        &[&[[0.78, 0.2], [0.5, 0.02], [0.2, 0.2], [0.3, 0.45], [0.6, 0.42], [0.78, 0.2], [0.8, 0.6], [0.6, 0.95], [0.25, 0.98]]],
    ],
];

/// Images `first..first + count` of the endless series that `seed` stands for.
pub(super) fn images(first: usize, count: usize, seed: u64) -> Images {
    let mut images = Images::default();
    for i in first..first + count {
        // A stream per image, so that an image does not depend on how many are asked for.
        let mut stream = Stream::new(seed, domain::DIGITS << 40 | i as u64);
        let label = stream.below(10);
        images.labels.push(label as u8);
        draw(label, &mut stream, &mut images.pixels);
    }
    images
}

/// Appends one picture.
fn draw(digit: usize, stream: &mut Stream, pixels: &mut Vec<u8>) {
    let mut normal = |sigma: f32| (stream.normal() as f32).clamp(-2.5, 2.5) * sigma;
    // Height near 20 of 28 pixels, as a person would write it; turned by up to some 20°, sheared, moved by a pixel or two.
    let (width, height) = (13.0 + normal(1.8), 19.0 + normal(1.3));
    let (sin, cos) = normal(0.13).sin_cos();
    let shear = 0.12 + normal(0.15);
    let centre = [SIDE as f32 / 2.0 + normal(1.0), SIDE as f32 / 2.0 + normal(1.0)];
    // Bends: half a sine along each axis moves the other coordinate.
    let (bend_x, bend_y) = ([normal(0.08), normal(0.05)], [normal(0.06), normal(0.04)]);
    let radius = (1.15 + normal(0.32)).max(0.55);
    let ink = (245.0 + normal(12.0)).min(255.0);
    let jitter = 0.028;
    let ways = FONT[digit];
    let way = ways[((normal(1.0).abs() * 1e4) as usize) % ways.len()];

    let mut segments: Vec<([f32; 2], [f32; 2])> = Vec::new();
    for stroke in way {
        let points: Vec<[f32; 2]> = stroke.iter().map(|p| [p[0] + normal(jitter), p[1] + normal(jitter)]).collect();
        let place = |p: [f32; 2]| {
            let (x, y) = (p[0] - 0.5, p[1] - 0.5);
            let x = x + bend_x[0] * (std::f32::consts::PI * (y + 0.5)).sin() + bend_x[1] * (std::f32::consts::TAU * y).sin();
            let y = y + bend_y[0] * (std::f32::consts::PI * (x + 0.5)).sin() + bend_y[1] * (std::f32::consts::TAU * x).sin();
            let (x, y) = ((x - shear * y) * width, y * height);
            [centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y]
        };
        let mut last = place(points[0]);
        for i in 0..points.len() - 1 {
            let at = |j: isize| points[j.clamp(0, points.len() as isize - 1) as usize];
            let i = i as isize;
            let (a, b, c, d) = (at(i - 1), at(i), at(i + 1), at(i + 2));
            for k in 1..=5 {
                let next = place(catmull_rom(a, b, c, d, k as f32 / 5.0));
                segments.push((last, next));
                last = next;
            }
        }
    }
    for y in 0..SIDE {
        for x in 0..SIDE {
            let p = [x as f32 + 0.5, y as f32 + 0.5];
            let square = segments.iter().map(|(a, b)| square_distance(p, *a, *b)).fold(f32::INFINITY, f32::min);
            // One pixel of soft edge.
            let cover = (radius + 0.5 - square.sqrt()).clamp(0.0, 1.0);
            pixels.push((ink * cover).round() as u8);
        }
    }
}

/// The curve through b (t = 0) and c (t = 1) with the neighbours a and d (Catmull and Rom 1974, tension ½).
fn catmull_rom(a: [f32; 2], b: [f32; 2], c: [f32; 2], d: [f32; 2], t: f32) -> [f32; 2] {
    std::array::from_fn(|i| {
        0.5 * (2.0 * b[i]
            + (c[i] - a[i]) * t
            + (2.0 * a[i] - 5.0 * b[i] + 4.0 * c[i] - d[i]) * t * t
            + (3.0 * b[i] - a[i] - 3.0 * c[i] + d[i]) * t * t * t)
    })
}

/// From a point to a segment.
fn square_distance(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (d, v) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length = (d[0] * d[0] + d[1] * d[1]).max(1e-12);
    let t = ((v[0] * d[0] + v[1] * d[1]) / length).clamp(0.0, 1.0);
    let e = [v[0] - t * d[0], v[1] - t * d[1]];
    e[0] * e[0] + e[1] * e[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_function_of_the_seed_and_look_like_ink_on_paper() {
        let images = images(0, 300, 4);
        assert_eq!(super::images(100, 5, 4).pixels, images.pixels[100 * SIDE * SIDE..105 * SIDE * SIDE]);
        assert_ne!(super::images(100, 5, 5).pixels, images.pixels[100 * SIDE * SIDE..105 * SIDE * SIDE]);
        assert!((0..10).all(|d| images.labels.iter().filter(|l| **l == d).count() > 10));
        let mean = images.pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / images.pixels.len() as f64 / 255.0;
        // MNIST has 0.13; what matters is that pictures are neither blank nor black.
        assert!(mean > 0.08 && mean < 0.2, "{mean}");
        for picture in images.pixels.chunks_exact(SIDE * SIDE) {
            // The thinnest pen draws a 1 of some 15 pixels' length.
            let ink = picture.iter().map(|p| u32::from(*p)).sum::<u32>() / 255;
            assert!(ink > 12, "a picture has ink for {ink} pixels only");
            let edge =
                (0..SIDE).flat_map(|i| [picture[i], picture[(SIDE - 1) * SIDE + i], picture[i * SIDE], picture[i * SIDE + SIDE - 1]]);
            assert!(edge.filter(|p| *p > 128).count() < 12, "a picture runs off the paper");
        }
    }
}
