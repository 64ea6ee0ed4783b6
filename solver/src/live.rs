//! What someone who watches a run sees, and asks for.
//!
//! The run and the watcher share one [`Live`]. The run looks in between attempts of its step ([`Live::look`]): it waits there while it is paused, and copies the cells
//! that a watcher wants to see, if there is one, and never so often that copying takes more than `SHARE` of its time. Watching changes no bit.

use crate::run::Progress;
use crate::simulation::Simulation;
use spinloom_base::Problems;
pub use spinloom_kernels::device::Window;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Part of a run's time that copying for watchers may take.
const SHARE: f64 = 0.03;
/// Shortest time between copies: 20 a second.
const BETWEEN: Duration = Duration::from_millis(50);
/// Who has not asked for so long watches no more.
const GONE: Duration = Duration::from_secs(3);
/// Time between looks.
const LOOK_EVERY: f64 = 0.03;
/// Views kept: of more watchers, those who asked last see something.
const VIEWS: usize = 8;
/// Wishes kept until the run comes to them.
const WISHES: usize = 64;
/// Rows kept of each replica for plots; beyond, every other one is dropped.
const ROWS: usize = 8192;

/// Which cells of which replica are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Replica.
    pub replica: usize,
    /// Its cells.
    pub window: Window,
}

impl View {
    /// The same, inside a mesh.
    pub fn within(self, n: [usize; 3], replicas: usize) -> Self {
        let w = self.window;
        let from = [0, 1].map(|a| w.from[a].min(n[a] - 1));
        let size = [0, 1].map(|a| w.size[a].clamp(1, n[a] - from[a]));
        let window = Window { layer: w.layer.min(n[2] - 1), from, size, every: w.every.max(1) };
        Self { replica: self.replica.min(replicas - 1), window }
    }
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which cells.
    pub view: View,
    /// Counts up.
    pub number: u64,
    /// When (s, simulated).
    pub t: f64,
    /// After how many steps: time stands still while a magnet relaxes.
    steps: u64,
    /// m, `[y][x][component]`, each a signed byte of 127ths.
    pub m: Arc<Vec<u8>>,
}

/// What a run is.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What it is called.
    pub name: String,
    /// Cells.
    pub n: [usize; 3],
    /// Their size (m).
    pub cell: [f64; 3],
    /// Labels of the replicas.
    pub replicas: Vec<String>,
    /// Columns of the table, with units.
    pub columns: Vec<(String, String)>,
    /// Whether parameters may be set.
    pub editable: bool,
}

/// What a watcher asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// To write m into the run's folder.
    Save,
    /// To set a parameter, as an experiment would: `J: [1e11 A/m^2, 0, 0]`.
    Set(String),
}

/// A view that somebody watches.
struct Wanted {
    view: View,
    asked: Instant,
    seen: Option<Seen>,
}

#[derive(Default)]
struct State {
    about: About,
    progress: Option<Progress>,
    paused: bool,
    /// Steps to take although paused.
    steps: usize,
    /// The first rows of all, and every how many rows.
    rows: Vec<(Vec<Vec<f64>>, usize, usize)>,
    wanted: Vec<Wanted>,
    count: u64,
    wishes: VecDeque<Wish>,
    /// What became of wishes and what else there is to tell.
    said: Vec<String>,
    finished: bool,
    copied: Option<(Instant, Duration)>,
    /// When the present batch of attempts began, and how many they are.
    batch: Option<(Instant, usize)>,
}

/// See the module.
#[derive(Default)]
pub struct Live {
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    // --- for the run

    /// Says what the run is. What was seen of it so far is forgotten: another mesh has other cells, another table other columns.
    pub fn begin(&self, about: About) {
        let mut s = self.state();
        s.rows.clear();
        s.wanted.clear();
        s.rows.resize_with(about.replicas.len().max(1), || (Vec::new(), 1, 0));
        s.about = about;
    }

    /// Adds a row of the table.
    pub fn row(&self, replica: usize, values: &[f64]) {
        let mut s = self.state();
        let Some((rows, every, skipped)) = s.rows.get_mut(replica) else { return };
        *skipped += 1;
        if *skipped < *every && !rows.is_empty() {
            return;
        }
        *skipped = 0;
        rows.push(values.to_vec());
        if rows.len() > ROWS {
            let mut k = 0;
            rows.retain(|_| {
                k += 1;
                k % 2 == 1
            });
            *every *= 2;
        }
    }

    /// How far it is.
    pub fn progress(&self, p: &Progress) {
        self.state().progress = Some(p.clone());
        self.changed.notify_all();
    }

    /// Says something to who watches.
    pub fn say(&self, words: impl Into<String>) {
        self.state().said.push(words.into());
    }

    /// The run is over.
    pub fn end(&self, words: impl Into<String>) {
        let mut s = self.state();
        s.said.push(words.into());
        (s.finished, s.paused) = (true, false);
        self.changed.notify_all();
    }

    /// What is to be set, one at a time.
    pub fn to_set(&self) -> Option<String> {
        let mut s = self.state();
        // What is to be saved is for `look`.
        let k = s.wishes.iter().position(|w| matches!(w, Wish::Set(_)))?;
        match s.wishes.remove(k) {
            Some(Wish::Set(text)) => Some(text),
            _ => None,
        }
    }

    /// Copies what a watcher wants to see, saves if asked to, waits while paused (but not while `stop` is set), and says how many attempts to take until the next look.
    pub fn look(&self, sim: &Simulation, stop: &AtomicBool, save: &mut dyn FnMut(&Simulation) -> Result<String, Problems>) -> usize {
        let mut s = self.state();
        let attempts = match s.batch.take() {
            Some((began, n)) => ((n as f64 * LOOK_EVERY / began.elapsed().as_secs_f64().max(1e-6)) as usize).clamp(1, 4096),
            None => 1,
        };
        loop {
            // However many watch: the share is of all copies together.
            if s.paused || s.copied.is_none_or(|(when, cost)| when.elapsed() >= BETWEEN.max(cost.div_f64(SHARE))) {
                self.copy(&mut s, sim);
            }
            // What is set waits for the next row; what is saved need not.
            if let Some(k) = s.wishes.iter().position(|w| *w == Wish::Save) {
                s.wishes.remove(k);
                drop(s);
                let words = save(sim).unwrap_or_else(|e| format!("save: {e}"));
                s = self.state();
                s.said.push(words);
                continue;
            }
            if !s.paused || stop.load(Ordering::Relaxed) {
                break;
            }
            if s.steps > 0 {
                s.steps -= 1;
                s.batch = Some((Instant::now(), 1));
                return 1;
            }
            s = self.changed.wait_timeout(s, Duration::from_millis(100)).unwrap_or_else(|e| e.into_inner()).0;
        }
        s.batch = Some((Instant::now(), attempts));
        attempts
    }

    /// Copies for one watcher, while paused for all.
    fn copy(&self, s: &mut State, sim: &Simulation) {
        let old = |w: &Wanted| w.seen.as_ref().map_or(0, |seen| seen.number);
        // Nothing new is not copied again.
        let new = |w: &Wanted| w.seen.as_ref().is_none_or(|seen| seen.steps != sim.control(w.view.replica).steps);
        let mut due: Vec<usize> = (0..s.wanted.len()).filter(|k| s.wanted[*k].asked.elapsed() < GONE && new(&s.wanted[*k])).collect();
        due.sort_by_key(|k| old(&s.wanted[*k]));
        due.truncate(if s.paused { VIEWS } else { 1 });
        for k in due {
            let (view, clock) = (s.wanted[k].view, Instant::now());
            let m = Arc::new(sim.peek(view.replica, &view.window));
            s.count += 1;
            let (t, steps) = (sim.outside(view.replica).t, sim.control(view.replica).steps);
            s.wanted[k].seen = Some(Seen { view, number: s.count, t, steps, m });
            s.copied = Some((clock, clock.elapsed()));
            self.changed.notify_all();
        }
    }

    // --- for the watcher

    /// What the run is.
    pub fn about(&self) -> About {
        self.state().about.clone()
    }

    /// How far it is, whether it is paused, whether it is over.
    pub fn standing(&self) -> (Option<Progress>, bool, bool) {
        let s = self.state();
        (s.progress.clone(), s.paused, s.finished)
    }

    /// What there is to tell, from the `from`-th on.
    pub fn said(&self, from: usize) -> Vec<String> {
        self.state().said.iter().skip(from).cloned().collect()
    }

    /// Rows of a replica from the `from`-th on, and a number that changes when earlier ones have been dropped.
    pub fn rows(&self, replica: usize, from: usize) -> (Vec<Vec<f64>>, usize) {
        let s = self.state();
        s.rows.get(replica).map_or((Vec::new(), 1), |(rows, every, _)| (rows.iter().skip(from).cloned().collect(), *every))
    }

    /// Pauses or goes on.
    pub fn pause(&self, paused: bool) {
        self.state().paused = paused;
        self.changed.notify_all();
    }

    /// Takes one step, and pauses.
    pub fn step(&self) {
        let mut s = self.state();
        s.steps += usize::from(s.paused);
        s.paused = true;
        self.changed.notify_all();
    }

    /// Asks for something.
    pub fn ask(&self, wish: Wish) {
        let mut s = self.state();
        if s.wishes.len() < WISHES {
            s.wishes.push_back(wish);
        } else {
            s.said.push("too many wishes wait already".into());
        }
        self.changed.notify_all();
    }

    /// What is to be seen; waits for something newer than number `after`, but not for ever.
    pub fn see(&self, view: View, after: u64) -> Option<Seen> {
        let mut s = self.state();
        let until = Instant::now() + Duration::from_millis(1000);
        let mut asked = None;
        loop {
            if s.about.n.contains(&0) {
                return None;
            }
            // The mesh may change while somebody waits.
            let view = view.within(s.about.n, s.about.replicas.len().max(1));
            let k = s.wanted.iter().position(|w| w.view == view);
            if asked != Some(view) || k.is_none() {
                asked = Some(view);
                let seen = k.and_then(|k| s.wanted.remove(k).seen);
                if s.wanted.len() >= VIEWS {
                    s.wanted.remove(0);
                }
                s.wanted.push(Wanted { view, asked: Instant::now(), seen });
                self.changed.notify_all();
            }
            let seen = s.wanted.iter().find(|w| w.view == view).and_then(|w| w.seen.as_ref());
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || seen.is_some_and(|seen| seen.number > after || s.finished) {
                return seen.cloned();
            }
            s = self.changed.wait_timeout(s, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }
}
