//! The writer: rows and frames go through a bounded queue to one thread, which alone touches the files.
//!
//! One thread, because the HDF5 library runs one call at a time whatever one does, and because the order of effects on
//! the disk is what makes a record survive a kill:
//!
//! 1. rows, events and frames go into `segments/N.h5.part` as they come;
//! 2. at a commit the checkpoint joins them, the file is closed, fsynced and renamed: now it counts;
//! 3. when segments pile up, old ones are merged under a new name;
//! 4. `run.h5` is replaced by one with links to the segments that count;
//! 5. segments that a merged one covers are removed.
//!
//! A kill between any two of these leaves a record that opens, and that a resume continues.

use crate::effects::{Effects, Faults, discard};
use crate::fold;
use crate::h5::{self, Named, is_name, problem};
use crate::header::{Header, Precision};
use crate::reader::{self, Record};
use crate::segment::{Cells, Checkpoint, Event, NewFrame, Rows, Segment, SegmentWriter};
use spinloom_base::{Diagnostic, Problems};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Rows, or events, gathered on the caller's side before they cost a message.
const GATHERED: usize = 1024;

/// An old segment's checkpoint larger than this, bytes, is not kept until the next merge: the segment is rewritten without it.
const DEAD_WEIGHT: u64 = 1 << 20;

/// How to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether an existing record in the folder is removed. Default: no, it is refused.
    pub overwrite: bool,
    /// Messages that may wait for the writer thread before the caller does; a frame is one. Default 8.
    pub queue: usize,
    /// So many segments of like size are merged into one, at least 2. Default 32: each number is rewritten
    /// once per factor of 32 in the number of commits, and there are seldom more than 100 files.
    pub merge: usize,
    /// Faults for tests of what a kill or a full disk leaves behind.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self { overwrite: false, queue: 8, merge: 32, faults: Faults::default() }
    }
}

enum Message {
    Rows(Rows),
    Events(Vec<Event>),
    Frame(NewFrame),
    Commit(Checkpoint),
    Finish,
    Wait(SyncSender<()>),
}

/// What the thread has to tell the caller.
#[derive(Default)]
struct Trouble {
    any: AtomicBool,
    what: Mutex<Problems>,
}

/// What [`Writer::resume`] found.
pub enum Resumed {
    /// The run is finished; its file. Leftovers beside it have been removed.
    Finished(PathBuf),
    /// The run can go on.
    Unfinished {
        /// Continues behind the last commit.
        writer: Box<Writer>,
        /// The header as the first part of the run wrote it, to be compared with the present one.
        header: Box<Header>,
        /// The state at the last commit; `None` if there was none: start from the beginning with this writer.
        checkpoint: Option<Checkpoint>,
    },
}

/// Writes a record. Dropped without [`finish`](Writer::finish), it leaves what was committed and discards the rest.
///
/// Errors of the writer thread (a full disk) are returned by the next call; every later call returns them again.
pub struct Writer {
    rows: Rows,
    events: Vec<Event>,
    fields: BTreeMap<String, (String, usize)>,
    header: Arc<Header>,
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    trouble: Arc<Trouble>,
    path: PathBuf,
    /// Advisory lock on the folder: two writers of one record would ruin it. The system drops it with the process.
    _lock: std::fs::File,
}

impl Writer {
    /// Starts a record in a folder, which is made if need be.
    ///
    /// # Errors
    /// All that is wrong with the header; a record that is there already, unless `options.overwrite`; another process
    /// writing it; what the file system says.
    pub fn create(dir: &Path, header: Header, options: Options) -> Result<Self, Problems> {
        header.check()?;
        let mut effects = Effects::new(options.faults);
        effects.create_dir(dir)?;
        let lock = lock(dir)?;
        let places = Places::new(dir);
        let (segments, leftovers) = reader::list_segments(&places.segments)?;
        if !options.overwrite && (places.run.exists() || !segments.is_empty()) {
            let hint = "resume it, choose another folder, or ask to overwrite it";
            return Err(problem(&places.run, "there is a record here already", hint));
        }
        // `run.h5` goes first: without it the folder holds no record, so a kill in between cannot leave old segments under a new header.
        effects.remove(&places.run)?;
        effects.sync(dir)?;
        for file in leftovers.iter().cloned().chain(segments.iter().map(|s| s.path(&places.segments))) {
            effects.remove(&file)?;
        }
        effects.create_dir(&places.segments)?;
        effects.sync(&places.segments)?;
        let mut keeper = Keeper::new(places, header, effects, options.merge, Vec::new());
        keeper.write_master().map_err(|problems| keeper.what_is_safe(problems))?;
        Self::start(keeper, options.queue, lock)
    }

    /// Continues the record in a folder behind its last commit; what came after that is discarded.
    ///
    /// # Errors
    /// No record there; another process writing it; a damaged file, by name.
    pub fn resume(dir: &Path, options: Options) -> Result<Resumed, Problems> {
        let places = Places::new(dir);
        if !places.run.is_file() {
            return Err(problem(&places.run, "there is no record to resume", "start the run anew"));
        }
        let lock = lock(dir)?;
        let record = Record::open(dir)?;
        let mut effects = Effects::new(options.faults);
        let (segments, leftovers) = reader::list_segments(&places.segments)?;
        let part = part_of(&places.run);
        if part.exists() {
            effects.remove(&part)?;
        }
        for file in &leftovers {
            effects.remove(file)?;
        }
        if record.is_finished() {
            remove_segments(&mut effects, &places, &segments)?;
            return Ok(Resumed::Finished(places.run));
        }
        let checkpoint = record.checkpoint()?;
        if checkpoint.is_none()
            && let Some(last) = segments.last()
        {
            let hint = "an earlier part cannot be continued; start the run anew";
            return Err(problem(&last.path(&places.segments), "the newest segment has no checkpoint", hint));
        }
        let fields = record.fields()?.into_iter().map(|f| (f.name, (f.unit, f.components))).collect();
        let header = record.header().clone();
        drop(record);
        effects.create_dir(&places.segments)?;
        let mut keeper = Keeper::new(places, header.clone(), effects, options.merge, segments);
        // The kill may have come between a segment and the links to it.
        keeper.write_master().map_err(|problems| keeper.what_is_safe(problems))?;
        let mut writer = Self::start(keeper, options.queue, lock)?;
        writer.fields = fields;
        Ok(Resumed::Unfinished { writer: Box::new(writer), header: Box::new(header), checkpoint })
    }

    fn start(keeper: Keeper, queue: usize, lock: std::fs::File) -> Result<Self, Problems> {
        let (path, header) = (keeper.places.run.clone(), keeper.header.clone());
        let trouble = Arc::new(Trouble::default());
        let (sender, inbox) = sync_channel(queue);
        let tell = trouble.clone();
        let thread = std::thread::Builder::new()
            .name("record".into())
            .spawn(move || keeper.serve(inbox, &tell))
            .named(&path, "start the writer thread")?;
        Ok(Self {
            rows: Rows::default(),
            events: Vec::new(),
            fields: BTreeMap::new(),
            header,
            queue: Some(sender),
            thread: Some(thread),
            trouble,
            path,
            _lock: lock,
        })
    }

    /// Adds a row to the table: one value per column, in the units of the header.
    ///
    /// # Errors
    /// Those of the writer thread, from some earlier call.
    ///
    /// # Panics
    /// If the number of values is not that of the columns, or there is no such replica.
    #[inline]
    pub fn row(&mut self, replica: usize, values: &[f64]) -> Result<(), Problems> {
        if values.len() != self.header.columns.len() || replica >= self.header.replicas.len() {
            wrong_row(replica, values.len(), &self.header);
        }
        self.rows.replicas.push(replica as u32);
        self.rows.values.extend_from_slice(values);
        if self.rows.replicas.len() >= GATHERED { self.send_rows() } else { Ok(()) }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// A text with a zero byte; those of the writer thread, from some earlier call.
    ///
    /// # Panics
    /// If there is no such replica.
    pub fn event(&mut self, event: Event) -> Result<(), Problems> {
        assert!(event.replica < self.header.replicas.len(), "event of replica {} of {}", event.replica, self.header.replicas.len());
        if event.kind.contains('\0') || event.detail.contains('\0') {
            return Err(Diagnostic::error(format!("the event `{:?}` holds a zero byte", event.kind)).hint("remove it").into());
        }
        self.events.push(event);
        if self.events.len() >= GATHERED { self.send_events() } else { Ok(()) }
    }

    /// Adds a frame of a quantity at time `t` (s): `data` in `unit`, shape (nz, ny, nx, components), x the fastest axis,
    /// components innermost. It is stored in the precision of the header.
    ///
    /// # Errors
    /// A name that cannot be stored; a unit or a number of components unlike the earlier frames'; those of the writer
    /// thread, from some earlier call.
    ///
    /// # Panics
    /// If `data` does not have `components` values for each cell, or there is no such replica.
    pub fn frame(&mut self, name: &str, unit: &str, replica: usize, t: f64, components: usize, data: &[f64]) -> Result<(), Problems> {
        assert!(replica < self.header.replicas.len(), "frame of replica {replica} of {}", self.header.replicas.len());
        assert!(
            components > 0 && data.len() == self.header.mesh.cells() * components,
            "a frame of `{name}` has {} values for {} cells of {components} components",
            data.len(),
            self.header.mesh.cells()
        );
        match self.fields.get(name) {
            Some((u, c)) if (u.as_str(), *c) == (unit, components) => {}
            Some((u, c)) => {
                let message = format!("`{name}` had {c} components in `{u}` and now has {components} in `{unit}`");
                return Err(Diagnostic::error(message).hint("give it another name").into());
            }
            None if !is_name(name) || unit.contains('\0') => {
                return Err(Diagnostic::error(format!("{name:?} cannot name a quantity")).hint("use a name without `/`").into());
            }
            None => drop(self.fields.insert(name.into(), (unit.into(), components))),
        }
        let cells = match self.header.precision {
            Precision::Single => Cells::Single(data.iter().map(|&x| x as f32).collect()),
            Precision::Double => Cells::Double(data.to_vec()),
        };
        self.send(Message::Frame(NewFrame { name: name.into(), unit: unit.into(), replica: replica as u32, t, components, cells }))
    }

    /// Closes a segment with everything since the last commit and the state that belongs to it. Returns at once; the
    /// files follow. After [`wait`](Writer::wait) they are on the disk.
    ///
    /// # Errors
    /// A name in the checkpoint that cannot be stored; those of the writer thread, from some earlier call.
    pub fn commit(&mut self, checkpoint: &Checkpoint) -> Result<(), Problems> {
        let names = checkpoint.arrays.keys().chain(checkpoint.integers.keys()).chain(checkpoint.text.keys());
        if let Some(name) = names.into_iter().find(|n| !is_name(n)) {
            return Err(Diagnostic::error(format!("{name:?} cannot be stored in a checkpoint")).hint("use a name without `/`").into());
        }
        self.send_rows()?;
        self.send_events()?;
        self.send(Message::Commit(checkpoint.clone()))
    }

    /// Waits until everything handed over so far has reached the writer thread's files: what was committed is on the disk.
    ///
    /// # Errors
    /// Those of the writer thread.
    pub fn wait(&mut self) -> Result<(), Problems> {
        let (sender, done) = sync_channel(1);
        self.send(Message::Wait(sender))?;
        // An error here is a thread that ended; `check` says why.
        let _ = done.recv();
        self.check()
    }

    /// Folds everything, committed or not, into one finished file and returns its path; the segments are removed after
    /// it is in place.
    ///
    /// # Errors
    /// Those of the writer thread. The segments are then still there: [`resume`](Writer::resume) goes on from the last commit.
    pub fn finish(mut self) -> Result<PathBuf, Problems> {
        self.send_rows()?;
        self.send_events()?;
        self.send(Message::Finish)?;
        self.wait()?;
        Ok(self.path.clone())
    }

    #[cold]
    fn send_rows(&mut self) -> Result<(), Problems> {
        if self.rows.replicas.is_empty() {
            return self.check();
        }
        let room = Rows { replicas: Vec::with_capacity(GATHERED), values: Vec::with_capacity(GATHERED * self.header.columns.len()) };
        let rows = std::mem::replace(&mut self.rows, room);
        self.send(Message::Rows(rows))
    }

    fn send_events(&mut self) -> Result<(), Problems> {
        if self.events.is_empty() {
            return self.check();
        }
        let events = std::mem::take(&mut self.events);
        self.send(Message::Events(events))
    }

    fn send(&mut self, message: Message) -> Result<(), Problems> {
        self.check()?;
        match &self.queue {
            Some(queue) if queue.send(message).is_ok() => Ok(()),
            _ => Err(problem(&self.path, "the writer thread ended without a word", "this is a bug; what was committed is safe")),
        }
    }

    fn check(&self) -> Result<(), Problems> {
        if self.trouble.any.load(Ordering::Acquire) {
            return Err(self.trouble.what.lock().map_or_else(|e| e.into_inner().clone(), |p| p.clone()));
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the call that met it.
            let _ = thread.join();
        }
    }
}

#[cold]
#[inline(never)]
fn wrong_row(replica: usize, values: usize, header: &Header) -> ! {
    panic!(
        "a row of {values} values for replica {replica}, where {} columns and {} replicas were announced",
        header.columns.len(),
        header.replicas.len()
    )
}

/// An advisory lock on the folder.
fn lock(dir: &Path) -> Result<std::fs::File, Problems> {
    let file = std::fs::File::open(dir).named(dir, "open the folder")?;
    // A process that an earlier writer's program has just started holds the lock too until it runs its own program.
    for _ in 0..50 {
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(10)),
            // Some network file systems have no locks: then nothing guards against two writers but the user.
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => return Ok(file),
        }
    }
    Err(problem(dir, "this record is being written by a run that is still going on", "wait for it, or end it"))
}

/// Paths of a record.
struct Places {
    dir: PathBuf,
    run: PathBuf,
    segments: PathBuf,
}

impl Places {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.into(), run: dir.join("run.h5"), segments: dir.join("segments") }
    }
}

/// The name under which a file is written.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The numbers a segment covers, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentName {
    pub first: u64,
    pub last: u64,
}

impl SegmentName {
    /// `000003` or `000000-000031`, as in links.
    pub(crate) fn text(self) -> String {
        if self.first == self.last { format!("{:06}", self.first) } else { format!("{:06}-{:06}", self.first, self.last) }
    }

    /// The reverse of the file's name, `None` for anything else that lies there.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(".h5")?;
        let (first, last) = stem.split_once('-').unwrap_or((stem, stem));
        let name = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (name.first <= name.last && name.text() == stem).then_some(name)
    }

    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.text() + ".h5")
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    fn commits(self) -> u64 {
        self.last - self.first + 1
    }
}

fn remove_segments(effects: &mut Effects, places: &Places, segments: &[SegmentName]) -> Result<(), Problems> {
    for segment in segments {
        effects.remove(&segment.path(&places.segments))?;
    }
    if places.segments.is_dir() {
        effects.step(&places.segments, "remove")?;
        // Not empty if somebody put a file there: that is theirs.
        let _ = std::fs::remove_dir(&places.segments);
    }
    Ok(())
}

/// The thread's side: the only code that writes files.
struct Keeper {
    places: Places,
    header: Arc<Header>,
    effects: Effects,
    merge: usize,
    /// Segments that count, in order, without gaps.
    segments: Vec<SegmentName>,
    open: Option<(PathBuf, SegmentWriter)>,
    /// Bytes of the newest segment's checkpoint.
    checkpoint_size: u64,
    finished: bool,
}

impl Keeper {
    fn new(places: Places, header: Header, effects: Effects, merge: usize, segments: Vec<SegmentName>) -> Self {
        Self { places, header: Arc::new(header), effects, merge: merge.max(2), segments, open: None, checkpoint_size: 0, finished: false }
    }

    fn serve(mut self, inbox: Receiver<Message>, tell: &Trouble) {
        for message in inbox {
            if let Message::Wait(done) = message {
                // Nobody waits any more: fine.
                let _ = done.send(());
            } else if !tell.any.load(Ordering::Acquire)
                && let Err(problems) = self.take(message)
            {
                self.abandon();
                *tell.what.lock().unwrap_or_else(|e| e.into_inner()) = self.what_is_safe(problems);
                tell.any.store(true, Ordering::Release);
            }
        }
        self.abandon();
    }

    fn take(&mut self, message: Message) -> Result<(), Problems> {
        match message {
            Message::Rows(rows) => self.append("write rows", |segment| segment.rows(&rows)),
            Message::Events(events) => self.append("write events", |segment| segment.events(&events)),
            Message::Frame(frame) => self.append("write a frame", |segment| segment.frame(&frame)),
            Message::Commit(checkpoint) => self.commit(&checkpoint),
            Message::Finish => self.finish(),
            Message::Wait(_) => Ok(()),
        }
    }

    fn next(&self) -> SegmentName {
        let number = self.segments.last().map_or(0, |s| s.last + 1);
        SegmentName { first: number, last: number }
    }

    fn append(&mut self, doing: &str, write: impl FnOnce(&mut SegmentWriter) -> hdf5::Result<()>) -> Result<(), Problems> {
        if self.open.is_none() {
            let part = part_of(&self.next().path(&self.places.segments));
            self.effects.step(&part, "create")?;
            let segment = SegmentWriter::create(&part, self.header.clone()).named(&part, "create")?;
            self.open = Some((part, segment));
        }
        let (part, segment) = self.open.as_mut().expect("opened above");
        self.effects.step(part, doing)?;
        write(segment).named(part, doing)
    }

    fn commit(&mut self, checkpoint: &Checkpoint) -> Result<(), Problems> {
        self.append("write a checkpoint", |segment| segment.checkpoint(checkpoint))?;
        let name = self.next();
        let part = self.close_open()?;
        self.effects.publish(Ok(()), &part, &name.path(&self.places.segments))?;
        self.segments.push(name);
        let old_checkpoint = self.checkpoint_size;
        self.checkpoint_size = 8
            * checkpoint.arrays.values().map(Vec::len).chain(checkpoint.integers.values().map(Vec::len)).sum::<usize>() as u64
            + checkpoint.text.values().map(|t| t.len() as u64).sum::<u64>();
        // The newest segment is never touched: its checkpoint is the one that counts.
        let old = self.segments.len() - 1;
        let covered = if let Some(first) = self.due(old) {
            self.merge(first..old)?
        } else if old_checkpoint > DEAD_WEIGHT {
            self.merge(old - 1..old)?
        } else {
            Vec::new()
        };
        self.write_master()?;
        for segment in covered {
            self.effects.remove(&segment.path(&self.places.segments))?;
        }
        Ok(())
    }

    /// Closes the open segment file and returns its path.
    fn close_open(&mut self) -> Result<PathBuf, Problems> {
        let (part, segment) = self.open.take().expect("a segment is open");
        let closed = self.effects.step(&part, "close").and_then(|()| segment.close().named(&part, "close"));
        if closed.is_err() {
            discard(&part);
        }
        closed.map(|()| part)
    }

    /// Where a merge of the segments before `old` should begin: the earliest of `merge` neighbours of like size, sizes
    /// in powers of `merge`. A number is so rewritten once per power, not once per merge.
    fn due(&self, old: usize) -> Option<usize> {
        let base = self.merge as u64;
        let power = |s: &SegmentName| s.commits().ilog(base);
        let last = power(self.segments[..old].last()?);
        let first = self.segments[..old].iter().rposition(|s| power(s) != last).map_or(0, |i| i + 1);
        let mut first = (old - first >= self.merge).then_some(first)?;
        // What this merge makes may complete the next power: take that along instead of writing twice.
        let mut commits = self.segments[old - 1].last - self.segments[first].first + 1;
        loop {
            let power_made = commits.ilog(base);
            let start = self.segments[..first].iter().rposition(|s| power(s) != power_made).map_or(0, |i| i + 1);
            if first - start + 1 < self.merge {
                return Some(first);
            }
            first = start;
            commits = self.segments[old - 1].last - self.segments[first].first + 1;
        }
    }

    /// Writes neighbours into one segment under the name of their range and returns those it covers, which may go once
    /// `run.h5` no longer links to them. A single one is rewritten without its checkpoint.
    fn merge(&mut self, which: std::ops::Range<usize>) -> Result<Vec<SegmentName>, Problems> {
        let members = self.segments[which.clone()].to_vec();
        let name = SegmentName { first: members[0].first, last: members[members.len() - 1].last };
        let target = name.path(&self.places.segments);
        let part = part_of(&target);
        self.effects.step(&part, "merge segments into")?;
        let merged = self.open_segments(&members).and_then(|s| fold::merge(&self.header, &s, &part).named(&part, "merge segments into"));
        self.effects.publish(merged, &part, &target)?;
        self.segments.splice(which, [name]);
        Ok(members.into_iter().filter(|m| *m != name).collect())
    }

    fn open_segments(&self, names: &[SegmentName]) -> Result<Vec<Segment>, Problems> {
        let paths = names.iter().map(|name| name.path(&self.places.segments));
        paths.map(|path| Segment::open(&path).named(&path, "read")).collect()
    }

    /// Replaces `run.h5` by one that links to the segments that count.
    fn write_master(&mut self) -> Result<(), Problems> {
        let part = part_of(&self.places.run);
        self.effects.step(&part, "write")?;
        let write = || {
            let file = h5::create(&part)?;
            let written = self.header.write(&file, false).and_then(|()| {
                let links = file.create_group("segments")?;
                self.segments.iter().map(|s| s.text()).try_for_each(|s| links.link_external(&format!("segments/{s}.h5"), "/", &s))
            });
            let closed = crate::segment::close(file, ());
            written.and(closed)
        };
        let written = write().named(&part, "write");
        self.effects.publish(written, &part, &self.places.run)
    }

    fn finish(&mut self) -> Result<(), Problems> {
        let uncommitted = if self.open.is_some() { Some(self.close_open()?) } else { None };
        let done = self.fold(uncommitted.as_deref());
        // The finished file has its rows, or else they are lost with this writer: either way nobody will read it.
        if let Some(path) = &uncommitted {
            discard(path);
        }
        done?;
        // From here on the run is safe; what is left is tidying, which a resume would do as well.
        self.finished = true;
        remove_segments(&mut self.effects, &self.places, &std::mem::take(&mut self.segments))?;
        self.effects.sync(&self.places.dir)
    }

    /// Writes the finished file and puts it in place.
    fn fold(&mut self, uncommitted: Option<&Path>) -> Result<(), Problems> {
        let part = part_of(&self.places.run);
        self.effects.step(&part, "write")?;
        let mut segments = self.open_segments(&self.segments)?;
        if let Some(path) = uncommitted {
            segments.push(Segment::open(path).named(path, "read")?);
        }
        let folded = fold::finish(&self.header, &segments, &part).named(&part, "fold the segments into");
        self.effects.publish(folded, &part, &self.places.run)
    }

    /// Gives up the open segment.
    fn abandon(&mut self) {
        if let Some((part, segment)) = self.open.take() {
            let _ = segment.close();
            discard(&part);
        }
    }

    /// Adds to an error what is not lost.
    fn what_is_safe(&self, problems: Problems) -> Problems {
        let safe = match self.segments.last() {
            _ if self.finished => "the finished record is in place and complete; only leftovers of the run remain beside it".into(),
            None => "nothing had been committed yet".into(),
            Some(last) => format!(
                "everything up to commit {} is safe in {} and can be read; make room and resume from there",
                last.last + 1,
                self.places.dir.display()
            ),
        };
        let mut all = Problems::new();
        problems.iter().for_each(|d| {
            all.push(Diagnostic { hint: Some(d.hint.as_ref().map_or(safe.clone(), |h| format!("{h}; {safe}"))), ..d.clone() })
        });
        all
    }
}
