//! Every command of the manual, in its order, in a folder of its chapter's files.

mod common;

use common::{said, spinloom};
use std::path::Path;

/// Blocks of a chapter: what stands behind the fence, and the text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                list.push((info.to_string(), String::new()));
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                if let Some((_, body)) = list.last_mut() {
                    body.push_str(line);
                    body.push('\n');
                }
            }
            None => {}
        }
    }
    list
}

#[test]
fn every_command_of_the_manual_does_what_it_says() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src");
    let summary = std::fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    let chapters: Vec<&str> = summary.split('(').skip(1).filter_map(|p| p.split(')').next()).collect();
    assert!(chapters.len() > 5);
    let mut count = 0;
    for chapter in &chapters {
        let text = std::fs::read_to_string(book.join(chapter)).unwrap_or_else(|e| panic!("{chapter}: {e}"));
        let blocks = blocks(&text);
        let dir = tempfile::tempdir().unwrap();
        for (info, body) in &blocks {
            if let Some(name) = info.split("file=").nth(1) {
                std::fs::write(dir.path().join(name), body).unwrap();
            }
        }
        for line in blocks.iter().filter(|(info, _)| info == "console").flat_map(|(_, body)| body.lines()) {
            let words: Vec<&str> = line.strip_prefix("$ spinloom ").unwrap_or_else(|| panic!("{chapter}: {line}")).split(' ').collect();
            let o = spinloom(dir.path(), &words);
            assert!(o.status.success(), "{chapter}: {line}: {}", said(&o));
            if words.contains(&"--json") {
                serde_json::from_slice::<serde_json::Value>(&o.stdout).unwrap_or_else(|e| panic!("{chapter}: {line}: {e}"));
            }
            count += 1;
        }
        // Pictures and chapters that are named are there.
        for link in text.split("](").skip(1).filter_map(|p| p.split(')').next()).filter(|l| !l.contains("://")) {
            assert!(book.join(link).exists(), "{chapter}: {link} is not there");
        }
    }
    println!("{count} commands in {} chapters", chapters.len());
    assert!(count > 30);
}

/// The codes of the manual are those of the program's help.
#[test]
fn the_manual_lists_the_codes_that_help_lists() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/codes.md")).unwrap();
    let help = said(&spinloom(Path::new("."), &["--help"]));
    for code in ["0", "1", "2", "75", "130, 143"] {
        assert!(text.contains(&format!("| {code} |")), "{code}");
        assert!(help.lines().any(|l| l.trim_start().starts_with(&format!("{code} "))), "{code}: {help}");
    }
}
