//! Progress: a bar with the time left on a terminal, plain lines in a log.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows how far something is.
pub struct Meter {
    bar: ProgressBar,
    terminal: bool,
    started: Instant,
    told: Instant,
}

impl Meter {
    /// Starts at nothing.
    pub fn new(what: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar =
            ProgressBar::with_draw_target(Some(1000), if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} % {msg}, {eta} left") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_string());
        let now = Instant::now();
        Self { bar, terminal, started: now, told: now }
    }

    /// Shows a fraction (0 to 1) and a few words.
    pub fn show(&mut self, fraction: f64, words: &str) {
        self.bar.set_message(words.to_string());
        self.bar.set_position((1000.0 * fraction.clamp(0.0, 1.0)) as u64);
        if !self.terminal && self.told.elapsed() > Duration::from_secs(10) {
            self.told = Instant::now();
            let elapsed = self.started.elapsed().as_secs_f64();
            let left = if fraction > 0.0 { format!(", at most {:.0} s left", elapsed * (1.0 / fraction - 1.0)) } else { String::new() };
            eprintln!("{} {:.0} %: {words}{left}", self.bar.prefix(), 100.0 * fraction);
        }
    }

    /// Ends it with a last line.
    pub fn done(self, words: &str) {
        let prefix = self.bar.prefix();
        self.bar.finish_and_clear();
        eprintln!("{prefix}: {words}");
    }
}
