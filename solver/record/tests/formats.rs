//! Fields in other forms: what is written can be read, here and by the programs the forms belong to.
//!
//! Tests that call Python take the interpreter from `SPINLOOM_PYTHON` (default `python3`) and say aloud if numpy or vtk cannot be imported there.

use spinloom_record::{Format, Mesh, Ovf, OvfFormat, direction_colour};
use std::path::Path;
use std::process::{Command, Stdio};

/// Every value different, none of them short in binary.
fn field(n: [usize; 3], width: usize) -> Ovf {
    let mesh = Mesh { n, cell: [2e-9, 3e-9, 5e-9], origin: [-1e-9, 0.0, 4e-9], layers: Vec::new() };
    Ovf {
        title: "m".into(),
        labels: (0..width).map(|c| format!("m_{c}")).collect(),
        units: vec!["A/m".into(); width],
        time: Some(1.5e-9),
        data: (0..mesh.cells() * width).map(|i| (i as f64 + 0.1).sin()).collect(),
        mesh,
    }
}

#[test]
fn what_is_written_in_a_form_that_is_read_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    for width in [1, 3, 4] {
        let whole = field([4, 3, 2], width);
        let both = [OvfFormat::Binary8, OvfFormat::Text];
        let forms = [(Format::Ovf2, "a.ovf"), (Format::Npy, "m.npy"), (Format::Json, "a.json"), (Format::Csv, "a.csv")];
        let vtk = [(Format::Vti, "a.vti"), (Format::Vtr, "a.vtr")];
        let list = forms.map(|f| (f, both[0])).into_iter().chain(vtk.into_iter().flat_map(|f| both.map(|b| (f, b))));
        for ((format, name), numbers) in list {
            let path = dir.path().join(name);
            whole.save(&path, format, numbers).unwrap();
            let back = Ovf::load(&path, whole.mesh.cell).unwrap();
            assert_eq!((back.mesh.n, back.components(), &back.data), (whole.mesh.n, width, &whole.data), "{name}");
            if format == Format::Json {
                assert_eq!(back, whole);
            }
            // Places are known where a form holds them, to rounding in text.
            if matches!(format, Format::Vti | Format::Vtr | Format::Csv) {
                let off = |a: [f64; 3], b: [f64; 3]| (0..3).map(|k| (a[k] - b[k]).abs()).fold(0.0, f64::max);
                assert!(
                    off(back.mesh.cell, whole.mesh.cell) < 1e-22 && off(back.mesh.origin, whole.mesh.origin) < 1e-22,
                    "{name}: {:?}",
                    back.mesh
                );
            }
            if format == Format::Vti {
                assert_eq!((back.time, back.title), (whole.time, whole.title.clone()));
            }
        }
    }
}

#[test]
fn damaged_files_are_refused_with_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let whole = field([4, 3, 2], 3);
    for (format, name) in [(Format::Npy, "a.npy"), (Format::Json, "a.json"), (Format::Ovf2, "a.ovf")] {
        let path = dir.path().join(name);
        whole.save(&path, format, OvfFormat::Binary4).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        // Cut short anywhere; the last bytes of OVF and JSON are words and a line's end, which nobody needs.
        for end in (0..bytes.len() - 60).step_by(7) {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let message = Ovf::load(&path, [1e-9; 3]).unwrap_err().to_string();
            assert!(message.contains(name), "{end}: {message}");
        }
    }
    let promises = r#"{"title":"","mesh":{"n":[4294967296,4294967296,2],"cell":[1,1,1],"origin":[0,0,0]},"labels":["a"],"units":["1"],"time":null,"data":[]}"#;
    let path = dir.path().join("b.json");
    std::fs::write(&path, promises).unwrap();
    assert!(Ovf::load(&path, [1e-9; 3]).unwrap_err().to_string().contains("0 values"));
    let mut odd = field([2, 1, 1], 1);
    odd.data[1] = f64::NAN;
    assert!(odd.save(&path, Format::Json, OvfFormat::Text).unwrap_err().to_string().contains("not a number"));
    assert!(field([2, 1, 1], 4).save(&path, Format::Ovf1, OvfFormat::Text).unwrap_err().to_string().contains("OVF 1.0"));
}

#[test]
fn csv_has_a_line_a_cell_with_its_centre() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let whole = field([2, 1, 2], 1);
    whole.save(&path, Format::Csv, OvfFormat::Text).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(lines[0], ["x (m)", "y (m)", "z (m)", "m_0 (A/m)"]);
    // The last cell, (1, 0, 1): -1 + 1.5 * 2, 0.5 * 3 and 4 + 1.5 * 5 nm.
    let last: Vec<f64> = lines[4].iter().map(|v| v.parse().unwrap()).collect();
    for (a, b) in last.iter().zip([2e-9, 1.5e-9, 11.5e-9, whole.data[3]]) {
        assert!((a - b).abs() <= 1e-15 * b.abs(), "{a} {b}");
    }
}

#[test]
fn parts_keep_their_place_and_other_resolutions_their_mean() {
    let whole = field([6, 4, 2], 3);
    let part = whole.crop([2..5, 1..2, 1..2]);
    assert_eq!(part.mesh.n, [3, 1, 1]);
    let origin = [-1e-9 + 2.0 * 2e-9, 3e-9, 4e-9 + 5e-9];
    assert!((0..3).all(|a| (part.mesh.origin[a] - origin[a]).abs() < 1e-24), "{:?}", part.mesh.origin);
    let from = ((4 + 1) * 6 + 2) * 3;
    assert_eq!(part.data, whole.data[from..from + 9]);
    assert_eq!(whole.component(2).data[7], whole.data[7 * 3 + 2]);

    // Two cells into three: the middle one lies half in each.
    let two = Ovf { data: vec![1.0, 4.0], ..field([2, 1, 1], 1) };
    assert_eq!(two.resized([3, 1, 1]).data, [1.0, 2.5, 4.0]);
    // Three into two: a whole cell and half of the middle one.
    let three = Ovf { data: vec![0.0, 3.0, 6.0], ..field([3, 1, 1], 1) };
    assert_eq!(three.resized([2, 1, 1]).data, [1.0, 5.0]);
    // Twice as fine repeats, and comes back.
    assert_eq!(two.resized([4, 2, 3]).resized([2, 1, 1]).data, [1.0, 4.0]);
    // 7/6, 5/4 and 1/2 as many cells: the mean stays to rounding, and the box too.
    let other = whole.resized([7, 5, 1]);
    for c in 0..3 {
        let mean = |f: &Ovf| f.data.iter().skip(c).step_by(3).sum::<f64>() / f.mesh.cells() as f64;
        assert!((mean(&other) - mean(&whole)).abs() < 1e-15);
    }
    assert!(
        (0..3).all(|a| (other.mesh.n[a] as f64 * other.mesh.cell[a] / (whole.mesh.n[a] as f64 * whole.mesh.cell[a]) - 1.0).abs() < 1e-15)
    );
    assert!(whole.normalised().data.chunks(3).all(|v| (v.iter().map(|c| c * c).sum::<f64>() - 1.0).abs() < 1e-15));
}

#[test]
fn pictures_show_directions_as_everyone_does() {
    let s = 3f64.sqrt() / 2.0;
    for (v, colour) in [
        ([1.0, 0.0, 0.0], [255, 0, 0]),
        ([0.5, s, 0.0], [255, 255, 0]),
        ([-0.5, s, 0.0], [0, 255, 0]),
        ([-1.0, 0.0, 0.0], [0, 255, 255]),
        ([-0.5, -s, 0.0], [0, 0, 255]),
        ([0.5, -s, 0.0], [255, 0, 255]),
        ([0.0, 0.0, 1.0], [255; 3]),
        ([0.0, 0.0, -1.0], [0; 3]),
    ] {
        let seen = direction_colour(v);
        assert!(seen.iter().zip(colour).all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 1), "{v:?}: {seen:?}");
    }
    // y points upward: the first cell is at the lower left.
    let field = Ovf { data: vec![0.0, 1.0, 2.0, 4.0], ..field([2, 2, 1], 1) };
    let picture = field.picture(0, None);
    let grey = |x, y| picture.get_pixel(x, y).0[0];
    assert_eq!([grey(0, 1), grey(1, 1), grey(0, 0), grey(1, 0)], [0, 64, 128, 255]);
    assert_eq!(field.picture(0, Some([1.0, 2.0])).get_pixel(1, 0).0, [255; 3], "beyond the range is white");
}

/// `FORM FILE`, whose values numpy and VTK print one a line, x fastest, components innermost; then grid and box.
const READ: &str = r#"
import sys, numpy as np
for form, path in zip(sys.argv[1::2], sys.argv[2::2]):
    if form == 'npy':
        a = np.load(path)
        print(*a.shape[2::-1], *a.ravel().astype(float))
        continue
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy
    r = vtk.vtkXMLImageDataReader() if form == 'vti' else vtk.vtkXMLRectilinearGridReader()
    r.SetFileName(path); r.Update()
    g = r.GetOutput()
    n = [d - 1 for d in g.GetDimensions()]
    b = g.GetBounds()
    assert np.allclose(b, [-1e-9, -1e-9 + n[0] * 2e-9, 0, n[1] * 3e-9, 4e-9, 4e-9 + n[2] * 5e-9], rtol=1e-12, atol=0), b
    assert abs(g.GetFieldData().GetArray('TimeValue').GetValue(0) - 1.5e-9) < 1e-24
    print(*n, *vtk_to_numpy(g.GetCellData().GetArray('m')).ravel().astype(float))
"#;

#[test]
fn numpy_and_vtk_read_what_is_written() {
    let python = std::env::var("SPINLOOM_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python).args(["-c", "import numpy, vtk"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: `{python} -c 'import numpy, vtk'` fails; set SPINLOOM_PYTHON to an interpreter that has them");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut arguments: Vec<String> = Vec::new();
    let mut wanted = Vec::new();
    for width in [1, 3] {
        let whole = field([5, 3, 2], width);
        for (format, form) in [(Format::Npy, "npy"), (Format::Vti, "vti"), (Format::Vtr, "vtr")] {
            for numbers in [OvfFormat::Binary4, OvfFormat::Binary8, OvfFormat::Text] {
                let path = dir.path().join(format!("{width}-{numbers:?}.{form}"));
                whole.save(&path, format, numbers).unwrap();
                arguments.extend([form.to_string(), path.display().to_string()]);
                let single = numbers == OvfFormat::Binary4;
                wanted.push(whole.data.iter().map(|v| if single { f64::from(*v as f32) } else { *v }).collect::<Vec<f64>>());
            }
        }
    }
    let output = Command::new(&python).arg("-c").arg(READ).args(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), wanted.len());
    for ((line, wanted), path) in text.lines().zip(&wanted).zip(arguments.iter().skip(1).step_by(2)) {
        let numbers: Vec<f64> = line.split(' ').map(|v| v.parse().unwrap()).collect();
        assert_eq!((&numbers[..3], &numbers[3..]), (&[5.0, 3.0, 2.0][..], &wanted[..]), "{}", Path::new(path).display());
    }
}
