//! The control block: what one replica's time stepping knows. It lies in device memory, so that a recorded plan can be
//! replayed unchanged; the host reads and writes it between replays.

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Status {
    /// Takes part in replays.
    #[default]
    Running,
    /// Has reached its pause time; waits for the host.
    Due,
    /// A value became not-a-number; waits for the host.
    NotANumber,
}

/// When the demagnetising field was last computed, and when it will be next: between samples it is extrapolated.
///
/// Through the last `order + 1` samples goes a polynomial in time; the laws see it as a field that depends on time. For the field as a
/// function of the state this is an Adams–Bashforth rule of order `order + 1`, for everything else the tableau's own:
/// a multirate method of the kind of C. W. Gear and D. R. Wells, BIT 24, 484 (1984), "fastest first". On the imaginary
/// axis it is stable up to 0.72 for order 2 (E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), section V.1).
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Sampling {
    /// Interval between samples (s): the controller's proposal, or what the user fixed.
    pub every: f64,
    /// Largest interval (s).
    pub longest: f64,
    /// Largest turn of a spin by the error of one interval (rad).
    pub max_err: f64,
    /// Whether `every` stays.
    pub fixed: bool,
    /// Degree of the polynomial, 0 to 2.
    pub order: u8,
    /// Times of the samples in the ring (s), by place.
    pub times: [f64; 3],
    /// How many of them hold.
    pub count: u8,
    /// Place of the newest.
    pub newest: u8,
    /// Samples taken since the start.
    pub taken: u64,
}

impl Sampling {
    /// The place the next sample takes.
    pub fn next_place(&self) -> usize {
        (usize::from(self.newest) + 1) % 3
    }

    /// Forgets all samples: the field has jumped.
    pub fn forget(&mut self) {
        self.count = 0;
        if !self.fixed {
            self.every *= 0.5;
        }
    }

    /// The weight of each place of the ring in the field at time `t`: Lagrange's polynomial through the samples that hold.
    pub fn weights(&self, t: f64) -> [f64; 3] {
        let points = usize::from(self.count.min(self.order + 1));
        let places = (0..points).map(|k| (usize::from(self.newest) + 3 - k) % 3);
        let mut weights = [0.0; 3];
        for i in places.clone() {
            weights[i] = places.clone().filter(|j| *j != i).map(|j| (t - self.times[j]) / (self.times[i] - self.times[j])).product();
        }
        weights
    }
}

/// Time, step and controller state of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Control {
    /// Time since the host's clock base (s).
    pub t: f64,
    /// Time at which to pause (s), on the same clock; a step never runs across it.
    pub t_pause: f64,
    /// Step the controller proposes (s).
    pub dt: f64,
    /// Step of the attempt in progress (s): `dt`, shortened so as to meet `t_pause`.
    pub dt_now: f64,
    /// Smallest step (s); at this step an attempt is accepted whatever its error.
    pub dt_min: f64,
    /// Largest step (s).
    pub dt_max: f64,
    /// Whether every attempt is accepted and `dt` stays.
    pub fixed: bool,
    /// Largest tolerated error per step: |Δm| in any cell, dimensionless, as mumax3's `MaxErr`.
    pub max_err: f64,
    /// Safety factor of the controller.
    pub headroom: f64,
    /// Error of the last attempt.
    pub err: f64,
    /// Largest |dm/dt| of any cell at the last evaluation that measured it (1/s).
    pub torque: f64,
    /// Accepted steps; also the index of the thermal noise.
    pub steps: u64,
    /// Attempts, accepted or not.
    pub attempts: u64,
    /// Evaluations of the right-hand side.
    pub evaluations: u64,
    /// Which of the two slots holds the state.
    pub slot: u8,
    /// Running or waiting.
    pub status: Status,
    /// Pseudo time step of the minimiser (dimensionless field over tesla).
    pub descent: f64,
    /// Results of reductions, in the order the plan makes them.
    pub sums: [f64; 3],
    /// Samples of the demagnetising field, where the plan extrapolates it.
    pub sampling: Sampling,
}

impl Control {
    /// A block with the defaults of mumax3: first step 1e-15 s, `MaxErr` 1e-5, headroom 0.8, no upper limit.
    pub fn new() -> Self {
        Self { dt: 1e-15, dt_max: f64::INFINITY, max_err: 1e-5, headroom: 0.8, descent: 1e-4, ..Self::default() }
    }

    /// All but slot and samples, as numbers: for checkpoints.
    pub fn numbers(&self) -> ([f64; 14], [u64; 5]) {
        let [a, b, c] = self.sums;
        let floats = [
            self.t,
            self.t_pause,
            self.dt,
            self.dt_now,
            self.dt_min,
            self.dt_max,
            self.max_err,
            self.headroom,
            self.err,
            self.torque,
            self.descent,
            a,
            b,
            c,
        ];
        let status = match self.status {
            Status::Running => 0,
            Status::Due => 1,
            Status::NotANumber => 2,
        };
        (floats, [u64::from(self.fixed), self.steps, self.attempts, self.evaluations, status])
    }

    /// The block with what [`Control::numbers`] gave, its own slot and samples.
    ///
    /// # Panics
    /// If there are fewer than 14 and 5 of them.
    pub fn with_numbers(self, f: &[f64], u: &[u64]) -> Self {
        Self {
            t: f[0],
            t_pause: f[1],
            dt: f[2],
            dt_now: f[3],
            dt_min: f[4],
            dt_max: f[5],
            max_err: f[6],
            headroom: f[7],
            err: f[8],
            torque: f[9],
            descent: f[10],
            sums: [f[11], f[12], f[13]],
            fixed: u[0] == 1,
            steps: u[1],
            attempts: u[2],
            evaluations: u[3],
            status: [Status::Running, Status::Due, Status::NotANumber][u[4].min(2) as usize],
            slot: self.slot,
            sampling: self.sampling,
        }
    }

    /// Starts an attempt: the step it will take.
    pub fn begin(&mut self) {
        let left = self.t_pause - self.t;
        let mut dt = self.dt.min(self.dt_max).max(self.dt_min);
        if self.sampling.longest > 0.0 {
            // There can be no more samples than steps.
            dt = dt.min(self.sampling.every);
        }
        // Two halves rather than a full step and a crumb.
        self.dt_now = if left <= dt * (1.0 + 1e-9) {
            left
        } else if left < 2.0 * dt && !self.fixed {
            0.5 * left
        } else {
            dt
        };
        self.attempts += 1;
    }

    /// Ends an attempt of a method whose error estimate has this order: accept or reject, next step, pause.
    ///
    /// Next step `dt · clamp(headroom · (MaxErr/err)^p, 1/2, 2)` with p = 1/(order+1) after acceptance and 1/(order+2) after
    /// rejection, as in mumax3; accepted if err ≤ MaxErr, or if the step is fixed or as small as allowed.
    pub fn end(&mut self, order: f64) {
        if !self.err.is_finite() || !self.torque.is_finite() {
            self.status = Status::NotANumber;
            return;
        }
        let accept = self.fixed || self.err <= self.max_err || self.dt_now <= self.dt_min;
        if !self.fixed {
            let p = if accept { 1.0 / (order + 1.0) } else { 1.0 / (order + 2.0) };
            let factor = if self.err > 0.0 { (self.headroom * (self.max_err / self.err).powf(p)).clamp(0.5, 2.0) } else { 2.0 };
            let next = (self.dt_now * factor).min(self.dt_max).max(self.dt_min);
            // A step that was only cut short to meet the pause says nothing about a longer one.
            self.dt = if accept && self.dt_now < self.dt { next.max(self.dt) } else { next };
        }
        if accept {
            self.accept();
        }
    }

    /// Time at the end of the attempt in progress (s). Exactly `t_pause` if the attempt meets it, so that a rate carried over from the last stage equals one computed anew.
    pub fn end_time(&self) -> f64 {
        if self.dt_now >= self.t_pause - self.t { self.t_pause } else { self.t + self.dt_now }
    }

    /// Time at which a stage of the attempt in progress is taken (s); `time` is in steps.
    pub fn stage_time(&self, time: f64) -> f64 {
        if time == 1.0 { self.end_time() } else { self.t + time * self.dt_now }
    }

    /// Whether the attempt that begins now needs a new sample: the step would end later than one interval after the last, or there are too few.
    pub fn sample_due(&self) -> bool {
        let s = &self.sampling;
        let last = s.times[usize::from(s.newest)];
        s.count == 0 || (self.t > last && (s.count <= s.order || self.t + self.dt_now - last > s.every * (1.0 + 1e-9)))
    }

    /// Takes note of a sample at the present time that differs from the extrapolated field by at most `error` (rad/s, as a precession), and
    /// chooses the next interval so that it turns no spin by more than the sampling's `max_err`.
    pub fn sampled(&mut self, error: f64) {
        let s = &mut self.sampling;
        let points = s.count.min(s.order + 1);
        let span = self.t - s.times[usize::from(s.newest)];
        if points > 0 && !s.fixed {
            // The error of a polynomial through n points grows like the n-th power of time: its integral is a part 1/(n+1) of error times span.
            let n = f64::from(points);
            let turn = error * span / (n + 1.0);
            let factor = if turn > 0.0 { (self.headroom * (s.max_err / turn).powf(1.0 / (n + 1.0))).clamp(0.2, 2.0) } else { 2.0 };
            // A span cut short by the steps says nothing about a longer one.
            let next = if factor > 1.0 { (span * factor).max(s.every) } else { span * factor };
            s.every = next.min(s.longest);
        }
        s.newest = s.next_place() as u8;
        s.times[usize::from(s.newest)] = self.t;
        s.count = (s.count + 1).min(3);
        s.taken += 1;
    }

    /// Takes the new state: flips the slot, moves the clock, pauses if it is time.
    pub fn accept(&mut self) {
        self.slot ^= 1;
        self.steps += 1;
        self.t = self.end_time();
        if self.t >= self.t_pause {
            self.status = Status::Due;
        }
    }
}
