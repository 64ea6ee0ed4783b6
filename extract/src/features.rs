//! Features of signals, found without being told where: states, dwell times, first passages, switching, ring-down.
//!
//! Signals are given as times and values; what is found becomes [`crate::Data`] for a model.

use crate::velocity::mean_and_deviation;

/// Two states of a signal: the centres of its lower and its upper half, and whether they are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoStates {
    /// Lower and upper level.
    pub levels: [f64; 2],
    /// Distance of the levels over the sum of their deviations; below about 2 there is one state with noise.
    pub separability: f64,
}

/// Two centres by alternation (S. P. Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982)), from the ends of the signal; none of a signal that is constant.
pub fn two_states(values: &[f64]) -> Option<TwoStates> {
    let [mut low, mut high] = crate::models::span(values);
    if low >= high {
        return None;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        let of = |upper: bool| mean_and_deviation(values.iter().copied().filter(|v| (*v > middle) == upper))[0];
        let next = [of(false), of(true)];
        if next == [low, high] {
            break;
        }
        [low, high] = next;
    }
    let middle = 0.5 * (low + high);
    let spread = |upper: bool| {
        let d = mean_and_deviation(values.iter().copied().filter(|v| (*v > middle) == upper))[1];
        if d.is_finite() { d } else { 0.0 }
    };
    Some(TwoStates { levels: [low, high], separability: (high - low) / (spread(false) + spread(true)).max(f64::MIN_POSITIVE) })
}

/// A stay in one state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dwell {
    /// +1 in the upper state, -1 in the lower.
    pub state: f64,
    /// How long (s).
    pub time: f64,
    /// Whether the record ended before the stay did.
    pub censored: bool,
}

/// Stays in two states. A state is left where the signal passes a quarter of the way from the other state: noise that only reaches the
/// middle ends no stay. The first stay is left out, since its beginning was not seen; the last is censored.
pub fn dwells(t: &[f64], values: &[f64], states: &TwoStates) -> Vec<Dwell> {
    let [low, high] = states.levels;
    let (down, up) = (low + 0.25 * (high - low), high - 0.25 * (high - low));
    let mut state = 0.0;
    let mut since: Option<f64> = None;
    let mut all = Vec::new();
    for (&t, &v) in t.iter().zip(values) {
        let next = if v >= up {
            1.0
        } else if v <= down {
            -1.0
        } else {
            state
        };
        if next != state {
            if let Some(from) = since {
                all.push(Dwell { state, time: t - from, censored: false });
            }
            // The very first state known is not a beginning that was seen.
            since = (state != 0.0).then_some(t);
            state = next;
        }
    }
    if let (Some(from), Some(&end)) = (since, t.last())
        && end > from
    {
        all.push(Dwell { state, time: end - from, censored: true });
    }
    all
}

/// When a signal first passes a level from the side it begins on, by linear interpolation; none if it never does.
pub fn first_passage(t: &[f64], values: &[f64], level: f64) -> Option<f64> {
    let above = values.first()? > &level;
    let at = values.iter().position(|v| (*v > level) != above)?;
    Some(crate::trace::crossing([t[at - 1], t[at]], [values[at - 1], values[at]], level))
}

/// Frequency (Hz) and rate at which the amplitude falls (1/s) of a ring-down about its last value: from the times of its crossings, and a line through the
/// logarithms of its peaks. None of a signal with fewer than three peaks.
pub fn ring_down(t: &[f64], values: &[f64]) -> Option<[f64; 2]> {
    // The last eighth is where it rests.
    let tail = values.len() - values.len() / 8 - 1;
    let rest = mean_and_deviation(values[tail..].iter().copied())[0];
    let off: Vec<f64> = values.iter().map(|v| v - rest).collect();
    let mut peaks: Vec<(f64, f64)> = Vec::new();
    for i in 1..off.len().saturating_sub(1) {
        let [a, b, c] = [off[i - 1].abs(), off[i].abs(), off[i + 1].abs()];
        if b >= a && b > c && off[i - 1] * off[i + 1] > 0.0 {
            // The parabola through three samples.
            let bend = a - 2.0 * b + c;
            let shift = if bend == 0.0 { 0.0 } else { 0.5 * (a - c) / bend };
            peaks.push((t[i] + shift * 0.5 * (t[i + 1] - t[i - 1]), b - 0.25 * (a - c) * shift));
        }
    }
    let largest = peaks.iter().fold(0.0, |m: f64, p| m.max(p.1));
    // Peaks below a fiftieth of the largest are noise and the error of the rest.
    let kept: Vec<(f64, f64)> = peaks.into_iter().take_while(|p| p.1 > 0.02 * largest).collect();
    if kept.len() < 3 {
        return None;
    }
    let (x, y): (Vec<f64>, Vec<f64>) = kept.iter().map(|p| (p.0, p.1.ln())).unzip();
    let [_, slope] = crate::models::line(&x, &y)?;
    // Two peaks, one on each side, per period.
    let frequency = 0.5 * (kept.len() - 1) as f64 / (x[x.len() - 1] - x[0]);
    Some([frequency, -slope])
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinloom_base::random::Stream;

    #[test]
    fn noise_that_reaches_the_middle_ends_no_stay() {
        let signal = [-1.0, -1.0, 1.0, 1.1, 0.1, -0.1, 0.9, 1.0, -1.0, -0.9, -1.1, 1.0, 1.0];
        let t: Vec<f64> = (0..signal.len()).map(|i| i as f64).collect();
        let states = two_states(&signal).unwrap();
        let d = dwells(&t, &signal, &states);
        assert_eq!(
            d.iter().map(|d| (d.state, d.time, d.censored)).collect::<Vec<_>>(),
            [(1.0, 6.0, false), (-1.0, 3.0, false), (1.0, 1.0, true)]
        );
    }

    #[test]
    fn dwell_times_of_telegraph_noise_have_their_means() {
        // Rates 1/5 and 1/20 per sample of 0.1.
        let mut random = Stream::new(3, 0);
        let (mut state, mut values, mut t) = (1.0, Vec::new(), Vec::new());
        for i in 0..200_000 {
            let rate = if state > 0.0 { 1.0 / 5.0 } else { 1.0 / 20.0 };
            if random.uniform() < 0.1 * rate {
                state = -state;
            }
            t.push(0.1 * f64::from(i));
            values.push(state + 0.1 * random.normal());
        }
        let states = two_states(&values).unwrap();
        // Distance 2 over two deviations of 0.1.
        assert!((states.separability - 10.0).abs() < 0.5, "{states:?}");
        let d = dwells(&t, &values, &states);
        for (state, truth) in [(1.0, 5.0), (-1.0, 20.0)] {
            let times: Vec<f64> = d.iter().filter(|d| d.state == state && !d.censored).map(|d| d.time).collect();
            let mean = times.iter().sum::<f64>() / times.len() as f64;
            // 800 stays: 3.5 % scatter; the sampling adds half a step.
            assert!((mean / truth - 1.0).abs() < 0.12, "{state}: {mean} of {}", times.len());
        }
    }

    #[test]
    fn a_ring_down_gives_frequency_and_rate() {
        let t: Vec<f64> = (0..4000).map(|i| f64::from(i) * 1e-12).collect();
        let v: Vec<f64> = t.iter().map(|t| 0.3 + 0.1 * (-t * 2e9).exp() * (std::f64::consts::TAU * 5e9 * t).cos()).collect();
        let [f, rate] = ring_down(&t, &v).unwrap();
        // The rest is known to e^-7 of the amplitude, against peaks of down to a fiftieth.
        assert!((f / 5e9 - 1.0).abs() < 5e-3 && (rate / 2e9 - 1.0).abs() < 2e-2, "{f} {rate}");
        assert_eq!(first_passage(&t[..2], &[0.0, 1.0], 0.25), Some(0.25e-12));
        assert_eq!(first_passage(&t[..2], &[0.0, 0.1], 0.25), None);
    }
}
