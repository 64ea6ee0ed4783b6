//! The tests of this crate, one binary.

mod allocation;
mod barrier;
mod experiments;
mod gpu;
mod input;
mod motion;
mod mx3;
mod stack;
mod surroundings;

/// The last column of the table in the documentation of `solver`: each name is a problem of validation, a script, or a test.
#[test]
fn what_the_documentation_names_as_tests_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let mut known: std::collections::HashSet<String> = std::collections::HashSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.extension().and_then(|e| e.to_str()) {
                _ if path.is_dir() && !name.starts_with('.') && name != "target" => folders.push(path),
                Some("mx3") if path.parent().unwrap().ends_with("tests/mx3") => {
                    known.insert(format!("mx3/{}", name.trim_end_matches(".mx3")));
                }
                Some("rs") => {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let tests = text.split("#[test]").skip(1).filter_map(|t| t.split_once("fn ")?.1.split_once('('));
                    known.extend(tests.map(|(name, _)| name.to_string()));
                }
                _ => {}
            }
        }
    }
    let problems = read("validate/src/lib.rs");
    let problems = problems.split_once("problems! {\n").unwrap().1.lines().filter_map(|l| l.strip_prefix("    \"")?.split_once('"'));
    known.extend(problems.map(|(name, _)| name.to_string()));
    let documentation = read("solver/src/lib.rs");
    let rows: Vec<Vec<&str>> = documentation.lines().filter_map(|l| l.strip_prefix("//! | ")).map(|l| l.split('|').collect()).collect();
    assert!(rows.len() > 60 && known.len() > 200, "{} rows, {} names", rows.len(), known.len());
    let named = rows[1..].iter().filter_map(|r| r.get(2)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let missing: Vec<&str> = named.filter(|n| !known.contains(*n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let untested: Vec<&str> =
        rows[1..].iter().filter(|r| !r[0].starts_with("**") && !r[1].contains("not there") && !r[2].contains('`')).map(|r| r[0]).collect();
    assert!(untested.is_empty(), "{untested:?}");
}
