//! What SIGTERM and SIGINT do. Batch systems announce a kill by the first, people press Ctrl-C for the second: a simulation then commits and
//! ends; where there is nothing to commit, or at the second signal, the program ends at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Exit code of a run that was stopped and can be resumed: `EX_TEMPFAIL` of BSD's `sysexits.h`, "the user is invited to try again".
pub const RESUME_ME: u8 = 75;

struct Flags {
    stop: Arc<AtomicBool>,
    at_once: Arc<AtomicBool>,
}

static FLAGS: OnceLock<Flags> = OnceLock::new();

/// While it lives, the first signal only sets `stop`.
pub struct Watch {
    /// For whoever computes.
    pub stop: Arc<AtomicBool>,
}

/// Begins to hold signals back.
pub fn watch() -> Watch {
    let flags = FLAGS.get_or_init(|| {
        let (stop, at_once) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        for signal in [SIGTERM, SIGINT] {
            // In this order: the signal that sets the flag is not the one that finds it set. Registering fails only for signals that cannot be
            // caught; these can.
            let _ = register_conditional_shutdown(signal, 128 + signal, at_once.clone());
            let _ = register(signal, at_once.clone());
            let _ = register(signal, stop.clone());
        }
        Flags { stop, at_once }
    });
    // After a first signal nothing is held back any more.
    flags.at_once.store(flags.stop.load(Ordering::SeqCst), Ordering::SeqCst);
    Watch { stop: flags.stop.clone() }
}

/// As if a signal had come: for work that somebody else has taken over.
pub fn stop() {
    if let Some(flags) = FLAGS.get() {
        flags.stop.store(true, Ordering::SeqCst);
    }
}

/// Whether a signal has come.
pub fn stopped() -> bool {
    FLAGS.get().is_some_and(|flags| flags.stop.load(Ordering::SeqCst))
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(flags) = FLAGS.get() {
            flags.at_once.store(true, Ordering::SeqCst);
        }
    }
}
