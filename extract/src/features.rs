//! Features of signals, found without being told where: states, dwell times, first passages, switching, ring-down.
//!
//! Signals are given as times and values; what is found becomes [`crate::Data`] for a model.

use crate::velocity::mean_and_deviation;
use realfft::{RealFftPlanner, num_complex::Complex};

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

/// When a signal has moved by `change` from where it is on the last row of the first time, by linear interpolation; none if it never has. Times that stand still
/// (a clock that counts ageing only) belong to one read, of which the last row counts.
pub fn first_departure(t: &[f64], values: &[f64], change: f64) -> Option<f64> {
    let reads: Vec<usize> = (0..t.len()).filter(|&i| i + 1 == t.len() || t[i + 1] > t[i]).collect();
    let off: Vec<f64> = reads.iter().map(|&i| (values[i] - values[*reads.first().unwrap_or(&0)]).abs()).collect();
    first_passage(&reads.iter().map(|&i| t[i]).collect::<Vec<_>>(), &off, change)
}

/// Of two pulses of a drive: the time from the end of the first to the start of the second, with the sign of the second, and what the signal has changed by between
/// the ends (the last quarters) of the rests before and after. None unless there are two pulses with a rest on either side and between them.
pub fn pair(t: &[f64], values: &[f64], drive: &[f64]) -> Option<[f64; 2]> {
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    let mut from = 0;
    let mut pulses = Vec::new();
    for stretch in drive.chunk_by(|a, b| sign(*a) == sign(*b)) {
        let to = from + stretch.len();
        if stretch[0] != 0.0 {
            // A row ends the interval before it: the rows of a pulse lie behind its start.
            pulses.push(([from.saturating_sub(1), to - 1], sign(stretch[0])));
        }
        from = to;
    }
    let rests = drive.first().zip(drive.last()).is_some_and(|(a, b)| *a == 0.0 && *b == 0.0);
    let reads = reads_at_rest(values, drive);
    match (&pulses[..], &reads[..]) {
        (&[([_, first], _), ([second, _], last)], [before, .., after]) if rests && second > first => {
            Some([last * (t[second] - t[first]), after - before])
        }
        _ => None,
    }
}

/// Of every pulse of a drive: the time from the end of the one before (of the first: from the start) to its start, and what the signal changes by while it lasts. A pulse
/// that begins with the first row is none: nothing is known from before it.
pub fn train(t: &[f64], values: &[f64], drive: &[f64]) -> Vec<[f64; 2]> {
    let (mut from, mut before) = (0, 0);
    let mut found = Vec::new();
    for stretch in drive.chunk_by(|a, b| (*a == 0.0) == (*b == 0.0)) {
        let to = from + stretch.len();
        if stretch[0] != 0.0 {
            if from > 0 {
                // As above: the rows of a pulse lie behind its start.
                found.push([t[from - 1] - t[before], values[to - 1] - values[from - 1]]);
            }
            before = to - 1;
        }
        from = to;
    }
    found
}

/// Where a signal is farthest from zero between two of its crossings: times and distances, by the parabola through three samples.
fn peaks(t: &[f64], off: &[f64]) -> Vec<(f64, f64)> {
    let mut peaks = Vec::new();
    for i in 1..off.len().saturating_sub(1) {
        let [a, b, c] = [off[i - 1].abs(), off[i].abs(), off[i + 1].abs()];
        if b >= a && b > c && off[i - 1] * off[i + 1] > 0.0 {
            let bend = a - 2.0 * b + c;
            let shift = if bend == 0.0 { 0.0 } else { 0.5 * (a - c) / bend };
            peaks.push((t[i] + shift * 0.5 * (t[i + 1] - t[i - 1]), b - 0.25 * (a - c) * shift));
        }
    }
    peaks
}

/// Frequency (Hz) and rate at which the amplitude falls (1/s) of a ring-down about its last value: from the times of its crossings, and a line through the
/// logarithms of its peaks. None of a signal with fewer than three peaks.
pub fn ring_down(t: &[f64], values: &[f64]) -> Option<[f64; 2]> {
    // The last eighth is where it rests.
    let tail = values.len() - values.len() / 8 - 1;
    let rest = mean_and_deviation(values[tail..].iter().copied())[0];
    let peaks = peaks(t, &values.iter().map(|v| v - rest).collect::<Vec<_>>());
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

/// A line of a spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectralLine {
    /// Where it is highest (Hz).
    pub frequency: f64,
    /// Mean square of the signal in it.
    pub power: f64,
    /// Half its width at half its height (Hz). Of a line narrower than the record resolves, that of the window, 0.72 over the length of the record.
    pub half_width: f64,
}

/// Σ w x exp(−2πi kj/n) for k = 0..=n/2 of values without their mean x, through Hann's window w = ½ − ½ cos(2πj/n), whose sum is n/2.
pub fn windowed_spectrum(values: &[f64]) -> Vec<Complex<f64>> {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos();
    let mut windowed: Vec<f64> = values.iter().enumerate().map(|(i, v)| (v - mean) * hann(i)).collect();
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(n);
    let mut spectrum = transform.make_output_vec();
    transform.process(&mut windowed, &mut spectrum).expect("lengths are the planner's own");
    spectrum
}

/// Lines of the spectrum of an evenly sampled signal, the strongest first: maxima that stand above all else within four bins, thirty times above the median of the spectrum and a
/// thousandth of the highest. Hann's window (F. J. Harris, Proc. IEEE 66, 51 (1978), section V.C); frequency by the parabola through the logarithms of three bins.
pub fn spectral_lines(t: &[f64], values: &[f64]) -> Vec<SpectralLine> {
    let n = values.len();
    if n < 32 {
        return Vec::new();
    }
    let spectrum = windowed_spectrum(values);
    // One-sided; the mean square of the window is 3/8.
    let power: Vec<f64> = spectrum.iter().map(|c| 2.0 * c.norm_sqr() / (0.375 * (n * n) as f64)).collect();
    let bin = (n - 1) as f64 / (n as f64 * (t[n - 1] - t[0]));
    let mut sorted = power.clone();
    sorted.sort_by(f64::total_cmp);
    let highest = sorted[sorted.len() - 1];
    let floor = (30.0 * sorted[sorted.len() / 2]).max(1e-3 * highest);
    let mut lines = Vec::new();
    for k in 2..power.len() - 2 {
        let around = k.saturating_sub(4)..(k + 5).min(power.len());
        if power[k] <= floor || around.clone().any(|j| j != k && power[j] >= power[k]) {
            continue;
        }
        let [a, b, c] = [-1i32, 0, 1].map(|d| power[(k as i32 + d) as usize].ln());
        let shift = 0.5 * (a - c) / (a - 2.0 * b + c);
        // Out to where it has fallen to a half on either side, between bins by straight lines.
        let half = 0.5 * (b - 0.25 * (a - c) * shift).exp();
        let fall = |step: i32| {
            let mut j = k as i32;
            while (1..power.len() as i32 - 1).contains(&j) && power[j as usize] > half {
                j += step;
            }
            let (inner, outer) = (power[(j - step) as usize], power[j as usize]);
            f64::from((j - step).abs_diff(k as i32)) + ((inner - half) / (inner - outer)).clamp(0.0, 1.0)
        };
        let half_bins = 0.5 * (fall(1) + fall(-1));
        let reach = (4.0 * half_bins).ceil().max(3.0) as usize;
        let share = power[k.saturating_sub(reach)..(k + reach + 1).min(power.len())].iter().sum();
        lines.push(SpectralLine { frequency: (k as f64 + shift) * bin, power: share, half_width: half_bins * bin });
    }
    lines.sort_by(|a, b| b.power.total_cmp(&a.power));
    lines
}

/// An oscillation that settles: frequency (Hz), squared amplitude and, where it approached its amplitude slowly enough to be seen, the rate Gamma_p with which: half the rate at
/// which the squared amplitude does (A. Slavin and V. Tiberkevich, IEEE Trans. Magn. 45, 1875 (2009)).
pub fn oscillation(t: &[f64], values: &[f64]) -> Option<(f64, f64, Option<f64>)> {
    let half = values.len() / 2;
    let line = *spectral_lines(&t[half..], &values[half..]).first()?;
    let rest = mean_and_deviation(values[half..].iter().copied())[0];
    let squares: Vec<(f64, f64)> =
        peaks(t, &values.iter().map(|v| v - rest).collect::<Vec<_>>()).into_iter().map(|p| (p.0, p.1 * p.1)).collect();
    let since = |share: f64| squares.iter().filter(move |p| p.0 > t[0] + share * (t[t.len() - 1] - t[0])).map(|p| p.1);
    let [end, before] = [mean_and_deviation(since(0.75))[0], mean_and_deviation(since(0.5))[0]];
    // What still grows or falls by a twentieth between the last half and the last quarter has not settled.
    let settled = (end / before - 1.0).abs() < 0.05;
    if !settled {
        return None;
    }
    let (x, y): (Vec<f64>, Vec<f64>) = squares
        .iter()
        .map(|p| (p.0, (p.1 / end - 1.0).abs()))
        .skip_while(|p| p.1 > 0.5)
        .take_while(|p| p.1 > 0.05)
        .map(|p| (p.0, p.1.ln()))
        .unzip();
    let rate = (x.len() >= 6).then(|| crate::models::line(&x, &y)).flatten().map(|[_, slope]| -0.5 * slope).filter(|r| *r > 0.0);
    Some((line.frequency, 2.0 * line.power, rate))
}

/// Reads of a signal: the means over the later half of every stretch of five rows or more that stays within an eighth of `distance` from its own mean.
pub fn plateaus(values: &[f64], distance: f64) -> Vec<f64> {
    let mut reads = Vec::new();
    let mut stretch: Vec<f64> = Vec::new();
    let mut close = |stretch: &mut Vec<f64>| {
        if stretch.len() >= 5 {
            reads.push(mean_and_deviation(stretch[stretch.len() / 2..].iter().copied())[0]);
        }
        stretch.clear();
    };
    for v in values {
        let mean = stretch.iter().sum::<f64>() / stretch.len().max(1) as f64;
        if !stretch.is_empty() && (v - mean).abs() > 0.125 * distance {
            close(&mut stretch);
        }
        stretch.push(*v);
    }
    close(&mut stretch);
    reads
}

/// Reads of a signal where a drive rests: one of each stretch without drive, the mean over its last quarter.
pub fn reads_at_rest(values: &[f64], drive: &[f64]) -> Vec<f64> {
    let stretches = drive.chunk_by(|a, b| (*a == 0.0) == (*b == 0.0));
    let mut from = 0;
    let mut reads = Vec::new();
    for stretch in stretches {
        let to = from + stretch.len();
        if stretch[0] == 0.0 {
            reads.push(mean_and_deviation(values[to - stretch.len().div_ceil(4)..to].iter().copied())[0]);
        }
        from = to;
    }
    reads
}

/// The level of each read, from 0: reads less than `distance` above the one below them are of its level.
pub fn levels(reads: &[f64], distance: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..reads.len()).collect();
    order.sort_by(|a, b| reads[*a].total_cmp(&reads[*b]));
    let mut level = vec![0.0; reads.len()];
    for pair in order.windows(2) {
        level[pair[1]] = level[pair[0]] + f64::from(u8::from(reads[pair[1]] - reads[pair[0]] >= distance));
    }
    level
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
    fn a_pair_of_pulses_has_its_order_and_its_change() {
        let t: Vec<f64> = (0..40).map(f64::from).collect();
        // The first pulse is negative, the second positive, and the other way round; a read settles before its end.
        for order in [1.0, -1.0] {
            let drive: Vec<f64> = (0..40)
                .map(|i| {
                    if (8..10).contains(&i) {
                        -order
                    } else if (13..15).contains(&i) {
                        order
                    } else {
                        0.0
                    }
                })
                .collect();
            let w: Vec<f64> = (0..40)
                .map(|i| {
                    if i < 2 {
                        5.0
                    } else if i < 14 {
                        1.0
                    } else {
                        1.0 + 0.25 * order
                    }
                })
                .collect();
            assert_eq!(pair(&t, &w, &drive), Some([3.0 * order, 0.25 * order]));
            assert_eq!(pair(&t[..14], &w[..14], &drive[..14]), None, "no rest after");
            assert_eq!(pair(&t[10..], &w[10..], &drive[10..]), None, "one pulse");
        }
        // Pulses that touch have no time between them that a sign could mark.
        assert_eq!(pair(&t[..5], &[0.0, 0.0, 0.0, 3.0, 3.0], &[0.0, -1.0, 1.0, 0.0, 0.0]), None);
    }

    #[test]
    fn a_departure_is_timed_by_a_clock_that_stands_still_between() {
        let clock = [0.0, 0.0, 1.0, 1.0, 3.0, 3.0];
        // The first read ends at 2; it has moved by 1 after 1 and by 3 after 3.
        let signal = [9.0, 2.0, 7.0, 1.0, 0.0, 5.0];
        assert_eq!(first_departure(&clock, &signal, 2.0), Some(2.0));
        assert_eq!(first_departure(&clock, &signal, 4.0), None);
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

    #[test]
    fn lines_are_found_with_their_power_and_width() {
        // 5 GHz of amplitude 0.3, 8.1 GHz of 0.05, noise of 0.01, 20 ns.
        let mut random = Stream::new(4, 0);
        let t: Vec<f64> = (0..4000).map(|i| f64::from(i) * 5e-12).collect();
        let wave = |f: f64, t: f64| (std::f64::consts::TAU * f * t).cos();
        let v: Vec<f64> = t.iter().map(|t| 0.7 + 0.3 * wave(5.013e9, *t) + 0.05 * wave(8.1e9, *t) + 0.01 * random.normal()).collect();
        let found = spectral_lines(&t, &v);
        assert_eq!(found.len(), 2, "{found:?}");
        // A bin is 50 MHz, the parabola is right to a twentieth of it.
        for (line, f, a) in [(found[0], 5.013e9, 0.3), (found[1], 8.1e9, 0.05)] {
            assert!((line.frequency - f).abs() < 3e6 && (line.power / (0.5 * a * a) - 1.0).abs() < 0.05, "{line:?}");
            assert!((line.half_width / (0.72 * 50e6) - 1.0).abs() < 0.15, "{line:?}");
        }
        // A damped one: a Lorentzian of half width rate/2 pi, 0.32 GHz.
        let v: Vec<f64> = t.iter().map(|t| (-t * 2e9).exp() * wave(5e9, *t - 1e-9)).collect();
        assert!(spectral_lines(&t[..400], &v[..400]).first().is_some_and(|l| (l.frequency - 5e9).abs() < 0.2e9));
    }

    #[test]
    fn an_oscillation_settles_with_its_rate() {
        // Slavin's power: p' = -2 Gamma_p (p - p_0) near p_0, here all the way.
        let t: Vec<f64> = (0..4000).map(|i| f64::from(i) * 5e-12).collect();
        let v: Vec<f64> =
            t.iter().map(|t| (0.04 * (1.0 - (-2.0 * t * 0.4e9).exp())).sqrt() * (std::f64::consts::TAU * 6e9 * t).sin()).collect();
        let (f, power, rate) = oscillation(&t, &v).unwrap();
        assert!(
            (f - 6e9).abs() < 1e7 && (power / 0.04 - 1.0).abs() < 0.02 && (rate.unwrap() / 0.4e9 - 1.0).abs() < 0.03,
            "{f} {power} {rate:?}"
        );
        // One that dies away has not settled.
        let v: Vec<f64> = t.iter().map(|t| (-t * 0.4e9).exp() * (std::f64::consts::TAU * 6e9 * t).sin()).collect();
        assert!(oscillation(&t, &v).is_none());
    }

    #[test]
    fn a_staircase_has_its_levels() {
        let mut random = Stream::new(8, 0);
        let v: Vec<f64> = [0.0, 1.0, 2.0, 1.0, 3.0].iter().flat_map(|l| [*l; 20]).map(|l: f64| l + 0.01 * random.normal()).collect();
        let reads = plateaus(&v, 0.5);
        assert_eq!(levels(&reads, 0.5), [0.0, 1.0, 2.0, 1.0, 3.0], "{reads:?}");
        // A read of each rest, from its end.
        let drive: Vec<f64> = (0..20).map(|i| if i % 10 < 2 { 1.0 } else { 0.0 }).collect();
        let ramp: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(reads_at_rest(&ramp, &drive), [8.5, 18.5]);
    }
}
