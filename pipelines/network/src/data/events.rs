//! Recordings of event cameras: N-MNIST, AEDAT 2, 3.1 and 4, and CSV; and how they become frames. Of these benchmarks read N-MNIST, AEDAT 2 (CIFAR10-DVS) and 3.1 (DVS128 Gesture); the
//! other readers are for callers of this crate.
//!
//! | format | what is read |
//! |---|---|
//! | N-MNIST `.bin`, `.bs2` | five bytes an event: x, y, polarity and 23 bits of µs, big-endian (Orchard et al., Front. Neurosci. 9, 437 (2015)) |
//! | AEDAT 2 | big-endian pairs of address and µs after lines that begin with `#`; addresses of DVS128 (x inverted or not is a matter of the reader: as stored) or DAVIS |
//! | AEDAT 3.1 | little-endian packets of polarity events after `#!END-HEADER` |
//! | AEDAT 4 | packets of flatbuffers, plain or LZ4 |
//! | CSV | columns t, x, y, p, a header line or none; t in µs |

use spinloom_base::{Diagnostic, Problems, hash};
use std::io::Read;
use std::path::Path;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// µs.
    pub t: i64,
    /// Column.
    pub x: u16,
    /// Row.
    pub y: u16,
    /// Brighter.
    pub on: bool,
}

/// What addresses of AEDAT 2 mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Camera {
    /// 128 × 128: x bits 1–7, y bits 8–14, polarity bit 0 (also CIFAR10-DVS).
    Dvs128,
    /// 240 × 180 and larger: y bits 22–30, x bits 12–21, polarity bit 11; bit 31 marks other data.
    Davis,
}

/// How events become frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// As many events in each frame; the last takes the remainder.
    Count,
    /// As much time in each.
    Time,
}

/// Into how many frames of which pixels events are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Frames of a recording.
    pub frames: usize,
    /// Equal numbers of events, or equal times.
    pub slice: Slice,
    /// Side of the squares of pixels that are counted as one; 1 keeps them apart.
    pub bin: usize,
}

fn broken(name: &str, message: impl Into<String>) -> Problems {
    Diagnostic::file(name, message).hint("the file is truncated or of another format; fetch it again and compare its checksum").into()
}

/// Reads a recording by the ending of its name and its first bytes; the second value is the SHA-256 of the file.
///
/// # Errors
/// A file that cannot be read or is none of the formats.
pub fn read(path: &Path, camera: Camera) -> Result<(Vec<Event>, String), Problems> {
    let name = path.display().to_string();
    let bytes = super::bytes(path)?;
    let events = parse(&name, &bytes, camera)?;
    Ok((events, hash::of_bytes(&bytes)))
}

/// The same from bytes.
///
/// # Errors
/// As [`read`].
pub fn parse(name: &str, bytes: &[u8], camera: Camera) -> Result<Vec<Event>, Problems> {
    if bytes.starts_with(b"#!AER-DAT4") {
        return aedat4(name, bytes);
    }
    if bytes.starts_with(b"#!AER-DAT3") {
        return aedat3(name, bytes);
    }
    match Path::new(name).extension().and_then(|e| e.to_str()) {
        Some("bin" | "bs2") => nmnist(name, bytes),
        Some("csv" | "txt") => csv(name, bytes),
        Some("aedat" | "dat") => aedat2(name, bytes, camera),
        _ if bytes.starts_with(b"#") => aedat2(name, bytes, camera),
        _ => Err(broken(name, "it is no recording of events that is known here")),
    }
}

fn nmnist(name: &str, bytes: &[u8]) -> Result<Vec<Event>, Problems> {
    if !bytes.len().is_multiple_of(5) {
        return Err(broken(name, format!("{} bytes are no whole number of five-byte events", bytes.len())));
    }
    Ok(bytes
        .chunks_exact(5)
        .map(|b| Event {
            x: b[0].into(),
            y: b[1].into(),
            on: b[2] & 0x80 != 0,
            t: i64::from(b[2] & 0x7F) << 16 | i64::from(b[3]) << 8 | i64::from(b[4]),
        })
        .collect())
}

fn aedat2(name: &str, bytes: &[u8], camera: Camera) -> Result<Vec<Event>, Problems> {
    let mut at = 0;
    while bytes.get(at) == Some(&b'#') {
        let end = bytes[at..].iter().position(|b| *b == b'\n').ok_or_else(|| broken(name, "its header never ends"))?;
        at += end + 1;
    }
    let rest = &bytes[at..];
    if !rest.len().is_multiple_of(8) {
        return Err(broken(name, format!("{} bytes after the header are no whole number of events", rest.len())));
    }
    let word = |b: &[u8]| u32::from_be_bytes(b.try_into().expect("four bytes"));
    Ok(rest
        .chunks_exact(8)
        .filter_map(|b| {
            let (a, t) = (word(&b[..4]), i64::from(word(&b[4..])));
            match camera {
                Camera::Dvs128 => Some(Event { t, x: (a >> 1 & 0x7F) as u16, y: (a >> 8 & 0x7F) as u16, on: a & 1 == 1 }),
                // Bit 31 marks frames, bit 10 special events.
                Camera::Davis if a >> 31 == 0 && a & 0x400 == 0 => {
                    Some(Event { t, x: (a >> 12 & 0x3FF) as u16, y: (a >> 22 & 0x1FF) as u16, on: a >> 11 & 1 == 1 })
                }
                Camera::Davis => None,
            }
        })
        .collect())
}

fn aedat3(name: &str, bytes: &[u8]) -> Result<Vec<Event>, Problems> {
    const END: &[u8] = b"#!END-HEADER\r\n";
    let start = bytes.windows(END.len()).position(|w| w == END).ok_or_else(|| broken(name, "its header never ends"))?;
    let mut rest = &bytes[start + END.len()..];
    let mut events = Vec::new();
    while !rest.is_empty() {
        if rest.len() < 28 {
            return Err(broken(name, "it ends inside the head of a packet"));
        }
        let half = |i: usize| i16::from_le_bytes([rest[i], rest[i + 1]]);
        let word = |i: usize| i32::from_le_bytes(rest[i..i + 4].try_into().expect("four bytes"));
        let (kind, size, overflow, count) = (half(0), word(4), word(12), word(20));
        if size <= 0 || count < 0 {
            return Err(broken(name, format!("a packet claims {count} events of {size} bytes")));
        }
        let (size, count) = (size as usize, count as usize);
        let Some(body) = size.checked_mul(count).and_then(|n| rest.get(28..28 + n)) else {
            return Err(broken(name, "it ends inside a packet"));
        };
        // Polarity events: validity, polarity, y 15 bits, x 15 bits.
        if kind == 1 && size == 8 {
            events.extend(body.chunks_exact(8).filter_map(|b| {
                let d = u32::from_le_bytes(b[..4].try_into().expect("four bytes"));
                let t = i64::from(i32::from_le_bytes(b[4..].try_into().expect("four bytes"))) | i64::from(overflow) << 31;
                (d & 1 == 1).then_some(Event { t, x: (d >> 17 & 0x7FFF) as u16, y: (d >> 2 & 0x7FFF) as u16, on: d >> 1 & 1 == 1 })
            }));
        }
        rest = &rest[28 + size * count..];
    }
    Ok(events)
}

/// A field of a flatbuffers table: where its value lies.
fn field(b: &[u8], table: usize, index: usize) -> Option<usize> {
    let i32_at = |i: usize| b.get(i..i + 4).map(|w| i32::from_le_bytes(w.try_into().expect("four bytes")));
    let u16_at = |i: usize| b.get(i..i + 2).map(|w| u16::from_le_bytes(w.try_into().expect("two bytes")));
    let vtable = usize::try_from(table as i64 - i64::from(i32_at(table)?)).ok()?;
    let slot = 4 + 2 * index;
    if slot + 2 > usize::from(u16_at(vtable)?) {
        return None;
    }
    match u16_at(vtable + slot)? {
        0 => None,
        offset => Some(table + usize::from(offset)),
    }
}

/// What a packet may unpack to: sixteen million events.
const LARGEST: u64 = 256 << 20;

fn aedat4(name: &str, bytes: &[u8]) -> Result<Vec<Event>, Problems> {
    let word = |b: &[u8], i: usize| -> Result<usize, Problems> {
        b.get(i..i + 4)
            .map(|w| u32::from_le_bytes(w.try_into().expect("four bytes")) as usize)
            .ok_or_else(|| broken(name, "it ends inside a packet"))
    };
    let start = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| broken(name, "its first line never ends"))? + 1;
    let size = word(bytes, start)?;
    let header = bytes.get(start + 4..start + 4 + size).ok_or_else(|| broken(name, "it ends inside its header"))?;
    let root = word(header, 0)?;
    let compression = field(header, root, 0).map_or(Ok(0), |at| word(header, at))?;
    let table =
        field(header, root, 1).and_then(|at| header.get(at..at + 8)).map_or(-1, |b| i64::from_le_bytes(b.try_into().expect("eight bytes")));
    let mut at = start + 4 + size;
    let end = if table > 0 { (table as usize).min(bytes.len()) } else { bytes.len() };
    let mut events = Vec::new();
    while at + 8 <= end {
        let size = word(bytes, at + 4)?;
        let body = bytes.get(at + 8..at + 8 + size).ok_or_else(|| broken(name, "it ends inside a packet"))?;
        at += 8 + size;
        let plain = match compression {
            0 => body.to_vec(),
            1 | 2 => {
                let mut out = Vec::new();
                lz4_flex::frame::FrameDecoder::new(body)
                    .take(LARGEST + 1)
                    .read_to_end(&mut out)
                    .map_err(|e| broken(name, format!("a packet cannot be unpacked: {e}")))?;
                if out.len() as u64 > LARGEST {
                    return Err(broken(name, "a packet unpacks to more than 256 MiB"));
                }
                out
            }
            other => {
                return Err(Diagnostic::file(name, format!("its packets are compressed by method {other} (Zstandard is 3 and 4)"))
                    .hint("only plain and LZ4 packets are read; write it again with LZ4")
                    .into());
            }
        };
        // Size, root, identifier; events are one vector of structures of 16 bytes.
        if plain.get(8..12) != Some(b"EVTS") {
            continue;
        }
        let root = 4 + word(&plain, 4)?;
        let Some(vector) = field(&plain, root, 0) else { continue };
        let vector = vector + word(&plain, vector)?;
        let count = word(&plain, vector)?;
        let list = count
            .checked_mul(16)
            .and_then(|n| plain.get(vector + 4..vector + 4 + n))
            .ok_or_else(|| broken(name, "a packet is shorter than its events"))?;
        events.extend(list.chunks_exact(16).map(|b| Event {
            t: i64::from_le_bytes(b[..8].try_into().expect("eight bytes")),
            x: i16::from_le_bytes([b[8], b[9]]) as u16,
            y: i16::from_le_bytes([b[10], b[11]]) as u16,
            on: b[12] != 0,
        }));
    }
    Ok(events)
}

fn csv(name: &str, bytes: &[u8]) -> Result<Vec<Event>, Problems> {
    let mut events = Vec::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    for (line, row) in reader.records().enumerate() {
        let row = row.map_err(|e| Diagnostic::file(name, e.to_string()))?;
        let numbers: Vec<f64> = row.iter().filter_map(|t| t.parse().ok()).collect();
        let pixel = |v: f64| (0.0..=65535.0).contains(&v);
        let [t, x, y, p] = numbers[..] else {
            if line == 0 {
                continue;
            }
            return Err(Diagnostic::file(name, format!("line {} is not t, x, y, p", line + 1)).into());
        };
        // Doubles count microseconds exactly up to 2^53.
        if !pixel(x) || !pixel(y) || t.is_nan() || t.abs() > 9.007e15 {
            return Err(Diagnostic::file(name, format!("line {}: t = {t}, x = {x}, y = {y} is no event", line + 1)).into());
        }
        events.push(Event { t: t as i64, x: x as u16, y: y as u16, on: p > 0.0 });
    }
    Ok(events)
}

/// Counts of events per pixel in slices: `[frame][row][column][polarity]`, at most 255. Of two polarities the first is off, the second on; of one, both.
pub fn frames(events: &[Event], [rows, columns, polarities]: [usize; 3], cut: Cut) -> Vec<u8> {
    let [high, wide, _] = cut.shape([rows, columns, polarities]);
    let mut out = vec![0u8; cut.frames * high * wide * polarities];
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return out };
    let per = (events.len() / cut.frames).max(1);
    // In 128 bits: a damaged file's times can lie further apart than an i64 holds.
    let span = (i128::from(last.t) - i128::from(first.t) + 1).max(1);
    for (i, e) in events.iter().enumerate() {
        let k = match cut.slice {
            Slice::Count => i / per,
            Slice::Time => ((i128::from(e.t) - i128::from(first.t)).clamp(0, span - 1) * cut.frames as i128 / span) as usize,
        }
        .min(cut.frames - 1);
        let (x, y) = (usize::from(e.x), usize::from(e.y));
        if x < columns && y < rows {
            let at = ((k * high + y / cut.bin) * wide + x / cut.bin) * polarities + usize::from(e.on).min(polarities - 1);
            out[at] = out[at].saturating_add(1);
        }
    }
    out
}

impl Cut {
    /// One picture.
    pub(crate) const STILL: Cut = Cut { frames: 1, slice: Slice::Count, bin: 1 };

    /// Rows, columns and polarities of a frame of a sensor of so many.
    pub fn shape(self, [rows, columns, polarities]: [usize; 3]) -> [usize; 3] {
        [rows.div_ceil(self.bin), columns.div_ceil(self.bin), polarities]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: [Event; 2] = [Event { t: 5, x: 3, y: 7, on: true }, Event { t: 70_000, x: 33, y: 0, on: false }];

    #[test]
    fn every_format_gives_the_events_that_were_written() {
        let nmnist = [3, 7, 0x80, 0, 5, 33, 0, 1, 0x11, 0x70];
        assert_eq!(parse("a.bin", &nmnist, Camera::Dvs128).unwrap(), TWO);
        let address = |e: &Event| u32::from(e.x) << 1 | u32::from(e.y) << 8 | u32::from(e.on);
        let mut two = b"#!AER-DAT2.0\r\n# made by hand\r\n".to_vec();
        TWO.iter().for_each(|e| two.extend(address(e).to_be_bytes().into_iter().chain((e.t as u32).to_be_bytes())));
        assert_eq!(parse("a.aedat", &two, Camera::Dvs128).unwrap(), TWO);
        let davis = |e: &Event| u32::from(e.x) << 12 | u32::from(e.y) << 22 | u32::from(e.on) << 11;
        let mut two = b"#!AER-DAT2.0\r\n".to_vec();
        two.extend([0x80, 0, 0, 0, 0, 0, 0, 1]); // a frame's sample
        TWO.iter().for_each(|e| two.extend(davis(e).to_be_bytes().into_iter().chain((e.t as u32).to_be_bytes())));
        assert_eq!(parse("a.aedat", &two, Camera::Davis).unwrap(), TWO);
        let mut three = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n".to_vec();
        for part in [1i16.to_le_bytes().to_vec(), 0i16.to_le_bytes().to_vec()] {
            three.extend(part);
        }
        [8i32, 4, 0, 2, 2, 2].iter().for_each(|v| three.extend(v.to_le_bytes()));
        for e in &TWO {
            three.extend((1 | u32::from(e.on) << 1 | u32::from(e.y) << 2 | u32::from(e.x) << 17).to_le_bytes());
            three.extend((e.t as i32).to_le_bytes());
        }
        assert_eq!(parse("a.aedat", &three, Camera::Dvs128).unwrap(), TWO);
        assert_eq!(parse("a.csv", b"t,x,y,p\n5,3,7,1\n70000,33,0,0\n", Camera::Dvs128).unwrap(), TWO);
        // Cut short, each says so.
        for (name, bytes) in [("a.bin", &nmnist[..9]), ("a.aedat", &three[..three.len() - 3])] {
            let e = parse(name, bytes, Camera::Dvs128).unwrap_err().to_string();
            assert!(e.contains(name) && e.contains("truncated"), "{e}");
        }
    }

    /// A file of AEDAT 4 built by hand: header and one LZ4 packet of two events.
    #[test]
    fn aedat4_is_unpacked() {
        let header = |compression: i32| {
            let mut b = Vec::new();
            // Root at 16; vtable of two fields at 4: compression at +4, table position at +8.
            b.extend(16u32.to_le_bytes());
            [8u16, 16, 4, 8].iter().for_each(|v| b.extend(v.to_le_bytes()));
            b.extend([0; 4]);
            b.extend(12i32.to_le_bytes());
            b.extend(compression.to_le_bytes());
            b.extend((-1i64).to_le_bytes());
            b
        };
        let mut packet = Vec::new();
        packet.extend(16u32.to_le_bytes());
        packet.extend(b"EVTS");
        [6u16, 8, 4, 0].iter().for_each(|v| packet.extend(v.to_le_bytes()));
        packet.extend(8i32.to_le_bytes());
        packet.extend(4u32.to_le_bytes());
        packet.extend(2u32.to_le_bytes());
        for e in &TWO {
            packet.extend(e.t.to_le_bytes());
            packet.extend((e.x as i16).to_le_bytes());
            packet.extend((e.y as i16).to_le_bytes());
            packet.extend([u8::from(e.on), 0, 0, 0]);
        }
        let mut sized = (packet.len() as u32).to_le_bytes().to_vec();
        sized.extend(&packet);
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut encoder, &sized).unwrap();
        let packed = encoder.finish().unwrap();
        for (compression, body) in [(0, &sized), (1, &packed)] {
            let mut file = b"#!AER-DAT4.0\r\n".to_vec();
            let h = header(compression);
            file.extend((h.len() as u32).to_le_bytes());
            file.extend(&h);
            file.extend(0i32.to_le_bytes());
            file.extend((body.len() as u32).to_le_bytes());
            file.extend(body);
            assert_eq!(parse("a.aedat4", &file, Camera::Dvs128).unwrap(), TWO);
        }
    }

    /// A real recording, where the user's folder of data has one.
    #[test]
    fn a_recording_of_a_camera_is_read() {
        let path = std::env::var_os("SPINLOOM_DATA").map(|d| Path::new(&d).join("event-samples/sample.aedat4"));
        let Some(path) = path.filter(|p| p.is_file()) else {
            eprintln!("SKIPPED: SPINLOOM_DATA names no folder with event-samples/sample.aedat4");
            return;
        };
        let (events, _) = read(&path, Camera::Dvs128).unwrap();
        assert!(events.len() > 100_000 && events.iter().all(|e| e.x < 320 && e.y < 240), "{}", events.len());
        // Packets come in the order of time, but for the jitter inside one.
        assert!(events.last().unwrap().t > events[0].t && events.windows(2).filter(|w| w[1].t < w[0].t).count() < events.len() / 100);
    }

    #[test]
    fn frames_count_by_number_and_by_time() {
        let events: Vec<Event> = (0..10).map(|i| Event { t: if i < 9 { i } else { 1000 }, x: 0, y: 0, on: i % 2 == 0 }).collect();
        let cut = |slice, bin| Cut { frames: 2, slice, bin };
        let count = frames(&events, [1, 1, 2], cut(Slice::Count, 1));
        assert_eq!(count, [2, 3, 3, 2]);
        let time = frames(&events, [1, 1, 2], cut(Slice::Time, 1));
        assert_eq!(time, [4, 5, 1, 0]);
        assert_eq!(frames(&events, [1, 1, 1], cut(Slice::Time, 1)), [9, 1]);
        let far = [Event { t: i64::MIN, ..events[0] }, Event { t: i64::MAX, ..events[0] }];
        assert_eq!(frames(&far, [1, 1, 2], cut(Slice::Time, 1)), [0, 1, 0, 1]);
        // Five columns in squares of two are three; the lower row of squares is half empty.
        let wide: Vec<Event> = (0..5).map(|x| Event { t: 0, x, y: 2, on: true }).collect();
        assert_eq!(frames(&wide, [3, 5, 1], Cut { frames: 1, slice: Slice::Time, bin: 2 }), [0, 0, 0, 2, 2, 1]);
        let e = parse("a.csv", b"0,-1,0,1\n", Camera::Dvs128).unwrap_err().to_string();
        assert!(e.contains("line 1") && e.contains("x = -1"), "{e}");
    }
}
