//! Shapes: where in space a region or a geometry is. Coordinates in metres from the centre of the box.

use spinloom_base::{Dimension, Fields, Node, Problems};
use spinloom_kernels::Mesh;

/// A set of points.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Everything.
    All,
    /// An axis-parallel box: lower and upper bound per axis (m), either may be infinite.
    Box {
        /// Lower corner (m).
        from: [f64; 3],
        /// Upper corner (m).
        to: [f64; 3],
    },
    /// A cylinder along z over an ellipse: full lengths of its axes along x and y (m), centre (m).
    Ellipse {
        /// Full lengths along x and y (m).
        size: [f64; 2],
        /// Centre (m).
        centre: [f64; 2],
    },
    /// An ellipsoid: full lengths of its axes (m), centre (m).
    Ellipsoid {
        /// Full lengths (m).
        size: [f64; 3],
        /// Centre (m).
        centre: [f64; 3],
    },
    /// Points in any of them.
    Union(Vec<Shape>),
    /// Points in all of them.
    Intersection(Vec<Shape>),
    /// Points not in it.
    Not(Box<Shape>),
}

impl Shape {
    /// Whether a point (m) belongs to it.
    pub fn contains(&self, p: [f64; 3]) -> bool {
        match self {
            Shape::All => true,
            Shape::Box { from, to } => (0..3).all(|a| p[a] >= from[a] && p[a] < to[a]),
            Shape::Ellipse { size, centre } => (0..2).map(|a| (2.0 * (p[a] - centre[a]) / size[a]).powi(2)).sum::<f64>() <= 1.0,
            Shape::Ellipsoid { size, centre } => (0..3).map(|a| (2.0 * (p[a] - centre[a]) / size[a]).powi(2)).sum::<f64>() <= 1.0,
            Shape::Union(list) => list.iter().any(|s| s.contains(p)),
            Shape::Intersection(list) => list.iter().all(|s| s.contains(p)),
            Shape::Not(s) => !s.contains(p),
        }
    }

    /// The cells whose centres belong to it.
    pub fn cells(&self, mesh: &Mesh) -> Vec<usize> {
        let [nx, ny, nz] = mesh.n;
        let mut list = Vec::new();
        for z in 0..nz {
            for y in 0..ny {
                for x in 0..nx {
                    if self.contains(mesh.position(x, y, z)) {
                        list.push(mesh.index(x, y, z));
                    }
                }
            }
        }
        list
    }

    /// Reads `all`, `{box: {x: [a, b], …}}`, `{ellipse: {size: [a, b], centre: [x, y]}}`, `{ellipsoid: …}`, `{union: […]}`, `{intersection: […]}` or `{not: …}`.
    pub fn read(node: &Node, problems: &mut Problems) -> Option<Shape> {
        if let spinloom_base::Value::Text(_) = node.value {
            return node.choice(&["all"], problems).map(|_| Shape::All);
        }
        let mut f = Fields::of(node, "a shape", problems)?;
        let kinds = ["box", "ellipse", "ellipsoid", "union", "intersection", "not"].map(|k| (k, f.optional(k)));
        f.finish(problems);
        let given: Vec<_> = kinds.into_iter().filter_map(|(k, n)| n.map(|n| (k, n))).collect();
        let [(kind, inner)] = given[..] else {
            problems.push(node.error("a shape is exactly one of `box`, `ellipse`, `ellipsoid`, `union`, `intersection` and `not`"));
            return None;
        };
        let list =
            |problems: &mut Problems| -> Option<Vec<Shape>> { inner.list(problems)?.iter().map(|n| Shape::read(n, problems)).collect() };
        match kind {
            "box" => {
                let mut f = Fields::of(inner, "a box", problems)?;
                let (mut from, mut to) = ([f64::NEG_INFINITY; 3], [f64::INFINITY; 3]);
                for (axis, key) in ["x", "y", "z"].into_iter().enumerate() {
                    if let Some(n) = f.optional(key)
                        && let Some([a, b]) = n.vector::<2>(Dimension::LENGTH, problems)
                    {
                        if a >= b {
                            problems.push(n.error("the first end must be below the second"));
                        }
                        (from[axis], to[axis]) = (a, b);
                    }
                }
                f.finish(problems);
                Some(Shape::Box { from, to })
            }
            "ellipse" => {
                let (size, centre) = size_and_centre::<2>(inner, "an ellipse", problems)?;
                Some(Shape::Ellipse { size, centre })
            }
            "ellipsoid" => {
                let (size, centre) = size_and_centre::<3>(inner, "an ellipsoid", problems)?;
                Some(Shape::Ellipsoid { size, centre })
            }
            "union" => list(problems).map(Shape::Union),
            "intersection" => list(problems).map(Shape::Intersection),
            _ => Shape::read(inner, problems).map(|s| Shape::Not(Box::new(s))),
        }
    }
}

fn size_and_centre<const N: usize>(node: &Node, what: &str, problems: &mut Problems) -> Option<([f64; N], [f64; N])> {
    let mut f = Fields::of(node, what, problems)?;
    let size = f.required("size", problems).and_then(|n| {
        let size = n.vector::<N>(Dimension::LENGTH, problems)?;
        if size.iter().any(|s| *s <= 0.0) {
            problems.push(n.error("sizes must be greater than zero"));
        }
        Some(size)
    });
    let centre = match f.optional("centre") {
        Some(n) => n.vector::<N>(Dimension::LENGTH, problems),
        None => Some([0.0; N]),
    };
    f.finish(problems);
    Some((size?, centre?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algebra_counts_cells_as_by_hand() {
        let mesh = Mesh::new([10, 10, 1], [1e-9; 3]);
        let left = Shape::Box { from: [-5e-9, f64::NEG_INFINITY, f64::NEG_INFINITY], to: [0.0, f64::INFINITY, f64::INFINITY] };
        assert_eq!(left.cells(&mesh).len(), 50);
        let top = Shape::Box { from: [f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY], to: [f64::INFINITY; 3] };
        assert_eq!(Shape::Union(vec![left.clone(), top.clone()]).cells(&mesh).len(), 75);
        assert_eq!(Shape::Intersection(vec![left.clone(), Shape::Not(Box::new(top))]).cells(&mesh).len(), 25);
        // A disk of 10 cells across: pi/4 of 100 cells, 80 by counting centres within radius 5 (x² + y² ≤ 25 at half-odd places).
        assert_eq!(Shape::Ellipse { size: [10e-9; 2], centre: [0.0; 2] }.cells(&mesh).len(), 80);
    }
}
