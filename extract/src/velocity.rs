//! Velocity maps of a wall driven forward and left to return: v_f(H_ex, J), v_r(H_ex), and the borders between the regimes.
//!
//! The way `s` (m) counts from the start of the region of interest towards its end. Of each replica the first driven
//! stretch is "forward", the undriven one after it "reset":
//!
//! - **v_f** (m/s): slope of the straight line through `s(t)` (least squares) between the first passages of 25 % and 75 % of the way driven, which
//!   runs from where the wall stood when the drive came on to the furthest point it reached.
//! - **v_r** (m/s, positive towards the start): 0.8 L' over the time between the first passages of 0.9 L' and 0.1 L' after the drive
//!   went off, L' being the way from the start of the region to where the wall was at that moment.
//! - **reset**: back within `reset_distance` of the start no later than `reset_time` after the drive went off. Undecided if
//!   the record ends before `reset_time` with the wall still away.
//! - **driven**: advanced by more than `reset_distance` and at least half of the way it was meant to go (`x_stop`, or the end of the region).
//!
//! Walls are read as they are; nothing is inferred from the protocol's own reasons to stop.

use crate::trace::{column, crossing, stretches, tidy_unit};
use serde::Serialize;
use spinloom_base::{Diagnostic, Dimension, Problems};
use spinloom_card::Table;
use spinloom_record::Record;

/// Ends of the central part of the way, as shares of it.
const CENTRAL: [f64; 2] = [0.25, 0.75];
/// Ends of the part of the return that counts, as shares of the way driven.
const RETURN: [f64; 2] = [0.9, 0.1];
/// Share of the intended way below which a wall counts as not driven.
const DRIVEN_SHARE: f64 = 0.5;

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct VelocityOptions {
    /// Start and end of the region of interest (m from the centre of the box).
    pub roi: [f64; 2],
    /// Column of the drive.
    pub drive: String,
    /// Coordinate of the replicas (or parameter of the record) that is the opposing field.
    pub field: String,
    /// How near the start counts as back (m).
    pub reset_distance: f64,
    /// How soon (s).
    pub reset_time: f64,
}

/// What one replica did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VelocityRow {
    /// Index in the record.
    pub replica: usize,
    /// What the record calls it.
    pub label: String,
    /// Opposing field, in the record's unit (T).
    pub field: f64,
    /// Drive while on, in the record's unit (A/m^2).
    pub drive: f64,
    /// Where the drive was to stop (m from the centre of the box), if it varied.
    pub x_stop: Option<f64>,
    /// Furthest point while driven (m from the start of the region of interest).
    pub reached: f64,
    /// Whether the drive moved it.
    pub driven: bool,
    /// Forward velocity (m/s); not-a-number if it was not driven.
    pub v_f: f64,
    /// Return velocity (m/s); not-a-number if it did not come back far enough to tell.
    pub v_r: f64,
    /// Whether it came back in time; absent if it was not driven or the record ends too early.
    pub reset: Option<bool>,
    /// Time from the end of the drive to within the reset distance (s).
    pub t_reset: Option<f64>,
    /// Tilt of the wall when the drive went off (rad); not-a-number if not recorded.
    pub tilt: f64,
    /// Whether the wall left the strip.
    pub expelled: bool,
}

/// All replicas of a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VelocityMap {
    /// One row per replica.
    pub rows: Vec<VelocityRow>,
    /// Name and unit of the field.
    pub field: (String, String),
    /// Name and unit of the drive.
    pub drive: (String, String),
}

/// One point of a map: the mean over the copies that have a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MapPoint {
    /// Field.
    pub field: f64,
    /// Drive.
    pub drive: f64,
    /// Where the drive was to stop (m).
    pub x_stop: Option<f64>,
    /// Copies at this point.
    pub copies: usize,
    /// Mean forward velocity (m/s) and its standard deviation over copies.
    pub v_f: [f64; 2],
    /// Mean return velocity (m/s) and its standard deviation over copies.
    pub v_r: [f64; 2],
    /// Mean tilt at the start of the reset (rad).
    pub tilt: f64,
    /// Mean time to reset (s).
    pub t_reset: f64,
    /// Share of the copies that were driven.
    pub driven: f64,
    /// Share of the decided copies that came back in time.
    pub reset: f64,
    /// Copies whose wall left the strip.
    pub expelled: usize,
}

/// Borders between the regimes along the field, for one drive and one stop. A point with copies goes with the majority.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Regimes {
    /// Drive.
    pub drive: f64,
    /// Where the drive was to stop (m).
    pub x_stop: Option<f64>,
    /// Largest field, below those that reset, at which the wall is driven but does not come back.
    pub largest_without_reset: Option<f64>,
    /// Smallest field with reset.
    pub smallest_with_reset: Option<f64>,
    /// Largest field with reset.
    pub largest_with_reset: Option<f64>,
    /// Smallest field at which the drive does not move the wall.
    pub smallest_without_forward: Option<f64>,
    /// Fields that do not fit three regimes in a row.
    pub out_of_order: Vec<f64>,
    /// Fields driven whose record ends before a reset could be told.
    pub undecided: Vec<f64>,
    /// Field and value of the highest local maximum of |v_r| between its neighbours (m/s).
    pub v_r_peak: Option<[f64; 2]>,
    /// Field and value of the lowest local minimum of |v_r| below the peak, or of all if there is no peak (m/s).
    pub v_r_minimum: Option<[f64; 2]>,
}

impl VelocityMap {
    /// Measures every replica of a forward/reset record.
    ///
    /// # Errors
    /// Missing columns or coordinates; an empty region of interest.
    pub fn measure(record: &Record, options: &VelocityOptions) -> Result<VelocityMap, Problems> {
        let file = record.path().display().to_string();
        let header = record.header();
        let mut problems = Problems::new();
        if options.roi[0] == options.roi[1] {
            problems.push(Diagnostic::file(&file, "the region of interest has no length").hint("give its start and its end"));
        }
        let parameter = header.parameters.iter().find(|p| p.name == options.field);
        let mut field_unit = parameter.map_or("T".into(), |p| p.unit.clone());
        let mut fields = Vec::new();
        for replica in &header.replicas {
            match replica.coordinates.iter().find(|c| c.name == options.field) {
                Some(c) => {
                    field_unit = c.unit.clone();
                    fields.push(c.value);
                }
                None => fields.extend(parameter.and_then(|p| p.value.parse::<f64>().ok())),
            }
        }
        if fields.len() != header.replicas.len() {
            let mut names: Vec<&str> = header.replicas.iter().flat_map(|r| r.coordinates.iter().map(|c| c.name.as_str())).collect();
            names.sort_unstable();
            names.dedup();
            let hint = format!("its coordinates are {}", spinloom_base::diagnostics::one_of(names));
            problems.push(Diagnostic::file(&file, format!("not every replica has the coordinate `{}`", options.field)).hint(hint));
        }
        if problems.any_error() {
            return Err(problems);
        }
        let drive_unit = header.columns.iter().find(|c| c.name == options.drive).map_or(String::new(), |c| c.unit.clone());
        let has_tilt = header.columns.iter().any(|c| c.name == "wall_tilt");
        let mut rows = Vec::new();
        for (i, replica) in header.replicas.iter().enumerate() {
            let t = column(record, "t", i, Dimension::TIME)?;
            let x = column(record, "wall_x", i, Dimension::LENGTH)?;
            let drive = record.column(&options.drive, i)?;
            let tilt = if has_tilt { record.column("wall_tilt", i)? } else { Vec::new() };
            let coordinate = |name: &str| replica.coordinates.iter().find(|c| c.name == name).map(|c| c.value);
            rows.push(VelocityRow {
                replica: i,
                label: replica.label.clone(),
                field: fields[i],
                ..row(&t, &x, &drive, &tilt, coordinate(&options.drive), coordinate("x_stop"), options)
            });
        }
        let field = (options.field.clone(), tidy_unit(&field_unit));
        Ok(VelocityMap { rows, field, drive: (options.drive.clone(), tidy_unit(&drive_unit)) })
    }

    /// The map, averaged over copies, sorted by stop, drive and field.
    pub fn points(&self) -> Vec<MapPoint> {
        let key = |r: &VelocityRow| [r.x_stop.unwrap_or(f64::NEG_INFINITY), r.drive, r.field];
        let mut rows: Vec<&VelocityRow> = self.rows.iter().collect();
        rows.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
        rows.chunk_by(|a, b| key(a) == key(b))
            .map(|same| {
                let mean = |value: &dyn Fn(&VelocityRow) -> f64| mean_and_deviation(same.iter().map(|r| value(r)));
                let decided = same.iter().filter_map(|r| r.reset);
                MapPoint {
                    field: same[0].field,
                    drive: same[0].drive,
                    x_stop: same[0].x_stop,
                    copies: same.len(),
                    v_f: mean(&|r| r.v_f),
                    v_r: mean(&|r| r.v_r),
                    tilt: mean(&|r| if r.driven { r.tilt } else { f64::NAN })[0],
                    t_reset: mean(&|r| r.t_reset.unwrap_or(f64::NAN))[0],
                    driven: same.iter().filter(|r| r.driven).count() as f64 / same.len() as f64,
                    reset: decided.clone().filter(|r| *r).count() as f64 / decided.count() as f64,
                    expelled: same.iter().filter(|r| r.expelled).count(),
                }
            })
            .collect()
    }

    /// The borders between the regimes at a stop (`None`: at every stop), one entry per drive and stop.
    pub fn regimes(&self, x_stop: Option<f64>) -> Vec<Regimes> {
        // Stops are written as quantities with a unit: equal to rounding.
        let wanted = |p: &MapPoint| x_stop.is_none_or(|x| p.x_stop.is_some_and(|y| (x - y).abs() <= 1e-9 * x.abs().max(1e-9)));
        let points: Vec<MapPoint> = self.points().into_iter().filter(wanted).collect();
        points.chunk_by(|a, b| a.drive == b.drive && a.x_stop == b.x_stop).map(borders).collect()
    }

    /// v_f as a table of a card.
    pub fn table_v_f(&self) -> Table {
        self.table(
            "forward velocity: slope of the wall position between 25 % and 75 % of the way driven; mean and standard deviation over copies",
            &[("v_f", "m/s", &|p| p.v_f[0]), ("deviation", "m/s", &|p| p.v_f[1])],
        )
    }

    /// v_r as a table of a card.
    pub fn table_v_r(&self) -> Table {
        self.table(
            "return velocity between 90 % and 10 % of the way driven, time to reset, tilt at the start of the reset, share of copies that reset",
            &[
                ("v_r", "m/s", &|p| p.v_r[0]),
                ("deviation", "m/s", &|p| p.v_r[1]),
                ("t_reset", "s", &|p| p.t_reset),
                ("tilt", "rad", &|p| p.tilt),
                ("reset", "1", &|p| p.reset),
            ],
        )
    }

    /// The borders between the regimes as a table of a card.
    pub fn table_regimes(&self) -> Table {
        let regimes = self.regimes(None);
        let nan = |x: Option<f64>| x.unwrap_or(f64::NAN);
        let (field, unit) = (self.field.0.as_str(), self.field.1.as_str());
        let columns: [(String, &str, &dyn Fn(&Regimes) -> f64); 7] = [
            (self.drive.0.clone(), self.drive.1.as_str(), &|r| r.drive),
            ("x_stop".into(), "m", &|r| nan(r.x_stop)),
            (format!("largest {field} without reset"), unit, &|r| nan(r.largest_without_reset)),
            (format!("smallest {field} with reset"), unit, &|r| nan(r.smallest_with_reset)),
            (format!("largest {field} with reset"), unit, &|r| nan(r.largest_with_reset)),
            (format!("smallest {field} without forward motion"), unit, &|r| nan(r.smallest_without_forward)),
            (format!("{field} of the peak of v_r"), unit, &|r| nan(r.v_r_peak.map(|p| p[0]))),
        ];
        Table {
            about: "borders between no reset, reset and no forward motion, as sampled".into(),
            columns: columns.iter().map(|(name, unit, _)| (name.clone(), unit.to_string())).collect(),
            values: columns.iter().map(|(_, _, value)| regimes.iter().map(value).collect()).collect(),
        }
    }

    fn table(&self, about: &str, extra: &[(&str, &str, &dyn Fn(&MapPoint) -> f64)]) -> Table {
        let points = self.points();
        let mut table = Table { about: about.into(), columns: Vec::new(), values: Vec::new() };
        let mut add = |name: &str, unit: &str, value: &dyn Fn(&MapPoint) -> f64| {
            table.columns.push((name.into(), unit.into()));
            table.values.push(points.iter().map(value).collect());
        };
        add(&self.field.0, &self.field.1, &|p| p.field);
        add(&self.drive.0, &self.drive.1, &|p| p.drive);
        if points.iter().any(|p| p.x_stop.is_some()) {
            add("x_stop", "m", &|p| p.x_stop.unwrap_or(f64::NAN));
        }
        for (name, unit, value) in extra {
            add(name, unit, value);
        }
        add("copies", "1", &|p| p.copies as f64);
        table
    }
}

/// Mean and standard deviation (n - 1) of the numbers among some values.
pub(crate) fn mean_and_deviation(values: impl Iterator<Item = f64>) -> [f64; 2] {
    use statrs::statistics::Statistics;
    let values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    [(&values).mean(), (&values).std_dev()]
}

fn row(
    t: &[f64],
    x: &[f64],
    drive: &[f64],
    tilt: &[f64],
    named_drive: Option<f64>,
    x_stop: Option<f64>,
    o: &VelocityOptions,
) -> VelocityRow {
    let direction = (o.roi[1] - o.roi[0]).signum();
    let way = |x: f64| (x - o.roi[0]) * direction;
    let mut result = VelocityRow {
        replica: 0,
        label: String::new(),
        field: f64::NAN,
        drive: named_drive.unwrap_or_else(|| drive.iter().fold(0.0, |a, d| if d.abs() > f64::abs(a) { *d } else { a })),
        x_stop,
        reached: f64::NAN,
        driven: false,
        v_f: f64::NAN,
        v_r: f64::NAN,
        reset: None,
        t_reset: None,
        tilt: f64::NAN,
        expelled: x.iter().any(|x| !x.is_finite()),
    };
    let parts = stretches(t, drive);
    let Some(k) = parts.iter().position(|s| s.driven) else { return result };
    let s: Vec<f64> = x.iter().map(|&x| way(x)).collect();
    let (begin, off) = (parts[k].begin, parts[k].end);
    // From here to the end of the drive, or to where the wall left the strip.
    let present = (begin..=off).take_while(|&i| s[i].is_finite()).last();
    let Some(last) = present else { return result };
    let reached = (begin..=last).map(|i| s[i]).fold(f64::NEG_INFINITY, f64::max);
    result.reached = reached;
    let meant = x_stop.map_or((o.roi[1] - o.roi[0]).abs(), way) - s[begin];
    let advance = reached - s[begin];
    result.driven = advance > o.reset_distance && advance >= DRIVEN_SHARE * meant;
    if !result.driven {
        return result;
    }
    let level = |share: f64| s[begin] + share * advance;
    let first_above = |level: f64| (begin..=last).find(|&i| s[i] >= level).unwrap_or(last);
    let (a, b) = (first_above(level(CENTRAL[0])), first_above(level(CENTRAL[1])));
    result.v_f = if b >= a + 2 {
        slope(&t[a..=b], &s[a..=b])
    } else {
        // Too few rows between: the passages by straight lines.
        let passage = |i: usize, y: f64| if i > begin { crossing([t[i - 1], t[i]], [s[i - 1], s[i]], y) } else { t[i] };
        (CENTRAL[1] - CENTRAL[0]) * advance / (passage(b, level(CENTRAL[1])) - passage(a, level(CENTRAL[0])))
    };
    if last < off {
        return result; // expelled while driven: there is nothing left to return
    }
    result.tilt = tilt.get(off).copied().unwrap_or(f64::NAN);
    let Some(rest) = parts.get(k + 1) else { return result };
    let first_below = |level: f64| {
        (rest.begin + 1..=rest.end)
            .take_while(|&i| s[i].is_finite())
            .find(|&i| s[i] <= level)
            .map(|i| crossing([t[i - 1], t[i]], [s[i - 1], s[i]], level))
    };
    let passages = (first_below(RETURN[0] * s[off]), first_below(RETURN[1] * s[off]));
    if let (Some(from), Some(to)) = passages
        && to > from
    {
        result.v_r = (RETURN[0] - RETURN[1]) * s[off] / (to - from);
    }
    result.t_reset = first_below(o.reset_distance).map(|at| at - t[off]);
    let lost = (rest.begin..=rest.end).any(|i| !s[i].is_finite());
    // A run told to last `reset_time` ends within a step of it.
    let watched = t[rest.end] - t[off] >= 0.99 * o.reset_time;
    result.reset = match result.t_reset {
        Some(time) => Some(time <= o.reset_time),
        None => (lost || watched).then_some(false),
    };
    result
}

/// Slope of the straight line through points, least squares.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (xy, xx) = x.iter().zip(y).fold((0.0, 0.0), |(xy, xx), (x, y)| (xy + (x - mx) * (y - my), xx + (x - mx) * (x - mx)));
    xy / xx
}

/// Borders along points of one drive and stop, ascending in field.
fn borders(points: &[MapPoint]) -> Regimes {
    let driven = |p: &MapPoint| p.driven > 0.5;
    let reset = |p: &MapPoint| driven(p) && p.reset > 0.5;
    let stays = |p: &MapPoint| driven(p) && p.reset <= 0.5;
    let fields = |which: &dyn Fn(&MapPoint) -> bool| points.iter().filter(|p| which(p)).map(|p| p.field).collect::<Vec<f64>>();
    let with_reset = fields(&reset);
    let (first, last) = (with_reset.first().copied(), with_reset.last().copied());
    let largest_without_reset = fields(&|p| stays(p) && first.is_none_or(|f| p.field < f)).last().copied();
    let smallest_without_forward = fields(&|p| !driven(p)).first().copied();
    let odd = |p: &MapPoint| {
        let stays_late = stays(p) && first.is_some_and(|f| p.field > f);
        let moves_late = driven(p) && smallest_without_forward.is_some_and(|f| p.field > f);
        stays_late || moves_late
    };
    // |v_r| over the points that have one; only inner points can be extrema.
    let v: Vec<[f64; 2]> = points.iter().filter(|p| p.v_r[0].is_finite()).map(|p| [p.field, p.v_r[0].abs()]).collect();
    let inner =
        |sign: f64| v.windows(3).filter(move |w| sign * (w[1][1] - w[0][1]) > 0.0 && sign * (w[1][1] - w[2][1]) > 0.0).map(|w| w[1]);
    let v_r_peak = inner(1.0).max_by(|a, b| a[1].total_cmp(&b[1]));
    let v_r_minimum = inner(-1.0).filter(|m| v_r_peak.is_none_or(|p| m[0] < p[0])).min_by(|a, b| a[1].total_cmp(&b[1]));
    Regimes {
        drive: points[0].drive,
        x_stop: points[0].x_stop,
        largest_without_reset,
        smallest_with_reset: first,
        largest_with_reset: last,
        smallest_without_forward,
        out_of_order: fields(&odd),
        undecided: fields(&|p| driven(p) && p.reset.is_nan()),
        v_r_peak,
        v_r_minimum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> VelocityOptions {
        VelocityOptions { roi: [-100e-9, 100e-9], drive: "J".into(), field: "H_ex".into(), reset_distance: 10e-9, reset_time: 50e-9 }
    }

    /// Drive on for 2 ns (rows every 10 ps), then off; the wall moves at `v_f` up to `stop`, rests, and returns at `v_r`.
    fn wall(v_f: f64, v_r: f64, off: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let (mut t, mut x, mut j) = (vec![], vec![], vec![]);
        for i in 0..=200 {
            t.push(i as f64 * 1e-11);
            x.push(-100e-9 + v_f * t[i]);
            j.push(7e11);
        }
        let top = x[200];
        for i in 1..=(off / 1e-10) as usize {
            t.push(2e-9 + i as f64 * 1e-10);
            x.push((top - v_r * i as f64 * 1e-10).max(-100e-9));
            j.push(0.0);
        }
        (t, x, j)
    }

    #[test]
    fn velocities_of_a_wall_on_straight_lines() {
        let (t, x, j) = wall(80.0, 5.0, 60e-9);
        let r = row(&t, &x, &j, &vec![0.3; t.len()], None, Some(60e-9), &options());
        assert!((r.v_f - 80.0).abs() < 1e-6 && (r.v_r - 5.0).abs() < 1e-6, "{r:?}");
        // 160 nm driven, back within 10 nm after 150 nm at 5 m/s.
        assert!((r.t_reset.unwrap() - 30e-9).abs() < 1e-15 && r.reset == Some(true) && r.driven && !r.expelled && r.tilt == 0.3);
        // The same the other way round.
        let mirrored: Vec<f64> = x.iter().map(|x| -x).collect();
        let back = row(&t, &mirrored, &j, &[], None, Some(-60e-9), &VelocityOptions { roi: [100e-9, -100e-9], ..options() });
        assert_eq!((back.v_f, back.v_r, back.t_reset), (r.v_f, r.v_r, r.t_reset));
        assert!(back.tilt.is_nan());
    }

    #[test]
    fn a_reset_is_told_only_if_it_was_watched() {
        let of = |v_f: f64, v_r: f64, off: f64| {
            let (t, x, j) = wall(v_f, v_r, off);
            row(&t, &x, &j, &[], None, Some(60e-9), &options())
        };
        assert_eq!(of(80.0, 0.0, 60e-9).reset, Some(false));
        assert_eq!(of(80.0, 0.0, 20e-9).reset, None);
        assert_eq!(of(80.0, 2.5, 70e-9).reset, Some(false), "150 nm at 2.5 m/s take 60 ns");
        let crept = of(10.0, 0.0, 60e-9);
        assert!(!crept.driven && crept.reset.is_none() && crept.v_f.is_nan(), "20 nm of 160 nm is no forward motion");
    }

    #[test]
    fn an_expelled_wall_is_flagged_and_not_measured_further() {
        let (t, mut x, j) = wall(80.0, 5.0, 60e-9);
        x[150..].fill(f64::NAN);
        let r = row(&t, &x, &j, &[], None, Some(60e-9), &options());
        assert!(r.expelled && r.driven && (r.v_f - 80.0).abs() < 1e-6 && r.v_r.is_nan() && r.reset.is_none());
        let (t, mut x, j) = wall(80.0, 5.0, 60e-9);
        x[300..].fill(f64::NAN);
        let r = row(&t, &x, &j, &[], None, Some(60e-9), &options());
        assert!(r.expelled && r.reset == Some(false));
        let nowhere = row(&t, &vec![f64::NAN; t.len()], &j, &[], None, None, &options());
        assert!(nowhere.expelled && !nowhere.driven);
    }

    #[test]
    fn copies_go_with_the_majority_and_disorder_is_named() {
        let one = |field: f64, driven: bool, reset: Option<bool>, v_r: f64| VelocityRow {
            replica: 0,
            label: String::new(),
            field,
            drive: 7e11,
            x_stop: None,
            reached: 1e-7,
            driven,
            v_f: if driven { 100.0 } else { f64::NAN },
            v_r,
            reset,
            t_reset: None,
            tilt: 0.1,
            expelled: false,
        };
        let (yes, no, nan) = (Some(true), Some(false), f64::NAN);
        let rows = vec![
            one(0.00, true, no, nan),
            one(0.03, true, no, nan),
            one(0.03, true, yes, 1.0),
            one(0.03, true, no, nan),
            one(0.04, true, yes, 3.0),
            one(0.06, true, yes, 2.0),
            one(0.08, true, no, 2.5),
            one(0.10, true, yes, 4.0),
            one(0.12, true, yes, 3.5),
            one(0.16, true, None, nan),
            one(0.18, false, None, nan),
        ];
        let map = VelocityMap { rows, field: ("H_ex".into(), "T".into()), drive: ("J".into(), "A/m^2".into()) };
        let r = &map.regimes(None)[0];
        assert_eq!((r.largest_without_reset, r.smallest_with_reset), (Some(0.03), Some(0.04)));
        assert_eq!((r.largest_with_reset, r.smallest_without_forward), (Some(0.12), Some(0.18)));
        assert_eq!((&r.out_of_order[..], &r.undecided[..]), (&[0.08][..], &[0.16][..]));
        assert_eq!((r.v_r_peak, r.v_r_minimum), (Some([0.10, 4.0]), Some([0.06, 2.0])));
        let table = map.table_v_r();
        let share = &table.values[table.columns.iter().position(|c| c.0 == "reset").unwrap()];
        assert!((share[1] - 1.0 / 3.0).abs() < 1e-12 && share[8].is_nan());
    }
}
