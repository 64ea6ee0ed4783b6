//! Recordings drawn by this program, in the files of the published sets: written to a folder for the moment and read by the same loaders, so that every row runs without a download and
//! shows that its loader works. Accuracies on them say nothing about the sets.

use super::digits;
use super::events::Event;
use super::recordings::{CHANNELS, Cochlea, GESTURES, PICTURES, SIDE};
use super::samples::Samples;
use hdf5::types::VarLenArray;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};
use std::path::Path;

/// Writes a stand-in by `write(folder, [training, test])`, reads it by `load`, and marks it.
pub(super) fn read(
    what: &str,
    write: impl Fn(&Path, [usize; 2]) -> std::io::Result<()>,
    load: impl Fn(&Path) -> Result<Samples, Problems>,
    at_most: [usize; 2],
) -> Result<Samples, Problems> {
    let cannot = |e: std::io::Error| Problems::from(Diagnostic::error(format!("a stand-in cannot be written: {e}")));
    let folder = tempfile::tempdir().map_err(cannot)?;
    write(folder.path(), [at_most[0].min(600), at_most[1].min(200)]).map_err(cannot)?;
    let real = load(folder.path())?;
    Ok(Samples { name: format!("stand-in: {what} (drawn by the program, seed 1, in the files of {})", real.name), stand_in: true, ..real })
}

/// AEDAT 3.1.
pub(super) fn aedat3(events: &[Event]) -> Vec<u8> {
    let mut out = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n".to_vec();
    for packet in events.chunks(4096) {
        // Kind 1 (polarity), source 1; bytes of an event, place of its time, overflow of times, room, events, valid ones.
        [1i16, 1].iter().for_each(|v| out.extend(v.to_le_bytes()));
        let n = packet.len() as i32;
        [8i32, 4, 0, n, n, n].iter().for_each(|v| out.extend(v.to_le_bytes()));
        for e in packet {
            out.extend((1 | u32::from(e.on) << 1 | u32::from(e.y) << 2 | u32::from(e.x) << 17).to_le_bytes());
            out.extend((e.t as i32).to_le_bytes());
        }
    }
    out
}

/// AEDAT 2 of a DVS128.
pub(super) fn aedat2(events: &[Event]) -> Vec<u8> {
    let mut out = b"#!AER-DAT2.0\r\n# drawn by spinloom\r\n".to_vec();
    for e in events {
        out.extend((u32::from(e.x) << 1 | u32::from(e.y) << 8 | u32::from(e.on)).to_be_bytes());
        out.extend((e.t as u32).to_be_bytes());
    }
    out
}

/// Where hands are at a moment (turns of a gesture, here 0 to 3), in pixels.
fn hands(gesture: usize, turn: f64, still: [f64; 2]) -> Vec<[f64; 2]> {
    let (sin, cos) = (std::f64::consts::TAU * turn).sin_cos();
    let (right, left) = ([38.0, 60.0], [90.0, 60.0]);
    let at = |c: [f64; 2], x: f64, y: f64| [c[0] + x, c[1] + y];
    match gesture {
        0 => vec![at([64.0, 70.0], -14.0 - 12.0 * cos, 0.0), at([64.0, 70.0], 14.0 + 12.0 * cos, 0.0)],
        1 => vec![at(right, 20.0 * cos, 0.0)],
        2 => vec![at(left, 20.0 * cos, 0.0)],
        3 => vec![at(right, 20.0 * cos, 20.0 * sin)],
        4 => vec![at(right, 20.0 * cos, -20.0 * sin)],
        5 => vec![at(left, 20.0 * cos, 20.0 * sin)],
        6 => vec![at(left, 20.0 * cos, -20.0 * sin)],
        7 => vec![at([64.0, 64.0], 15.0 * cos, 15.0 * sin), at([64.0, 64.0], -15.0 * cos, -15.0 * sin)],
        8 => vec![at(right, 0.0, 20.0 * cos), at(left, 0.0, -20.0 * cos)],
        9 => vec![at([50.0, 84.0], 6.0 * cos, 10.0 * cos), [86.0, 56.0]],
        // Anything else: a hand that goes where it likes.
        _ => vec![still],
    }
}

/// DVS128 Gesture: recordings of all gestures by one person each, tables of labels and lists.
pub(super) fn gestures(folder: &Path, [train, test]: [usize; 2]) -> std::io::Result<()> {
    let mut lists = [String::new(), String::new()];
    let people = [train.div_ceil(GESTURES), test.div_ceil(GESTURES)];
    for person in 0..people[0] + people[1] {
        let mut stream = Stream::new(1, 0x4753 << 40 | person as u64);
        let mut table = String::from("class,startTime_usec,endTime_usec\n");
        let mut events = Vec::new();
        let mut now = 100_000i64;
        for gesture in 0..GESTURES {
            let (radius, speed, phase) = (7.0 + 2.0 * stream.uniform(), 0.8 + 0.4 * stream.uniform(), stream.uniform());
            let shift = [4.0 * stream.normal(), 4.0 * stream.normal()];
            let mut walk = [64.0, 60.0];
            let covered = |turn: f64, walk: [f64; 2]| -> Vec<bool> {
                let mut all = vec![false; SIDE * SIDE];
                for hand in hands(gesture, turn, walk) {
                    let c = [hand[0] + shift[0], hand[1] + shift[1]];
                    let near = |c: f64| (c - radius).max(0.0) as usize..((c + radius) as usize + 2).min(SIDE);
                    for y in near(c[1]) {
                        near(c[0]).for_each(|x| all[y * SIDE + x] |= (x as f64 - c[0]).hypot(y as f64 - c[1]) < radius);
                    }
                }
                all
            };
            let start = now;
            let mut before = covered(phase, walk);
            // Forty moments of 20 ms; edges that pass a pixel make one event of two.
            for moment in 1..=40 {
                walk.iter_mut().for_each(|w| *w = (*w + 4.0 * stream.normal()).clamp(20.0, 108.0));
                let after = covered(phase + speed * f64::from(moment) * 3.0 / 40.0, walk);
                let mut some: Vec<Event> = (0..SIDE * SIDE)
                    .filter(|&i| before[i] != after[i] && stream.uniform() < 0.5)
                    .map(|i| Event { t: 0, x: (i % SIDE) as u16, y: (i / SIDE) as u16, on: after[i] })
                    .collect();
                some.iter_mut().for_each(|e| e.t = now + stream.below(20_000) as i64);
                some.sort_by_key(|e| e.t);
                events.extend(some);
                now += 20_000;
                before = after;
            }
            table.push_str(&format!("{},{start},{now}\n", gesture + 1));
            now += 200_000;
        }
        let stem = format!("user{:02}_fluorescent", person + 1);
        std::fs::write(folder.join(format!("{stem}.aedat")), aedat3(&events))?;
        std::fs::write(folder.join(format!("{stem}_labels.csv")), table)?;
        lists[usize::from(person >= people[0])].push_str(&format!("{stem}.aedat\n"));
    }
    std::fs::write(folder.join("trials_to_train.txt"), &lists[0])?;
    std::fs::write(folder.join("trials_to_test.txt"), &lists[1])
}

/// CIFAR10-DVS: drawn digits (0 is an airplane, …) moved along a square, as its pictures were on a screen.
pub(super) fn cifar10_dvs(folder: &Path, [train, test]: [usize; 2]) -> std::io::Result<()> {
    let each = (train.div_ceil(9)).max(test).max(10).div_ceil(10) * 10;
    let mut made = [0usize; PICTURES.len()];
    for (class, _) in PICTURES {
        std::fs::create_dir_all(folder.join(class))?;
    }
    let mut drawn = 0;
    while made.iter().any(|m| *m < each) {
        let images = digits::images(drawn, 200, 1);
        for (i, &label) in images.labels.iter().enumerate() {
            let label = usize::from(label);
            if made[label] == each {
                continue;
            }
            let mut stream = Stream::new(1, 0x4344 << 40 | (drawn + i) as u64);
            let at = |x: i64, y: i64| {
                if (0..28).contains(&x) && (0..28).contains(&y) { i16::from(images.pixels[i * 784 + (y * 28 + x) as usize]) } else { 0 }
            };
            // Along the sides of a square of four coarse pixels, each of 4 x 4 of the camera; one event where brightness changes.
            let mut events = Vec::new();
            let (mut x, mut y) = (2i64, 2i64);
            for (step, (dx, dy)) in [(1, 0), (0, 1), (-1, 0), (0, -1)].iter().flat_map(|d| [d; 3]).enumerate() {
                for v in 0..32 {
                    for u in 0..32 {
                        let change = at(u - x - dx, v - y - dy) - at(u - x, v - y);
                        if change.abs() > 64 {
                            events.push(Event {
                                t: step as i64 * 10_000 + stream.below(10_000) as i64,
                                x: (4 * u) as u16 + stream.below(4) as u16,
                                y: (4 * v) as u16 + stream.below(4) as u16,
                                on: change > 0,
                            });
                        }
                    }
                }
                (x, y) = (x + dx, y + dy);
            }
            events.sort_by_key(|e| e.t);
            let class = PICTURES[label].0;
            std::fs::write(folder.join(class).join(format!("cifar10_{class}_{}.aedat", made[label])), aedat2(&events))?;
            made[label] += 1;
        }
        drawn += 200;
    }
    Ok(())
}

/// SHD or SSC: three tones a class that begin and end in channels of their own.
pub(super) fn cochlea(set: &Cochlea, folder: &Path, [train, test]: [usize; 2]) -> std::io::Result<()> {
    for (part, first, n) in [("train", 0, train), ("test", train, test)] {
        let mut all: [Vec<Vec<f32>>; 2] = [Vec::new(), Vec::new()];
        let mut labels = Vec::new();
        for i in first..first + n {
            let mut stream = Stream::new(1, 0x5348 << 40 | i as u64);
            let class = stream.below(set.classes);
            let mut own = Stream::new(1, 0x5349 << 40 | class as u64);
            let length = 0.5 + 0.3 * own.uniform() + 0.05 * stream.normal();
            let shift = 8.0 * stream.normal();
            let mut spikes = Vec::new();
            for _ in 0..3 {
                let (from, to) = (60.0 + 580.0 * own.uniform(), 60.0 + 580.0 * own.uniform());
                for _ in 0..120 {
                    let at = stream.uniform();
                    let channel = from + (to - from) * at + shift + 10.0 * stream.normal();
                    spikes.push(((at * length) as f32, channel.clamp(0.0, CHANNELS as f64 - 1.0) as f32));
                }
            }
            spikes.sort_by(|a, b| a.0.total_cmp(&b.0));
            all[0].push(spikes.iter().map(|s| s.0).collect());
            all[1].push(spikes.iter().map(|s| s.1).collect());
            labels.push(class as u16);
        }
        let path = folder.join(format!("{}_{part}.h5", set.stem));
        write_spikes(&path, &all[0], &all[1], &labels).map_err(|e| std::io::Error::other(e.to_string()))?;
    }
    Ok(())
}

/// A file of SHD's form.
pub(super) fn write_spikes(path: &Path, times: &[Vec<f32>], units: &[Vec<f32>], labels: &[u16]) -> hdf5::Result<()> {
    let file = hdf5::File::with_options().with_fapl(|a| a.file_locking(false)).create(path)?;
    let group = file.create_group("spikes")?;
    let times: Vec<VarLenArray<f32>> = times.iter().map(|t| VarLenArray::from_slice(t)).collect();
    let units: Vec<VarLenArray<u16>> =
        units.iter().map(|u| VarLenArray::from_slice(&u.iter().map(|u| *u as u16).collect::<Vec<_>>())).collect();
    group.new_dataset::<VarLenArray<f32>>().shape(times.len()).create("times")?.write_raw(&times)?;
    group.new_dataset::<VarLenArray<u16>>().shape(units.len()).create("units")?.write_raw(&units)?;
    file.new_dataset::<u16>().shape(labels.len()).create("labels")?.write_raw(labels)
}
