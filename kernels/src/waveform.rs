//! How a parameter moves in time.

/// A dimensionless factor on a parameter as a function of time. Data, not code, so that every device can evaluate it.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Waveform {
    /// Always 1.
    #[default]
    Constant,
    /// `offset + amplitude sin(2 pi frequency t + phase)`; frequency in Hz, phase in radians.
    Sine {
        /// Mean value.
        offset: f64,
        /// Amplitude.
        amplitude: f64,
        /// Hz.
        frequency: f64,
        /// Radians.
        phase: f64,
    },
    /// Straight lines between (time in s, factor) points; constant before the first and after the last.
    Linear(Vec<(f64, f64)>),
    /// Steps: from each (time in s, factor) point on, until the next; the first factor also before it.
    Steps(Vec<(f64, f64)>),
}

impl Waveform {
    /// The factor at time `t` (s).
    pub fn at(&self, t: f64) -> f64 {
        match self {
            Waveform::Constant => 1.0,
            Waveform::Sine { offset, amplitude, frequency, phase } => {
                offset + amplitude * (std::f64::consts::TAU * frequency * t + phase).sin()
            }
            Waveform::Linear(points) => {
                let after = points.partition_point(|p| p.0 <= t);
                match (after.checked_sub(1).map(|i| points[i]), points.get(after)) {
                    (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (t - a.0) / (b.0 - a.0),
                    (Some(a), None) => a.1,
                    (None, Some(b)) => b.1,
                    (None, None) => 1.0,
                }
            }
            Waveform::Steps(points) => {
                let after = points.partition_point(|p| p.0 <= t);
                points.get(after.saturating_sub(1)).map_or(1.0, |p| p.1)
            }
        }
    }

    /// The factor just before time `t` (s): at the end of a step that meets a jump, the value the step ran with.
    pub fn before(&self, t: f64) -> f64 {
        match self {
            Waveform::Steps(points) => {
                let earlier = points.partition_point(|p| p.0 < t);
                points.get(earlier.saturating_sub(1)).map_or(1.0, |p| p.1)
            }
            _ => self.at(t),
        }
    }

    /// The first time after `t` at which the factor jumps; a step must not run across it.
    pub fn next_jump(&self, t: f64) -> Option<f64> {
        match self {
            Waveform::Steps(points) => points.iter().map(|p| p.0).find(|&p| p > t),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waveforms_give_hand_values() {
        let ramp = Waveform::Linear(vec![(1.0, 0.0), (3.0, 4.0)]);
        assert_eq!([ramp.at(0.0), ramp.at(2.0), ramp.at(9.0)], [0.0, 2.0, 4.0]);
        let steps = Waveform::Steps(vec![(0.0, 1.0), (2.0, 0.0)]);
        assert_eq!([steps.at(1.999), steps.at(2.0), steps.before(2.0)], [1.0, 0.0, 1.0]);
        assert_eq!((steps.next_jump(0.5), steps.next_jump(2.0)), (Some(2.0), None));
        let sine = Waveform::Sine { offset: 1.0, amplitude: 2.0, frequency: 0.25, phase: 0.0 };
        assert!((sine.at(1.0) - 3.0).abs() < 1e-15);
    }
}
