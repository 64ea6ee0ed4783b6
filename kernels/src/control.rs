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
}

impl Control {
    /// A block with the defaults of mumax3: first step 1e-15 s, `MaxErr` 1e-5, headroom 0.8, no upper limit.
    pub fn new() -> Self {
        Self { dt: 1e-15, dt_max: f64::INFINITY, max_err: 1e-5, headroom: 0.8, descent: 1e-4, ..Self::default() }
    }

    /// Starts an attempt: the step it will take.
    pub fn begin(&mut self) {
        let left = self.t_pause - self.t;
        let dt = self.dt.clamp(self.dt_min, self.dt_max);
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
            let next = (self.dt_now * factor).clamp(self.dt_min, self.dt_max);
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
